# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loop of `vaeseq.nn.scan.unroll.scan` with its products apart from what XLA compiles.

On a processor with units for matrices of bfloat16, TensorFlow's own product is two to three times
as fast as the one that XLA compiles, and everything between two products is faster compiled. So a
step is cut at its groups of products:

    forwards     x_0 = piece(inputs, state);  y_0 = x_0 @ w_0;  x_1 = piece(inputs, state, y_0);
                 y_1 = x_1 @ w_1;  ...  outputs, next state = piece(inputs, state, y_0, y_1, ...)
    backwards    the same from the last group to the first: d_y_1, then d_x_1 = d_y_1 @ w_1^T, ...

Each piece is a compiled program that runs the step from its beginning, with the products before it
given. What is repeated so is elementwise. Products are taken as w^T @ x^T: with few rows that is
nearly twice as fast, as the weights are read as they lie and not packed at every step.

Everything here is of one step, and nests are flat lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import backward, forward, matmul
from vaeseq.nn.scan.backward import Known, StepGradient
from vaeseq.nn.scan.forward import Kept
from vaeseq.nn.scan.plan import Plan, Tensors, Weights
from vaeseq.types import Tensor


def forwards(
    plan: Plan, weights: list[Weights], inputs_t: Tensors, state: Tensors,
    projected_t: list[Tensor | None],
) -> tuple[Tensors, Tensors, Tensors]:
    """A step, as `loop.together`; results are kept as rounded."""
    multiplied: Tensors = []
    given = [inputs_t, state, [p for p in projected_t if p is not None], multiplied]

    def piece(inputs_t: Tensors, state: Tensors, projected: Tensors, multiplied: Tensors) -> Any:
        rest = iter(projected)
        taker = _Given(plan, weights, [None if p is None else next(rest) for p in projected_t],
                       multiplied)
        try:
            outputs_t, next_state, results_t = forward.run_step(plan, taker, inputs_t, state)
        except _Reached as reached:
            return _flat(reached.x)
        return outputs_t, next_state, [matmul.rounded(x) for x in results_t]

    for number, group in zip(plan.group_states, weights, strict=True):
        x = _compiled(piece)(*given) if number is None else _flat(state[number])
        multiplied.append(tf.matmul(group.w_transposed, x, transpose_b=True))
    return _compiled(piece)(*given)


def differentiate(plan: Plan, kept: Kept, weights: list[Weights], known: Known) -> StepGradient:
    """The gradients of a step, as `loop_gradient.together`."""
    found: dict[int, Tensor] = {}  # of each group, the gradient of what was multiplied, [F, B]
    d_results: dict[int, Tensor] = {}

    def gradient(known: Known, found: dict[int, Tensor]) -> StepGradient:
        """With nothing from the groups that are not found yet."""
        results = [x if p.group is None else tf.cast(x, p.dtype)
                   for x, p in zip(known.results, plan.products)]
        g = backward.step_gradient(
            plan, kept, known._replace(results=results),
            lambda group, d: _rows(found[group], d) if group in found
            else _zeros(weights[group], d))
        return g._replace(results=[matmul.rounded(d) if p.group is not None else d
                                   for d, p in zip(g.results, plan.products)])

    def multiply(group: int, results: list[Tensor | None]) -> None:
        members = plan.groups[group]
        d = tf.concat([results[k] for k in members], -1)
        d_results.update((k, results[k]) for k in members)
        found[group] = tf.matmul(weights[group].w, _flat(d), transpose_b=True)

    def results_of(known: Known, found: dict[int, Tensor], group: int) -> list[Tensor | None]:
        return [d if p.group == group else None
                for d, p in zip(gradient(known, found).results, plan.products)]

    def rest(known: Known, found: dict[int, Tensor]) -> StepGradient:
        g = gradient(known, found)
        return g._replace(results=[
            None if p.group in found else d for d, p in zip(g.results, plan.products)])

    number = plan.group_states[0]
    for group in reversed(range(0 if number is None else 1, len(plan.groups))):
        multiply(group, _compiled(results_of)(known, found, group))
    g = _compiled(rest)(known, found)
    if number is not None:
        # The first group multiplied a state as it is, to whose gradient its own is added: that
        # saves a piece.
        multiply(0, g.results)
        place = len(backward.floating(known.state[:number]))
        g.state[place] += _rows(found[0], g.state[place])
    return g._replace(results=[d_results.get(k, d) for k, d in enumerate(g.results)])


class _Reached(Exception):  # noqa: N818 - nothing is wrong
    """The step asks for a product whose result is not known yet.

    Attributes:
      x: what it multiplies, [B, F].
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


class _Given(forward.StepProducts):
    """The products of the first groups are given; the next one ends the step."""

    def __init__(self, plan: Plan, weights: list[Weights], projected: list[Tensor | None],
                 multiplied: Tensors) -> None:
        super().__init__(plan, weights, projected)
        self._multiplied = multiplied

    def product(self, group: int, x: Tensor, terms: Sequence[Tensor]) -> Tensor:
        if group == len(self._multiplied):
            raise _Reached(x)
        y = sum(terms, _rows(self._multiplied[group], x))
        return tf.cast(matmul.rounded(y), x.dtype)


def _compiled(piece: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(piece, jit_compile=True, autograph=False)


def _flat(x: Tensor) -> Tensor:
    """[B, ..., F] -> [B * ..., F], as products take it."""
    return matmul.rounded(tf.reshape(x, [-1, x.shape[-1]]))


def _rows(columns: Tensor, like: Tensor) -> Tensor:
    """[F, B * ...] -> [B, ..., F] in the dtype of `like` [B, ..., *]."""
    leading = nest_lib.shape_of(like)[:-1]
    return tf.cast(tf.reshape(tf.transpose(columns), [*leading, columns.shape[0]]), like.dtype)


def _zeros(weights: Weights, d: Tensor) -> Tensor:
    """Of the shape of what was multiplied, where `d` is of the shape of the results."""
    return tf.zeros([*nest_lib.shape_of(d)[:-1], weights.w.shape[0]], d.dtype)
