# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Initial values of weights, drawn from a seed instead of a global generator."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager

import tensorflow as tf

from vaeseq import seeds, trace_context
from vaeseq.types import Seed, Tensor


class Initializer(abc.ABC):
    """Computes the initial value of a weight."""

    @abc.abstractmethod
    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        """Returns a tensor of this shape and dtype."""


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.zeros(shape, dtype)


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.ones(shape, dtype)


def weights_seed(seed: Seed) -> AbstractContextManager[None]:
    """Makes the weights created inside depend only on the seed, int32 [2], and their order.

    Elsewhere they come from TensorFlow's generator (see `tf.random.set_seed`).
    """
    return trace_context.replace(
        weight_seeds=(seeds.fold_in(seed, number) for number in itertools.count()))


class Glorot(Initializer):
    """Uniform with variance 2 / (fan in + fan out) (Glorot and Bengio 2010), for [F, H]."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        limit = math.sqrt(6 / max(1, shape[0] + shape[1]))
        return tf.random.stateless_uniform(shape, _next_seed(), -limit, limit, dtype)


class He(Initializer):
    """Normal with variance 2 / fan in (He et al., arXiv:1502.01852), for [..., F, H].

    It is truncated, which leaves 0.77 of the variance.
    """

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return Normal(math.sqrt(2 / math.prod(shape[:-1])))(shape, dtype)


class Normal(Initializer):
    """Normal with mean 0, truncated at two standard deviations."""

    def __init__(self, stddev: float):
        self._stddev = stddev

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.random.stateless_truncated_normal(
            shape, _next_seed(), 0.0, self._stddev, dtype)


class Orthogonal(Initializer):
    """A random rotation [H, H] (Saxe et al., arXiv:1312.6120)."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        q, r = tf.linalg.qr(tf.random.stateless_normal(shape, _next_seed(), dtype=dtype))
        return q * tf.sign(tf.linalg.diag_part(r))  # makes Q uniformly distributed


def _next_seed() -> Seed:
    current = trace_context.current().weight_seeds
    if current is None:
        return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    return next(current)
