# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loop of `vaeseq.nn.scan.unroll.scan` inside a `tf.function`: the way forward.

For each step it keeps the state before it and the results of its products (`vaeseq.nn.scan.matmul`),
which is what the way back (`vaeseq.nn.scan.backward`) needs. Products of the inputs alone run before
the loop, as one product over all steps; products of one tensor with several weights run as one;
those of a part that is looked up in a table are looked up in products of the table.

Everything here is time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.eager import record

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import lookup, matmul
from vaeseq.nn.scan.lookup import Rows
from vaeseq.nn.scan.plan import Plan, Tensors, Weights, side_by_side
from vaeseq.types import Nest, Tensor


def reader(x: Tensor | Rows) -> Callable[[Tensor], Tensor]:
    """What gives a step's part of [T, *]."""
    if isinstance(x, Rows):
        numbers = unstack(x.numbers)
        return lambda t: tf.gather(x.table, numbers.read(t))
    return unstack(x).read


def unstack(x: Tensor) -> tf.TensorArray:
    """[T, *] as an array to be read by step."""
    array = tf.TensorArray(x.dtype, x.shape[0], element_shape=x.shape[1:], clear_after_read=False)
    return array.unstack(x)


def array_of(x: Tensor, num_steps: int) -> tf.TensorArray:
    """An array for one tensor like `x` a step."""
    return tf.TensorArray(x.dtype, num_steps, element_shape=x.shape)

class Kept(NamedTuple):
    """What the way back needs.

    Attributes:
      states: [T, B, *] each, before the step.
      results: [T, B, H] of each product, or the rows of a table that it is.
      variables: that a step reads, other than through products.
      captured: floating tensors from outside of the loop that a step reads.
    """
    states: Tensors
    results: list[Tensor | Rows]
    variables: Sequence[tf.Variable]
    captured: Tensors


# (plan, weights, inputs_t, state, projected_t) -> (outputs_t, next state, results of products)
RunStep = Callable[
    [Plan, list[Weights], Tensors, Tensors, list[Tensor | None]], tuple[Tensors, Tensors, Tensors]]


def together(
    plan: Plan, weights: list[Weights], inputs_t: Tensors, state: Tensors,
    projected_t: list[Tensor | None],
) -> tuple[Tensors, Tensors, Tensors]:
    """A step with its products: outputs [B, *], the next state, results of products inside."""
    return run_step(plan, StepProducts(plan, weights, projected_t), inputs_t, state)


def run_step(
    plan: Plan, taker: StepProducts, inputs_t: Tensors, state: Tensors
) -> tuple[Tensors, Tensors, Tensors]:
    """`together`, its products taken over by `taker`."""
    with matmul.taken_over_by(taker):
        outputs_t, next_state = plan.step(inputs_t, state)
    results_t = [x for x, p in zip(taker.results, plan.products, strict=True)
                 if p.group is not None]
    return outputs_t, next_state, results_t


def forwards(plan: Plan, run: RunStep = together) -> tuple[Tensors, Tensors, Kept]:
    """Runs the loop: outputs [T, B, *], the final state, and what the way back needs."""
    inputs = [unstack(x) for x in plan.inputs]
    projected = [None if p.projected is None else reader(p.projected) for p in plan.products]
    weights = plan.weights_forwards()
    known = [*(x for group in weights for x in group), *plan.tables()]
    captured: dict[int, Tensor] = {}

    def step(t: Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
        outputs_t, next_state, results_t = run(
            plan, weights, [x.read(t) for x in inputs], state,
            [None if read is None else read(t) for read in projected])
        return [*outputs_t, *state, *results_t], next_state

    def body(t: Tensor, state: Tensors, arrays: Nest) -> tuple[Tensor, Tensors, Nest]:
        kept_t, next_state = step(t, state)
        captured.update(_captured(known))
        arrays = [array.write(t, x) for array, x in zip(arrays, kept_t, strict=True)]
        return t + 1, next_state, arrays

    # Traced, but not run, for the shapes of what a step gives.
    arrays = [array_of(x, plan.num_steps) for x in step(tf.constant(0), plan.state)[0]]
    # A tape would do, but TensorFlow takes it, beside the caller's, for a second derivative and
    # traces a gradient of the loop that nobody runs.
    with record.VariableWatcher() as watcher:
        _, final, arrays = tf.while_loop(
            lambda t, *_: t < plan.num_steps, body, (tf.constant(0), plan.state, arrays),
            maximum_iterations=plan.num_steps)
    stacked = [array.stack() for array in arrays]
    num_grouped = sum(p.group is not None for p in plan.products)
    num_outputs = len(stacked) - len(plan.state) - num_grouped
    grouped = iter(stacked[len(stacked) - num_grouped:])
    results = [p.projected if p.group is None else next(grouped) for p in plan.products]
    states = stacked[num_outputs:num_outputs + len(plan.state)]
    kept = Kept(states, results, watcher.watched_variables(), list(captured.values()))
    return stacked[:num_outputs], final, kept


def _captured(known: list[Tensor | None]) -> dict[int, Tensor]:
    """By id, the floating tensors that the loop body being traced takes from outside."""
    graph = tf.compat.v1.get_default_graph()
    known_ids = {id(x) for x in known}
    return {id(x): x for x in graph.external_captures
            if x.dtype.is_floating and id(x) not in known_ids}


class StepProducts:
    """Computes the products of one step, those of a group at once.

    Attributes:
      results: of the products so far.
    """

    def __init__(self, plan: Plan, weights: list[Weights], projected: list[Tensor | None]) -> None:
        self.results: Tensors = []
        self._plan, self._weights, self._projected = plan, weights, projected
        self._grouped: dict[int, Tensor] = {}

    def __call__(self, parts: Sequence[Tensor], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        k = len(self.results)
        product = self._plan.products[k]
        if product.group is not None and k not in self._grouped:
            self._multiply(product.group, product.inside(parts))
        self.results.append(
            tf.cast(self._projected[k], parts[0].dtype) if product.group is None
            else self._grouped[k])
        return self.results[-1]

    def product(self, group: int, x: Tensor, terms: Tensors) -> Tensor:
        """Of a group's weights, side by side: x @ w + sum(terms), [B, sum of H]."""
        w, w_transposed, _ = self._weights[group]
        return matmul.in_loop(x, w, w_transposed, terms)

    def _multiply(self, group: int, parts: Tensors) -> None:
        members = self._plan.groups[group]
        looked_up = self._plan.looked_up[group]
        b = self._weights[group].b
        terms = [] if b is None else [b]
        if looked_up is not None:
            made_of = lookup.of(parts.pop(looked_up.part), self._plan.num_steps)
            assert made_of is not None  # as it was when the step was traced for the plan
            terms.append(tf.gather(looked_up.table, made_of.numbers))
        x = matmul.joined(parts)
        projected = [self._projected[k] for k in members]
        sizes = [self._plan.products[k].size for k in members]
        if any(p is not None for p in projected):
            leading = nest_lib.shape_of(x)[:-1]
            terms.append(side_by_side([
                tf.zeros([*leading, size], x.dtype) if p is None else tf.cast(p, x.dtype)
                for p, size in zip(projected, sizes, strict=True)]))
        y = self.product(group, x, terms)
        self._grouped.update(zip(members, tf.split(y, sizes, axis=-1), strict=True))
