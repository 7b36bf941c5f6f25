# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the loop of `vaeseq.nn.scan.unroll.scan` has to do, as it is found by tracing one step.

Which products a step asks for, and what of each is known before the loop: all of its result, the
part of it that the inputs add, or a table in which each step finds that part.

Everything here is time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from vaeseq.nn.scan import lookup, matmul
from vaeseq.nn.scan.lookup import Rows
from vaeseq.types import Tensor

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

    def inside(self, parts: Sequence[Tensor]) -> Tensors:
        """The other parts, known inside the loop only: [B, F] side by side."""
        return [part for part, given in zip(parts, self.given, strict=True) if not given]


class LookedUp(NamedTuple):
    """The part of a group's products that each step looks up, in a table that stays.

    Attributes:
      part: its number among the parts inside.
      begin: the first of its rows of the weights.
      end: behind the last.
      table: [V, sum of H], the products of the table, without biases.
    """
    part: int
    begin: int
    end: int
    table: Tensor


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
      looked_up: of each group the part that is not multiplied on the way forward, or None.
      context: of the call, for the step to see it when it is repeated for the gradient.
    """
    step: FlatStep
    inputs: Tensors
    state: Tensors
    num_steps: int
    products: list[Product]
    groups: list[list[int]]
    group_states: list[int | None]
    looked_up: list[LookedUp | None]
    context: contextvars.Context

    def tables(self) -> Tensors:
        """Whose rows are looked up inside the loop."""
        return [*(p.projected.table for p in self.products if isinstance(p.projected, Rows)),
                *(x.table for x in self.looked_up if x is not None)]

    def weights(self) -> list[Weights]:
        """Of each group, side by side, for all that is multiplied."""
        return [self._weights(group, None) for group in self.groups]

    def weights_forwards(self) -> list[Weights]:
        """Of each group, for what a step multiplies on the way forward."""
        return [self._weights(group, looked_up)
                for group, looked_up in zip(self.groups, self.looked_up, strict=True)]

    def _weights(self, members: list[int], looked_up: LookedUp | None) -> Weights:
        group = [self.products[k] for k in members]
        w = side_by_side([p.w for p in group])
        if looked_up is not None:
            w = tf.concat([w[:looked_up.begin], w[looked_up.end:]], 0)
        b = None
        if any(p.b is not None for p in group):
            b = side_by_side([tf.zeros([p.size], w.dtype) if p.b is None else p.b for p in group])
        w = matmul.rounded(w)
        return Weights(w, tf.transpose(w), b)


def make_plan(step: FlatStep, inputs: Tensors, state: Tensors, num_steps: int) -> Plan:
    """Traces one step for what it multiplies; nothing of that trace is run."""
    found: list[Product] = []
    groups: dict[tuple[int, ...], list[int]] = {}
    group_parts: list[Tensors] = []
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
        parts_inside = [x for x in parts if id(x) not in numbers]
        inside = tuple(map(id, parts_inside))
        group = None
        if inside:
            if inside not in groups:
                groups[inside] = []
                group_parts.append(parts_inside)
            groups[inside].append(len(found))
            group = list(groups).index(inside)
        found.append(_make_product(w, b, given, [x.shape[-1] for x in parts], group))
        return matmul.plain(parts, w, b)

    with matmul.taken_over_by(take):
        step(inputs_0, state_0)
    looked_up = [
        _looked_up(parts, [found[k].w for k in group], [*inputs_0, *state_0], num_steps)
        for parts, group in zip(group_parts, groups.values(), strict=True)]
    return Plan(step, inputs, state, num_steps, found, list(groups.values()),
                [state_numbers.get(inside) for inside in groups], looked_up,
                contextvars.copy_context())


def _looked_up(parts: Tensors, weights: Tensors, changing: Tensors, num_steps: int
               ) -> LookedUp | None:
    """The part that steps look up, where there is another part beside it."""
    begin = 0
    for number, part in enumerate(parts if len(parts) > 1 else ()):
        end = begin + part.shape[-1]
        made_of = lookup.of(part, num_steps)
        if made_of is not None and lookup.is_fixed(made_of.table, changing):
            w = matmul.rounded(side_by_side(weights)[begin:end])
            return LookedUp(number, begin, end, made_of.times(w).table)
        begin = end
    return None


def _make_product(w: Tensor, b: Tensor | None, given: list[Tensor | None], sizes: list[int],
                  group: int | None) -> Product:
    """Splits the rows of `w`; `given` holds, for each part, the input [T, B, F] that it is."""
    w_rows = tf.split(w, sizes) if len(sizes) > 1 else [w]
    projected: Tensor | Rows | None = None
    if any(x is not None for x in given):
        w_given = tf.concat([r for r, x in zip(w_rows, given, strict=True) if x is not None], 0)
        known = [x for x in given if x is not None]
        made_of = lookup.of(known[0]) if len(known) == 1 else None
        if made_of is not None:
            projected, b = made_of.times(matmul.rounded(w_given), b), None
        else:
            is_whole = len(known) == len(given)
            projected = matmul.unwidened(known, w_given, b if is_whole else None)
            b = None if is_whole else b
    w_inside = [r for r, x in zip(w_rows, given, strict=True) if x is None]
    return Product(tuple(x is not None for x in given), projected,
                   tf.concat(w_inside, 0) if w_inside else None, b, group)


def side_by_side(tensors: Tensors) -> Tensor:
    """Joined along the last dim."""
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, -1)
