# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of agents."""

from __future__ import annotations

import unittest
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq import dtypes, seeds
from vaeseq.agent import Agent
from vaeseq.testing._checks import (
    at,
    check_gradients,
    check_no_noise,
    pairs,
    require,
    require_all_close,
    require_close,
    require_like,
    seed,
)
from vaeseq.types import Nest, Tensor


class AgentContract:
    """Tests that every `Agent` must pass.

    Attributes:
      deterministic: whether contexts are functions of observations and inputs alone. For stochastic
        agents three tests are skipped: a sequence in two parts, a row alone, and compiled against
        eager.
      trained: whether contexts have a gradient to every trainable variable; not those of a policy,
        which rewards train.
      batch_size: B of the test sequences.
      num_steps: T of the test sequences.
    """

    deterministic: bool = True
    trained: bool = True
    batch_size: int = 3
    num_steps: int = 5

    def make_object_under_test(self) -> Agent:
        """Returns a new agent."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new Agent.")

    def make_observations(self, leading: Sequence[int]) -> Nest:
        """Returns observations, a nest of [*leading, E]."""
        raise NotImplementedError(
            "Define make_observations(self, leading) to return a nest of [*leading, E].")

    def make_inputs(self, leading: Sequence[int]) -> Nest:
        """Returns external inputs, a nest of [*leading, *]; none by default."""
        del leading
        return ()

    def test_shapes(self) -> None:
        agent, observed, inputs = self._make_case()
        state = agent.initial_state(self.batch_size)
        require(bool(tf.nest.flatten(state)), "initial_state must return at least one tensor "
                f"[{self.batch_size}, ...].")
        context = agent.context(state, at(inputs, 0), seed=seed(1))
        expected = [self.batch_size, agent.context_size]
        dtype = dtypes.default_dtype()
        require(context.dtype == dtype and context.shape.as_list() == expected,
                f"context must be {dtype.name} {expected}, not {context.dtype.name} "
                f"{context.shape.as_list()}.")
        require_like(agent.observe(at(observed, 0), context, state), state,
                      "observe must return a state like the one it was given.")
        contexts, after = agent.contexts(observed, state, inputs, seed=seed(1))
        expected = [self.batch_size, self.num_steps, agent.context_size]
        require(contexts.dtype == dtype and contexts.shape.as_list() == expected,
                f"contexts must be {dtype.name} {expected}, not {contexts.dtype.name} "
                f"{contexts.shape.as_list()}.")
        require_like(after, state, "contexts must return a state like the one it was given.")

    def test_finished_is_a_bool_for_each_row(self) -> None:
        agent, observed, inputs = self._make_case()
        state = agent.initial_state(self.batch_size)
        for after in (state, agent.contexts(observed, state, inputs, seed=seed(1))[1]):
            finished = agent.finished(after)
            require(finished.dtype == tf.bool and finished.shape.as_list() == [self.batch_size],
                     f"finished must be bool [{self.batch_size}], not {finished.dtype.name} "
                     f"{finished.shape.as_list()}.")

    def test_whole_sequence_equals_step_by_step(self) -> None:
        agent, observed, inputs = self._make_case()
        state = agent.initial_state(self.batch_size)
        step_seeds = seeds.per_step(seed(1), self.num_steps)[0]
        stepped, after_each = [], [state]
        for t in range(self.num_steps):
            context = agent.context(after_each[-1], at(inputs, t), seed=step_seeds[t])
            stepped.append(context)
            after_each.append(agent.observe(at(observed, t), context, after_each[-1]))
        contexts, after = agent.contexts(observed, state, inputs, seed=seed(1))
        require_close(contexts, tf.stack(stepped, 1), "The contexts of a whole sequence must "
                       "equal those of observing it step by step.")
        require_all_close(after, after_each[-1], "The state after a whole sequence must equal "
                           "that of observing it step by step.")
        lengths = self._lengths()
        contexts, after = agent.contexts(observed, state, inputs, lengths, seed=seed(1))
        for row, length in enumerate(lengths.numpy()):
            require_close(contexts[row, :length], tf.stack(stepped, 1)[row, :length], "Contexts "
                           "up to a row's length must not depend on the length.")
            require_all_close(at(after, row, 0), at(after_each[length], row, 0), "The state "
                               f"after a row of length {length} must be that after its last valid "
                               "step.")

    def test_whole_sequence_equals_two_parts(self) -> None:
        self._skip_unless_deterministic()
        agent, observed, inputs = self._make_case()
        state = agent.initial_state(self.batch_size)
        whole, after = agent.contexts(observed, state, inputs, seed=seed(1))
        parts, cut = [], self.num_steps // 2
        for part in (slice(None, cut), slice(cut, None)):
            contexts, state = agent.contexts(
                at(observed, part), state, at(inputs, part), seed=seed(1))
            parts.append(contexts)
        require_close(tf.concat(parts, 1), whole, "A sequence cut in two, with the state carried, "
                       "must have the contexts of the whole.")
        require_all_close(state, after, "A sequence cut in two must end in the state of the "
                           "whole.")

    def test_rows_do_not_mix(self) -> None:
        self._skip_unless_deterministic()
        agent, observed, inputs = self._make_case()
        contexts, _ = agent.contexts(
            observed, agent.initial_state(self.batch_size), inputs, seed=seed(1))
        row = slice(1, 2)
        alone, _ = agent.contexts(at(observed, row, 0), agent.initial_state(1), at(inputs, row, 0),
                                  seed=seed(1))
        require_close(contexts[row], alone,
                      "The contexts of a row must not depend on the rest of the batch.")

    def test_contexts_are_the_same_in_two_evaluations(self) -> None:
        agent, observed, inputs = self._make_case()
        check_no_noise(lambda: agent.contexts(
            observed, agent.initial_state(self.batch_size), inputs, seed=seed(1)), "contexts")

    def test_gradients_reach_every_variable(self) -> None:
        if not self.trained:
            raise unittest.SkipTest("contexts do not train the agent")
        agent, observed, inputs = self._make_case()
        check_gradients(agent, lambda: tf.reduce_sum(agent.contexts(
            observed, agent.initial_state(self.batch_size), inputs, seed=seed(1))[0] ** 2))

    def test_compiled_equals_eager(self) -> None:
        self._skip_unless_deterministic()
        agent, observed, inputs = self._make_case()

        def run() -> tuple[Tensor, Nest]:
            return agent.contexts(observed, agent.initial_state(self.batch_size), inputs,
                                  self._lengths(), seed=seed(1))

        for one, other in pairs(tf.function(run, jit_compile=True)(), run()):
            require_close(one, other, "contexts must be the same compiled and eager.")

    def _skip_unless_deterministic(self) -> None:
        if not self.deterministic:
            raise unittest.SkipTest("the agent is stochastic")

    def _make_case(self) -> tuple[Agent, Nest, Nest]:
        leading = [self.batch_size, self.num_steps]
        return (self.make_object_under_test(), self.make_observations(leading),
                self.make_inputs(leading))

    def _lengths(self) -> Tensor:
        return tf.constant(np.linspace(self.num_steps, 0, self.batch_size).astype(np.int32))
