# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""First values of weights, drawn from a seed that is given and not from a global generator."""
from __future__ import annotations

import abc
import contextlib
import contextvars
import itertools
import math
from collections.abc import Iterator, Sequence

import tensorflow as tf

from vaeseq import seeds
from vaeseq.types import Seed, Tensor


class Initializer(abc.ABC):
    """Gives the first value of a weight."""

    @abc.abstractmethod
    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        """A tensor of this shape and dtype."""


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.zeros(shape, dtype)


_SEEDS: contextvars.ContextVar[Iterator[Seed] | None] = contextvars.ContextVar(
    "vaeseq_weights", default=None)


@contextlib.contextmanager
def weights_seed(seed: Seed) -> Iterator[None]:
    """Inside, the weights that are made depend on `seed` and the order of their making alone.

    Outside, they are drawn as TensorFlow's own are (see `tf.random.set_seed`).

    Args:
      seed: int32 [2].
    """
    token = _SEEDS.set(seeds.fold_in(seed, number) for number in itertools.count())
    try:
        yield
    finally:
        _SEEDS.reset(token)


class Glorot(Initializer):
    """Uniform with variance 2 / (fan in + fan out) (Glorot and Bengio 2010), for [F, H]."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        most = math.sqrt(6 / max(1, shape[0] + shape[1]))
        return tf.random.stateless_uniform(shape, _next_seed(), -most, most, dtype)


class Normal(Initializer):
    """Normal of mean 0, cut off at two standard deviations."""

    def __init__(self, stddev: float):
        self._stddev = stddev

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.random.stateless_truncated_normal(
            shape, _next_seed(), 0.0, self._stddev, dtype)


class Orthogonal(Initializer):
    """A random rotation [H, H] (Saxe et al., arXiv:1312.6120)."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        q, r = tf.linalg.qr(tf.random.stateless_normal(shape, _next_seed(), dtype=dtype))
        return q * tf.sign(tf.linalg.diag_part(r))  # or the law of Q would not be uniform


def _next_seed() -> Seed:
    current = _SEEDS.get()
    if current is None:
        return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    return next(current)
