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

The inference network and the decoder are chosen separately. The noncausal decoder is that of the
paper's noncausal model,

    p(x_t | z_1:T) of [d_t, e_t], e a recurrence over latents backwards

Such a model (`NoncausalRVAE`) is one of whole sequences: it has no p(x_t | x_1:t-1), so that it is
scored by the ELBO and by IWAE, and sampled by `NoncausalRVAE.sample`, but not step by step.

Deviations: contexts are not read. Recurrences over observations start from zeros at the ends of a
window of a longer sequence, and every bound stays a bound; e does, too, so that with the noncausal
decoder each window, or, of more than 1,024 steps in compiled programs, each segment of at most 512
is decoded from its own later latents.
"""
from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple, NoReturn

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import declare
from vaeseq.hparams import HParams
from vaeseq.nn.networks import RecurrentStack
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Spec, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, Inferred, VAECore


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
    rvae_decoder: Literal["causal", "noncausal"] = declare(
        "causal", "RVAE: whether an observation is decoded from later latents too (noncausal)")


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
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> VAECore:
        """Builds the core from hyperparameters; with `rvae_decoder=noncausal`, `NoncausalRVAE`.

        Raises:
          ValueError: `posterior_flows` with that decoder, which has no loop over steps for them.
        """
        if hparams.posterior_flows and hparams.rvae_decoder == "noncausal":
            raise ValueError(
                "posterior_flows run in a loop over steps, which rvae_decoder=noncausal has not; "
                f"expected posterior_flows=0, got {hparams.posterior_flows}.")
        past = None
        if hparams.rvae_inference == "noncausal":
            past = _builders.recurrent_stack(hparams, "past")
        core = cls(decoder, encoder,
                   _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip),
                   _builders.recurrent_stack(hparams, "g_core"),
                   _builders.diagonal_normal(hparams, "q_z"),
                   future=_builders.recurrent_stack(hparams, "future"), past=past)
        if hparams.rvae_decoder == "noncausal":
            return NoncausalRVAE(core, _builders.recurrent_stack(hparams, "e_core"))
        return core

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


class NoncausalRVAE(VAECore):
    """An RVAE that decodes each observation from the latents of all steps.

    It has no single step: `update` raises ValueError, and with it everything that runs step by step
    (FIVO, `GenCore`, imputation).
    """

    def __init__(self, core: RVAE, e_core: RecurrentStack, name: str | None = None):
        """Creates the core.

        Args:
          core: the inference network and the recurrence forwards.
          e_core: the recurrence over latents backwards.
        """
        super().__init__(core.decoder, latent_size=core.latent_size, state_spec=core.state_spec,
                         name=name)
        self._core = core
        self._e_core = e_core

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, Nest]:
        return self._core.encode_contexts(contexts, state, lengths)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        return self._core.encode_observed(context_features, observed, lengths)

    def hidden(self, context_feature: Nest, state: State) -> State:
        return self._core.hidden(context_feature, state)

    def prior(self, h: State) -> tfd.Distribution:
        return self._core.prior(h)

    def posterior(self, h: State, feature: tuple[Tensor, ...]) -> tfd.Distribution:
        return self._core.posterior(h, feature)

    def update(self, h: State, z: Tensor) -> NoReturn:
        raise ValueError(
            "RVAE with rvae_decoder=noncausal decodes an observation from the latents of all "
            "steps; expected whole sequences, got a single step. Score it by the ELBO or IWAE and "
            "draw from it by NoncausalRVAE.sample, or train with rvae_decoder=causal.")

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        inferred = self._core.infer(context_features, features, state, lengths, seed=seed)
        return self._decoded(inferred, lengths)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        inferred = self._core.infer_given(context_features, features, latents, state, lengths)
        return self._decoded(inferred, lengths)

    def sample(self, num_samples: int, num_steps: int, *, seed: int | Seed) -> Nest:
        """Samples whole sequences, a nest of `[num_samples, num_steps, ...]`.

        Args:
          num_samples: number of sequences.
          num_steps: of each.
          seed: a number or int32 `[2]`.
        """
        z_seed, x_seed = seeds.split(seed, 2)
        z = seeds.normal([num_samples, num_steps, self.latent_size], z_seed, self.dtype)
        state = self.initial_state(num_samples).latent
        empty = tf.zeros([num_samples, num_steps, 0], self.dtype)

        def step(inputs: tuple, state: State) -> tuple[Tensor, State]:
            return self._core.update(self._core.hidden(inputs[0], state), inputs[1])

        outputs, _ = unroll.scan(step, (empty, z), state)
        outputs = tf.concat([outputs, _builders.backward(self._e_core, z, None)], -1)
        return self.decoder.distribution(outputs).sample(seed=x_seed)

    def _decoded(self, inferred: Inferred, lengths: Tensor | None) -> Inferred:
        later = _builders.backward(
            self._e_core, nest.mask_time(inferred.latents, lengths), lengths)
        return inferred._replace(outputs=tf.concat([inferred.outputs, later], -1))
