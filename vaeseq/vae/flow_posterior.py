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
from vaeseq.vae.base import VAECore, WrappedCore


class FlowPosterior(WrappedCore):
    """Another core with flows applied to its posterior (see the module description)."""

    def __init__(self, core: VAECore, flows: Sequence[InverseAutoregressiveFlow],
                 name: str | None = None):
        """Creates the core.

        Args:
          core: the core whose posterior is refined; its samples must be reparameterized.
          flows: in the order of sampling, each of the core's latent size.
        """
        super().__init__(core, name=name)
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

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        return FlowDistribution(self.core.posterior(h, feature), self.flows)

    def record_posterior(self, q_z: tfd.Distribution, z: Tensor) -> Nest:
        return q_z.log_prob(z)

    def recorded_posterior(
        self, record: Nest, h: Nest, features: Nest, z: Tensor
    ) -> tfd.Distribution:
        q_z = self.posterior(h, features)
        q_z.remember(z, record)
        return q_z
