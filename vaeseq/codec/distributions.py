# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""TFP distributions with samplers that are fast under XLA on a CPU.

TFP samples with TensorFlow's default stateless generator, which XLA compiles for CPUs to code that
takes a hundred times longer (some 300 ns a number). These subclasses sample with `vaeseq.seeds`
(Philox) instead; everything else is TFP's. Use them in a decoder of your own wherever samples are
drawn in compiled loops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.types import Seed, Tensor

_GAMMA_ATTEMPTS = 12
_POISSON_ATTEMPTS = 16
_POISSON_SPLIT = 10.0
_POISSON_TERMS = 45  # P(X >= 45) is 1e-15 for a rate of 10


class Normal(tfd.Normal):
    """tfd.Normal, sampled by Philox."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        static_shape = tf.TensorShape([tf.get_static_value(n)]).concatenate(self.batch_shape)
        return self.loc + self.scale * seeds.normal(
            shape, seed, self.dtype, static_shape=static_shape)


class Categorical(tfd.Categorical):
    """tfd.Categorical of any integers, sampled by the Gumbel-max trick with Philox.

    The log-density of values that are not classes is NaN.
    """

    def _log_prob(self, value: Tensor) -> Tensor:
        if value.dtype.is_integer and value.dtype not in (tf.int32, tf.int64):
            value = tf.cast(value, tf.int32)
        last = tf.cast(self._num_categories() - 1, value.dtype)
        inside = (value >= 0) & (value <= last)
        return where_inside(super()._log_prob(tf.clip_by_value(value, 0, last)), inside)

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        logits = self.logits_parameter()
        shape = tf.concat([[n], tf.shape(logits)], 0)
        tiny = np.finfo(logits.dtype.as_numpy_dtype).tiny  # keeps the noise finite
        uniform = tf.maximum(seeds.uniform(shape, seed, logits.dtype), tiny)
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.cast(tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32), self.dtype)


class Bernoulli(tfd.Bernoulli):
    """tfd.Bernoulli, sampled by Philox; the log-density outside [0, 1] is NaN."""

    def _log_prob(self, event: Tensor) -> Tensor:
        log_prob = super()._log_prob(event)
        value = tf.cast(event, log_prob.dtype)
        return where_inside(log_prob, (value >= 0.0) & (value <= 1.0))

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        probs = self.probs_parameter()
        shape = tf.concat([[n], tf.shape(probs)], 0)
        return tf.cast(open_uniform(shape, seed, probs.dtype) < probs, self.dtype)


class Binomial(tfd.Binomial):
    """tfd.Binomial; the log-density of values that are not counts up to the total is NaN."""

    def _log_prob(self, counts: Tensor) -> Tensor:
        inside = (counts >= 0.0) & (counts <= self.total_count) & tf.equal(counts, tf.round(counts))
        return where_inside(super()._log_prob(counts), inside)


class StudentT(tfd.StudentT):
    """tfd.StudentT, sampled exactly by the polar method (Bailey, Math. Comp. 62, 1994)."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        df = tf.convert_to_tensor(self.df)
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        radius_seed, angle_seed = seeds.split(seed, 2)
        radius = open_uniform(shape, radius_seed, df.dtype)
        angle = 2.0 * np.pi * seeds.uniform(shape, angle_seed, df.dtype)
        # u^(-2/df) - 1, without cancellation for large df.
        squared = df * tf.math.expm1(-2.0 / df * tf.math.log(radius))
        return self.loc + self.scale * tf.cos(angle) * tf.sqrt(squared)


class NegativeBinomial(tfd.NegativeBinomial):
    """tfd.NegativeBinomial, sampled as a Poisson variable whose rate is a gamma variable.

    TFP's sampler cannot be compiled by XLA for a CPU. The log-density of values that are not counts
    is NaN.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        return where_inside(super()._log_prob(x), (x >= 0.0) & tf.equal(x, tf.round(x)))

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        logits = self._logits_parameter_no_checks()
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        total_count = tf.broadcast_to(tf.convert_to_tensor(self.total_count), shape)
        gamma_seed, poisson_seed = seeds.split(seed, 2)
        rate = gamma(total_count, gamma_seed) * tf.exp(logits)
        return poisson(rate, poisson_seed)


def gamma(concentration: Tensor, seed: int | Seed) -> Tensor:
    """Draws gamma variables of rate 1, `[...]`, by the method of Marsaglia and Tsang (2000).

    It accepts one of `_GAMMA_ATTEMPTS` proposals; each is refused with a probability below 0.05.

    Args:
      concentration: `[...]`, positive and floating.
      seed: a number or int32 `[2]`.
    """
    dtype = concentration.dtype
    shape = tf.concat([[_GAMMA_ATTEMPTS], tf.shape(concentration)], 0)
    normal_seed, uniform_seed, boost_seed = seeds.split(seed, 3)
    raised = tf.where(concentration < 1.0, concentration + 1.0, concentration)
    d = raised - 1.0 / 3.0
    x = seeds.normal(shape, normal_seed, dtype)
    v = (1.0 + x / tf.sqrt(9.0 * d)) ** 3
    log_v = tf.math.log(tf.maximum(v, np.finfo(dtype.as_numpy_dtype).tiny))
    log_u = tf.math.log(open_uniform(shape, uniform_seed, dtype))
    accepted = (v > 0.0) & (log_u < 0.5 * x * x + d * (1.0 - v + log_v))
    sample = d * _first(accepted, v)
    boost = open_uniform(tf.shape(concentration), boost_seed, dtype)
    return tf.where(concentration < 1.0, sample * boost ** (1.0 / concentration), sample)


def poisson(rate: Tensor, seed: int | Seed) -> Tensor:
    """Draws Poisson variables `[...]`, in the dtype of the rate.

    Rates below 10 are drawn by inversion; others by transformed rejection (Hoermann's PTRS, 1993)
    from `_POISSON_ATTEMPTS` proposals, each refused with a probability below 0.2.

    Args:
      rate: `[...]`, floating and not negative.
      seed: a number or int32 `[2]`.
    """
    small_seed, u_seed, v_seed = seeds.split(seed, 3)
    small = tf.minimum(tf.cast(rate, tf.float64), _POISSON_SPLIT)[tf.newaxis]
    k = tf.reshape(tf.range(_POISSON_TERMS, dtype=tf.float64), [-1, *[1] * rate.shape.rank])
    log_rate = tf.math.log(tf.maximum(small, 1e-300))
    below = tf.cumsum(tf.exp(k * log_rate - small - tf.math.lgamma(k + 1.0)), 0)
    inverted = tf.reduce_sum(tf.cast(
        below < seeds.uniform(tf.shape(rate), small_seed, tf.float64), tf.float64), 0)

    large = tf.maximum(tf.cast(rate, tf.float64), _POISSON_SPLIT)
    shape = tf.concat([[_POISSON_ATTEMPTS], tf.shape(rate)], 0)
    u = seeds.uniform(shape, u_seed, tf.float64) - 0.5
    v = open_uniform(shape, v_seed, tf.float64)
    b = 0.931 + 2.53 * tf.sqrt(large)
    a = -0.059 + 0.02483 * b
    distance = 0.5 - tf.abs(u)
    proposal = tf.floor((2.0 * a / distance + b) * u + large + 0.43)
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    log_accept = tf.math.log(v * inverse_alpha / (a / distance ** 2 + b))
    log_density = proposal * tf.math.log(large) - large - tf.math.lgamma(
        tf.maximum(proposal, 0.0) + 1.0)
    quick = (distance >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    refused = (proposal < 0.0) | ((distance < 0.013) & (v > distance))
    accepted = quick | (~refused & (log_accept <= log_density))
    rejected = _first(accepted, proposal)
    return tf.cast(tf.where(tf.cast(rate, tf.float64) < _POISSON_SPLIT, inverted, rejected),
                   rate.dtype)


def where_inside(log_prob: Tensor, inside: Tensor) -> Tensor:
    """Returns NaN where a value is outside of the support.

    Formulas of densities give finite numbers there, too, with which a model would train and be
    scored; with NaN, `TrainOps` and `likelihood` say which observation it is.

    Args:
      log_prob: `[...]`.
      inside: bool `[...]`, whether the values are in the support.
    """
    return tf.where(inside, log_prob, tf.constant(np.nan, log_prob.dtype))


def open_uniform(shape: Tensor, seed: Seed | None, dtype: tf.DType) -> Tensor:
    """Draws uniform numbers in (0, 1): the centres of the intervals of the generator's."""
    return seeds.uniform(shape, seed, dtype) + tf.constant(
        np.finfo(dtype.as_numpy_dtype).epsneg, dtype)


def _first(accepted: Tensor, proposals: Tensor) -> Tensor:
    """Returns the first accepted proposal, the first of all if none is accepted.

    Args:
      accepted: bool `[A, ...]`.
      proposals: `[A, ...]`.
    """
    index = tf.argmax(tf.cast(accepted, tf.int32), axis=0, output_type=tf.int32)
    chosen = tf.one_hot(index, proposals.shape[0], axis=0, on_value=True, off_value=False)
    return tf.reduce_sum(tf.where(chosen, proposals, tf.zeros_like(proposals)), 0)


class MultivariateNormalTriL(tfd.MultivariateNormalTriL):
    """tfd.MultivariateNormalTriL, sampled by Philox; its KL from independent normals is known."""

    # TFP's transforms the samples of a standard normal of its own, and does not call `_sample_n`.
    _call_sample_n = tfd.Distribution._call_sample_n

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None, **kwargs: Any) -> Tensor:
        del kwargs
        shape = tf.concat([[n], self.batch_shape_tensor(), self.event_shape_tensor()], 0)
        static_shape = tf.TensorShape(
            [tf.get_static_value(n), *self.batch_shape, *self.event_shape])
        return self.loc + self.scale.matvec(seeds.normal(
            shape, seed, self.dtype, static_shape=static_shape))


@tfd.RegisterKL(tfd.Independent, MultivariateNormalTriL)
def _kl_independent_mvn(
    q: tfd.Independent, p: MultivariateNormalTriL, name: str | None = None
) -> Tensor:
    """Returns KL(q || p) for independent normals q."""
    base = q.distribution
    if not isinstance(base, tfd.Normal):
        raise NotImplementedError(f"no KL from {base.name} to a multivariate normal is known.")
    full = tfd.MultivariateNormalDiag(base.loc, base.scale * tf.ones_like(base.loc))
    return full.kl_divergence(p, name=name)
