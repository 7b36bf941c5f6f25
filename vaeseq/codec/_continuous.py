# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of real numbers, independent over the event's dimensions given the features.

They share these arguments:

    hidden_sizes         units of the layers between features and parameters; none by default
    activation           of those layers (see `networks.MLP`)
    dropout              the share of their units dropped, inside `dropout.enable_dropout`
    positive_projection  how a scale is made positive: "softplus", or "exp" (constant above e^30)
    positive_eps         the least value of a scale, above 0: what keeps densities finite
    initial_*            a parameter where the features are zero at the start of training: one
                         number, or an array of the event's shape
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, heads
from vaeseq.dist_module import DistModule
from vaeseq.types import Spec, Tensor


class NormalParams(NamedTuple):
    """Parameters of `Normal`.

    Attributes:
      loc: means, [..., *E].
      scale: standard deviations, [..., *E], positive.
    """
    loc: Tensor
    scale: Tensor


class Normal(DistModule):
    """A real number: features -> Normal(event; loc, scale).

    Parameters: `NormalParams`. `temper` is exact: the scale times the root of the temperature.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 positive_projection: str = "softplus", positive_eps: float = 1e-5,
                 initial_loc: float | np.ndarray = 0.0,
                 initial_scale: float | np.ndarray = 1.0, name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          event_spec: of a floating dtype.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          positive_projection: see there; so is positive_eps.
          positive_eps: see there.
          initial_loc: for instance the training data's means.
          initial_scale: for instance their standard deviations.
          name: of the module.

        Raises:
          TypeError: an event_spec that is no floating spec.
          ValueError: an unknown projection, an eps or initial_scale that is not positive.
        """
        super().__init__(name=name)
        self._event_spec = heads.check_event_spec("Normal", event_spec, "floating")
        self._positive = heads.Positive(positive_projection, positive_eps)
        loc = heads.initial_values("initial_loc", initial_loc, event_spec.shape)
        scale = heads.initial_values("initial_scale", initial_scale, event_spec.shape)
        self._head = heads.Head([loc, self._positive.inverse("initial_scale", scale)],
                                 hidden_sizes, activation=activation, dropout=dropout)

    @property
    def event_spec(self) -> Spec:
        return self._event_spec

    def __call__(self, features: Tensor) -> NormalParams:
        loc, scale = self._head(features)
        return NormalParams(loc, self._positive(scale))

    def dist(self, params: NormalParams) -> tfd.Distribution:
        return heads.independent(distributions.Normal(params.loc, params.scale), self._event_spec)

    def _temper(self, params: NormalParams, temperature: float | Tensor) -> NormalParams:
        root = tf.sqrt(tf.cast(temperature, params.scale.dtype))
        return params._replace(scale=params.scale * root)


class BetaParams(NamedTuple):
    """Parameters of `Beta`: the density is x^(concentration1 - 1) (1 - x)^(concentration0 - 1).

    Attributes:
      concentration1: [..., *E], positive.
      concentration0: [..., *E], positive.
    """
    concentration1: Tensor
    concentration0: Tensor


class Beta(DistModule):
    """A share strictly between 0 and 1: features -> Beta(event; concentration1, concentration0).

    Data that hold 0 or 1 themselves are squeezed first: there the density is zero or infinite.
    Samples are never 0 or 1, however small the concentrations.

    Parameters: `BetaParams`. `temper` divides the density's exponents, which is exact unless a
    concentration would fall below positive_eps (a U-shaped density, sharpened, has no integral):
    it stops there.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 positive_projection: str = "softplus", positive_eps: float = 1e-2,
                 initial_concentration: float | np.ndarray = 1.0,
                 name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          event_spec: of a floating dtype.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          positive_projection: see there; so is positive_eps.
          positive_eps: see there; here the least concentration.
          initial_concentration: both of them; 1 is the uniform density.
          name: of the module.

        Raises:
          TypeError: an event_spec that is no floating spec.
          ValueError: an unknown projection, an eps or concentration that is not positive.
        """
        super().__init__(name=name)
        self._event_spec = heads.check_event_spec("Beta", event_spec, "floating")
        self._positive = heads.Positive(positive_projection, positive_eps)
        self._least = positive_eps
        initial = self._positive.inverse("initial_concentration", heads.initial_values(
            "initial_concentration", initial_concentration, event_spec.shape))
        self._head = heads.Head(
            [initial, initial], hidden_sizes, activation=activation, dropout=dropout)

    @property
    def event_spec(self) -> Spec:
        return self._event_spec

    def __call__(self, features: Tensor) -> BetaParams:
        return BetaParams(*[self._positive(value) for value in self._head(features)])

    def dist(self, params: BetaParams) -> tfd.Distribution:
        return heads.independent(_OpenBeta(*params), self._event_spec)

    def _temper(self, params: BetaParams, temperature: float | Tensor) -> BetaParams:
        def flatten(concentration: Tensor) -> Tensor:
            exponent = (concentration - 1.0) / tf.cast(temperature, concentration.dtype)
            return tf.maximum(exponent + 1.0, tf.cast(self._least, concentration.dtype))
        return BetaParams(*[flatten(value) for value in params])


class _OpenBeta(tfd.Beta):
    """A beta distribution whose samples are not rounded to 0 or 1.

    The density of 0 and 1 is that of the numbers next to them: padding is 0, and a gradient that is
    infinite there would not be finite when it is masked.
    """

    def _sample_n(self, n: int | Tensor, seed: Tensor | None = None) -> Tensor:
        return _inside(super()._sample_n(n, seed=seed))

    def _log_prob(self, x: Tensor) -> Tensor:
        return super()._log_prob(_inside(x))


def _inside(x: Tensor) -> Tensor:
    """The nearest number strictly between 0 and 1."""
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


class MixtureOfNormals(DistModule):
    """A real number with several modes: features -> sum_k softmax(logits)_k Normal(loc_k, scale_k).

    Each event dimension has a mixture of its own. At the start of training the components' means
    are spread over initial_loc +- initial_scale, so that they can tell themselves apart.

    Parameters: `MixtureParams`. `temper` is an approximation: each component is tempered exactly,
    and their logits are divided by the temperature; what lies between components is not.
    """

    def __init__(self, num_components: int, event_spec: Spec, *,
                 hidden_sizes: Sequence[int] = (), activation: str = "relu",
                 dropout: float = 0.0, positive_projection: str = "softplus",
                 positive_eps: float = 1e-5, initial_loc: float | np.ndarray = 0.0,
                 initial_scale: float | np.ndarray = 1.0, name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          num_components: K.
          event_spec: of a floating dtype.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          positive_projection: see there; so is positive_eps.
          positive_eps: see there.
          initial_loc: for instance the training data's means.
          initial_scale: for instance their standard deviations.
          name: of the module.

        Raises:
          TypeError: an event_spec that is no floating spec.
          ValueError: fewer than one component, an unknown projection, an eps or initial_scale
            that is not positive.
        """
        super().__init__(name=name)
        if num_components < 1:
            raise ValueError("MixtureOfNormals expects at least one component, got "
                             f"{num_components=}.")
        self._event_spec = heads.check_event_spec("MixtureOfNormals", event_spec, "floating")
        self._positive = heads.Positive(positive_projection, positive_eps)
        loc = heads.initial_values("initial_loc", initial_loc, event_spec.shape)[..., None]
        scale = heads.initial_values("initial_scale", initial_scale, event_spec.shape)[..., None]
        offsets = (2.0 * np.arange(num_components) + 1.0) / num_components - 1.0
        raw_scale = self._positive.inverse("initial_scale", scale + 0.0 * offsets)
        self._head = heads.Head([0.0 * raw_scale, loc + scale * offsets, raw_scale],
                                 hidden_sizes, activation=activation, dropout=dropout)

    @property
    def event_spec(self) -> Spec:
        return self._event_spec

    def __call__(self, features: Tensor) -> MixtureParams:
        logits, loc, scale = self._head(features)
        return MixtureParams(logits, loc, self._positive(scale))

    def dist(self, params: MixtureParams) -> tfd.Distribution:
        components = distributions.Normal(params.loc, params.scale)
        weights = distributions.Categorical(logits=params.logits)
        return heads.independent(
            tfd.MixtureSameFamily(weights, components), self._event_spec)

    def _temper(self, params: MixtureParams, temperature: float | Tensor) -> MixtureParams:
        temperature = tf.cast(temperature, params.scale.dtype)
        return params._replace(logits=params.logits / temperature,
                               scale=params.scale * tf.sqrt(temperature))
