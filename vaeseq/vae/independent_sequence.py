# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""ISEQ: a VAE whose latents are independent of each other in the prior.

Notation: c_t context, z_t latent, d_t recurrent state and output, x_t observation,
e_t backward recurrence over contexts and observations: a smoothing posterior of x_t:T.

    Generative                          Inference

    z_1     z_2     z_3   ~ N(0, I)     z_1     z_2     z_3
     |       |       |                   ^       ^       ^
     v       v       v                   |       |       |
    d_1 --> d_2 --> d_3                 e_1 <-- e_2 <-- e_3
     |  ^    |  ^    |  ^                ^       ^       ^
     v  |    v  |    v  |                |       |       |
    x_1 c_1 x_2 c_2 x_3 c_3            c_1,x_1 c_2,x_2 c_3,x_3

Source: the model of the same name in VAE-Seq (2017), one of its three reference models.
"""
from __future__ import annotations

from typing import NamedTuple

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


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      context: c_t, `[..., F]`.
      state: the recurrent state before d_t.
    """

    context: Tensor
    state: Nest


class IndependentSequence(VAECore):
    """A VAE of independent latents (graphs in the module description)."""

    appends_contexts = True

    def __init__(
        self, decoder: DistModule, encoder: Encoder, d_core: RecurrentStack,
        e_core: RecurrentStack, q_z: latent.DiagonalNormal, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from d_t to the distribution of x_t.
          encoder: from x_t to the features that e reads.
          d_core: the recurrence over contexts and latents.
          e_core: the backward recurrence over contexts and observations.
          q_z: from e_t to the distribution of z_t.
        """
        super().__init__(decoder, latent_size=q_z.event_spec.shape[0],
                         state_spec=CoreState((), d_core.state_spec), name=name)
        self._encoder = encoder
        self._d_core = d_core
        self._e_core = e_core
        self._q_z = q_z
        self._p_z = latent.StandardNormal(self.latent_size)

    @classmethod
    def from_hparams(
        cls, hparams: HParams, decoder: DistModule, encoder: Encoder
    ) -> IndependentSequence:
        """Builds the core from hyperparameters."""
        return cls(decoder, encoder,
                   _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip),
                   _builders.recurrent_stack(hparams, "e_core"),
                   _builders.diagonal_normal(hparams, "q_z"))

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        inputs = (context_features, self._encoder(observed))
        return _builders.backward(self._e_core, inputs, lengths)

    def hidden(self, context_feature: Nest, state: Nest) -> Hidden:
        return Hidden(context_feature, state)

    def prior(self, h: Hidden) -> tfd.Distribution:
        return self._p_z.distribution(h.context)

    def posterior(self, h: Hidden, feature: Nest) -> tfd.Distribution:
        return self._q_z.distribution(feature)

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, Nest]:
        return self._d_core.step((h.context, z), h.state)

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        q_z = self.posterior(Hidden(context_features, ()), features)
        return self._infer(context_features, q_z, q_z.sample(seed=seeds.make(seed)), state, lengths)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        q_z = self.posterior(Hidden(context_features, ()), features)
        return self._infer(context_features, q_z, latents, state, lengths)

    def _infer(
        self, context_features: Nest, q_z: tfd.Distribution, z: Tensor, state: Nest,
        lengths: Tensor | None,
    ) -> Inferred:
        outputs, state = self._d_core((context_features, z), state, lengths)
        return Inferred(z, self.prior(Hidden(context_features, ())), q_z, outputs, state)
