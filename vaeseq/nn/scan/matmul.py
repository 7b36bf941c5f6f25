# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Matrix products with weights, which a loop over time may take over.

A product inside the body of a loop is packed, run and differentiated once a step. The loop
(`vaeseq.nn.scan.unroll`) does better if it knows which products there are:

    - parts of the input that are given for all steps are multiplied before the loop;
    - the gradient of the weights is one product over all steps after the loop;
    - the results are kept, so that the way back repeats no product.

So every layer calls `product`, and a loop that traces its body sets `taken_over_by` meanwhile.

Products of float32 may be taken in bfloat16 (`computed`): their inputs are rounded to its 8 bits of
mantissa, sums are kept in float32 inside the product, and the result is rounded once more.
Everything else stays in float32.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.scan import lookup
from vaeseq.types import Tensor

Parts: TypeAlias = Tensor | Sequence[Tensor]  # [..., F], or parts of it, to be taken side by side.
Taker = Callable[[Sequence[Tensor], tf.Variable, tf.Variable | None], Tensor]

# Where `in_loop` transposes: measured on x86-64, with weights of 256 to 2048 rows and columns.
_FEW_ROWS = (8, 32)


class Manner(NamedTuple):
    """How products are computed.

    Attributes:
      bfloat16: those of float32 in bfloat16.
      apart: a loop takes its products apart from what XLA compiles (see `vaeseq.nn.scan.bfloat16_cpu`).
    """

    bfloat16: bool = False
    apart: bool = False


_MANNER: contextvars.ContextVar[Manner | None] = contextvars.ContextVar(
    "vaeseq_manner", default=None)
_TAKER: contextvars.ContextVar[Taker | None] = contextvars.ContextVar(
    "vaeseq_products", default=None)


@contextlib.contextmanager
def computed(manner: Manner) -> Iterator[None]:
    """Has products that are traced inside, and their gradients, computed in this manner."""
    token = _MANNER.set(manner)
    try:
        yield
    finally:
        _MANNER.reset(token)


def manner() -> Manner:
    """The current one."""
    return _MANNER.get() or Manner()


@contextlib.contextmanager
def taken_over_by(taker: Taker | None) -> Iterator[None]:
    """Has `taker` compute the products that are asked for inside; None computes them plainly."""
    token = _TAKER.set(taker)
    try:
        yield
    finally:
        _TAKER.reset(token)


def as_parts(inputs: Parts) -> tuple[Tensor, ...]:
    """A tensor is one part."""
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def product(parts: Sequence[Tensor], w: tf.Variable, b: tf.Variable | None = None) -> Tensor:
    """concat(parts) @ w + b.

    Args:
      parts: tensors [..., F_i] with the same leading dims, and the sum of F_i is F.
      w: [F, H].
      b: [H], or None.

    Returns:
      [..., H].
    """
    taker = _TAKER.get()
    if taker is not None:
        return taker(parts, w, b)
    return plain(parts, tf.convert_to_tensor(w), None if b is None else tf.convert_to_tensor(b))


def plain(parts: Sequence[Tensor], w: Tensor, b: Tensor | None) -> Tensor:
    """`product` over all leading dims, here and now."""
    return tf.cast(unwidened(parts, w, b), parts[0].dtype)


def unwidened(parts: Sequence[Tensor], w: Tensor, b: Tensor | None) -> Tensor:
    """`plain`, whose result may be of bfloat16 (see `computed`)."""
    # Part by part, so that no gradient is computed of a part that needs none.
    w_of = tf.split(rounded(w), [x.shape[-1] for x in parts]) if len(parts) > 1 else [rounded(w)]
    terms = [_one_part(x, w) for x, w in zip(parts, w_of, strict=True)]
    return sum(terms[1:], terms[0]) if b is None else sum(terms[1:], terms[0] + rounded(b))


def _one_part(x: Tensor, w: Tensor) -> Tensor:
    made_of = lookup.of(x)
    if made_of is not None:
        return tf.cast(lookup.look_up(*made_of.times(w)), w.dtype)
    x = rounded(x)
    if x.shape.rank == 2:
        return tf.matmul(x, w)
    leading = nest_lib.shape_of(x)[:-1]
    outputs = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), w)
    return tf.reshape(outputs, [*leading, w.shape[-1]])


def rounded(x: Tensor) -> Tensor:
    """`x` as products take it in the current manner."""
    if manner().bfloat16 and x.dtype == tf.float32:
        return tf.cast(x, tf.bfloat16)
    return x


def in_loop(x: Tensor, w: Tensor, w_transposed: Tensor, terms: Sequence[Tensor] = ()) -> Tensor:
    """x @ w + sum(terms), for the body of a compiled loop.

    With few rows it is a tenth to a third faster as (w^T @ x^T)^T: the rows become the columns of a
    tile, and the weights are not packed again at every step.

    Args:
      x: [B, F], or with more leading dims.
      w: [F, H].
      w_transposed: [H, F], made outside of the loop.
      terms: [B, H] or [H] each.

    Returns:
      [B, H].
    """
    num_rows = x.shape[0] if x.shape.rank == 2 else None
    if manner().bfloat16 or num_rows is None or not _FEW_ROWS[0] <= num_rows <= _FEW_ROWS[1]:
        return sum(terms, plain([x], w, None))
    columns = tf.matmul(w_transposed, x, transpose_b=True)
    # In two halves: a compiler that finds one transposition right behind the product takes both
    # back, and one that finds it in front of elementwise work does it in each of that work's loops.
    halves = tf.split(columns, [columns.shape[0] // 2, -1])
    return sum(terms, tf.concat([tf.transpose(half) for half in halves], -1))


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The parts side by side: [..., F]."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)
