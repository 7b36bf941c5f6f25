# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Importance weights and resampling, as pure functions (Douc et al., arXiv:cs/0507025).

Axes: B batch, S samples. Weights are unnormalised and given by their logarithms.
"""
from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.types import Seed, Tensor

ResampleFn = Callable[..., Tensor]
ResampleCriterionFn = Callable[[Tensor], Tensor]


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Returns log mean_s w over axis 1: `[B, S, ...] -> [B, ...]`."""
    num_samples = log_weights.shape[1]
    return tf.reduce_logsumexp(log_weights, 1) - math.log(num_samples)


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """Returns (sum w)^2 / sum w^2, between 1 and S: `[B, S, ...] -> [B, ...]`."""
    # Relative to the largest: of large numbers the difference below would be rounding errors.
    largest = tf.reduce_max(log_weights, 1, keepdims=True)
    log_weights -= tf.where(tf.math.is_finite(largest), largest, tf.zeros_like(largest))
    return tf.exp(2 * tf.reduce_logsumexp(log_weights, 1)
                  - tf.reduce_logsumexp(2 * log_weights, 1))


def log_mean_variance(log_weights: Tensor) -> Tensor:
    """Returns the jackknife variance of log mean_s w, `[B, S] -> [B]`; NaN for S = 1.

    The jackknife leaves out each sample in turn (Efron and Stein, 1981). It grows without bound
    when one sample holds nearly all weight. The delta method agrees with it for even weights, but
    never exceeds 1.
    """
    num_samples = log_weights.shape[1]
    if num_samples == 1:
        return tf.fill(tf.shape(log_weights)[:1], tf.constant(math.nan, log_weights.dtype))
    relative = log_weights - tf.reduce_max(log_weights, 1, keepdims=True)
    is_largest = tf.one_hot(tf.argmax(relative, 1), num_samples, on_value=True, off_value=False)
    weights = tf.exp(relative)
    # For the largest weight the others are summed directly: the difference would be rounding
    # errors.
    rest = tf.reduce_logsumexp(
        tf.where(is_largest, tf.constant(-math.inf, relative.dtype), relative), 1, keepdims=True)
    others = tf.reduce_sum(weights, 1, keepdims=True) - nest.mask(~is_largest, weights)
    without = tf.where(is_largest, rest, tf.math.log(others))
    return (num_samples - 1) * tf.math.reduce_variance(without, 1)


def multinomial(log_weights: Tensor, *, seed: Seed) -> Tensor:
    """Draws S ancestors independently; FIVO's score term is exact for this one only.

    Args:
      log_weights: `[B, S]`.
      seed: int32 `[2]`.

    Returns:
      Ancestors, int32 `[B, S]`.
    """
    points = seeds.uniform(tf.shape(log_weights), seed, log_weights.dtype)
    return _invert(log_weights, points)


def stratified(log_weights: Tensor, *, seed: Seed) -> Tensor:
    """Draws one point in each of S equal parts of the unit interval.

    Args:
      log_weights: `[B, S]`.
      seed: int32 `[2]`.

    Returns:
      Ancestors, int32 `[B, S]`.
    """
    jitter = seeds.uniform(tf.shape(log_weights), seed, log_weights.dtype)
    return _invert(log_weights, _grid(log_weights, jitter))


def systematic(log_weights: Tensor, *, seed: Seed) -> Tensor:
    """Draws S equidistant points with one common offset: the least variance in practice.

    Args:
      log_weights: `[B, S]`.
      seed: int32 `[2]`.

    Returns:
      Ancestors, int32 `[B, S]`.
    """
    batch_size = tf.shape(log_weights)[0]
    jitter = seeds.uniform([batch_size, 1], seed, log_weights.dtype)
    return _invert(log_weights, _grid(log_weights, jitter))


def never(log_weights: Tensor) -> Tensor:
    """Returns False for every row, bool `[B]`: FIVO is then IWAE."""
    return tf.zeros(tf.shape(log_weights)[:1], tf.bool)


def always(log_weights: Tensor) -> Tensor:
    """Returns True for every row, bool `[B]`."""
    return tf.ones(tf.shape(log_weights)[:1], tf.bool)


def when_ess_below(fraction: float = 0.5) -> ResampleCriterionFn:
    """Returns the criterion that an effective sample size is below `fraction` of S.

    Raises:
      ValueError: `fraction` is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(
            f"when_ess_below compares the effective sample size with a fraction of the samples; "
            f"expected 0 < fraction <= 1, got {fraction}.")
    return lambda log_weights: (
        effective_sample_size(log_weights) < fraction * log_weights.shape[1])


def _grid(log_weights: Tensor, jitter: Tensor) -> Tensor:
    num_samples = log_weights.shape[1]
    return (tf.range(num_samples, dtype=log_weights.dtype) + jitter) / num_samples


def _invert(log_weights: Tensor, points: Tensor) -> Tensor:
    """Inverts the cumulative weights at points in [0, 1): ancestors, int32 `[B, S]`."""
    cumulative = tf.cumsum(tf.nn.softmax(log_weights, 1), 1)
    # Rounding may leave the last sum just under 1, or a point at 1: neither may select a sample
    # of weight zero.
    cumulative /= cumulative[:, -1:]
    points = tf.minimum(points, 1 - np.finfo(points.dtype.as_numpy_dtype).epsneg)
    return tf.reduce_sum(tf.cast(cumulative[:, None, :] <= points[:, :, None], tf.int32), 2)
