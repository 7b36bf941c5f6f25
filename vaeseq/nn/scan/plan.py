# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The plan of a scan's loop, made by tracing one step.

The plan lists the matrix products of a step, and what is known of each before the loop: its whole
result, the term that the scan's inputs contribute, or a table in which each step finds that term.

All tensors are time-major, [T, B, ...], and nests are flat lists.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.eager import record

from vaeseq.nn.scan import matmul
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.nn.scan.matmul import Part
from vaeseq.types import Tensor

Tensors = list[Tensor]
# (inputs_t, state) -> (outputs_t, next state)
FlatStep = Callable[[Tensors, Tensors], tuple[Tensors, Tensors]]


class Product(NamedTuple):
    """One product of a step, concat(parts) @ w + b."""
    is_input: tuple[bool, ...]  # for each part, whether it is an input of the scan
    # What those parts contribute, [T, B, H] in the dtype of the product, or a lookup of it; with
    # the bias if it is a lookup or there are no other parts. None without such parts.
    precomputed: Tensor | Lookup | None
    w: Tensor | None  # [F, H], the rows of the weights for the other parts; None without any
    b: Tensor | None  # [H], the bias, unless `precomputed` has it
    group: int | None  # the number of its group: the products with the same other parts

    @property
    def size(self) -> int:
        """H, of a product with weights inside the loop."""
        assert self.w is not None
        return self.w.shape[1]

    @property
    def dtype(self) -> tf.DType:
        """Of a product with weights inside the loop, before rounding."""
        assert self.w is not None
        return self.w.dtype

    def loop_parts(self, parts: Sequence[Part]) -> list[Part]:
        """Returns the parts that are known inside the loop only, [B, F] each."""
        return [x for x, is_input in zip(parts, self.is_input, strict=True) if not is_input]


class LoopLookup(NamedTuple):
    """A part of a group's products that is a row of a constant table at each step."""
    part: int  # the index of the part among those inside the loop
    begin: int  # the first of its rows of the weights
    end: int  # the row after its last
    table: Tensor  # [V, sum of H], the products of its table, without biases


class Weights(NamedTuple):
    """The weights of a group of products, concatenated."""
    w: Tensor  # [F, sum of H], in the dtype of the product
    w_transposed: Tensor  # [sum of H, F]
    b: Tensor | None  # [sum of H], the biases that are added inside the loop; None without any


class Plan(NamedTuple):
    """What a scan's loop has to do."""
    step: FlatStep  # the step function
    inputs: Tensors  # [T, B, *] each
    state: Tensors  # [B, *] each, before the first step
    num_steps: int  # T
    products: list[Product]  # the products of a step, in order
    groups: list[list[int]]  # the indices of the products in each group
    # For each group, the index of the state that it multiplies, or None
    group_states: list[int | None]
    # For each group, the part that the forward pass looks up, or None
    loop_lookups: list[LoopLookup | None]
    # The caller's context variables, in which the backward pass runs the step again
    context: contextvars.Context

    def tables(self) -> Tensors:
        """Returns the tables whose rows are gathered inside the loop."""
        return [*(p.precomputed.table for p in self.products if isinstance(p.precomputed, Lookup)),
                *(x.table for x in self.loop_lookups if x is not None)]

    def weights(self) -> list[Weights]:
        """Returns all weights of each group."""
        return [self._weights(group, None) for group in self.groups]

    def forward_weights(self) -> list[Weights]:
        """Returns the weights of each group without the rows that `loop_lookups` replace."""
        return [self._weights(group, looked_up)
                for group, looked_up in zip(self.groups, self.loop_lookups, strict=True)]

    def _weights(self, members: list[int], looked_up: LoopLookup | None) -> Weights:
        group = [self.products[k] for k in members]
        w = matmul.concat_parts([p.w for p in group])
        if looked_up is not None:
            w = tf.concat([w[:looked_up.begin], w[looked_up.end:]], 0)
        b = None
        if any(p.b is not None for p in group):
            b = matmul.concat_parts(
                [tf.zeros([p.size], w.dtype) if p.b is None else p.b for p in group])
        w = matmul.rounded(w)
        return Weights(w, tf.transpose(w), b)


def make_plan(step: FlatStep, inputs: list[Part], state: Tensors, num_steps: int) -> Plan:
    """Traces one of T steps to find its products; the trace itself is never run.

    Inputs are [T, B, *] each, read as tensors, and states [B, *].
    """
    tensors = [tf.convert_to_tensor(x) for x in inputs]
    products: list[Product] = []
    groups: dict[tuple[int, ...], list[int]] = {}
    group_parts: list[list[Part]] = []
    traced_parts: list[Part] = []  # kept alive, as parts are compared by id
    inputs_0 = [x[0] for x in tensors]
    # Two states can begin as one tensor.
    state_0 = [tf.identity(x) for x in state]
    input_indices = {id(x): i for i, x in enumerate(inputs_0)}
    state_indices: dict[tuple[int, ...], int] = {(id(x),): i for i, x in enumerate(state_0)}

    is_recorded = record.could_possibly_record()  # by a tape; a graph has gradients without one

    def add_product(parts: Sequence[Part], w: tf.Variable, b: tf.Variable | None) -> Tensor:
        require_recorded(record.could_possibly_record() or not is_recorded)
        w, b = tf.convert_to_tensor(w), None if b is None else tf.convert_to_tensor(b)
        traced_parts.extend(parts)
        sources = [inputs[input_indices[id(x)]] if id(x) in input_indices else None for x in parts]
        loop_parts = [x for x in parts if id(x) not in input_indices]
        key = tuple(map(id, loop_parts))
        group = None
        if key:
            if key not in groups:
                groups[key] = []
                group_parts.append(loop_parts)
            groups[key].append(len(products))
            group = list(groups).index(key)
        products.append(_make_product(w, b, sources, [x.shape[-1] for x in parts], group))
        return matmul.plain(parts, w, b)

    with matmul.intercept_matmuls(add_product):
        step(inputs_0, state_0)
    loop_lookups = [
        _loop_lookup(parts, [products[k].w for k in group], num_steps)
        for parts, group in zip(group_parts, groups.values(), strict=True)]
    return Plan(step, tensors, state, num_steps, products, list(groups.values()),
                [state_indices.get(key) for key in groups], loop_lookups,
                contextvars.copy_context())


def require_recorded(is_recorded: bool) -> None:
    """Raises NotImplementedError unless a tape records the product that is traced.

    The gradient of a product is that of its result, which `tf.recompute_grad` does not pass on.
    """
    if not is_recorded:
        raise NotImplementedError(
            "scan: expected layers whose gradients are recorded, got one inside of "
            "tf.recompute_grad in a step. Leave it out: the scan recomputes steps by itself.")


def _loop_lookup(parts: list[Part], weights: Tensors, num_steps: int) -> LoopLookup | None:
    """Finds a part to look up at each step among two parts or more."""
    begin = 0
    for index, part in enumerate(parts if len(parts) > 1 else ()):
        end = begin + part.shape[-1]
        # A variable is the same at each step; a tensor may have been computed in it.
        if (isinstance(part, Lookup) and isinstance(part.table, tf.Variable)
                and part.saves_work(num_steps)):
            w = matmul.rounded(matmul.concat_parts(weights)[begin:end])
            return LoopLookup(index, begin, end, part.matmul(w).table)
        begin = end
    return None


def _make_product(w: Tensor, b: Tensor | None, sources: list[Part | None], sizes: list[int],
                  group: int | None) -> Product:
    """Splits `w` by parts; `sources` has the scan's input [T, B, F] that a part is, or None."""
    rows = tf.split(w, sizes) if len(sizes) > 1 else [w]
    precomputed: Tensor | Lookup | None = None
    inputs = [x for x in sources if x is not None]
    if inputs:
        w_inputs = tf.concat([r for r, x in zip(rows, sources, strict=True) if x is not None], 0)
        if len(inputs) == 1 and isinstance(inputs[0], Lookup) and inputs[0].saves_work():
            precomputed, b = inputs[0].matmul(matmul.rounded(w_inputs), b), None
        else:
            is_whole = len(inputs) == len(sources)
            precomputed = matmul.plain_rounded(inputs, w_inputs, b if is_whole else None)
            b = None if is_whole else b
    w_loop = [r for r, x in zip(rows, sources, strict=True) if x is None]
    return Product(tuple(x is not None for x in sources), precomputed,
                   tf.concat(w_loop, 0) if w_loop else None, b, group)
