# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of real numbers, independent over the event's dimensions given the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, heads
from vaeseq.dist_module import check_temperature
from vaeseq.types import Spec, Tensor

_MIN_DF = 0.5  # of a tempered Student-t distribution


class NormalParams(NamedTuple):
    """Parameters of `Normal`.

    Attributes:
      loc: means, [..., *E].
      scale: standard deviations, [..., *E], positive.
    """
    loc: Tensor
    scale: Tensor


class _LocScale(heads.TensorDecoder):
    """Base of decoders whose last two parameters are a location and a positive scale.

    Attributes:
      first: what the head gives before them for zero features before training.
    """

    first: tuple[float, ...] = ()

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 positive_projection: str = "softplus", positive_eps: float = 1e-5,
                 initial_loc: float | np.ndarray = 0.0,
                 initial_scale: float | np.ndarray = 1.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: of a floating dtype.
          hidden_sizes: units of the layers between features and parameters; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          positive_projection: the function that makes a scale positive: "softplus", or "exp"
            (constant above e^30).
          positive_eps: lower limit of the scale, above 0, which keeps densities finite.
          initial_loc: loc for zero features before training, one number or an array of the
            event's shape, for instance the training data's means.
          initial_scale: scale for zero features before training, likewise, for instance the
            training data's standard deviations.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: an unknown projection, or an eps or initial_scale that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        self._positive = heads.Positive(positive_projection, positive_eps)
        loc = heads.initial_values("initial_loc", initial_loc, event_spec.shape)
        scale = heads.initial_values("initial_scale", initial_scale, event_spec.shape)
        self._head = heads.Head(
            [*(np.full(event_spec.shape, value) for value in self.first), loc,
             self._positive.inverse("initial_scale", scale)],
            hidden_sizes, activation=activation, dropout=dropout)


class Normal(_LocScale):
    """Real numbers: features -> Normal(event; loc, scale).

    Parameters: `NormalParams`. `temper` is exact: it multiplies the scale by sqrt(temperature).
    """

    def __call__(self, features: Tensor) -> NormalParams:
        loc, scale = self._head(features)
        return NormalParams(loc, self._positive(scale))

    def dist(self, params: NormalParams) -> tfd.Distribution:
        return heads.independent(distributions.Normal(params.loc, params.scale), self.event_spec)

    def temper(self, params: NormalParams, temperature: float | Tensor) -> NormalParams:
        root = tf.sqrt(check_temperature(temperature, params.scale.dtype))
        return params._replace(scale=params.scale * root)


class StudentTParams(NamedTuple):
    """Parameters of `StudentT`.

    Attributes:
      df: degrees of freedom, [..., *E], above 2.
      loc: means, [..., *E].
      scale: [..., *E], positive; the standard deviation is scale sqrt(df / (df - 2)).
    """
    df: Tensor
    loc: Tensor
    scale: Tensor


class StudentT(_LocScale):
    """Real numbers with outliers: features -> StudentT(event; df, loc, scale).

    The variance is finite, as df is above 2. Parameters: `StudentTParams`. `temper` is exact while
    the tempered density can be normalised: the power 1/temperature of a Student-t density is one
    with (df + 1) / temperature - 1 degrees of freedom, which is clipped at 0.5.
    """

    first = (3.0,)  # softplus(3) + 2, the degrees of freedom, is about 5

    def __call__(self, features: Tensor) -> StudentTParams:
        df, loc, scale = self._head(features)
        # Above e^6 degrees of freedom it is a normal distribution; log_prob would lose digits.
        return StudentTParams(2.0 + tf.nn.softplus(tf.minimum(df, 400.0)), loc,
                              self._positive(scale))

    def dist(self, params: StudentTParams) -> tfd.Distribution:
        return heads.independent(
            distributions.StudentT(params.df, params.loc, params.scale), self.event_spec)

    def temper(self, params: StudentTParams, temperature: float | Tensor) -> StudentTParams:
        temperature = check_temperature(temperature, params.scale.dtype)
        df = tf.maximum((params.df + 1.0) / temperature - 1.0,
                        tf.cast(_MIN_DF, params.scale.dtype))
        return StudentTParams(df, params.loc, params.scale * tf.sqrt(params.df / df))


class BetaParams(NamedTuple):
    """Parameters of `Beta`: the density is x^(concentration1 - 1) (1 - x)^(concentration0 - 1).

    Attributes:
      concentration1: [..., *E], positive.
      concentration0: [..., *E], positive.
    """
    concentration1: Tensor
    concentration0: Tensor


class Beta(heads.TensorDecoder):
    """Numbers strictly between 0 and 1: features -> Beta(event; concentration1, concentration0).

    At 0 and 1 the density is zero or infinite: transform data that contain them first. Samples are
    never 0 or 1, however small the concentrations.

    Parameters: `BetaParams`. `temper` divides the density's exponents, which is exact unless a
    concentration would fall below positive_eps (a U-shaped density, sharpened, has no integral).
    It is then clipped.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 positive_projection: str = "softplus", positive_eps: float = 1e-2,
                 initial_concentration: float | np.ndarray = 1.0,
                 name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: of a floating dtype.
          hidden_sizes: units of the layers between features and parameters; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          positive_projection: the function that makes a concentration positive: "softplus", or
            "exp" (constant above e^30).
          positive_eps: lower limit of the concentrations, above 0.
          initial_concentration: both concentrations for zero features before training, one number
            or an array of the event's shape; 1 is the uniform density.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: an unknown projection, or an eps or concentration that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        self._positive = heads.Positive(positive_projection, positive_eps)
        self._min_concentration = positive_eps
        initial = self._positive.inverse("initial_concentration", heads.initial_values(
            "initial_concentration", initial_concentration, event_spec.shape))
        self._head = heads.Head(
            [initial, initial], hidden_sizes, activation=activation, dropout=dropout)

    def __call__(self, features: Tensor) -> BetaParams:
        return BetaParams(*[self._positive(value) for value in self._head(features)])

    def dist(self, params: BetaParams) -> tfd.Distribution:
        return heads.independent(_OpenBeta(*params), self.event_spec)

    def temper(self, params: BetaParams, temperature: float | Tensor) -> BetaParams:
        dtype = params.concentration1.dtype
        temperature = check_temperature(temperature, dtype)
        return BetaParams(*[
            tf.maximum((value - 1.0) / temperature + 1.0, tf.cast(self._min_concentration, dtype))
            for value in params])


class _OpenBeta(tfd.Beta):
    """A beta distribution on the open interval.

    Samples are not rounded to 0 or 1. The log-density outside [0, 1] is NaN; the densities of 0 and
    1 are those of the nearest numbers between them: padding is 0, and an infinite gradient there
    would stay infinite when masked.
    """

    def _sample_n(self, n: int | Tensor, seed: Tensor | None = None) -> Tensor:
        return _clip_to_open_interval(super()._sample_n(n, seed=seed))

    def _log_prob(self, x: Tensor) -> Tensor:
        log_prob = super()._log_prob(_clip_to_open_interval(x))
        return distributions.where_inside(log_prob, (x >= 0.0) & (x <= 1.0))


def _clip_to_open_interval(x: Tensor) -> Tensor:
    limits = np.finfo(x.dtype.as_numpy_dtype)
    return tf.clip_by_value(x, limits.tiny, 1.0 - limits.epsneg)


class MixtureParams(NamedTuple):
    """Parameters of `MixtureOfNormals`, with K components.

    Attributes:
      logits: of the components, [..., *E, K].
      loc: means, [..., *E, K].
      scale: standard deviations, [..., *E, K], positive.
    """
    logits: Tensor
    loc: Tensor
    scale: Tensor


class MixtureOfNormals(heads.TensorDecoder):
    """Multimodal real numbers: features -> sum_k softmax(logits)_k Normal(event; loc_k, scale_k).

    Each event dimension has a mixture of its own. Before training the components' means are spread
    evenly within initial_loc +- initial_scale, to break the symmetry between them.

    Parameters: `MixtureParams`. `temper` is an approximation: it tempers each component exactly and
    divides their logits by the temperature, which keeps the shares of components of unlike
    scales; the power of the density would shift them towards the narrow ones.
    """

    def __init__(self, num_components: int, event_spec: Spec, *,
                 hidden_sizes: Sequence[int] = (), activation: str = "relu",
                 dropout: float = 0.0, positive_projection: str = "softplus",
                 positive_eps: float = 1e-5, initial_loc: float | np.ndarray = 0.0,
                 initial_scale: float | np.ndarray = 1.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          num_components: K.
          event_spec: of a floating dtype.
          hidden_sizes: units of the layers between features and parameters; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          positive_projection: the function that makes a scale positive: "softplus", or "exp"
            (constant above e^30).
          positive_eps: lower limit of the scales, above 0, which keeps densities finite.
          initial_loc: centre of the components' means for zero features before training, one
            number or an array of the event's shape, for instance the training data's means.
          initial_scale: scale of each component for zero features before training, likewise, for
            instance the training data's standard deviations.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: `num_components` is below 1, an unknown projection, or an eps or
            initial_scale that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        if num_components < 1:
            raise ValueError("MixtureOfNormals expects at least one component, got "
                             f"{num_components=}.")
        self._positive = heads.Positive(positive_projection, positive_eps)
        loc = heads.initial_values("initial_loc", initial_loc, event_spec.shape)[..., None]
        scale = heads.initial_values("initial_scale", initial_scale, event_spec.shape)[..., None]
        offsets = (2.0 * np.arange(num_components) + 1.0) / num_components - 1.0
        raw_scale = self._positive.inverse("initial_scale", scale + 0.0 * offsets)
        self._head = heads.Head([0.0 * raw_scale, loc + scale * offsets, raw_scale],
                                hidden_sizes, activation=activation, dropout=dropout)

    def __call__(self, features: Tensor) -> MixtureParams:
        logits, loc, scale = self._head(features)
        return MixtureParams(logits, loc, self._positive(scale))

    def dist(self, params: MixtureParams) -> tfd.Distribution:
        components = distributions.Normal(params.loc, params.scale)
        weights = distributions.Categorical(logits=params.logits)
        return heads.independent(
            tfd.MixtureSameFamily(weights, components), self.event_spec)

    def temper(self, params: MixtureParams, temperature: float | Tensor) -> MixtureParams:
        temperature = check_temperature(temperature, params.scale.dtype)
        return params._replace(logits=params.logits / temperature,
                               scale=params.scale * tf.sqrt(temperature))
