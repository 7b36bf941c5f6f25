# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""An agent whose sequences end with a symbol."""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import Agent
from vaeseq.types import Nest, Seed, Tensor


class EndingState(NamedTuple):
    """The state of `EndingAgent`.

    Attributes:
      agent: that of the other agent.
      run: int32 `[B]`, consecutive end symbols that were observed last.
    """

    agent: Nest
    run: Tensor


class EndingAgent(Agent):
    """Another agent of symbols, with sequences that end after some end symbols in a row."""

    def __init__(self, agent: Agent, end: int, count: int = 1, name: str | None = None):
        """Creates the agent, whose sequences end with `count` symbols `end` in a row."""
        super().__init__(name=name)
        self._agent = agent
        self._end = end
        self._count = count

    @property
    def context_size(self) -> int:
        return self._agent.context_size

    def initial_state(self, batch_size: int | Tensor) -> EndingState:
        return EndingState(
            self._agent.initial_state(batch_size), tf.zeros([batch_size], tf.int32))

    def context(self, state: EndingState, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return self._agent.context(state.agent, inputs, seed=seed)

    def observe(self, observation: Tensor, context: Tensor, state: EndingState) -> EndingState:
        run = tf.where(tf.equal(observation, self._end), state.run + 1, 0)
        return EndingState(self._agent.observe(observation, context, state.agent), run)

    def finished(self, state: EndingState) -> Tensor:
        return state.run >= self._count

    def contexts(
        self, observed: Tensor, state: EndingState, inputs: Nest = (),
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> tuple[Tensor, EndingState]:
        contexts, after = self._agent.contexts(
            observed, state.agent, inputs, lengths, seed=seed)
        num_steps = nest.leading_dim(observed, 1)
        if lengths is None:
            lengths = tf.fill(tf.shape(observed)[:1], num_steps)
        # The run is what follows the last other symbol; it goes on from before if there is none.
        places = tf.range(num_steps)
        is_other = tf.not_equal(observed, self._end) & (places < lengths[:, tf.newaxis])
        last_other = tf.reduce_max(tf.where(is_other, places, -1), 1)
        run = lengths - 1 - last_other + tf.where(last_other < 0, state.run, 0)
        return contexts, EndingState(after, run)
