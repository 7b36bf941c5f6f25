# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The backward pass of a scan's compiled loop (backpropagation through time).

It recomputes each step from the residuals (rematerialisation) without its matrix products, whose
results were stored, and differentiates that. It stores the gradient of each product's result, so
that the gradient of each weight is one product over all steps, after the loop.

All tensors are time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import tensorflow as tf
from tensorflow.python.eager import record

from vaeseq.nn.scan import lookup, matmul
from vaeseq.nn.scan.forward import Residuals, empty_array, step_reader
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.nn.scan.matmul import Part
from vaeseq.nn.scan.plan import Plan, Tensors, Weights, require_recorded
from vaeseq.types import Nest, Tensor

MaybeTensors = list[Tensor | None]


class Sources(NamedTuple):
    """All tensors that the results of a loop depend on, or the gradients with respect to them."""
    inputs: MaybeTensors  # the floating ones, other than through `precomputed`
    state: MaybeTensors  # the floating ones
    precomputed: MaybeTensors  # of each product that has it; the table of a lookup
    w: MaybeTensors  # of each product that has it
    b: MaybeTensors  # of each product that has it
    outside: MaybeTensors  # variables and captured tensors


class StepResiduals(NamedTuple):
    """What the backward pass reads at one step."""
    inputs: Tensors  # of the step
    state: Tensors  # before the step
    results: Tensors  # of each product
    d_results: Tensors  # the gradients of the floating outputs and of the floating next state


class StepGradient(NamedTuple):
    """The gradients of one step."""
    state: Tensors  # with respect to the floating state before the step
    # With respect to variables and captured tensors; None where there is none
    outside: MaybeTensors
    inputs: MaybeTensors  # with respect to the floating inputs; None where there is none
    results: Tensors  # with respect to each product's result
    operands: Tensors  # what each group of products multiplied, unless it is a state

    def stored(self) -> Tensors:
        """Returns what the loop stores of each step."""
        return [*self.results, *(x for x in self.inputs if x is not None), *self.operands]


Differentiate = Callable[[Plan, Residuals, list[Weights], StepResiduals], StepGradient]
# (group, gradient of its products' results) -> gradient of what they multiplied
OperandGradient = Callable[[int, Tensor], Tensor]


def attach_gradient(plan: Plan, residuals: Residuals, outputs: Tensors, final: Tensors,
                    differentiate: Differentiate) -> tuple[Tensors, Tensors]:
    """Returns the loop's outputs and final state as differentiable functions of its sources."""
    results = [*outputs, *final]
    sources = Sources(
        floating(plan.inputs), floating(plan.state),
        [p.precomputed.table if isinstance(p.precomputed, Lookup) else p.precomputed
         for p in plan.products if p.precomputed is not None],
        [p.w for p in plan.products if p.w is not None],
        [p.b for p in plan.products if p.b is not None],
        [*(tf.convert_to_tensor(v) for v in residuals.variables), *residuals.captured])

    @tf.custom_gradient
    def attached(*_: Tensor) -> tuple[Tensors, Callable[..., MaybeTensors]]:
        def gradient(*d_results: Tensor) -> MaybeTensors:
            num_outputs = len(floating(outputs))
            d_sources = plan.context.copy().run(
                _run_loop, plan, residuals, differentiate, list(d_results[:num_outputs]),
                list(d_results[num_outputs:]))
            return _differentiated_once([x for field in d_sources for x in field])
        return [tf.stop_gradient(x) for x in floating(results)], gradient

    flat_sources = [x for field in sources for x in field]
    if not flat_sources or not floating(results):
        return outputs, final
    differentiable = iter(attached(*flat_sources))
    results = [next(differentiable) if x.dtype.is_floating else x for x in results]
    return results[:len(outputs)], results[len(outputs):]


def _differentiated_once(gradients: MaybeTensors) -> MaybeTensors:
    """Returns the same gradients; theirs, which would lack what the loop stored, raise an error."""
    @tf.custom_gradient
    def once(*tensors: Tensor) -> tuple[Tensors, Callable[..., NoReturn]]:
        def gradient(*_: Tensor) -> NoReturn:
            raise NotImplementedError(
                "second derivatives of a compiled scan are not implemented. Compute them eagerly, "
                "outside of tf.function or with tf.config.run_functions_eagerly(True).")
        return [tf.identity(x) for x in tensors], gradient

    marked = iter(once(*(x for x in gradients if x is not None)))
    return [None if x is None else next(marked) for x in gradients]


def floating(tensors: Sequence[Tensor]) -> Tensors:
    """Returns the tensors that have gradients."""
    return [x for x in tensors if x.dtype.is_floating]


def _run_loop(plan: Plan, residuals: Residuals, differentiate: Differentiate, d_outputs: Tensors,
              d_final: Tensors) -> Sources:
    """Computes the gradients of all sources from those of the floating outputs and final state."""
    weights = plan.weights()
    readers = [[step_reader(x) for x in xs]
               for xs in (plan.inputs, residuals.states, residuals.results, d_outputs)]

    def step(t: Tensor, d_state: Tensors) -> StepGradient:
        inputs_t, state, results_t, d_outputs_t = [[read(t) for read in xs] for xs in readers]
        return differentiate(plan, residuals, weights, StepResiduals(
            inputs_t, state, results_t, [*d_outputs_t, *d_state]))

    def body(t: Tensor, d_state: Tensors, sums: Tensors, arrays: Nest) -> Nest:
        g = step(t, d_state)
        sums = [s if d is None else s + d for s, d in zip(sums, g.outside, strict=True)]
        arrays = [array.write(t, x) for array, x in zip(arrays, g.stored(), strict=True)]
        return t - 1, g.state, sums, arrays

    # Traced, but not run, for the shapes.
    last = step(tf.constant(plan.num_steps - 1), d_final)
    arrays = [empty_array(x, plan.num_steps) for x in last.stored()]
    sums = [tf.zeros_like(x) for x in (*residuals.variables, *residuals.captured)]
    _, d_state, sums, arrays = tf.while_loop(
        lambda t, *_: t >= 0, body,
        (tf.constant(plan.num_steps - 1), d_final, sums, arrays),
        maximum_iterations=plan.num_steps)
    stacked = iter([array.stack() for array in arrays])
    d_results = [next(stacked) for _ in last.results]
    d_inputs = [None if x is None else next(stacked) for x in last.inputs]
    operands = [next(stacked) if i is None else residuals.states[i] for i in plan.group_states]
    return Sources(
        d_inputs, d_state,
        [_precomputed_gradient(d, p.precomputed)
         for d, p in zip(d_results, plan.products, strict=True) if p.precomputed is not None],
        _weight_gradients(plan, d_results, operands),
        [_bias_gradient(d, p.b.dtype)
         for d, p in zip(d_results, plan.products, strict=True) if p.b is not None], sums)


def _precomputed_gradient(d: Tensor, precomputed: Tensor | Lookup) -> Tensor:
    """Returns the gradient of `precomputed`, or of its table, from that of products' results."""
    if isinstance(precomputed, Lookup):
        table = precomputed.table
        return lookup.sum_by_row(tf.cast(d, table.dtype), precomputed.numbers, table.shape[0])
    return tf.cast(d, precomputed.dtype)


def _weight_gradients(plan: Plan, d_results: Tensors, operands: Tensors) -> Tensors:
    """Computes [F, H] of each product with weights inside the loop, as one product over time."""
    d_w: dict[int, Tensor] = {}
    for group, x in zip(plan.groups, operands):
        for k in group:
            flat, d_flat = [tf.reshape(y, [-1, y.shape[-1]]) for y in (x, d_results[k])]
            d = tf.matmul(matmul.rounded(flat), matmul.rounded(d_flat), transpose_a=True)
            d_w[k] = tf.cast(d, plan.products[k].dtype)
    return [d_w[k] for k in sorted(d_w)]


def _bias_gradient(d: Tensor, dtype: tf.DType) -> Tensor:
    """Sums over all dimensions but the last, [H]."""
    if d.dtype == dtype:
        return tf.reduce_sum(d, list(range(d.shape.rank - 1)))
    # A product accumulates in float32.
    flat = tf.reshape(d, [-1, d.shape[-1]])
    return tf.cast(tf.matmul(tf.ones([1, flat.shape[0]], d.dtype), flat)[0], dtype)


def differentiate_fused_step(
    plan: Plan, residuals: Residuals, weights: list[Weights], step: StepResiduals
) -> StepGradient:
    """Differentiates a step together with its products, to be compiled as one."""
    return step_gradient(plan, residuals, step, lambda group, d: matmul.loop_matmul(
        d, weights[group].w_transposed, weights[group].w))


def step_gradient(plan: Plan, residuals: Residuals, step: StepResiduals,
                  operand_gradient: OperandGradient) -> StepGradient:
    """Recomputes a step from the results of its products, and differentiates it."""
    inputs_t, state, results_t, d_floating = step
    # A precomputed result is read like an input. To the others zeros are added, whose gradients
    # are those of the results.
    taps = [x if p.group is None else tf.zeros_like(x) for x, p in zip(results_t, plan.products)]
    outside = [*residuals.variables, *residuals.captured]
    sources = [floating(state), outside, floating(inputs_t), taps]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        products = _StoredProducts(plan, results_t, taps, operand_gradient)
        with matmul.intercept_matmuls(products):
            outputs_t, next_state = plan.step(inputs_t, state)
        targets = floating([*outputs_t, *next_state])
    d_state, d_outside, d_inputs, d_taps = tape.gradient(
        targets, sources, output_gradients=d_floating)
    return StepGradient(
        [tf.zeros_like(x) if d is None else d for d, x in zip(d_state, floating(state))],
        [None if d is None else tf.convert_to_tensor(d) for d in d_outside], d_inputs,
        [tf.zeros_like(x) if d is None else d for d, x in zip(d_taps, taps)],
        [x for x, i in zip(products.operands, plan.group_states, strict=True) if i is None])


class _StoredProducts:
    """Intercepts the products of one step, and returns their stored results.

    Attributes:
      operands: for each group so far, the tensor that it multiplied.
    """

    def __init__(self, plan: Plan, results: Tensors, taps: Tensors,
                 operand_gradient: OperandGradient) -> None:
        self.operands: Tensors = []
        self._plan, self._results, self._taps = plan, results, taps
        self._operand_gradient = operand_gradient
        self._grouped: dict[int, Tensor] = {}
        self._count = 0

    def __call__(self, parts: Sequence[Part], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        k = self._count
        self._count += 1
        product = self._plan.products[k]
        require_recorded(record.should_record_backprop([self._taps[k]]))
        if product.group is None:
            return tf.cast(self._taps[k], parts[0].dtype)
        if k not in self._grouped:
            group = self._plan.groups[product.group]
            self.operands.append(
                tf.convert_to_tensor(matmul.concat_parts(product.loop_parts(parts))))
            self._grouped.update(zip(group, _with_gradient(
                self.operands[-1], [self._results[member] for member in group],
                [self._taps[member] for member in group],
                functools.partial(self._operand_gradient, product.group))))
        return self._grouped[k]


def _with_gradient(x: Tensor, results: Tensors, taps: Tensors,
                   operand_gradient: Callable[[Tensor], Tensor]) -> Tensors:
    """Returns `results` with the gradients of products of `x` plus `taps`."""
    @tf.custom_gradient
    def stored(*_: Tensor) -> tuple[Tensors, Callable[..., Tensors]]:
        def gradient(*d_results: Tensor) -> Tensors:
            return [operand_gradient(tf.concat(d_results, -1)), *d_results]
        return [tf.identity(result) for result in results], gradient
    return stored(x, *taps)
