# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of unbounded counts and of many zeros, independent over the event's dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.codec import distributions, heads
from vaeseq.dist_module import DistModule
from vaeseq.types import Nest, Seed, Spec, Tensor

_LARGEST_LOG_MEAN = 20.0  # exp(20) is 5e8; sums of its square are finite in float32


class NegativeBinomialParams(NamedTuple):
    """Parameters of `NegativeBinomial`.

    Attributes:
      log_mean: logarithm of the mean, [..., *E].
      total_count: r, [..., *E], positive; the variance is mean + mean^2 / r.
    """
    log_mean: Tensor
    total_count: Tensor


class NegativeBinomial(heads.TensorDecoder):
    """Counts with a variance above their mean: features -> NegativeBinomial(event; mean, r).

    Parameters: `NegativeBinomialParams`. The mean is the exponential of a linear function of the
    features, constant above e^20. There is no `temper`: a tempered negative binomial is of no known
    family.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0, positive_eps: float = 1e-2,
                 initial_mean: float | np.ndarray = 1.0,
                 initial_total_count: float | np.ndarray = 1.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: of a floating dtype; events are whole numbers from 0.
          hidden_sizes: units of the layers between features and parameters; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          positive_eps: lower limit of r, above 0.
          initial_mean: the mean for zero features before training, above 0, one number or an array
            of the event's shape.
          initial_total_count: r for zero features before training, likewise.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: an eps, mean or total count that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        self._positive = heads.Positive("softplus", positive_eps)
        mean = heads.initial_values("initial_mean", initial_mean, event_spec.shape)
        if not np.all(mean > 0.0):
            raise ValueError(f"Expected initial_mean above 0, got {np.min(mean)}.")
        count = heads.initial_values(
            "initial_total_count", initial_total_count, event_spec.shape)
        self._head = heads.Head(
            [np.log(mean), self._positive.inverse("initial_total_count", count)],
            hidden_sizes, activation=activation, dropout=dropout)

    def __call__(self, features: Tensor) -> NegativeBinomialParams:
        log_mean, total_count = self._head(features)
        return NegativeBinomialParams(
            tf.clip_by_value(log_mean, -_LARGEST_LOG_MEAN, _LARGEST_LOG_MEAN),
            self._positive(total_count))

    def dist(self, params: NegativeBinomialParams) -> tfd.Distribution:
        return heads.independent(distributions.NegativeBinomial(
            params.total_count, logits=params.log_mean - tf.math.log(params.total_count)),
            self.event_spec)


class ZeroInflatedParams(NamedTuple):
    """Parameters of `ZeroInflated`.

    Attributes:
      logits: of the extra zeros, [..., *E].
      params: of the decoder of counts, a nest of [..., *].
    """
    logits: Tensor
    params: Nest


class ZeroInflated(DistModule):
    """Counts with extra zeros: with probability p the event is 0, else another decoder's.

    Each dimension of the event has its own p, and features give p. The log-density at 0 is
    log(p + (1 - p) q(0)), where q is the other decoder's. Parameters: `ZeroInflatedParams`. There
    is no `temper`.
    """

    def __init__(self, decoder: DistModule, *, initial_probability: float | np.ndarray = 0.1,
                 name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          decoder: of whole numbers from 0, of a floating dtype, whose dimensions are independent.
          initial_probability: of an extra zero for zero features before training, above 0 and
            below 1, one number or an array of the event's shape.

        Raises:
          TypeError: the decoder's events are not one floating tensor.
          ValueError: the probability is not between 0 and 1.
        """
        super().__init__(name=name)
        spec = heads.check_spec(self, "the event_spec of its decoder", decoder.event_spec,
                                "decoders")
        if not spec.dtype.is_floating:
            raise TypeError(f"ZeroInflated expects a decoder of floating numbers, got one of "
                            f"{spec.dtype.name}.")
        p = heads.initial_values("initial_probability", initial_probability, spec.shape)
        if not np.all((p > 0.0) & (p < 1.0)):
            raise ValueError("Expected initial_probability above 0 and below 1, got "
                             f"{p[(p <= 0.0) | (p >= 1.0)][0]}.")
        self._decoder = decoder
        self._head = heads.Head([np.log(p) - np.log1p(-p)])

    @property
    def event_spec(self) -> Spec:
        return self._decoder.event_spec

    def __call__(self, features: Tensor) -> ZeroInflatedParams:
        return ZeroInflatedParams(self._head(features)[0], self._decoder(features))

    def dist(self, params: ZeroInflatedParams) -> tfd.Distribution:
        counts = self._decoder.dist(params.params)
        if not hasattr(counts, "reinterpreted_batch_ndims"):
            raise TypeError(
                "ZeroInflated expects a decoder of independent dimensions (tfd.Independent), got "
                f"{counts.name}.")
        return heads.independent(
            _ZeroInflatedDistribution(params.logits, counts.distribution), self.event_spec)


class _ZeroInflatedDistribution(tfd.Distribution):
    """A mixture of zero and another distribution over numbers."""

    def __init__(self, logits: Tensor, counts: tfd.Distribution) -> None:
        self._logits = logits
        self._counts = counts
        super().__init__(
            dtype=counts.dtype, reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False, allow_nan_stats=True,
            parameters={"logits": logits, "counts": counts}, name="ZeroInflated")

    def _batch_shape(self) -> tf.TensorShape:
        return self._counts.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._counts.batch_shape_tensor()

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([])

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        zero_seed, count_seed = seeds.split(seed, 2)
        zeros = distributions.Bernoulli(logits=self._logits, dtype=tf.bool).sample(
            n, seed=zero_seed)
        counts = self._counts.sample(n, seed=count_seed)
        return tf.where(zeros, tf.zeros_like(counts), counts)

    def _log_prob(self, x: Tensor) -> Tensor:
        log_count = -tf.nn.softplus(self._logits) + self._counts.log_prob(x)
        log_zero = -tf.nn.softplus(-self._logits)
        either = tf.reduce_logsumexp(
            tf.stack([log_zero + tf.zeros_like(log_count), log_count]), 0)
        return tf.where(tf.equal(x, 0.0), either, log_count)

    def _mean(self) -> Tensor:
        return tf.sigmoid(-self._logits) * self._counts.mean()
