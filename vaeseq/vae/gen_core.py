# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Ancestral sampling from an agent and a core.

    context_t = agent.context(...)      context_feature_t = core.encode_contexts(context_t)
    h_t = core.hidden(context_feature_t, s_t)               z_t ~ core.prior(h_t)
    u_t, s_t+1 = core.update(h_t, z_t)                      x_t ~ decoder(u_t)
    agent.observe(x_t)

Axes: B batch, T time, F features, Z latent (see `vaeseq.types`).
"""
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq import nest, seeds, trace_context
from vaeseq.agent import Agent, initial_state
from vaeseq.data import Masked
from vaeseq.dist_module import check_temperature
from vaeseq.nn import parallel
from vaeseq.nn.scan import unroll
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import CoreState, SequenceCore, VAECore, require_steps

_ROWS_PER_SHARD = 32  # enough rows for matrix products to keep a processor core busy


class GenState(NamedTuple):
    """The state between two steps of generation.

    Attributes:
      agent: the agent's state.
      core: the core's state.
      finished: bool `[B]`, whether the sequence has ended.
      steps: int32 `[B]`, the number of observations so far, given or sampled.
    """

    agent: Nest
    core: CoreState
    finished: Tensor
    steps: Tensor


class Generated(NamedTuple):
    """Sequences sampled from the model.

    Attributes:
      observed: a nest of `[B, T, ...]`, zeros after a row's length.
      contexts: the agent's contexts, `[B, T, F]`.
      latents: `[B, T, Z]`.
      log_prob: log p(x_t | h_t, z_t) in nats at temperature 1, `[B, T]`; zeros after a row's
        length.
      latent_log_prob: log p(z_t | h_t) in nats, `[B, T]`; zeros after a row's length.
      lengths: int32 `[B]`; below T if the agent reported the sequence finished.
    """

    observed: Nest
    contexts: Tensor
    latents: Tensor
    log_prob: Tensor
    latent_log_prob: Tensor
    lengths: Tensor


class StepSample(NamedTuple):
    """One step sampled from a core.

    Attributes:
      observed: x_t, a nest of `[B, ...]`.
      params: the decoder's parameters at temperature 1, a nest of `[B, ...]`.
      latents: z_t, `[B, Z]`.
      log_prob: log p(x_t | h_t, z_t) in nats at temperature 1, `[B]`.
      latent_log_prob: log p(z_t | h_t) in nats, `[B]`.
    """

    observed: Nest
    params: Nest
    latents: Tensor
    log_prob: Tensor
    latent_log_prob: Tensor


def draw(
    core: VAECore, context: Tensor, state: CoreState, *, temperature: float | Tensor = 1.0,
    truncation: Truncation = Truncation(), latent_seed: Seed, observed_seed: Seed,
) -> tuple[StepSample, CoreState]:
    """Performs the generative step: samples z_t from the prior and x_t from the decoder.

    Args:
      core: the model.
      context: c_t, `[B, F]`.
      state: the core's state before the step.
      temperature: a scalar above 0, of the decoder's distribution: below 1 sharpens, above 1
        flattens.
      truncation: which classes a decoder of classes may draw, after the temperature.
      latent_seed: int32 `[2]`, for z_t.
      observed_seed: int32 `[2]`, for x_t.

    Returns:
      The sample and the core's next state.

    Raises:
      ValueError: a temperature that is not above 0 (tensors are not checked).
    """
    h, context_state = core.begin_step(context, state)
    prior = core.prior(h)
    z = prior.sample(seed=seeds.make(latent_seed))
    outputs, latent_state = core.update(h, z)
    params = core.decoder(outputs)
    tempered = params
    if tf.is_tensor(temperature) or temperature != 1:
        tempered = core.decoder.temper(params, temperature)
    if not truncation.leaves_all:
        tempered = core.decoder.truncate(tempered, truncation)
    x = core.decoder.dist(tempered).sample(seed=seeds.make(observed_seed))
    log_prob = core.decoder.dist(params).log_prob(x)
    sample = StepSample(x, params, z, log_prob, prior.log_prob(z))
    return sample, CoreState(context_state, latent_state)


class Completed(NamedTuple):
    """One observed step whose missing values were sampled.

    Attributes:
      observed: x_t without missing values, a `Masked` nest of `[B, ...]`.
      log_weight: log p(seen part of x_t | h_t, z_t) + log p(z_t) - log q(z_t), nats `[B]`: the
        importance weight of the sampled z_t. Where a decoder has no such density, the weight is an
        unbiased estimate (`MaskedDistribution.sample_given`). Where the posterior has none, it is
        log p(seen part of x_t | h_t, z_t).
    """

    observed: Masked
    log_weight: Tensor


def complete(
    core: VAECore, context: Tensor, feature: Nest, observed: Masked, state: CoreState, *,
    latent_seed: Seed, observed_seed: Seed,
) -> tuple[Completed, CoreState]:
    """Samples z_t from the posterior and the unseen part of x_t from the decoder.

    Args:
      core: the model, with a `MaskedDecoder`.
      context: c_t, `[B, F]`.
      feature: f_t of the posterior, a nest of `[B, ...]`.
      observed: x_t as it was seen.
      state: the core's state before the step.
      latent_seed: int32 `[2]`, for z_t.
      observed_seed: int32 `[2]`, for x_t.

    Returns:
      The completed step and the core's next state.
    """
    h, context_state = core.begin_step(context, state)
    prior, posterior = core.prior(h), core.posterior(h, feature)
    z = posterior.sample(seed=latent_seed)
    outputs, latent_state = core.update(h, z)
    completed, log_weight = core.decoder.distribution(outputs).sample_given(
        observed, seed=observed_seed)
    if core.has_density:
        log_weight += prior.log_prob(z) - posterior.log_prob(z)
    return Completed(completed, log_weight), CoreState(context_state, latent_state)


@snt.allow_empty_variables
class GenCore(snt.Module):
    """Samples sequences: the agent gives a context, the core a latent and an observation."""

    def __init__(self, agent: Agent, core: SequenceCore, name: str | None = None):
        """Args: agent: supplies contexts; core: the model; name: of the module.

        Sampling raises ValueError unless the core is a `VAECore`; `evaluate.Sampler` samples from
        a `Diffusion`, too.
        """
        super().__init__(name=name)
        self.agent = agent
        self.core = core
        # A partial, as in `compilation.compiled`.
        self._generate_compiled = tf.function(
            functools.partial(self._generate_sharded, trace_context.current().xla),
            autograph=False)

    @property
    def stepwise(self) -> VAECore:
        """The core; raises ValueError if it has no single steps."""
        return require_steps(self.core, "GenCore")

    def initial_state(self, batch_size: int | Tensor) -> GenState:
        """Returns the state before the first step of `batch_size` sequences."""
        return GenState(
            initial_state(self.agent, batch_size), self.core.initial_state(batch_size),
            tf.zeros([batch_size], tf.bool), tf.zeros([batch_size], tf.int32))

    def prime(
        self, observed: Nest, state: GenState, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> GenState:
        """Returns the state after observed steps, with their latents sampled from the posterior.

        A sequence is finished if the agent ends it at the last of them. Missing values (`Masked`
        observations) are sampled from the model, step by step.

        Args:
          observed: a nest of `[B, T, ...]`.
          state: the result of `initial_state` or of an earlier call.
          inputs: the agent's external inputs, a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          seed: int32 `[2]`.
        """
        core = self.stepwise
        agent_seed, core_seed = seeds.split(seed, 2)
        contexts, agent_state = self.agent.contexts(
            observed, state.agent, inputs, lengths, seed=agent_seed)
        context_features, context_state = core.encode_contexts(
            contexts, state.core.context, lengths)
        features = core.encode_observed(context_features, observed, lengths)
        if isinstance(observed, Masked):
            return self._prime_masked(observed, features, state, inputs, lengths, core_seed)
        inferred = core.infer(
            context_features, features, state.core.latent, lengths, seed=core_seed)
        steps = tf.shape(contexts)[1] if lengths is None else tf.cast(lengths, tf.int32)
        return GenState(agent_state, CoreState(context_state, inferred.state),
                        state.finished | self.agent.finished(agent_state), state.steps + steps)

    def _prime_masked(
        self, observed: Masked, features: Nest, state: GenState, inputs: Nest,
        lengths: Tensor | None, seed: Seed,
    ) -> GenState:
        def step(step_inputs: tuple, state: GenState) -> tuple[tuple, GenState]:
            x, feature, inputs, step_seed = step_inputs
            agent_seed, latent_seed, observed_seed = seeds.split(step_seed[0], 3)
            context = self.agent.context(state.agent, inputs, seed=agent_seed)
            completed, core_state = complete(
                self.stepwise, context, feature, x, state.core, latent_seed=latent_seed,
                observed_seed=observed_seed)
            agent_state = self.agent.observe(completed.observed, context, state.agent)
            return (), GenState(agent_state, core_state, state.finished, state.steps + 1)

        step_seeds = seeds.per_step(seed, nest.leading_dim(observed.values, 1))
        _, state = unroll.scan(step, (observed, features, inputs, step_seeds), state, lengths)
        return state._replace(finished=state.finished | self.agent.finished(state.agent))

    def generate(
        self, num_steps: int, state: GenState, inputs: Nest = (), *,
        temperature: float | Tensor = 1.0, truncation: Truncation = Truncation(), seed: Seed,
    ) -> tuple[Generated, GenState]:
        """Samples up to `num_steps` more observations of each sequence.

        Args:
          num_steps: T.
          state: the result of `initial_state`, `prime` or an earlier call.
          inputs: the agent's external inputs, a nest of `[B, T, ...]`.
          temperature: a scalar above 0, of the decoder's distribution: below 1 sharpens, above 1
            flattens. The prior of the latents is not changed.
          truncation: which classes a decoder of classes may draw (top-k, top-p, min-p), after the
            temperature.
          seed: int32 `[2]`. Each step folds its number into the seed, so a sequence generated in
            chunks, each from the state after the last, with one seed, equals the whole.

        Returns:
          The sequences and the state after them.

        Raises:
          ValueError: a temperature that is not above 0 (tensors are not checked), or inputs of
            another number of rows or steps.
        """
        inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
        nest.require_leading(inputs, nest.leading_dim(state), num_steps, "inputs")
        ticks = tf.zeros([tf.shape(state.steps)[0], num_steps], tf.int32)  # carry B and T
        steps, next_state = unroll.scan(
            functools.partial(self._step, temperature, truncation, seed), (inputs, ticks), state)
        observed, contexts, latents, log_prob, latent_log_prob, valid = steps
        lengths = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)
        observed, log_prob, latent_log_prob = nest.mask(
            valid, (observed, log_prob, latent_log_prob))
        return (Generated(observed, contexts, latents, log_prob, latent_log_prob, lengths),
                next_state)

    def stream(
        self, state: GenState, *, chunk: int, temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: Seed,
    ) -> Iterator[Generated]:
        """Yields chunks of `chunk` steps until all sequences are finished, or without end.

        Only the state is kept between chunks. The sampler is compiled once for each size of
        chunk and batch.

        Args:
          state: the result of `initial_state`, `prime` or `generate`.
          chunk: steps of a chunk, at least 1.
          temperature: above 0, of the decoder's distribution: below 1 sharpens, above 1 flattens.
          truncation: as for `generate`.
          seed: int32 `[2]`.

        Raises:
          ValueError: a chunk below 1, or a temperature that is not above 0.
        """
        if chunk < 1:
            raise ValueError(f"expected a chunk of at least 1 step, got {chunk}.")
        scalar = check_temperature(temperature, tf.float32)
        limits = dataclasses.astuple(truncation.check())
        seed = seeds.make(seed)  # a tensor: another number needs no other program
        while not bool(tf.reduce_all(state.finished)):
            # As a tensor, so that another temperature needs no other program; but 1 as a number,
            # which a decoder without `temper` accepts.
            generated, state = self._generate_compiled(
                chunk, state, limits, temperature=1.0 if temperature == 1 else scalar, seed=seed)
            yield generated

    def _generate_sharded(
        self, xla: bool, num_steps: int, state: GenState, limits: tuple, *,
        temperature: float | Tensor, seed: Seed,
    ) -> tuple[Generated, GenState]:
        """Runs `generate` on shards of rows in parallel, each with its own seed.

        The number of shards depends on B alone, so that a seed gives the same sequences on any
        machine.
        """
        num_shards = max(1, nest.leading_dim(state) // _ROWS_PER_SHARD)

        def generate(rows: tuple, temperature: float | Tensor, seed: Seed) -> tuple:
            state, numbers = rows
            if num_shards > 1:
                seed = seeds.fold_in(seed, numbers[0])
            return (), self.generate(num_steps, state, temperature=temperature,
                                     truncation=Truncation(*limits), seed=seed)

        sharded = parallel.parallel(generate, num_shards, jit_compile=xla)
        rows = state, tf.range(nest.leading_dim(state))
        return sharded(rows, temperature, seed)[1]

    def _step(
        self, temperature: float | Tensor, truncation: Truncation, seed: Seed, step_inputs: tuple,
        state: GenState,
    ) -> tuple[tuple, GenState]:
        inputs, _ = step_inputs
        # The sum of the rows' step numbers grows with every step until all rows are finished, and
        # the state carries it from chunk to chunk: no step repeats the seed of another.
        step_seed = seeds.fold_in(seed, tf.reduce_sum(state.steps))
        agent_seed, latent_seed, observed_seed = seeds.split(step_seed, 3)
        context = self.agent.context(state.agent, inputs, seed=agent_seed)
        sample, core_state = draw(self.stepwise, context, state.core, temperature=temperature,
                                  truncation=truncation,
                                  latent_seed=latent_seed, observed_seed=observed_seed)
        agent_state = self.agent.observe(sample.observed, context, state.agent)
        next_state = GenState(
            agent_state, core_state, self.agent.finished(agent_state), state.steps + 1)
        active = ~state.finished
        outputs = (sample.observed, context, sample.latents, sample.log_prob,
                   sample.latent_log_prob, active)
        return outputs, nest.where(active, next_state, state)
