# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A decoder of pairs of real numbers that depend on each other, such as pen offsets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.codec import distributions, heads
from vaeseq.dist_module import check_temperature
from vaeseq.types import Seed, Spec, Tensor

_LARGEST_CORRELATION = 0.999  # of a component, which keeps densities finite


class BivariateMixtureParams(NamedTuple):
    """Parameters of `MixtureOfBivariateNormals`, with K components.

    Attributes:
      logits: of the components, [..., K].
      loc: means, [..., K, 2].
      scale: standard deviations, [..., K, 2], positive.
      correlation: [..., K], between -1 and 1.
    """
    logits: Tensor
    loc: Tensor
    scale: Tensor
    correlation: Tensor


class MixtureOfBivariateNormals(heads.TensorDecoder):
    """Pairs of real numbers: features -> a mixture of K correlated normal distributions.

    The output layer of Graves (arXiv:1308.0850, section 4) for pen offsets; the end of a stroke is
    a `Bernoulli` of its own, in a `Group`. Before training the components' means are spread evenly
    on a circle of radius `initial_scale`.

    Parameters: `BivariateMixtureParams`. `temper` is an approximation: it tempers each component
    exactly and divides their logits by the temperature, which keeps the shares of components
    of unlike scales; the power of the density would shift them towards the narrow ones.
    """

    def __init__(self, num_components: int, event_spec: Spec, *,
                 hidden_sizes: Sequence[int] = (), activation: str = "relu",
                 dropout: float = 0.0, positive_projection: str = "softplus",
                 positive_eps: float = 1e-5, initial_scale: float = 1.0,
                 name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          num_components: K.
          event_spec: of shape [2] and a floating dtype.
          hidden_sizes: units of the layers between features and parameters; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          positive_projection: the function that makes a scale positive: "softplus", or "exp"
            (constant above e^30).
          positive_eps: lower limit of the scales, above 0, which keeps densities finite.
          initial_scale: of each component for zero features before training, above positive_eps.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: another shape, `num_components` below 1, an unknown projection, or an eps or
            initial_scale that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        if event_spec.shape.as_list() != [2]:
            raise ValueError("MixtureOfBivariateNormals expects events of shape [2], got "
                             f"{event_spec.shape}.")
        if num_components < 1:
            raise ValueError("MixtureOfBivariateNormals expects at least one component, got "
                             f"{num_components=}.")
        self._positive = heads.Positive(positive_projection, positive_eps)
        angle = 2.0 * np.pi * np.arange(num_components) / num_components
        loc = initial_scale * np.stack([np.cos(angle), np.sin(angle)], -1)
        raw_scale = self._positive.inverse(
            "initial_scale", np.full([num_components, 2], float(initial_scale)))
        zeros = np.zeros([num_components])
        self._head = heads.Head([zeros, loc, raw_scale, zeros], hidden_sizes,
                                activation=activation, dropout=dropout)

    def __call__(self, features: Tensor) -> BivariateMixtureParams:
        logits, loc, scale, correlation = self._head(features)
        return BivariateMixtureParams(logits, loc, self._positive(scale),
                                      _LARGEST_CORRELATION * tf.tanh(correlation))

    def dist(self, params: BivariateMixtureParams) -> tfd.Distribution:
        weights = distributions.Categorical(logits=params.logits)
        return tfd.MixtureSameFamily(
            weights, _BivariateNormal(params.loc, params.scale, params.correlation))

    def temper(
        self, params: BivariateMixtureParams, temperature: float | Tensor
    ) -> BivariateMixtureParams:
        temperature = check_temperature(temperature, params.scale.dtype)
        return params._replace(logits=params.logits / temperature,
                               scale=params.scale * tf.sqrt(temperature))


class _BivariateNormal(tfd.Distribution):
    """A normal distribution over pairs."""

    def __init__(self, loc: Tensor, scale: Tensor, correlation: Tensor) -> None:
        self._loc = loc
        self._scale = scale
        self._correlation = correlation
        super().__init__(
            dtype=loc.dtype, reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False, allow_nan_stats=True,
            parameters={"loc": loc, "scale": scale, "correlation": correlation},
            name="BivariateNormal")

    def _batch_shape(self) -> tf.TensorShape:
        return self._loc.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._loc)[:-1]

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([2])

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        noise = seeds.normal(tf.concat([[n], tf.shape(self._loc)], 0), seed, self.dtype)
        first, second = noise[..., 0], noise[..., 1]
        rest = tf.sqrt(1.0 - self._correlation ** 2)
        mixed = tf.stack([first, self._correlation * first + rest * second], -1)
        return self._loc + self._scale * mixed

    def _log_prob(self, x: Tensor) -> Tensor:
        u, v = tf.unstack((x - self._loc) / self._scale, axis=-1)
        rest = 1.0 - self._correlation ** 2
        squared = (u * u - 2.0 * self._correlation * u * v + v * v) / rest
        return -(0.5 * squared + tf.reduce_sum(tf.math.log(self._scale), -1)
                 + 0.5 * tf.math.log(rest) + math.log(2.0 * math.pi))

    def _mean(self) -> Tensor:
        return self._loc
