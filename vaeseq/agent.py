# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Agents supply the context of each step.

A sequence model gives the probability of the next observation given a context. An `Agent` computes
that context from past observations and external inputs:

    context_t = agent.context(state_t, inputs_t)           before x_t is known
    state_t+1 = agent.observe(x_t, context_t, state_t)     after it

Generation alternates the two calls. Training calls `contexts`, which computes the contexts of a
whole recorded sequence at once (teacher forcing). `vaeseq.testing.AgentContract` tests that both
ways agree.

Axes: B batch, T time, F features, N window (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq import dtypes, nest, seeds
from vaeseq.description import Described
from vaeseq.encoder import Encoder
from vaeseq.nn.scan import lookup, unroll
from vaeseq.nn.scan.matmul import concat_parts
from vaeseq.types import Nest, Seed, Tensor, attribute


@snt.allow_empty_variables
class Agent(Described, snt.Module, abc.ABC):
    """Computes a context for every step of a sequence.

    Its state is a nest of one tensor `[B, ...]` or more, of constant shapes.
    """

    @attribute
    @abc.abstractmethod
    def context_size(self) -> int:
        """F, the width of a context."""

    @abc.abstractmethod
    def initial_state(self, batch_size: int | Tensor) -> Nest:
        """Returns the state before the first observation, a nest of `[B, ...]`."""

    @abc.abstractmethod
    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        """Returns the context of the next step, floating `[B, F]`.

        Args:
          state: the result of `initial_state` or `observe`.
          inputs: this step's external inputs, a nest of `[B, ...]`; most agents take none.
          seed: int32 `[2]`, for stochastic agents.
        """

    @abc.abstractmethod
    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        """Returns the state after a step.

        Args:
          observation: x_t, a nest of `[B, ...]`.
          context: the context of this step, `[B, F]`.
          state: the state before the step.
        """

    def finished(self, state: Nest) -> Tensor:
        """Returns which sequences have ended, bool `[B]`; none by default."""
        first = tf.nest.flatten(state)[0]
        return tf.zeros(tf.shape(first)[:1], tf.bool)

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        """Computes the contexts of a recorded sequence, as if it were observed step by step.

        The default is a loop over the steps. Agents that can process all steps at once override it.

        Args:
          observed: a nest of `[B, T, ...]`.
          state: a nest of `[B, ...]`, the state before the first step.
          inputs: the external inputs, a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, the number of valid steps of each row; all T by default.
          seed: int32 `[2]`; step t uses its t-th seed (`seeds.per_step`).

        Returns:
          Contexts `[B, T, F]` and the state after each row's last valid step.
        """
        def step(step_inputs: tuple, agent_state: Nest) -> tuple[Tensor, Nest]:
            observation, external, step_seed = step_inputs
            context = self.context(agent_state, external, seed=step_seed[0])
            return context, self.observe(observation, context, agent_state)

        step_seeds = seeds.per_step(seed, nest.leading_dim(observed, 1))
        return unroll.scan(step, (observed, inputs, step_seeds), state, lengths)


def initial_state(agent: Agent, batch_size: int | Tensor) -> Nest:
    """Returns the agent's initial state, a nest of `[B, ...]`; raises ValueError if it is empty."""
    state = agent.initial_state(batch_size)
    if not tf.nest.flatten(state):
        raise ValueError(
            f"{type(agent).__name__}: expected an agent's state of a tensor [B, ...] or more, got "
            f"{state!r}. Without one return tf.zeros([batch_size, 0]) from initial_state.")
    return state


class _Stateless(Agent):
    """An agent that ignores observations. Its state is empty, but carries the batch size."""

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return tf.zeros([batch_size, 0])

    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        del observation, context
        return state


class Constant(_Stateless):
    """The same context at every step; by default an empty one."""

    def __init__(self, value: Sequence[float] = (), name: str | None = None):
        """Args: value: the F numbers of the context; name: of the module."""
        super().__init__(name=name)
        self._value = tuple(float(number) for number in value)
        self._dtype = dtypes.default_dtype()

    @property
    def context_size(self) -> int:
        return len(self._value)

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        return self._tiled(tf.shape(state)[:1])

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        del inputs, lengths, seed
        return self._tiled(tf.shape(tf.nest.flatten(observed)[0])[:2]), state

    def _tiled(self, leading: Tensor) -> Tensor:
        value = tf.constant(self._value, self._dtype, [self.context_size])
        return tf.broadcast_to(value, tf.concat([leading, [self.context_size]], 0))


class ExternalInputs(_Stateless):
    """The context is an encoding of the external inputs: a metronome, a control, an action."""

    def __init__(self, encoder: Encoder, name: str | None = None):
        """Args: encoder: from the inputs of a step to features `[..., F]`; name: of the module."""
        super().__init__(name=name)
        self._encoder = encoder
        self._dtype = dtypes.default_dtype()

    @property
    def context_size(self) -> int:
        return self._encoder.output_size

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del state, seed
        return self._encoded(inputs)

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        del observed, lengths, seed
        return self._encoded(inputs), state

    def _encoded(self, inputs: Nest) -> Tensor:
        if not tf.nest.flatten(inputs):
            raise ValueError(
                "the agent's ExternalInputs: expected batches with `inputs` like "
                f"{self._encoder.input_spec}, got none, as those of arrays alone are. Set "
                "the model's input_spec, train on a tf.data.Dataset of batches, validate on those "
                "of Model.validation_batches, score batches with model.evaluator('elbo')"
                ".score(batches, seed=0), and sample with model.gen_core.generate(num_steps, "
                "state, inputs, seed=0).")
        return self._encoder(tf.nest.map_structure(
            lambda leaf: tf.cast(leaf, self._dtype) if leaf.dtype.is_floating else leaf,
            tf.nest.map_structure(tf.convert_to_tensor, inputs)))


class History(NamedTuple):
    """The last observations, oldest first.

    Attributes:
      observations: a nest of `[B, N, ...]`.
      observed_mask: bool `[B, N]`, False before the start of the sequence.
    """

    observations: Nest
    observed_mask: Tensor


class EncodeObserved(Agent):
    """The context is the encoding of the last N observations, oldest first.

    The features of missing observations, before the start, are zeros. The state holds observations
    rather than their features, so that gradients reach the encoder from the first steps of a
    window of a long sequence too.
    """

    def __init__(
        self, encoder: Encoder, observation_spec: Nest, window: int = 1, name: str | None = None
    ):
        """Creates the agent.

        Args:
          encoder: from one observation to features.
          observation_spec: a nest of `tf.TensorSpec` of one observation.
          window: N, at least 1.

        Raises:
          ValueError: the window is smaller than 1.
        """
        super().__init__(name=name)
        if window < 1:
            raise ValueError(
                f"EncodeObserved encodes the last `window` observations; expected at least 1, got "
                f"{window}. For a context without observations use agent.Constant().")
        self._encoder = encoder
        self._observation_spec = dtypes.cast_specs(observation_spec)
        self._window = window

    @property
    def context_size(self) -> int:
        return self._window * self._encoder.output_size

    def initial_state(self, batch_size: int | Tensor) -> History:
        return History(nest.zeros(self._observation_spec, batch_size, self._window),
                       tf.zeros([batch_size, self._window], tf.bool))

    def context(self, state: History, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        features = self._features(state)  # [B, N, F]
        return concat_parts([features[:, i] for i in range(self._window)])

    def observe(self, observation: Nest, context: Tensor, state: History) -> History:
        del context
        observations = tf.nest.map_structure(
            lambda past, new: tf.concat([past[:, 1:], tf.cast(new, past.dtype)[:, None]], 1),
            state.observations, observation)
        mask = state.observed_mask
        mask = tf.concat([mask[:, 1:], tf.ones_like(mask[:, :1])], 1)
        return History(observations, mask)

    def contexts(
        self, observed: Nest, state: History, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, History]:
        del inputs, seed
        extended = tf.nest.map_structure(
            lambda past, new: tf.concat([past, tf.cast(new, past.dtype)], 1),
            state.observations, observed)  # [B, N + T, ...]
        steps = tf.nest.flatten(observed)[0].shape[1]
        mask = tf.pad(state.observed_mask, [[0, 0], [0, steps]], constant_values=True)
        before = nest.fill(
            mask[:, :-1], tf.nest.map_structure(lambda leaf: leaf[:, :-1], extended))
        features = self._features(History(before, mask[:, :-1]))  # [B, N + T - 1, F]
        contexts = concat_parts([features[:, i:i + steps] for i in range(self._window)])
        if lengths is None:
            last = [leaf[:, steps:] for leaf in tf.nest.flatten(extended)]
            return contexts, History(tf.nest.pack_sequence_as(extended, last), mask[:, steps:])
        window = tf.cast(lengths, tf.int32)[:, None] + tf.range(self._window)  # [B, N]
        return contexts, tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, window, batch_dims=1), History(extended, mask))

    def _features(self, history: History) -> Tensor:
        return lookup.mask(history.observed_mask, self._encoder(history.observations))


class Chain(Agent):
    """Concatenates the contexts of several agents, in the dtype of the model.

    A sequence is finished when one of the agents reports it finished. Agents whose contexts are
    random draw other numbers for whole sequences than step by step.
    """

    def __init__(self, agents: Sequence[Agent], name: str | None = None):
        """Args: agents: at least one; all receive the same observations and external inputs."""
        super().__init__(name=name)
        if not agents:
            raise ValueError("Chain concatenates the contexts of agents; expected at least one, "
                             "got none. For an empty context use agent.Constant().")
        self._agents = tuple(agents)
        self._dtype = dtypes.default_dtype()

    @property
    def context_size(self) -> int:
        return sum(agent.context_size for agent in self._agents)

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return tuple(initial_state(agent, batch_size) for agent in self._agents)

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        agent_seeds = seeds.split(seed, len(self._agents))
        return self._joined(
            [agent.context(agent_state, inputs, seed=agent_seed)
             for agent, agent_state, agent_seed in zip(self._agents, state, agent_seeds)])

    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        parts = tf.split(context, [agent.context_size for agent in self._agents], axis=-1)
        return tuple(agent.observe(observation, part, agent_state)
                     for agent, part, agent_state in zip(self._agents, parts, state))

    def finished(self, state: Nest) -> Tensor:
        return tf.reduce_any(
            [agent.finished(agent_state) for agent, agent_state in zip(self._agents, state)], 0)

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        agent_seeds = seeds.split(seed, len(self._agents))
        parts = [agent.contexts(observed, agent_state, inputs, lengths, seed=agent_seed)
                 for agent, agent_state, agent_seed in zip(self._agents, state, agent_seeds)]
        return self._joined([part for part, _ in parts]), tuple(after for _, after in parts)

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        # A cast, even to the same dtype, would gather the rows of a `Lookup`.
        return concat_parts([part if part.dtype == self._dtype else tf.cast(part, self._dtype)
                             for part in parts])
