# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The maximum mean discrepancy, a distance between distributions that are given by samples.

MMD^2(p, q) = E k(x, x') + E k(y, y') - 2 E k(x, y) for independent x, x' ~ p and y, y' ~ q (Gretton
et al., JMLR 2012). The kernel is a sum of inverse multiquadrics, as for Wasserstein autoencoders
(Tolstikhin et al., arXiv:1711.01558):

    k(x, y) = sum_s C_s / (C_s + |x - y|^2),   C_s = 2 s Z,  s = 0.1, 0.2, 0.5, 1, 2, 5, 10

2 Z is the mean of |x - y|^2 for two draws of N(0, I). The largest possible value is 14, between
distributions that are points far apart.
"""
from __future__ import annotations

import tensorflow as tf

from vaeseq.types import Tensor

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """Returns k of all pairs, `[N, M]`, of points `[N, Z]` and `[M, Z]`."""
    distances = tf.maximum(
        tf.reduce_sum(x ** 2, -1)[:, tf.newaxis] + tf.reduce_sum(y ** 2, -1)
        - 2 * tf.matmul(x, y, transpose_b=True), 0)
    base = 2 * x.shape[-1]
    return tf.add_n([scale * base / (scale * base + distances) for scale in _SCALES])


def squared_mmd(x: Tensor, y: Tensor, *, is_valid: Tensor | None = None) -> Tensor:
    """Returns the unbiased estimate of MMD^2 from as many samples of each; it may be negative.

    sum_{i != j} [k(x_i, x_j) + k(y_i, y_j)] / n(n - 1) - 2 sum_{i, j} k(x_i, y_j) / n^2

    Args:
      x: samples of the one distribution, `[N, Z]`.
      y: samples of the other, `[N, Z]`.
      is_valid: which of the N count in both, bool `[N]`; all by default. With fewer than two the
        estimate is 0.

    Returns:
      A scalar.
    """
    if is_valid is None:
        is_valid = tf.ones(tf.shape(x)[:1], tf.bool)
    valid = tf.cast(is_valid, x.dtype)
    count = tf.reduce_sum(valid)
    pairs = valid[:, tf.newaxis] * valid
    others = pairs * (1 - tf.eye(tf.shape(x)[0], dtype=x.dtype))
    within = tf.reduce_sum(others * (kernel(x, x) + kernel(y, y)))
    between = tf.reduce_sum(pairs * kernel(x, y))
    return (within / tf.maximum(count * (count - 1), 1)
            - 2 * between / tf.maximum(count ** 2, 1)) * tf.cast(count > 1, x.dtype)
