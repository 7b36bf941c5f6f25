# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""DSAE: one latent for the whole sequence beside those of the steps (Li and Mandt, 1803.02991).

The disentangled sequential autoencoder, arXiv:1803.02991. Notation: f static latent of a sequence,
z_t dynamic latent, d_t recurrence over dynamic latents, x_t observation, l_t and r_t recurrences
over observations, forwards and backwards.

    Generative                          Inference

    d_1 --> d_2 --> d_3                 f <-- l_T, r_1
     |    ^  |    ^  |                  |
     v   /   v   /   v                  v
    z_1 '   z_2 '   z_3                 z_1     z_2     z_3
     |       |       |                   ^       ^       ^
     v       v       v                  l_1 --> l_2 --> l_3
    x_1     x_2     x_3                 r_1 <-- r_2 <-- r_3      x_t above each l_t and r_t
     ^       ^       ^
     '------ f ------'

    p(f) = N(0, I)                      q(f | x_1:T) = N(mean, stddev) of [l_T, r_1]
    p(z_t | z_1:t-1) of d_t             q(z_t | f, x_1:T) = N(mean, stddev) of [f, l_t, r_t]
    p(x_t | z_t, f)

As a core, the latent of a step is [z_t, f_t]. At the first step of a sequence f_t is f, which the
state carries from then on. At later steps f_t is standard normal noise in both the prior and the
posterior, and nothing reads it: its KL is exactly 0 and its importance weight 1, so that the KL of
f is charged once. `DSAE.split` takes latents apart.

Deviations: the recurrences over observations are shared by q(f) and q(z), and f enters the latter
behind them (the paper's second recurrence reads f); q(z_1) does not see f, which is drawn in the
same step; contexts are not read. If a sequence is trained in windows, f is inferred from the first
of them, and every bound stays a bound.
"""
from __future__ import annotations

import dataclasses
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec import latent
from vaeseq.codec.decoders import NormalParams
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range, declare
from vaeseq.hparams import HParams
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.types import Nest, Spec, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, VAECore


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      z: z_t-1, `[..., Z]`.
      static: f, `[..., F]`; zeros before the first step.
      cell: the recurrent state of d.
      has_begun: `[..., 1]`, 0 before the first step and 1 after it.
    """

    z: Tensor
    static: Tensor
    cell: Nest
    has_begun: Tensor


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      output: d_t, `[..., H]`.
      static: f, `[..., F]`; zeros before the first step.
      cell: the recurrent state of d after step t.
      has_begun: `[..., 1]`, 0 at the first step and 1 after it.
    """

    output: Tensor
    static: Tensor
    cell: Nest
    has_begun: Tensor


class Features(NamedTuple):
    """What the posterior reads of x_1:T.

    Attributes:
      step: [l_t, r_t], `[B, T, 2 H]`.
      sequence: [l_T, r_1], the same at every step, `[B, T, 2 H]`.
    """

    step: Tensor
    sequence: Tensor


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of DSAE alone."""

    dsae_static_size: int = declare(
        32, "DSAE: size of the latent of the whole sequence", Range(1, 1 << 16))


class DSAE(VAECore):
    """A disentangled sequential autoencoder (graphs in the module description)."""

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, d_core: RecurrentStack,
        p_z: latent.DiagonalNormal, q_z: latent.DiagonalNormal, q_f: latent.DiagonalNormal,
        emission: MLP, *, past: RecurrentStack, future: RecurrentStack, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from the emission network's outputs to the distribution of x_t.
          encoder: from x_t to the features that the inference network reads.
          d_core: the recurrence over dynamic latents.
          p_z: from d_t to the distribution of z_t.
          q_z: from [f, l_t, r_t] to the distribution of z_t.
          q_f: from [l_T, r_1] to the distribution of f.
          emission: from [z_t, f] to what the decoder reads.
          past: the recurrence over observations forwards, l.
          future: the recurrence over observations backwards, r.
        """
        self._size, self._static_size = p_z.event_spec.shape[0], q_f.event_spec.shape[0]
        dtype = p_z.event_spec.dtype
        state = State(Spec([self._size], dtype, "z"), Spec([self._static_size], dtype, "static"),
                      d_core.state_spec, Spec([1], dtype, "has_begun"))
        super().__init__(decoder, latent_size=self._size + self._static_size,
                         state_spec=CoreState((), state), name=name)
        self._encoder = encoder
        self._d_core = d_core
        self._p_z = p_z
        self._q_z = q_z
        self._q_f = q_f
        self._p_f = latent.StandardNormal(self._static_size)
        self._emission = emission
        self._past = past
        self._future = future

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> DSAE:
        """Builds the core from hyperparameters; the emission has `latent_decoder_fc_layers`.

        Raises:
          ValueError: `posterior_flows`, which would mix z_t with the noise in place of f.
        """
        if hparams.posterior_flows:
            raise ValueError(
                f"DSAE has latents that are noise after the first step, which flows would mix with "
                f"the others; expected posterior_flows=0, got {hparams.posterior_flows}.")
        emission = MLP(hparams.latent_decoder_fc_layers, activation=hparams.activation,
                       activate_final=True, name="emission")
        return cls(
            decoder, encoder, _builders.recurrent_stack(hparams, "d_core"),
            _builders.diagonal_normal(hparams, "p_z"), _builders.diagonal_normal(hparams, "q_z"),
            _builders.diagonal_normal(hparams, "q_f", size=hparams.dsae_static_size), emission,
            past=_builders.recurrent_stack(hparams, "past"),
            future=_builders.recurrent_stack(hparams, "future"))

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Splits the latents of whole sequences, `[B, T, Z + F]`.

        Returns:
          z_1:T, `[B, T, Z]`, and f, `[B, F]`.
        """
        return latents[..., :self._size], latents[:, 0, self._size:]

    def join(self, dynamic: Tensor, static: Tensor) -> Tensor:
        """Returns the latents of sequences with z_1:T `[B, T, Z]` and f `[B, F]`."""
        dynamic, static = tf.convert_to_tensor(dynamic), tf.convert_to_tensor(static)
        num_steps = nest.leading_dim(dynamic, 1)
        return tf.concat([dynamic, tf.repeat(static[:, tf.newaxis], num_steps, 1)], -1)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, Nest]:
        return contexts[..., :0], state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Features:
        features = self._encoder(observed)
        past = _builders.forward(self._past, features, lengths)
        future = _builders.backward(self._future, features, lengths)
        num_steps = nest.leading_dim(past, 1)
        ends = tf.concat(_builders.ends(past, future, lengths), -1)
        return Features(tf.concat([past, future], -1),
                        tf.repeat(ends[:, tf.newaxis], num_steps, 1))

    def hidden(self, context_feature: Nest, state: State) -> Hidden:
        output, cell = self._d_core.step(state.z, state.cell)
        return Hidden(output, state.static, cell, state.has_begun)

    def prior(self, h: Hidden) -> tfd.Distribution:
        return latent.normal(_join(self._p_z(h.output), self._p_f(h.static)))

    def posterior(self, h: Hidden, feature: Features) -> tfd.Distribution:
        later, first = self._p_f(h.static), self._q_f(feature.sequence)
        static = tf.nest.map_structure(
            lambda one, other: tf.where(h.has_begun > 0, one, other), later, first)
        return latent.normal(_join(self._q_z((h.static, feature.step)), static))

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, State]:
        dynamic, static = tf.split(z, [self._size, self._static_size], -1)
        static = tf.where(h.has_begun > 0, h.static, static)
        outputs = self._emission((dynamic, static))
        return outputs, State(dynamic, static, h.cell, tf.ones_like(h.has_begun))


def _join(dynamic: NormalParams, static: NormalParams) -> NormalParams:
    return NormalParams(*(tf.concat(pair, -1) for pair in zip(dynamic, static, strict=True)))
