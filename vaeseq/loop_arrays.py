# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the loops of `vaeseq.unroll.scan` read and write step by step."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from vaeseq.rows import Rows
from vaeseq.types import Tensor


def reader(x: Tensor | Rows) -> Callable[[Tensor], Tensor]:
    """What gives a step's part of [T, *]."""
    if isinstance(x, Rows):
        numbers = unstack(x.numbers)
        return lambda t: tf.gather(x.table, numbers.read(t))
    return unstack(x).read


def unstack(x: Tensor) -> tf.TensorArray:
    """[T, *] as an array to be read by step."""
    array = tf.TensorArray(x.dtype, x.shape[0], element_shape=x.shape[1:], clear_after_read=False)
    return array.unstack(x)


def array_of(x: Tensor, num_steps: int) -> tf.TensorArray:
    """An array for one tensor like `x` a step."""
    return tf.TensorArray(x.dtype, num_steps, element_shape=x.shape)
