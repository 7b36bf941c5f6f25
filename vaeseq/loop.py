# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loop of `vaeseq.unroll.scan` inside a `tf.function`: the way forward.

For each step it keeps the state before it and the results of its products (`vaeseq.products`),
which is what the way back (`vaeseq.loop_gradient`) needs. Products of the inputs alone run before
the loop, as one product over all steps; products of one tensor with several weights run as one.

Everything here is time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.eager import record

from vaeseq import nest as nest_lib
from vaeseq import products, rows
from vaeseq.loop_arrays import array_of, reader, unstack
from vaeseq.rows import Rows
from vaeseq.types import Nest, Tensor

Tensors = list[Tensor]
# (inputs_t, state) -> (outputs_t, next state)
FlatStep = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]


class Product(NamedTuple):
    """One product that a step asks for: x @ w + b, where x is made of parts.

    Attributes:
      given: for each part of x, whether it is an input of the loop.
      projected: [T, B, H], what those parts add to the result, with the bias where there are no
        others, as products give it (`products.unwidened`), or the rows of a table that it is, with
        the bias; None without any.
      w: [F, H], the rows of the weights for the other parts; None without any.
      b: [H], the bias, where it is not in `projected`.
      group: the number of the group of products whose other parts are the same.
    """
    given: tuple[bool, ...]
    projected: Tensor | Rows | None
    w: Tensor | None
    b: Tensor | None
    group: int | None

    @property
    def size(self) -> int:
        """H, of a product with weights inside the loop."""
        assert self.w is not None
        return self.w.shape[1]

    @property
    def dtype(self) -> tf.DType:
        """Of a product with weights inside the loop, before anything is rounded."""
        assert self.w is not None
        return self.w.dtype

    def inside(self, parts: Sequence[Tensor]) -> Tensor:
        """The other parts, known inside the loop only: [B, F]."""
        return products.joined(
            [part for part, given in zip(parts, self.given, strict=True) if not given])


class Weights(NamedTuple):
    """Of a group of products, side by side.

    Attributes:
      w: [F, sum of H], rounded as products take them.
      w_transposed: [sum of H, F].
      b: [sum of H], the biases that are added inside the loop; None without any.
    """
    w: Tensor
    w_transposed: Tensor
    b: Tensor | None


class Plan(NamedTuple):
    """What the loop has to do.

    Attributes:
      step: of the loop.
      inputs: [T, B, *] each.
      state: [B, *] each, before the first step.
      num_steps: T.
      products: that a step asks for, in order.
      groups: the numbers of the products in each group.
      group_states: of each group the number of the state that is multiplied as it is, or None.
      context: of the call, for the step to see it when it is repeated for the gradient.
    """
    step: FlatStep
    inputs: Tensors
    state: Tensors
    num_steps: int
    products: list[Product]
    groups: list[list[int]]
    group_states: list[int | None]
    context: contextvars.Context

    def tables(self) -> Tensors:
        """Whose rows are looked up inside the loop."""
        return [p.projected.table for p in self.products if isinstance(p.projected, Rows)]

    def weights(self) -> list[Weights]:
        """Of each group, side by side."""
        return [self._weights([self.products[k] for k in group]) for group in self.groups]

    def _weights(self, group: list[Product]) -> Weights:
        w = _side_by_side([p.w for p in group])
        b = None
        if any(p.b is not None for p in group):
            b = _side_by_side([tf.zeros([p.size], w.dtype) if p.b is None else p.b for p in group])
        w = products.rounded(w)
        return Weights(w, tf.transpose(w), b)


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


def make_plan(step: FlatStep, inputs: Tensors, state: Tensors, num_steps: int) -> Plan:
    """Traces one step for what it multiplies; nothing of that trace is run."""
    found: list[Product] = []
    groups: dict[tuple[int, ...], list[int]] = {}
    seen: Tensors = []  # Keeps the parts alive, as they are told apart by their ids.
    inputs_0 = [x[0] for x in inputs]
    # Two states may begin as one tensor.
    state_0 = [tf.identity(x) for x in state]
    numbers = {id(x): i for i, x in enumerate(inputs_0)}
    state_numbers: dict[tuple[int, ...], int] = {(id(x),): i for i, x in enumerate(state_0)}

    def take(parts: Sequence[Tensor], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        w, b = tf.convert_to_tensor(w), None if b is None else tf.convert_to_tensor(b)
        seen.extend(parts)
        given = [inputs[numbers[id(x)]] if id(x) in numbers else None for x in parts]
        inside = tuple(id(x) for x in parts if id(x) not in numbers)
        group = None
        if inside:
            groups.setdefault(inside, []).append(len(found))
            group = list(groups).index(inside)
        found.append(_make_product(w, b, given, [x.shape[-1] for x in parts], group))
        return products.plain(parts, w, b)

    with products.taken_over_by(take):
        step(inputs_0, state_0)
    return Plan(step, inputs, state, num_steps, found, list(groups.values()),
                [state_numbers.get(inside) for inside in groups], contextvars.copy_context())


def _make_product(w: Tensor, b: Tensor | None, given: list[Tensor | None], sizes: list[int],
                  group: int | None) -> Product:
    """Splits the rows of `w`; `given` holds, for each part, the input [T, B, F] that it is."""
    w_rows = tf.split(w, sizes) if len(sizes) > 1 else [w]
    projected: Tensor | Rows | None = None
    if any(x is not None for x in given):
        w_given = tf.concat([r for r, x in zip(w_rows, given, strict=True) if x is not None], 0)
        known = [x for x in given if x is not None]
        made_of = rows.of(known[0]) if len(known) == 1 else None
        if made_of is not None:
            projected, b = made_of.times(products.rounded(w_given), b), None
        else:
            is_whole = len(known) == len(given)
            projected = products.unwidened(known, w_given, b if is_whole else None)
            b = None if is_whole else b
    w_inside = [r for r, x in zip(w_rows, given, strict=True) if x is None]
    return Product(tuple(x is not None for x in given), projected,
                   tf.concat(w_inside, 0) if w_inside else None, b, group)


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
    with products.taken_over_by(taker):
        outputs_t, next_state = plan.step(inputs_t, state)
    results_t = [x for x, p in zip(taker.results, plan.products, strict=True)
                 if p.group is not None]
    return outputs_t, next_state, results_t


def forwards(plan: Plan, run: RunStep = together) -> tuple[Tensors, Tensors, Kept]:
    """Runs the loop: outputs [T, B, *], the final state, and what the way back needs."""
    inputs = [unstack(x) for x in plan.inputs]
    projected = [None if p.projected is None else reader(p.projected) for p in plan.products]
    weights = plan.weights()
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


def _side_by_side(tensors: Tensors) -> Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, -1)


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
        return products.in_loop(x, w, w_transposed, terms)

    def _multiply(self, group: int, x: Tensor) -> None:
        members = self._plan.groups[group]
        b = self._weights[group].b
        terms = [] if b is None else [b]
        projected = [self._projected[k] for k in members]
        sizes = [self._plan.products[k].size for k in members]
        if any(p is not None for p in projected):
            leading = nest_lib.shape_of(x)[:-1]
            terms.append(_side_by_side([
                tf.zeros([*leading, size], x.dtype) if p is None else tf.cast(p, x.dtype)
                for p, size in zip(projected, sizes, strict=True)]))
        y = self.product(group, x, terms)
        self._grouped.update(zip(members, tf.split(y, sizes, axis=-1), strict=True))
