# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""RNN: the observations are the only random variables.

Notation: c_t context, d_t recurrent state and output, x_t observation; z_t has size 0.

    Generative                          Inference

    c_1     c_2     c_3                 nothing to infer:
     |       |       |                  q(z_t) = p(z_t) = 1,
     v       v       v                  every bound is the exact
    d_1 --> d_2 --> d_3                 log-likelihood
     |       |       |
     v       v       v
    x_1     x_2     x_3
"""
from __future__ import annotations

from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams
from vaeseq.nn.networks import RecurrentStack
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, Inferred, VAECore


class RNN(VAECore):
    """A recurrent network without latent variables (graphs in the module description)."""

    appends_contexts = True

    def __init__(self, decoder: DistModule, d_core: RecurrentStack, name: str | None = None):
        """Creates the core.

        Args:
          decoder: from d_t to the distribution of x_t.
          d_core: the recurrence over contexts.
        """
        super().__init__(
            decoder, latent_size=0, state_spec=CoreState(d_core.state_spec, ()), name=name)
        self._d_core = d_core
        self._latent = latent.StandardNormal(0)

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> RNN:
        """Builds the core from hyperparameters; without a posterior, the encoder is unused."""
        del encoder
        return cls(decoder, _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip))

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return self._d_core(contexts, state, lengths)

    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        return context_feature

    def prior(self, h: Nest) -> tfd.Distribution:
        return self._latent.distribution(h)

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        return self.prior(h)

    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        return h, ()

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        z = self.posterior(context_features, features).sample(seed=seeds.make(seed))
        return self.infer_given(context_features, features, z, state, lengths)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        q_z = self.posterior(context_features, features)
        return Inferred(latents, self.prior(context_features), q_z, context_features, state)
