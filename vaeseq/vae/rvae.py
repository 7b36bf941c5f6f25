# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""RVAE: independent latents decoded by a recurrence (Leglaive et al., arXiv:1910.10942).

Notation: z_t latent, d_t recurrence over latents, x_t observation; of the inference network g_t
recurrence over the latents before step t, r_t and l_t recurrences over observations, backwards and
forwards.

    Generative                          Inference, noncausal

    z_1     z_2     z_3   ~ N(0, I)     g_1 --> g_2 --> g_3      g_t reads z_t-1
     |       |       |                   |   ^   |   ^   |
     v       v       v                   v  /    v  /    v
    d_1 --> d_2 --> d_3                 z_1     z_2     z_3
     |       |       |                   ^       ^       ^
     v       v       v                  r_1 <-- r_2 <-- r_3
    x_1     x_2     x_3                 l_1 --> l_2 --> l_3      x_t above each r_t and l_t

    p(z_t) = N(0, I)                    causal       q(z_t | z_1:t-1, x_t:T)
    p(x_t | z_1:t)                      noncausal    q(z_t | z_1:t-1, x_1:T)

No observation is fed back: latents carry everything, unlike in ISEQ and STORN, whose prior is the
same. The causal inference network has the form of the exact posterior: given the latents before
step t, the observations before it say no more about z_t.

Deviations: contexts are not read. The paper's noncausal model also decodes x_t from z_1:T; such a
model has no p(x_t | x_1:t-1) and cannot be sampled step by step, so that here the decoder is causal
and `inference` chooses the inference network alone. Recurrences over observations start from zeros
at the ends of a window of a longer sequence, and every bound stays a bound.
"""
from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

from tensorflow_probability import distributions as tfd

from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import declare
from vaeseq.hparams import HParams
from vaeseq.nn.networks import RecurrentStack
from vaeseq.types import Nest, Spec, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, VAECore


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      decoder: the recurrent state of d.
      inference: the recurrent state of g.
      summary: g_t, features of z_1:t-1, `[..., H]`.
    """

    decoder: Nest
    inference: Nest
    summary: Tensor


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of RVAE alone."""

    rvae_inference: Literal["causal", "noncausal"] = declare(
        "causal", "RVAE: whether the posterior reads the past observations too (noncausal)")


class RVAE(VAECore):
    """A recurrent variational autoencoder (graphs in the module description)."""

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, d_core: RecurrentStack,
        g_core: RecurrentStack, q_z: latent.DiagonalNormal, *, future: RecurrentStack,
        past: RecurrentStack | None = None, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from d_t to the distribution of x_t.
          encoder: from x_t to the features that the inference network reads.
          d_core: the recurrence over latents.
          g_core: the inference network's recurrence over latents.
          q_z: from [g_t, r_t, l_t] to the distribution of z_t.
          future: the recurrence over observations backwards, r.
          past: the recurrence over observations forwards, l; None for causal inference.
          name: of the module.
        """
        summary = Spec([g_core.output_size], q_z.event_spec.dtype, "summary")
        super().__init__(
            decoder, latent_size=q_z.event_spec.shape[0], name=name,
            state_spec=CoreState((), State(d_core.state_spec, g_core.state_spec, summary)))
        self._encoder = encoder
        self._d_core = d_core
        self._g_core = g_core
        self._q_z = q_z
        self._future = future
        self._past = past
        self._p_z = latent.StandardNormal(self.latent_size)

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> RVAE:
        """Builds the core from hyperparameters."""
        past = None
        if hparams.rvae_inference == "noncausal":
            past = _builders.recurrent_stack(hparams, "past")
        return cls(decoder, encoder,
                   _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip),
                   _builders.recurrent_stack(hparams, "g_core"),
                   _builders.diagonal_normal(hparams, "q_z"),
                   future=_builders.recurrent_stack(hparams, "future"), past=past)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, Nest]:
        return contexts[..., :0], state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        features = self._encoder(observed)
        terms = [_builders.backward(self._future, features, lengths)]
        if self._past is not None:
            terms.append(_builders.forward(self._past, features, lengths))
        return tuple(terms)

    def hidden(self, context_feature: Nest, state: State) -> State:
        return state

    def prior(self, h: State) -> tfd.Distribution:
        return self._p_z.distribution(h.summary)

    def posterior(self, h: State, feature: tuple[Tensor, ...]) -> tfd.Distribution:
        return self._q_z.distribution((h.summary, *feature))

    def update(self, h: State, z: Tensor) -> tuple[Tensor, State]:
        outputs, decoder = self._d_core.step(z, h.decoder)
        summary, inference = self._g_core.step(z, h.inference)
        return outputs, State(decoder, inference, summary)
