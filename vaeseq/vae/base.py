# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a sequence model, and the one sampler.

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
from collections.abc import Iterator
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq import nest
from vaeseq import seeds
from vaeseq import unroll
from vaeseq.agent import Agent
from vaeseq.dist_module import DistModule
from vaeseq.types import Nest, Seed, Tensor

tfd = tfp.distributions


class CoreState(NamedTuple):
    """What a core carries from step to step.

    Attributes:
      drive: the state of the recurrences that see contexts only, a nest of `[B, ...]`.
      latent: what the next latent depends on, a nest of `[B, ...]`.
    """

    drive: Nest
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


class VAECore(snt.Module, abc.ABC):
    """A sequence model: four methods for one step; what else there is has a default.

    `advance`, `prior`, `posterior` and `transition` accept any leading axes. A subclass whose
    latents do not depend on each other may override `infer` to run without a loop; the contract
    test (`vaeseq.testing.VAECoreContract`) holds it equal to this one.

    Attributes:
      decoder: the `DistModule` from u_t to p(x_t | u_t).
    """

    def __init__(self, decoder: DistModule, name: str | None = None):
        super().__init__(name=name)
        self.decoder = decoder

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

    def drive(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        """The part of every step that depends on contexts alone; by default the contexts.

        Args:
          contexts: `[B, T, F]`.
          state: `CoreState.drive`.
          lengths: int32 `[B]`, valid steps of each row.

        Returns:
          A nest of `[B, T, ...]` and the next `CoreState.drive`.
        """
        del lengths
        return contexts, state

    def summarize(self, drives: Nest, observed: Nest, lengths: Tensor | None = None) -> Nest:
        """What the posterior may see at each step, a nest of `[B, T, ...]`; by default nothing.

        Args:
          drives: what `drive` returned.
          observed: a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, valid steps of each row.
        """
        del drives, observed, lengths
        return ()

    @abc.abstractmethod
    def advance(self, drive: Nest, state: Nest) -> Nest:
        """h_t, a nest of `[..., *]`, from this step's drive and `CoreState.latent`."""

    @abc.abstractmethod
    def prior(self, h: Nest) -> tfd.Distribution:
        """p(z_t | h_t), over events `[Z]`."""

    @abc.abstractmethod
    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        """q(z_t | h_t, f_t), over events `[Z]`."""

    @abc.abstractmethod
    def transition(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        """u_t `[..., F]`, what the decoder reads, and the next `CoreState.latent`."""

    def emit(self, h: Nest, z: Tensor) -> tuple[tfd.Distribution, Nest]:
        """p(x_t | h_t, z_t) and the next `CoreState.latent`."""
        outputs, state = self.transition(h, z)
        return self.decoder.dist(self.decoder(outputs)), state

    def infer(
        self, drives: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        """Draws z_1:T from the posterior.

        Only what depends on the latents before it is in the loop; the distributions of all steps
        are made once, after it.

        Args:
          drives: what `drive` returned, a nest of `[B, T, ...]`.
          features: what `summarize` returned.
          state: `CoreState.latent` before the first step.
          lengths: int32 `[B]`, valid steps of each row.
          seed: int32 `[2]`.
        """
        def step(inputs: tuple, latent_state: Nest) -> tuple[tuple, Nest]:
            drive, feature, step_seed = inputs
            h = self.advance(drive, latent_state)
            z = self.posterior(h, feature).sample(seed=step_seed[0])
            outputs, latent_state = self.transition(h, z)
            return (h, z, outputs), latent_state

        steps = (drives, features, seeds.per_step(seed, nest.leading_dim(drives, 1)))
        (h, z, outputs), state = unroll.scan(step, steps, state, lengths)
        return Inferred(z, self.prior(h), self.posterior(h, features), outputs, state)


class GenState(NamedTuple):
    """Everything the future of a sequence depends on.

    Attributes:
      agent: the agent's state.
      core: the core's state.
      finished: bool `[B]`: the sequence has ended, nothing more is drawn.
      steps: int32 `[B]`: how many observations there were, given and drawn.
    """

    agent: Nest
    core: CoreState
    finished: Tensor
    steps: Tensor


class Generated(NamedTuple):
    """Sequences drawn from the model.

    Attributes:
      observed: a nest of `[B, T, ...]`, zeros after a row's length.
      contexts: what the agent gave, `[B, T, F]`.
      latents: `[B, T, Z]`.
      log_prob: log p(x_t | h_t, z_t) in nats, `[B, T]`; of the model itself, whatever the
        temperature was; zeros after a row's length.
      latent_log_prob: log p(z_t | h_t) in nats, `[B, T]`.
      lengths: int32 `[B]`: shorter than T where the agent said it was finished.
    """

    observed: Nest
    contexts: Tensor
    latents: Tensor
    log_prob: Tensor
    latent_log_prob: Tensor
    lengths: Tensor


class GenCore(snt.Module):
    """An agent and a core, taking turns: context, latent, observation."""

    def __init__(self, agent: Agent, core: VAECore, name: str | None = None):
        super().__init__(name=name)
        self.agent = agent
        self.core = core

    def initial_state(self, batch_size: int | Tensor) -> GenState:
        """The state of sequences that have not begun."""
        return GenState(
            self.agent.initial_state(batch_size), self.core.initial_state(batch_size),
            tf.zeros([batch_size], tf.bool), tf.zeros([batch_size], tf.int32))

    def prime(
        self, observed: Nest, state: GenState, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> GenState:
        """The state after an observed beginning; its latents are drawn from the posterior.

        Args:
          observed: a nest of `[B, T, ...]`.
          state: what `initial_state` or an earlier call returned.
          inputs: a nest of `[B, T, ...]`, the agent's inputs from outside.
          lengths: int32 `[B]`, valid steps of each row.
          seed: int32 `[2]`.
        """
        agent_seed, core_seed = seeds.split(seed, 2)
        contexts, agent_state = self.agent.contexts(
            observed, state.agent, inputs, lengths, seed=agent_seed)
        drives, drive_state = self.core.drive(contexts, state.core.drive, lengths)
        features = self.core.summarize(drives, observed, lengths)
        inferred = self.core.infer(
            drives, features, state.core.latent, lengths, seed=core_seed)
        steps = tf.shape(contexts)[1] if lengths is None else tf.cast(lengths, tf.int32)
        return GenState(agent_state, CoreState(drive_state, inferred.state),
                        state.finished | self.agent.finished(agent_state), state.steps + steps)

    def generate(
        self, num_steps: int, state: GenState, inputs: Nest = (), *,
        temperature: float | Tensor = 1.0, seed: Seed,
    ) -> tuple[Generated, GenState]:
        """Draws up to `num_steps` more observations of each sequence.

        Args:
          num_steps: T.
          state: what `initial_state`, `prime` or an earlier call returned.
          inputs: a nest of `[B, T, ...]`, the agent's inputs from outside.
          temperature: above 1 flattens the decoder's distribution, below 1 sharpens it; latents
            are drawn from the prior as it is.
          seed: int32 `[2]`. Cutting a sequence in pieces, each from the state of the one before,
            with the same seed, gives the same sequence: every step folds its number into it.

        Returns:
          The sequences and the state from which to go on.
        """
        def step(step_inputs: tuple, gen_state: GenState) -> tuple[tuple, GenState]:
            outside, _ = step_inputs
            return self._step(outside, gen_state, temperature, seed)

        ticks = tf.zeros([tf.shape(state.steps)[0], num_steps], tf.int32)
        steps, next_state = unroll.scan(step, (inputs, ticks), state)
        observed, contexts, latents, log_prob, latent_log_prob, valid = steps
        lengths = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)
        observed, log_prob, latent_log_prob = nest.mask(
            valid, (observed, log_prob, latent_log_prob))
        return (Generated(observed, contexts, latents, log_prob, latent_log_prob, lengths),
                next_state)

    def stream(
        self, state: GenState, *, chunk: int, temperature: float = 1.0, seed: Seed
    ) -> Iterator[Generated]:
        """Yields chunk after chunk of `chunk` steps, without end or until all are finished.

        Nothing but the state is kept between chunks. The sampler is compiled once.
        """
        sample = tf.function(
            lambda gen_state, heat, chunk_seed: self.generate(
                chunk, gen_state, temperature=heat, seed=chunk_seed),
            jit_compile=True)
        heat = tf.constant(temperature, tf.float32)
        while not bool(tf.reduce_all(state.finished)):
            generated, state = sample(state, heat, seed)
            yield generated

    def _step(
        self, inputs: Nest, state: GenState, temperature: float | Tensor, seed: Seed
    ) -> tuple[tuple, GenState]:
        # Rows in one batch have their own step numbers; the first row's makes the seed, so that a
        # chunk goes on where the last one stopped.
        step_seed = seeds.fold_in(seed, tf.reduce_max(state.steps))
        agent_seed, latent_seed, observed_seed = seeds.split(step_seed, 3)
        context = self.agent.context(state.agent, inputs, seed=agent_seed)
        drives, drive_state = self.core.drive(context[:, None], state.core.drive)
        h = self.core.advance(
            tf.nest.map_structure(lambda leaf: leaf[:, 0], drives), state.core.latent)
        prior = self.core.prior(h)
        z = prior.sample(seed=latent_seed)
        outputs, latent_state = self.core.transition(h, z)
        params = self.core.decoder(outputs)
        tempered = self.core.decoder.dist(self.core.decoder.temper(params, temperature))
        x = tempered.sample(seed=observed_seed)
        log_prob = self.core.decoder.dist(params).log_prob(x)
        agent_state = self.agent.observe(x, context, state.agent)
        moved = GenState(agent_state, CoreState(drive_state, latent_state),
                         self.agent.finished(agent_state), state.steps + 1)
        going = ~state.finished
        kept = nest.where(going, moved, state)
        return (x, context, z, log_prob, prior.log_prob(z), going), kept
