# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""VRNN: latents inside the recurrence (Chung et al., arXiv:1506.02216).

Notation: c_t context (usually features of x_t-1), z_t latent, phi_z features of a latent,
h_t recurrence over both, x_t observation, phi_x features of an observation. The posterior sees
x_1:t: a filtering posterior.

    Generative                          Inference

    c_1     c_2     c_3                 phi_x(x_1)  phi_x(x_2)  phi_x(x_3)
     |       |       |                      |           |           |
     v       v       v                      v           v           v
    h_1 --> h_2 --> h_3                    z_1         z_2         z_3
     |\   ^  |\   ^  |\                     ^           ^           ^
     | v /   | v /   | v                    |           |           |
     | z_1   | z_2   | z_3                 h_1 ------> h_2 ------> h_3
     | |     | |     | |                      (as in the generative graph)
     v v     v v     v v
     x_1     x_2     x_3

    h_t = cell([c_t, phi_z(z_t-1)], h_t-1)      p(z_t | h_t)      q(z_t | h_t, phi_x(x_t))
    p(x_t | h_t, phi_z(z_t))

Deviation: the paper's h_t-1 is called h_t here. Both depend on x_1:t-1 and z_1:t-1, but here the
context of step t enters before the latent of step t, so the agent may supply more than x_t-1. The
first prior is p(z_1 | h_1) with h_1 = cell([c_1, 0], 0) rather than p(z_1 | 0). The code of FIVO
(arXiv:1705.09279) indexes likewise.
"""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.types import Nest, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, VAECore


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      cell: the recurrent state.
      phi_z: features of z_t-1, `[..., H]`.
    """

    cell: Nest
    phi_z: Tensor


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      output: of the recurrence, `[..., H]`.
      cell: the recurrent state after it.
    """

    output: Tensor
    cell: Nest


class VRNN(VAECore):
    """A variational recurrent network (graphs in the module description)."""

    appends_contexts = True

    def __init__(
        self, decoder: DistModule, encoder: Encoder, cell: RecurrentStack, phi_z: MLP,
        p_z: latent.DiagonalNormal, q_z: latent.DiagonalNormal, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from [h_t, phi_z(z_t)] to the distribution of x_t.
          encoder: phi_x, from x_t to the features that the posterior reads.
          cell: the recurrence over contexts and latents.
          phi_z: from z_t to its features.
          p_z: from h_t to the distribution of z_t.
          q_z: from [h_t, phi_x(x_t)] to the distribution of z_t.
        """
        phi_z_spec = tf.TensorSpec([phi_z.output_size], tf.float32, "phi_z")
        super().__init__(decoder, latent_size=p_z.event_spec.shape[0],
                         state_spec=CoreState((), State(cell.state_spec, phi_z_spec)), name=name)
        self._encoder = encoder
        self._cell = cell
        self._phi_z = phi_z
        self._p_z = p_z
        self._q_z = q_z

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> VRNN:
        """Builds the core from hyperparameters.

        Raises:
          ValueError: `latent_decoder_fc_layers` is empty, which leaves phi_z without layers.
        """
        if not hparams.latent_decoder_fc_layers:
            raise ValueError(
                "VRNN reads its latents through the layers latent_decoder_fc_layers; expected at "
                "least one, got []. Try latent_decoder_fc_layers=[64].")
        phi_z = MLP(hparams.latent_decoder_fc_layers, activation=hparams.activation,
                    activate_final=True, name="phi_z")
        cell = _builders.recurrent_stack(hparams, "cell", skip=hparams.context_skip)
        return cls(decoder, encoder, cell, phi_z,
                   _builders.diagonal_normal(hparams, "p_z"),
                   _builders.diagonal_normal(hparams, "q_z"))

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        return self._encoder(observed)

    def hidden(self, context_feature: Nest, state: State) -> Hidden:
        return Hidden(*self._cell.step((context_feature, state.phi_z), state.cell))

    def prior(self, h: Hidden) -> tfd.Distribution:
        return self._p_z.distribution(h.output)

    def posterior(self, h: Hidden, feature: Nest) -> tfd.Distribution:
        return self._q_z.distribution((h.output, feature))

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, Nest]:
        phi_z = self._phi_z(z)
        return tf.concat([h.output, phi_z], -1), State(h.cell, phi_z)
