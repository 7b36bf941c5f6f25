# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Matrix products with weights, which a scan over time can intercept.

A product inside the body of a loop packs its weights, runs and is differentiated at every step.
The scan (`vaeseq.nn.scan.unroll`) is faster if it knows the products of its step:

    - it multiplies the inputs that are known for all steps before the loop;
    - it computes the gradient of the weights as one product over all steps, after the loop;
    - it stores the results, so that the backward pass recomputes no product.

So every layer calls `product`, and the scan sets `intercept_matmuls` while it traces its step.

Products of float32 can be computed in bfloat16 (`precision_scope`): the operands are rounded to its
8 bits of mantissa, sums are accumulated in float32, and the result is rounded once more. All other
operations stay in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq import trace_context
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.types import Tensor

Precision: TypeAlias = trace_context.Precision
Part: TypeAlias = Tensor | Lookup
Parts: TypeAlias = Part | Sequence[Part]  # [..., F], or tensors to be concatenated to it
MatmulInterceptor = Callable[[Sequence[Part], tf.Variable, tf.Variable | None], Tensor]

# The numbers of rows for which `loop_matmul` transposes: measured on x86-64, with weights of 256 to
# 2048 rows and columns.
_TRANSPOSED_ROWS = range(8, 33)


def precision_scope(precision: Precision) -> AbstractContextManager[None]:
    """Sets the precision of the products that are traced inside, and of their gradients."""
    return trace_context.replace(precision=precision)


def precision() -> Precision:
    """Returns the current precision."""
    return trace_context.current().precision


def intercept_matmuls(interceptor: MatmulInterceptor | None) -> AbstractContextManager[None]:
    """Lets `interceptor` compute the products that are traced inside; None stops that.

    It leaves out products in graphs of their own, such as the body of a `tf.while_loop`: they may
    run any number of times, and their tensors are out of reach of the graph around them.
    """
    return trace_context.replace(
        matmul_interceptor=interceptor, intercepted_graph=tf.compat.v1.get_default_graph())


def as_parts(inputs: Parts) -> tuple[Part, ...]:
    """Returns the parts of `inputs`: a tensor is one part."""
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def concat_parts(parts: Sequence[Part]) -> Part:
    """Concatenates along the last dimension, [..., F]; a single part is returned as it is."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1)


def product(parts: Sequence[Part], w: tf.Variable, b: tf.Variable | None = None) -> Tensor:
    """Computes concat(parts) @ w + b.

    Args:
      parts: [..., F_i] each, with the same leading dimensions; the sum of F_i is F.
      w: [F, H].
      b: [H], or None.

    Returns:
      [..., H].
    """
    context = trace_context.current()
    if (context.matmul_interceptor is not None
            and context.intercepted_graph is tf.compat.v1.get_default_graph()):
        return context.matmul_interceptor(parts, w, b)
    return plain(parts, tf.convert_to_tensor(w), None if b is None else tf.convert_to_tensor(b))


def plain(parts: Sequence[Part], w: Tensor, b: Tensor | None) -> Tensor:
    """Computes `product` without interception."""
    return tf.cast(plain_rounded(parts, w, b), parts[0].dtype)


def plain_rounded(parts: Sequence[Part], w: Tensor, b: Tensor | None) -> Tensor:
    """Computes `plain` in the dtype of the product, which may be bfloat16."""
    # Part by part, so that parts that need no gradient cost none.
    rows = tf.split(rounded(w), [x.shape[-1] for x in parts]) if len(parts) > 1 else [rounded(w)]
    terms = [_multiply(x, w) for x, w in zip(parts, rows, strict=True)]
    return sum(terms[1:], terms[0]) if b is None else sum(terms[1:], terms[0] + rounded(b))


def _multiply(x: Part, w: Tensor) -> Tensor:
    if isinstance(x, Lookup):
        if x.saves_work():
            return tf.cast(x.matmul(w).to_tensor(), w.dtype)
        x = x.to_tensor()
    x = rounded(x)
    if 0 in w.shape:
        # A product of no elements to which a bias is added ends the process: TensorFlow fuses the
        # two for oneDNN, which refuses the product by an exception that nothing catches.
        return tf.reduce_sum(x[..., tf.newaxis] * w, -2)
    if x.shape.rank == 2:
        return tf.matmul(x, w)
    leading = nest_lib.shape_of(x)[:-1]
    outputs = tf.matmul(nest_lib.merge_leading(x, len(leading)), w)
    return tf.reshape(outputs, [*leading, w.shape[-1]])


def rounded(x: Tensor) -> Tensor:
    """Returns `x` in the dtype in which products of the current precision take it."""
    if precision().bfloat16 and x.dtype == tf.float32:
        return tf.cast(x, tf.bfloat16)
    return x


def loop_matmul(x: Tensor, w: Tensor, w_transposed: Tensor, terms: Sequence[Tensor] = ()) -> Tensor:
    """Computes x @ w + sum(terms) in the body of a compiled loop.

    With few rows, (w^T @ x^T)^T is a tenth to a third faster: the rows become the columns of a
    tile, and the weights are not packed again at every step.

    Args:
      x: [B, F], or with more leading dimensions.
      w: [F, H].
      w_transposed: [H, F], computed outside of the loop.
      terms: [B, H] or [H] each.

    Returns:
      [B, H].
    """
    if precision().bfloat16 or x.shape.rank != 2 or x.shape[0] not in _TRANSPOSED_ROWS:
        return sum(terms, plain([x], w, None))
    columns = tf.matmul(w_transposed, x, transpose_b=True)
    # In two halves: XLA cancels a single transposition behind the product against the one in it,
    # and repeats one in front of elementwise work in each of that work's loops.
    halves = tf.split(columns, [columns.shape[0] // 2, -1])
    return sum(terms, tf.concat([tf.transpose(half) for half in halves], -1))
