# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The steps of a scan's loop for bfloat16 on a CPU: XLA compiles all but the products.

On a processor with matrix units for bfloat16, TensorFlow's own product is two to three times as
fast as the one that XLA compiles, while the operations between products are faster compiled. So a
step is split at its groups of products:

    forward      x_0 = piece(inputs, state);  y_0 = x_0 @ w_0;  x_1 = piece(inputs, state, y_0);
                 y_1 = x_1 @ w_1;  ...  outputs, next state = piece(inputs, state, y_0, y_1, ...)
    backward     the same from the last group to the first: d_y_1, then d_x_1 = d_y_1 @ w_1^T, ...

A step is one Python function, so each piece traces it from its beginning, with the results of the
products before it as arguments, and `_NeedsProduct` ends the trace at the next one. Only
elementwise operations are computed again. Products are computed as w^T @ x^T: with few rows this is
nearly twice as fast, as the weights are read in place and not packed at every step.

Functions here run one step; nests are flat lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import backward, forward, matmul
from vaeseq.nn.scan.backward import StepGradient, StepResiduals
from vaeseq.nn.scan.forward import Residuals
from vaeseq.nn.scan.plan import Plan, Tensors, Weights
from vaeseq.types import Tensor


def split_step(
    plan: Plan, weights: list[Weights], inputs_t: Tensors, state: Tensors,
    precomputed_t: list[Tensor | None],
) -> tuple[Tensors, Tensors, Tensors]:
    """Runs a step like `forward.fused_step`; results of products stay rounded."""
    columns: Tensors = []  # the products of the groups so far, [H, B] each
    arguments = [inputs_t, state, [p for p in precomputed_t if p is not None], columns]

    def piece(inputs_t: Tensors, state: Tensors, precomputed: Tensors, columns: Tensors) -> Any:
        rest = iter(precomputed)
        products = _FirstProducts(
            plan, weights, [None if p is None else next(rest) for p in precomputed_t], columns)
        try:
            outputs_t, next_state, results_t = forward.run_step(plan, products, inputs_t, state)
        except _NeedsProduct as needed:
            return _operand(needed.x)
        return outputs_t, next_state, [matmul.rounded(x) for x in results_t]

    for number, group in zip(plan.group_states, weights, strict=True):
        x = _compiled(piece)(*arguments) if number is None else _operand(state[number])
        columns.append(tf.matmul(group.w_transposed, x, transpose_b=True))
    return _compiled(piece)(*arguments)


def differentiate_split_step(
    plan: Plan, residuals: Residuals, weights: list[Weights], step: StepResiduals
) -> StepGradient:
    """Differentiates a step like `backward.differentiate_fused_step`."""
    d_operands: dict[int, Tensor] = {}  # of the groups so far, from the last one, [F, B] each
    d_results: dict[int, Tensor] = {}

    def gradient(step: StepResiduals, d_operands: dict[int, Tensor]) -> StepGradient:
        """Computes the step's gradient without what comes from groups not in `d_operands`."""
        results = [x if p.group is None else tf.cast(x, p.dtype)
                   for x, p in zip(step.results, plan.products)]
        g = backward.step_gradient(
            plan, residuals, step._replace(results=results),
            lambda group, d: _rows(d_operands[group], d) if group in d_operands
            else tf.zeros([*nest_lib.shape_of(d)[:-1], weights[group].w.shape[0]], d.dtype))
        return g._replace(results=[matmul.rounded(d) if p.group is not None else d
                                   for d, p in zip(g.results, plan.products)])

    def multiply(group: int, results: list[Tensor | None]) -> None:
        members = plan.groups[group]
        d = tf.concat([results[k] for k in members], -1)
        d_results.update((k, results[k]) for k in members)
        d_operands[group] = tf.matmul(weights[group].w, _operand(d), transpose_b=True)

    def group_results(
        step: StepResiduals, d_operands: dict[int, Tensor], group: int
    ) -> list[Tensor | None]:
        return [d if p.group == group else None
                for d, p in zip(gradient(step, d_operands).results, plan.products)]

    def rest(step: StepResiduals, d_operands: dict[int, Tensor]) -> StepGradient:
        g = gradient(step, d_operands)
        return g._replace(results=[
            None if p.group in d_operands else d for d, p in zip(g.results, plan.products)])

    number = plan.group_states[0]
    for group in reversed(range(0 if number is None else 1, len(plan.groups))):
        multiply(group, _compiled(group_results)(step, d_operands, group))
    g = _compiled(rest)(step, d_operands)
    if number is not None:
        # The first group multiplies a state: its gradient is added to that of the state, which
        # saves a piece.
        multiply(0, g.results)
        index = len(backward.floating(step.state[:number]))
        g.state[index] += _rows(d_operands[0], g.state[index])
    return g._replace(results=[d_results.get(k, d) for k, d in enumerate(g.results)])


class _NeedsProduct(Exception):  # noqa: N818 - ends a trace, and is no error
    """Ends the trace of a piece at a product whose result is not known yet.

    Attributes:
      x: what it multiplies, [B, F].
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


class _FirstProducts(forward.StepProducts):
    """Returns the results of the first groups' products, and ends the trace at the next one."""

    def __init__(self, plan: Plan, weights: list[Weights], precomputed: list[Tensor | None],
                 columns: Tensors) -> None:
        super().__init__(plan, weights, precomputed)
        self._columns = columns

    def product(self, group: int, x: Tensor, terms: Sequence[Tensor]) -> Tensor:
        if group == len(self._columns):
            raise _NeedsProduct(x)
        y = sum(terms, _rows(self._columns[group], x))
        return tf.cast(matmul.rounded(y), x.dtype)


def _compiled(piece: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(piece, jit_compile=True, autograph=False)


def _operand(x: Tensor) -> Tensor:
    """[B, ..., F] -> [B * ..., F], in the dtype of the product."""
    return matmul.rounded(tf.reshape(x, [-1, x.shape[-1]]))


def _rows(columns: Tensor, like: Tensor) -> Tensor:
    """[F, B * ...] -> [B, ..., F] in the dtype of `like` [B, ..., *]."""
    leading = nest_lib.shape_of(like)[:-1]
    return tf.cast(tf.reshape(tf.transpose(columns), [*leading, columns.shape[0]]), like.dtype)
