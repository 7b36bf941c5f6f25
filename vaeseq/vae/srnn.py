# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""SRNN: a chain of latents over a deterministic recurrence (Fraccaro et al., arXiv:1605.07571).

Notation: c_t context, d_t recurrence over contexts, z_t latent, x_t observation,
e_t backward recurrence over d_t and x_t (the paper's a_t): a smoothing posterior of x_t:T.

    Generative                          Inference

    c_1     c_2     c_3                 c_1     c_2     c_3
     |       |       |                   |       |       |
     v       v       v                   v       v       v
    d_1 --> d_2 --> d_3                 d_1 --> d_2 --> d_3
     |\      |\      |\                  |       |       |
     | v     | v     | v                 v       v       v
     | z_1 -->z_2 -->z_3                e_1 <-- e_2 <-- e_3   (e_t reads x_t too)
     | |     | |     | |                 |       |       |
     v v     v v     v v                 v       v       v
     x_1     x_2     x_3                z_1 --> z_2 --> z_3

With `use_res_q` the posterior's mean is the prior's plus the network's output (Res-q, section 3.2
of the paper).

Deviations: the paper's input u_t is the agent's context c_t; z_0 and the state before d_1 are zeros
rather than learnt; within a window of a longer sequence e starts from zeros at the window's end,
so the posterior does not see beyond the window and every bound remains a lower bound.
"""
from __future__ import annotations

import dataclasses
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import latent
from vaeseq.codec.decoders import NormalParams
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import declare
from vaeseq.hparams import HParams
from vaeseq.nn.networks import RecurrentStack
from vaeseq.types import Nest, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, VAECore


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      d: d_t, `[..., H]`.
      z: z_t-1, `[..., Z]`.
      prior: parameters of p(z_t), `[..., Z]`, which the residual posterior uses too.
    """

    d: Tensor
    z: Tensor
    prior: NormalParams


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of SRNN alone."""

    srnn_use_res_q: bool = declare(True, "SRNN: the posterior's mean is a residual on the prior's")


class SRNN(VAECore):
    """A stochastic recurrent network (graphs in the module description)."""

    appends_contexts = True

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, d_core: RecurrentStack,
        e_core: RecurrentStack, p_z: latent.DiagonalNormal, q_z: latent.DiagonalNormal, *,
        use_res_q: bool = True, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from [d_t, z_t] to the distribution of x_t.
          encoder: from x_t to the features that e reads.
          d_core: the recurrence over contexts.
          e_core: the backward recurrence over d_t and observations.
          p_z: from [d_t, z_t-1] to the distribution of z_t.
          q_z: from [e_t, z_t-1] to the distribution of z_t.
          use_res_q: whether the posterior's mean is relative to the prior's.
        """
        super().__init__(decoder, latent_size=p_z.event_spec.shape[0],
                         state_spec=CoreState(d_core.state_spec, p_z.event_spec), name=name)
        self._encoder = encoder
        self._d_core = d_core
        self._e_core = e_core
        self._p_z = p_z
        self._q_z = q_z
        self._use_res_q = use_res_q

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> SRNN:
        """Builds the core from hyperparameters."""
        return cls(
            decoder, encoder,
            _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip),
            _builders.recurrent_stack(hparams, "e_core"), _builders.diagonal_normal(hparams, "p_z"),
            _builders.diagonal_normal(hparams, "q_z"), use_res_q=hparams.srnn_use_res_q)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return self._d_core(contexts, state, lengths)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        inputs = (context_features, self._encoder(observed))
        return _builders.backward(self._e_core, inputs, lengths)

    def hidden(self, context_feature: Nest, state: Nest) -> Hidden:
        return Hidden(context_feature, state, self._p_z((context_feature, state)))

    def prior(self, h: Hidden) -> tfd.Distribution:
        return self._p_z.dist(h.prior)

    def posterior(self, h: Hidden, feature: Nest) -> tfd.Distribution:
        params = self._q_z((feature, h.z))
        if self._use_res_q:
            params = latent.residual(h.prior, params)
        return self._q_z.dist(params)

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, Nest]:
        return tf.concat([h.d, z], -1), z
