# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sequences of any length, read in windows of one size, inside a graph.

Axes: B batch, T time (see `vaeseq.types`).
"""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest
from vaeseq.types import Tensor


def count(number: Tensor, size: int) -> Tensor:
    """How many windows hold `number` steps, the last perhaps in part."""
    return (number + size - 1) // size


def cut(leaf: Tensor, start: Tensor, size: int, *, axis: int) -> Tensor:
    """`size` of an axis, from `start` on; zeros after its end."""
    part = leaf[tuple([slice(None)] * axis + [slice(start, start + size)])]
    missing = size - tf.shape(part)[axis]
    part = tf.pad(part, [[0, missing if i == axis else 0] for i in range(leaf.shape.rank)])
    part.set_shape([*leaf.shape[:axis], size, *leaf.shape[axis + 1:]])
    return part


def array(
    size: Tensor, element_shape: list[int | None], dtype: tf.DType = tf.float32
) -> tf.TensorArray:
    """A place for what `size` windows give; zeros where nothing was written."""
    return tf.TensorArray(dtype, size, element_shape=element_shape)


def joined(parts: Tensor) -> Tensor:
    """What windows gave, `[windows, B, size, ...]`, one after the other: `[B, T, ...]`."""
    swapped = nest.swap_leading(parts)
    rows, number, size, *rest = nest.shape_of(swapped)
    return tf.reshape(swapped, [rows, number * size, *rest])
