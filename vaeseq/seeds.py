# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Random seeds as values, and numbers drawn from them.

A seed is an int32 `[2]` tensor: split, and never drawn from a global generator. Numbers are drawn
by Philox wherever they are many: in programs that XLA compiles for a CPU, TensorFlow's default
takes a hundred times longer (some 300 ns a number), and the two differ from eager execution.
"""
from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq.types import Seed, Tensor

# What `presampled_noise` gives: one tensor, or none when it is taken.
_AHEAD: contextvars.ContextVar[list[Tensor] | None] = contextvars.ContextVar(
    "vaeseq_drawn_ahead", default=None)


def make(seed: int | Seed) -> Seed:
    """A seed from a number that a person chose; a seed is returned as it is."""
    if isinstance(seed, (int, np.integer)):
        seed = int(seed)
        return tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    return seed


def from_number(number: Tensor) -> Seed:
    """What `make` gives for a number that comes when the graph runs, an int64 scalar."""
    low = tf.bitwise.bitwise_and(number, 0x7FFFFFFF)
    high = tf.bitwise.bitwise_and(tf.bitwise.right_shift(number, 31), 0x7FFFFFFF)
    return tf.cast(tf.stack([low, high]), tf.int32)


def split(seed: Seed, num: int) -> list[Seed]:
    """`num` independent seeds."""
    return tf.unstack(tfp.random.split_seed(seed, num), num)


def fold_in(seed: Seed, number: int | Tensor) -> Seed:
    """The seed of item `number` of a series."""
    if isinstance(number, int):
        number = np.int32(number)  # TensorFlow keeps each Python number that it makes a tensor of
    return tf.random.experimental.stateless_fold_in(seed, number)


def per_step(seed: Seed, num_steps: int | Tensor) -> Tensor:
    """A seed for each step of a scan, `[1, T, 2]`."""
    # Of a Python number it makes a list: as many operations as there are steps.
    num = num_steps if tf.is_tensor(num_steps) else np.array(num_steps)
    return tfp.random.split_seed(seed, num)[None]


def uniform(shape: Sequence[int] | Tensor, seed: Seed, dtype: tf.DType = tf.float32) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return tf.random.stateless_uniform(shape, seed, dtype=dtype, alg="philox")


def normal(shape: Sequence[int] | Tensor, seed: Seed, dtype: tf.DType = tf.float32) -> Tensor:
    """Standard normal numbers."""
    ahead = _AHEAD.get()
    static = tf.get_static_value(shape)
    if ahead and static is not None and ahead[0].dtype == dtype and (
            list(static) == [1, *ahead[0].shape]):
        return ahead.pop()[tf.newaxis]
    return tf.random.stateless_normal(shape, seed, dtype=dtype, alg="philox")


@contextlib.contextmanager
def presampled_noise(normals: Tensor) -> Iterator[None]:
    """Inside, one sample of a distribution of the shape of `normals` is made of these.

    A loop over time draws them for all steps before it, and so neither in each step nor again when
    the step is repeated for its gradient. Other draws go by their seeds.
    """
    token = _AHEAD.set([normals])
    try:
        yield
    finally:
        _AHEAD.reset(token)
