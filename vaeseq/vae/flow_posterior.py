# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A core whose posterior is that of another core, followed by flows (arXiv:1606.04934).

    u ~ q(u | h_t, f_t)  Gaussian          z_t = flow_N(... flow_1(u))
    log q(z_t) = log q(u) - sum_n log |d flow_n|

Everything else is the other core's: the generative model does not change. A posterior of
independent normals cannot represent dependence between latents; with flows it
can. The KL has no closed form and is estimated from the samples. The hyperparameter
`posterior_flows` applies flows to the posterior of any core with a Gaussian one (`vae.make`).

`codec.flows` has the flows, and their deviation from the paper.
"""
from __future__ import annotations

from collections.abc import Sequence

from tensorflow_probability import distributions as tfd

from vaeseq.codec.flows import FlowDistribution, InverseAutoregressiveFlow
from vaeseq.hparams import HParams
from vaeseq.types import Nest, Tensor
from vaeseq.vae.base import CoreState, VAECore


class FlowPosterior(VAECore):
    """Another core with flows applied to its posterior (see the module description)."""

    def __init__(self, core: VAECore, flows: Sequence[InverseAutoregressiveFlow],
                 name: str | None = None):
        """Creates the core.

        Args:
          core: the core whose posterior is refined; its samples must be reparameterized.
          flows: in the order of sampling, each of the core's latent size.
        """
        super().__init__(core.decoder, latent_size=core.latent_size, state_spec=core.state_spec,
                         name=name)
        self.has_density = core.has_density
        self.core = core
        self.flows = tuple(flows)

    @classmethod
    def wrap(cls, core: VAECore, hparams: HParams) -> FlowPosterior:
        """Applies `hparams.posterior_flows` flows to the posterior of a core.

        Their networks have the layers `latent_decoder_fc_layers`.

        Raises:
          ValueError: the core has no latents.
        """
        return cls(core, [
            InverseAutoregressiveFlow(
                core.latent_size, hparams.latent_decoder_fc_layers, activation=hparams.activation,
                name=f"flow_{number}") for number in range(hparams.posterior_flows)])

    def initial_state(self, batch_size: int | Tensor) -> CoreState:
        return self.core.initial_state(batch_size)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return self.core.encode_contexts(contexts, state, lengths)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        return self.core.encode_observed(context_features, observed, lengths)

    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        return self.core.hidden(context_feature, state)

    def prior(self, h: Nest) -> tfd.Distribution:
        return self.core.prior(h)

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        return FlowDistribution(self.core.posterior(h, feature), self.flows)

    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        return self.core.update(h, z)

    def record_posterior(self, q_z: tfd.Distribution, z: Tensor) -> Nest:
        return q_z.log_prob(z)

    def recorded_posterior(
        self, record: Nest, h: Nest, features: Nest, z: Tensor
    ) -> tfd.Distribution:
        q_z = self.posterior(h, features)
        q_z.remember(z, record)
        return q_z
