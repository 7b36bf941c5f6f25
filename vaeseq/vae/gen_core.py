# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The one sampler: an agent and a core, taking turns.

    context_t = agent.context(...)          drive_t = core.encode_contexts(context_t)
    h_t = core.hidden(drive_t, s_t)        z_t ~ core.prior(h_t)
    u_t, s_t+1 = core.update(h_t, z_t)  x_t ~ decoder(u_t)
    agent.observe(x_t)

Axes: B batch, T time, F features, Z latent (see `vaeseq.types`).
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.agent import Agent
from vaeseq.nn import parallel
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import CoreState, VAECore

_ROWS_OF_A_SHARD = 32  # sequences whose products keep a processor core busy


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


class Drawn(NamedTuple):
    """One step drawn from a core.

    Attributes:
      observed: x_t, a nest of `[B, ...]`.
      params: of the decoder, as they were before the temperature.
      latents: z_t, `[B, Z]`.
      log_prob: log p(x_t | h_t, z_t) in nats, `[B]`; of the model itself.
      latent_log_prob: log p(z_t | h_t) in nats, `[B]`.
    """

    observed: Nest
    params: Nest
    latents: Tensor
    log_prob: Tensor
    latent_log_prob: Tensor


def draw(
    core: VAECore, context: Tensor, state: CoreState, *, temperature: float | Tensor = 1.0,
    latent_seed: Seed, observed_seed: Seed,
) -> tuple[Drawn, CoreState]:
    """The generative step: z_t from the prior, x_t from the decoder; and the next state.

    Args:
      core: the model.
      context: c_t, `[B, F]`.
      state: before the step.
      temperature: see `GenCore.generate`.
      latent_seed: int32 `[2]`.
      observed_seed: int32 `[2]`.
    """
    context_features, context_state = core.encode_contexts(context[:, None], state.context)
    h = core.hidden(tf.nest.map_structure(lambda leaf: leaf[:, 0], context_features), state.latent)
    prior = core.prior(h)
    z = prior.sample(seed=latent_seed)
    outputs, latent_state = core.update(h, z)
    params = core.decoder(outputs)
    tempered = core.decoder.dist(core.decoder.temper(params, temperature))
    x = tempered.sample(seed=observed_seed)
    log_prob = core.decoder.dist(params).log_prob(x)
    drawn = Drawn(x, params, z, log_prob, prior.log_prob(z))
    return drawn, CoreState(context_state, latent_state)


@snt.allow_empty_variables
class GenCore(snt.Module):
    """An agent and a core, taking turns: context, latent, observation."""

    def __init__(self, agent: Agent, core: VAECore, name: str | None = None):
        super().__init__(name=name)
        self.agent = agent
        self.core = core
        self._compiled = tf.function(self._generate_sharded, autograph=False)

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
        context_features, context_state = self.core.encode_contexts(
            contexts, state.core.context, lengths)
        features = self.core.encode_observed(context_features, observed, lengths)
        inferred = self.core.infer(
            context_features, features, state.core.latent, lengths, seed=core_seed)
        steps = tf.shape(contexts)[1] if lengths is None else tf.cast(lengths, tf.int32)
        return GenState(agent_state, CoreState(context_state, inferred.state),
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

        Nothing but the state is kept between chunks. The sampler is compiled once for each size
        of chunk and batch.

        Raises:
          ValueError: a chunk of no steps, or a temperature that is not above 0.
        """
        if chunk < 1:
            raise ValueError(f"expected a chunk of at least 1 step, got {chunk}.")
        if not 0 < temperature < math.inf:
            raise ValueError(
                f"expected a temperature above 0, got {temperature}. Below 1 sharpens, above 1 "
                "flattens; try 0.1 for nearly the most likely.")
        heat = tf.constant(temperature, tf.float32)
        while not bool(tf.reduce_all(state.finished)):
            generated, state = self._compiled(chunk, state, temperature=heat, seed=seed)
            yield generated

    def _generate_sharded(
        self, num_steps: int, state: GenState, *, temperature: Tensor, seed: Seed
    ) -> tuple[Generated, GenState]:
        """`generate`, compiled; of many sequences, groups of rows at once, each with its own seed.

        How rows are grouped depends on their number alone, so that a seed gives the same sequences
        on any machine.
        """
        num_shards = max(1, nest.leading_dim(state) // _ROWS_OF_A_SHARD)

        def generate(rows: tuple[GenState, Tensor], temperature: Tensor, seed: Seed) -> tuple:
            state, numbers = rows
            if num_shards > 1:
                seed = seeds.fold_in(seed, numbers[0])
            return (), self.generate(num_steps, state, temperature=temperature, seed=seed)

        sharded = parallel.parallel(generate, num_shards)
        rows = state, tf.range(nest.leading_dim(state))
        return sharded(rows, temperature, seed)[1]

    def _step(
        self, inputs: Nest, state: GenState, temperature: float | Tensor, seed: Seed
    ) -> tuple[tuple, GenState]:
        # Rows have their own step numbers, and those that are finished stand still. The sum grows
        # with every step as long as one row goes on, and a chunk finds it where the last one
        # stopped.
        step_seed = seeds.fold_in(seed, tf.reduce_sum(state.steps))
        agent_seed, latent_seed, observed_seed = seeds.split(step_seed, 3)
        context = self.agent.context(state.agent, inputs, seed=agent_seed)
        drawn, core_state = draw(self.core, context, state.core, temperature=temperature,
                                 latent_seed=latent_seed, observed_seed=observed_seed)
        agent_state = self.agent.observe(drawn.observed, context, state.agent)
        moved = GenState(
            agent_state, core_state, self.agent.finished(agent_state), state.steps + 1)
        going = ~state.finished
        kept = nest.where(going, moved, state)
        return (drawn.observed, context, drawn.latents, drawn.log_prob, drawn.latent_log_prob,
                going), kept
