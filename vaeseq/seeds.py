# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Random seeds as values, and numbers drawn from them.

A seed is an integer, of Python, NumPy or a scalar tensor, or an int32 `[2]` tensor, which is split
for each use; there is no global generator. Large draws use Philox: in programs that XLA compiles
for a CPU, TensorFlow's default generator takes a hundred times longer (some 300 ns a number).
Compiled by XLA, a seed gives other numbers than in eager execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq import trace_context
from vaeseq.types import Seed, Tensor


def make(seed: int | Seed) -> Seed:
    """Returns a seed as an int32 `[2]` tensor.

    Args:
      seed: a Python integer, a scalar integer array or tensor, or a pair of integers.

    Raises:
      ValueError: it is none of these.
    """
    if isinstance(seed, (int, np.integer)):
        seed = int(seed)
        return tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    tensor = None if seed is None else tf.convert_to_tensor(seed)
    if tensor is None or not tensor.dtype.is_integer or not (
            tensor.shape.rank == 0 or tensor.shape.is_compatible_with([2])):
        raise ValueError("expected a seed, an integer or an int32 [2] tensor, got "
                         f"{seed!r}. Give a number such as 0.")
    return from_number(tensor) if tensor.shape.rank == 0 else tf.cast(tensor, tf.int32)


def as_number(seed: int | Seed) -> int:
    """Returns a seed as a Python integer under 2^62, for which `make` returns the same pair.

    Of a pair with negative numbers, such as half of those of `split`, the signs are left out.
    """
    if isinstance(seed, (int, np.integer)):
        return int(seed) & ((1 << 62) - 1)
    low, high = (number & 0x7FFFFFFF for number in make(seed).numpy().tolist())
    return low | high << 31


def from_number(number: Tensor) -> Seed:
    """Returns the seed that `make` gives, for a scalar integer tensor."""
    number = tf.cast(number, tf.int64)
    low = tf.bitwise.bitwise_and(number, 0x7FFFFFFF)
    high = tf.bitwise.bitwise_and(tf.bitwise.right_shift(number, 31), 0x7FFFFFFF)
    return tf.cast(tf.stack([low, high]), tf.int32)


def split(seed: int | Seed, num: int) -> list[Seed]:
    """Splits a seed into `num` independent ones."""
    return tf.unstack(tfp.random.split_seed(make(seed), num), num)


def fold_in(seed: int | Seed, number: int | Tensor) -> Seed:
    """Returns the seed of item `number` of a series."""
    if isinstance(number, int):
        number = np.int32(number)  # TensorFlow caches the tensor of each Python number
    return tf.random.experimental.stateless_fold_in(make(seed), number)


def per_step(seed: int | Seed, num_steps: int | Tensor) -> Tensor:
    """Returns a seed for each step of a scan, `[1, T, 2]`."""
    # For a Python number, split_seed makes one operation for each step.
    num = num_steps if tf.is_tensor(num_steps) else np.array(num_steps)
    return tfp.random.split_seed(make(seed), num)[None]


def uniform(
    shape: Sequence[int] | Tensor, seed: int | Seed, dtype: tf.DType = tf.float32
) -> Tensor:
    """Draws uniform numbers in [0, 1)."""
    return tf.random.stateless_uniform(shape, make(seed), dtype=dtype, alg="philox")


def normal(
    shape: Sequence[int] | Tensor, seed: int | Seed, dtype: tf.DType = tf.float32, *,
    static_shape: tf.TensorShape | None = None,
) -> Tensor:
    """Draws standard normal numbers, or takes them from `presampled_noise`.

    Args:
      shape: of the numbers.
      seed: a number or int32 `[2]`.
      dtype: of the numbers.
      static_shape: what is known of the shape while tracing; by default all or nothing. Exported
        models have an unknown number of rows.
    """
    noise = trace_context.current().noise
    if noise and noise[0].dtype == dtype:
        if static_shape is None:
            static_shape = tf.TensorShape(tf.get_static_value(shape))
        if static_shape.rank is not None and static_shape.is_compatible_with(
                [1, *noise[0].shape]):
            return noise.pop()[tf.newaxis]
    return tf.random.stateless_normal(shape, make(seed), dtype=dtype, alg="philox")


def presampled_noise(normals: Tensor) -> AbstractContextManager[None]:
    """Supplies the normal numbers for the first sample of a distribution of their shape.

    With it a scan draws the noise of all steps before its loop, instead of in each step and again
    when the step is recomputed for its gradient. Other draws inside use their seeds.

    Args:
      normals: standard normal numbers, of the shape of a batch of the distribution's events.
    """
    return trace_context.replace(noise=[normals])
