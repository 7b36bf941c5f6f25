# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loop of `vaeseq.nn.scan.unroll.scan` inside a `tf.function`: the way back.

It repeats each step without its products, whose results were kept, and differentiates that. It
keeps the gradient of each product's result, so that the gradients of the weights are one product
over all steps each, after the loop.

Everything here is time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from vaeseq.nn.scan import lookup, matmul
from vaeseq.nn.scan.forward import Kept, array_of, reader
from vaeseq.nn.scan.lookup import Rows
from vaeseq.nn.scan.plan import Plan, Tensors, Weights
from vaeseq.types import Nest, Tensor

MaybeTensors = list[Tensor | None]


class Sources(NamedTuple):
    """All that the results of a loop depend on, or the gradients with respect to it.

    Attributes:
      inputs: the floating ones, other than through `projected`.
      state: the floating ones.
      projected: of each product that has it.
      w: of each product that has it.
      b: of each product that has it.
      outside: variables and captured tensors.
    """
    inputs: MaybeTensors
    state: MaybeTensors
    projected: MaybeTensors
    w: MaybeTensors
    b: MaybeTensors
    outside: MaybeTensors


def attach(plan: Plan, kept: Kept, outputs: Tensors, final: Tensors,
           differentiate: Differentiate | None = None) -> tuple[Tensors, Tensors]:
    """The results of the loop as differentiable functions of its sources."""
    differentiate = differentiate or together
    results = [*outputs, *final]
    sources = Sources(
        floating(plan.inputs), floating(plan.state),
        [p.projected.table if isinstance(p.projected, Rows) else p.projected
         for p in plan.products if p.projected is not None],
        [p.w for p in plan.products if p.w is not None],
        [p.b for p in plan.products if p.b is not None],
        [*(tf.convert_to_tensor(v) for v in kept.variables), *kept.captured])

    @tf.custom_gradient
    def attached(*_: Tensor) -> tuple[Tensors, Callable[..., MaybeTensors]]:
        def gradient(*d_results: Tensor) -> MaybeTensors:
            num_outputs = len(floating(outputs))
            d_sources = plan.context.copy().run(
                _backwards, plan, kept, differentiate, list(d_results[:num_outputs]),
                list(d_results[num_outputs:]))
            return [x for field in d_sources for x in field]
        return [tf.stop_gradient(x) for x in floating(results)], gradient

    flat_sources = [x for field in sources for x in field]
    if not flat_sources or not floating(results):
        return outputs, final
    differentiable = iter(attached(*flat_sources))
    results = [next(differentiable) if x.dtype.is_floating else x for x in results]
    return results[:len(outputs)], results[len(outputs):]


def floating(tensors: Sequence[Tensor]) -> Tensors:
    """Those that have gradients."""
    return [x for x in tensors if x.dtype.is_floating]


class StepGradient(NamedTuple):
    """The gradients of one step.

    Attributes:
      state: with respect to the floating state before the step.
      outside: with respect to variables and captured tensors; None where there is none.
      inputs: with respect to the floating inputs; None where there is none.
      results: with respect to each product's result.
      inside: what was multiplied, of each group of products where that is no state.
    """
    state: Tensors
    outside: MaybeTensors
    inputs: MaybeTensors
    results: Tensors
    inside: Tensors

    def emitted(self) -> Tensors:
        """What is to be kept of each step."""
        return [*self.results, *(x for x in self.inputs if x is not None), *self.inside]


class Known(NamedTuple):
    """What the way back knows of a step.

    Attributes:
      inputs: of the step.
      state: before it.
      results: of each product.
      d_results: the gradients of the floating outputs and of the floating next state.
    """
    inputs: Tensors
    state: Tensors
    results: Tensors
    d_results: Tensors


Differentiate = Callable[[Plan, Kept, list[Weights], Known], StepGradient]
# (group, gradient of its products' results) -> gradient of what was multiplied
Times = Callable[[int, Tensor], Tensor]


def _backwards(plan: Plan, kept: Kept, differentiate: Differentiate, d_outputs: Tensors,
               d_final: Tensors) -> Sources:
    """The gradients of all sources, from those of the floating outputs and final state."""
    weights = plan.weights()
    readers = [[reader(x) for x in xs]
               for xs in (plan.inputs, kept.states, kept.results, d_outputs)]

    def step(t: Tensor, d_state: Tensors) -> StepGradient:
        inputs_t, state, results_t, d_outputs_t = [[read(t) for read in xs] for xs in readers]
        return differentiate(plan, kept, weights, Known(
            inputs_t, state, results_t, [*d_outputs_t, *d_state]))

    def body(t: Tensor, d_state: Tensors, sums: Tensors, emitted: Nest) -> Nest:
        g = step(t, d_state)
        sums = [s if d is None else s + d for s, d in zip(sums, g.outside, strict=True)]
        emitted = [x.write(t, e) for x, e in zip(emitted, g.emitted(), strict=True)]
        return t - 1, g.state, sums, emitted

    # Traced, but not run, for what a step gives.
    last = step(tf.constant(plan.num_steps - 1), d_final)
    emitted = [array_of(x, plan.num_steps) for x in last.emitted()]
    sums = [tf.zeros_like(x) for x in (*kept.variables, *kept.captured)]
    _, d_state, sums, emitted = tf.while_loop(
        lambda t, *_: t >= 0, body,
        (tf.constant(plan.num_steps - 1), d_final, sums, emitted),
        maximum_iterations=plan.num_steps)
    stacked = iter([x.stack() for x in emitted])
    d_results = [next(stacked) for _ in last.results]
    d_inputs = [None if x is None else next(stacked) for x in last.inputs]
    inside = [next(stacked) if i is None else kept.states[i] for i in plan.group_states]
    return Sources(
        d_inputs, d_state,
        [_of_projected(d, p.projected)
         for d, p in zip(d_results, plan.products, strict=True) if p.projected is not None],
        _weight_gradients(plan, d_results, inside),
        [_total(d, p.b.dtype)
         for d, p in zip(d_results, plan.products, strict=True) if p.b is not None], sums)


def _of_projected(d: Tensor, projected: Tensor | Rows) -> Tensor:
    """The gradient of what was projected, or of its table, from that of the products' results."""
    if isinstance(projected, Rows):
        table, numbers = projected
        return lookup.sum_by_row(tf.cast(d, table.dtype), numbers, table.shape[0])
    return tf.cast(d, projected.dtype)


def _weight_gradients(plan: Plan, d_results: Tensors, inside: Tensors) -> Tensors:
    """[F, H] of each product that has weights inside the loop, as one product over all steps."""
    d_w: dict[int, Tensor] = {}
    for group, x in zip(plan.groups, inside):
        for k in group:
            flat, d_flat = [tf.reshape(y, [-1, y.shape[-1]]) for y in (x, d_results[k])]
            d = tf.matmul(matmul.rounded(flat), matmul.rounded(d_flat), transpose_a=True)
            d_w[k] = tf.cast(d, plan.products[k].dtype)
    return [d_w[k] for k in sorted(d_w)]


def _total(d: Tensor, dtype: tf.DType) -> Tensor:
    """The sum over all dims but the last, [H]."""
    if d.dtype == dtype:
        return tf.reduce_sum(d, list(range(d.shape.rank - 1)))
    # A product keeps its sums in float32.
    flat = tf.reshape(d, [-1, d.shape[-1]])
    return tf.cast(tf.matmul(tf.ones([1, flat.shape[0]], d.dtype), flat)[0], dtype)


def together(plan: Plan, kept: Kept, weights: list[Weights], known: Known) -> StepGradient:
    """Of a step, with its products."""
    return step_gradient(plan, kept, known, lambda group, d: matmul.in_loop(
        d, weights[group].w_transposed, weights[group].w))


def step_gradient(plan: Plan, kept: Kept, known: Known, times: Times) -> StepGradient:
    """Repeats a step from the results of its products, and differentiates it."""
    inputs_t, state, results_t, d_floating = known
    # A product of inputs alone is read like an input; the others are tapped for their gradient.
    taps = [x if p.group is None else tf.zeros_like(x) for x, p in zip(results_t, plan.products)]
    outside = [*kept.variables, *kept.captured]
    sources = [floating(state), outside, floating(inputs_t), taps]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        taker = _Products(plan, results_t, taps, times)
        with matmul.taken_over_by(taker):
            outputs_t, next_state = plan.step(inputs_t, state)
        targets = floating([*outputs_t, *next_state])
    d_state, d_outside, d_inputs, d_taps = tape.gradient(
        targets, sources, output_gradients=d_floating)
    return StepGradient(
        [tf.zeros_like(x) if d is None else d for d, x in zip(d_state, floating(state))],
        [None if d is None else tf.convert_to_tensor(d) for d in d_outside], d_inputs,
        [tf.zeros_like(x) if d is None else d for d, x in zip(d_taps, taps)],
        [x for x, i in zip(taker.inside, plan.group_states, strict=True) if i is None])


class _Products:
    """Repeats the products of one step from their results.

    Attributes:
      inside: for each group so far, the tensor that was multiplied.
    """

    def __init__(self, plan: Plan, results: Tensors, taps: Tensors, times: Times) -> None:
        self.inside: Tensors = []
        self._plan, self._results, self._taps, self._times = plan, results, taps, times
        self._grouped: dict[int, Tensor] = {}
        self._count = 0

    def __call__(self, parts: Sequence[Tensor], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        k = self._count
        self._count += 1
        product = self._plan.products[k]
        if product.group is None:
            return tf.cast(self._taps[k], parts[0].dtype)
        if k not in self._grouped:
            group = self._plan.groups[product.group]
            self.inside.append(matmul.joined(product.inside(parts)))
            self._grouped.update(zip(group, _repeat(
                self.inside[-1], [self._results[member] for member in group],
                [self._taps[member] for member in group],
                functools.partial(self._times, product.group))))
        return self._grouped[k]


def _repeat(x: Tensor, results: Tensors, taps: Tensors,
            times: Callable[[Tensor], Tensor]) -> Tensors:
    """`results`, differentiated as products of `x`, plus taps."""
    @tf.custom_gradient
    def repeated(*_: Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
        def gradient(*d_results: Tensor) -> Tensors:
            return [times(tf.concat(d_results, -1)), *d_results]
        return [tf.identity(result) for result in results], gradient
    return repeated(x, *taps)
