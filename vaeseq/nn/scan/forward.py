# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The forward pass of a scan's compiled loop.

At each step it stores the residuals that the backward pass (`vaeseq.nn.scan.backward`) needs: the
state before the step and the results of the step's matrix products. Products of the scan's inputs
run before the loop, as one product over all steps. Products of one operand with several weights run
as one. A part that is a row of a table is looked up in the products of that table.

All tensors are time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.eager import record

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import matmul
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.nn.scan.matmul import Part
from vaeseq.nn.scan.plan import Plan, Tensors, Weights
from vaeseq.types import Nest, Tensor


class Residuals(NamedTuple):
    """What the forward pass stores for the backward pass."""
    states: Tensors  # [T, B, *] each, before the step
    results: list[Tensor | Lookup]  # [T, B, H] of each product, or a lookup of it
    variables: Sequence[tf.Variable]  # read by the step other than through products
    captured: Tensors  # floating tensors from outside of the loop that the step reads


# (plan, weights, inputs_t, state, precomputed_t) -> (outputs_t, next state, results of products)
RunStep = Callable[
    [Plan, list[Weights], Tensors, Tensors, list[Tensor | None]], tuple[Tensors, Tensors, Tensors]]


def fused_step(
    plan: Plan, weights: list[Weights], inputs_t: Tensors, state: Tensors,
    precomputed_t: list[Tensor | None],
) -> tuple[Tensors, Tensors, Tensors]:
    """Runs a step with its products, to be compiled as one.

    Returns:
      The outputs [B, *], the next state, and the results of the products inside the loop.
    """
    return run_step(plan, StepProducts(plan, weights, precomputed_t), inputs_t, state)


def run_step(
    plan: Plan, products: StepProducts, inputs_t: Tensors, state: Tensors
) -> tuple[Tensors, Tensors, Tensors]:
    """Runs a step whose products `products` computes; returns what `fused_step` does."""
    with matmul.intercept_matmuls(products):
        outputs_t, next_state = plan.step(inputs_t, state)
    results_t = [x for x, p in zip(products.results, plan.products, strict=True)
                 if p.group is not None]
    return outputs_t, next_state, results_t


def run_loop(plan: Plan, run: RunStep) -> tuple[Tensors, Tensors, Residuals]:
    """Runs the loop: returns outputs [T, B, *], the final state, and the residuals."""
    inputs = [_unstack(x) for x in plan.inputs]
    precomputed = [None if p.precomputed is None else step_reader(p.precomputed)
                   for p in plan.products]
    weights = plan.forward_weights()
    # Their gradients are computed after the loop.
    excluded = [*(x for group in weights for x in group), *plan.tables()]
    captured: dict[int, Tensor] = {}

    def step(t: Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
        outputs_t, next_state, results_t = run(
            plan, weights, [x.read(t) for x in inputs], state,
            [None if read is None else read(t) for read in precomputed])
        return [*outputs_t, *state, *results_t], next_state

    def body(t: Tensor, state: Tensors, arrays: Nest) -> tuple[Tensor, Tensors, Nest]:
        stored, next_state = step(t, state)
        captured.update(_captured(excluded))
        arrays = [array.write(t, x) for array, x in zip(arrays, stored, strict=True)]
        return t + 1, next_state, arrays

    # Traced, but not run, for the shapes.
    arrays = [empty_array(x, plan.num_steps) for x in step(tf.constant(0), plan.state)[0]]
    # A tape would find the variables too, but beside the caller's tape TensorFlow takes it for a
    # second derivative, and traces a gradient of the loop that nothing runs.
    with record.VariableWatcher() as watcher:
        _, final, arrays = tf.while_loop(
            lambda t, *_: t < plan.num_steps, body, (tf.constant(0), plan.state, arrays),
            maximum_iterations=plan.num_steps)
    stacked = [array.stack() for array in arrays]
    num_grouped = sum(p.group is not None for p in plan.products)
    num_outputs = len(stacked) - len(plan.state) - num_grouped
    grouped = iter(stacked[len(stacked) - num_grouped:])
    results = [p.precomputed if p.group is None else next(grouped) for p in plan.products]
    states = stacked[num_outputs:num_outputs + len(plan.state)]
    residuals = Residuals(states, results, watcher.watched_variables(), list(captured.values()))
    return stacked[:num_outputs], final, residuals


def step_reader(x: Tensor | Lookup) -> Callable[[Tensor], Tensor]:
    """Returns a function from t to x[t], for x [T, *]."""
    if isinstance(x, Lookup):
        numbers = _unstack(x.numbers)
        return lambda t: tf.gather(x.table, numbers.read(t))
    return _unstack(x).read


def empty_array(x: Tensor, num_steps: int) -> tf.TensorArray:
    """Returns an array for one tensor like `x` per step."""
    return tf.TensorArray(x.dtype, num_steps, element_shape=x.shape)


def _unstack(x: Tensor) -> tf.TensorArray:
    array = tf.TensorArray(x.dtype, x.shape[0], element_shape=x.shape[1:], clear_after_read=False)
    return array.unstack(x)


def _captured(excluded: list[Tensor | None]) -> dict[int, Tensor]:
    """Returns, by id, the floating tensors that the traced loop body takes from outside."""
    graph = tf.compat.v1.get_default_graph()
    excluded_ids = {id(x) for x in excluded}
    return {id(x): x for x in graph.external_captures
            if x.dtype.is_floating and id(x) not in excluded_ids}


class StepProducts:
    """Intercepts the products of one step, and computes those of a group as one.

    Attributes:
      results: of the products so far.
    """

    def __init__(
        self, plan: Plan, weights: list[Weights], precomputed: list[Tensor | None]
    ) -> None:
        self.results: Tensors = []
        self._plan, self._weights, self._precomputed = plan, weights, precomputed
        self._grouped: dict[int, Tensor] = {}

    def __call__(self, parts: Sequence[Part], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        k = len(self.results)
        product = self._plan.products[k]
        if product.group is not None and k not in self._grouped:
            self._multiply(product.group, product.loop_parts(parts))
        self.results.append(
            tf.cast(self._precomputed[k], parts[0].dtype) if product.group is None
            else self._grouped[k])
        return self.results[-1]

    def product(self, group: int, x: Tensor, terms: Tensors) -> Tensor:
        """Computes x @ w + sum(terms) with the weights of a group, [B, sum of H]."""
        w, w_transposed, _ = self._weights[group]
        return matmul.loop_matmul(x, w, w_transposed, terms)

    def _multiply(self, group: int, parts: list[Part]) -> None:
        members = self._plan.groups[group]
        loop_lookup = self._plan.loop_lookups[group]
        b = self._weights[group].b
        terms = [] if b is None else [b]
        if loop_lookup is not None:
            part = parts.pop(loop_lookup.part)
            part.rows()  # reads the variable, so that the loop depends on it
            terms.append(tf.gather(loop_lookup.table, part.numbers))
        x = tf.convert_to_tensor(matmul.concat_parts(parts))
        precomputed = [self._precomputed[k] for k in members]
        sizes = [self._plan.products[k].size for k in members]
        if any(p is not None for p in precomputed):
            leading = nest_lib.shape_of(x)[:-1]
            terms.append(matmul.concat_parts([
                tf.zeros([*leading, size], x.dtype) if p is None else tf.cast(p, x.dtype)
                for p, size in zip(precomputed, sizes, strict=True)]))
        y = self.product(group, x, terms)
        self._grouped.update(zip(members, tf.split(y, sizes, axis=-1), strict=True))
