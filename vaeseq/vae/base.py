# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a sequence model.

An RNN is a VAE with no latent variables, so every model is one family, told apart only by what is
random. One step of it is

    h_t          = advance(drive_t, s_t)          what is known before z_t is drawn
    p(z_t | h_t) = prior(h_t)
    q(z_t | h_t, f_t) = posterior(h_t, f_t)       inference only
    u_t, s_t+1   = transition(h_t, z_t)
    p(x_t | h_t, z_t) = decoder(u_t)              emit: transition and decoder together

over two whole-sequence passes that never see z, and so stay out of the loop over time:

    drive_1:T = drive(context_1:T)                deterministic recurrences (SRNN's d_t)
    f_1:T     = summarize(drive_1:T, x_1:T)       inference only: what q may see

    contexts --> drive --> advance --> prior -----> z_t --> transition --> decoder --> x_t
                              ^   `--> posterior ---'            |
                              '----------- s_t+1 ----------------'
                                          ^
    observed --> summarize ---------------'  (features, for the posterior)

The generative step is written once: `GenCore` draws z_t from the prior and x_t from the decoder,
every bound draws z_t from the posterior and scores it with the prior and the decoder, over the
same functions. The per-step methods are pointwise over leading axes, so that after the loop the
densities of all steps come from one call on `[B, T, ...]`.

Axes: B batch, T time, F features, Z latent (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
from typing import NamedTuple

import sonnet as snt
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import segment_dropout
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor


class CoreState(NamedTuple):
    """What a core carries from step to step.

    Attributes:
      context: the state of the recurrences that see contexts only, a nest of `[B, ...]`.
      latent: what the next latent depends on, a nest of `[B, ...]`.
    """

    context: Nest
    latent: Nest


class Inferred(NamedTuple):
    """Latents drawn from the posterior for whole sequences.

    Attributes:
      latents: z_1:T, `[B, T, Z]`.
      prior: p(z_t | h_t), a distribution of batch shape `[B, T]`.
      posterior: q(z_t | h_t, f_t), the same.
      outputs: u_1:T, the decoder's inputs, `[B, T, F]`.
      state: `CoreState.latent` after each row's last valid step.
    """

    latents: Tensor
    prior: tfd.Distribution
    posterior: tfd.Distribution
    outputs: Tensor
    state: Nest


@snt.allow_empty_variables
class VAECore(snt.Module, abc.ABC):
    """A sequence model: four methods for one step; what else there is has a default.

    `hidden`, `prior`, `posterior` and `update` accept any leading axes. A subclass whose
    latents do not depend on each other may override `infer` to run without a loop; the contract
    test (`vaeseq.testing.VAECoreContract`) holds it equal to this one.

    Attributes:
      decoder: the `DistModule` from u_t to p(x_t | u_t).
    """

    def __init__(self, decoder: DistModule, name: str | None = None):
        super().__init__(name=name)
        self.decoder = decoder

    @classmethod
    def from_hparams(
        cls, hparams: HParams, decoder: DistModule, encoder: Encoder
    ) -> VAECore:
        """The core that `hparams` describe; what a core in the registry defines."""
        raise NotImplementedError(
            f"{cls.__name__} is not built from hyperparameters; call it, or define from_hparams.")

    @property
    @abc.abstractmethod
    def latent_size(self) -> int:
        """Z; 0 for a model without latents."""

    @property
    @abc.abstractmethod
    def state_spec(self) -> CoreState:
        """`tf.TensorSpec`s of the state, without the batch axis."""

    def initial_state(self, batch_size: int | Tensor) -> CoreState:
        """The state before the first step: zeros `[B, ...]` by default."""
        return nest.zeros(self.state_spec, batch_size)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        """The part of every step that depends on contexts alone; by default the contexts.

        Args:
          contexts: `[B, T, F]`.
          state: `CoreState.context`.
          lengths: int32 `[B]`, valid steps of each row.

        Returns:
          A nest of `[B, T, ...]` and the next `CoreState.context`.
        """
        del lengths
        return contexts, state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        """What the posterior may see at each step, a nest of `[B, T, ...]`; by default nothing.

        Args:
          context_features: what `encode_contexts` returned.
          observed: a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, valid steps of each row.
        """
        del context_features, observed, lengths
        return ()

    @abc.abstractmethod
    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        """h_t, a nest of `[..., *]`, from this step's drive and `CoreState.latent`."""

    @abc.abstractmethod
    def prior(self, h: Nest) -> tfd.Distribution:
        """p(z_t | h_t), over events `[Z]`."""

    @abc.abstractmethod
    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        """q(z_t | h_t, f_t), over events `[Z]`."""

    @abc.abstractmethod
    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        """u_t `[..., F]`, what the decoder reads, and the next `CoreState.latent`."""

    def log_prob(self, outputs: Tensor, observed: Nest) -> Tensor:
        """log p(x_t | u_t) of whole sequences, nats, `[B, T]`.

        Long sequences are decoded a segment at a time: a decoder's activations may be many.

        Args:
          outputs: u_1:T, `[B, T, F]`.
          observed: a nest of `[B, T, ...]`.
        """
        def score(inputs: tuple, state: Nest, number: Tensor | None) -> tuple[Tensor, Nest]:
            outputs, observed = inputs
            with segment_dropout(number):
                return self.decoder.dist(self.decoder(outputs)).log_prob(observed), state

        return unroll.by_segments(score, (outputs, observed))[0]

    def emit(self, h: Nest, z: Tensor) -> tuple[tfd.Distribution, Nest]:
        """p(x_t | h_t, z_t) and the next `CoreState.latent`."""
        outputs, state = self.update(h, z)
        return self.decoder.dist(self.decoder(outputs)), state

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        """Draws z_1:T from the posterior.

        Only what depends on the latents before it is in the loop; densities of all steps are made
        once, after it. A posterior of independent normals is not computed again for that: its
        parameters come out of the loop.

        Args:
          context_features: what `encode_contexts` returned, a nest of `[B, T, ...]`.
          features: what `encode_observed` returned.
          state: `CoreState.latent` before the first step.
          lengths: int32 `[B]`, valid steps of each row.
          seed: int32 `[2]`.
        """
        def step(inputs: tuple, latent_state: Nest) -> tuple[tuple, Nest]:
            context_feature, feature, normals, step_seed = inputs
            h = self.hidden(context_feature, latent_state)
            q_z = self.posterior(h, feature)
            with seeds.presampled_noise(normals):
                z = q_z.sample(seed=step_seed[0])
            outputs, latent_state = self.update(h, z)
            return (h, z, outputs, latent.normal_params(q_z)), latent_state

        batch_size, num_steps = (nest.leading_dim(context_features, axis) for axis in (0, 1))
        seed, step_seed = seeds.split(seed, 2)
        normals = seeds.normal([batch_size, num_steps, self.latent_size], seed)
        steps = (context_features, features, normals, seeds.per_step(step_seed, num_steps))
        (h, z, outputs, params), state = unroll.scan(step, steps, state, lengths)
        q_z = latent.normal(params) if params else self.posterior(h, features)
        return Inferred(z, self.prior(h), q_z, outputs, state)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        """What `infer` gives when it draws these `latents`, `[B, T, Z]`; other arguments as there.

        A subclass that overrides `infer` overrides this one alike.
        """
        def step(inputs: tuple, latent_state: Nest) -> tuple[tuple, Nest]:
            context_feature, z = inputs
            h = self.hidden(context_feature, latent_state)
            outputs, latent_state = self.update(h, z)
            return (h, outputs), latent_state

        (h, outputs), state = unroll.scan(step, (context_features, latents), state, lengths)
        return Inferred(latents, self.prior(h), self.posterior(h, features), outputs, state)
