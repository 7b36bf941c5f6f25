# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A decoder of real numbers with heavy tails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, heads
from vaeseq.dist_module import check_temperature
from vaeseq.types import Spec, Tensor

_MIN_DF = 0.5  # of a tempered distribution


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


class StudentT(heads.TensorDecoder):
    """Real numbers with outliers: features -> StudentT(event; df, loc, scale).

    The variance is finite, as df is above 2. Parameters: `StudentTParams`. `temper` is exact while
    the tempered density can be normalised: the power 1/temperature of a Student-t density is one
    with (df + 1) / temperature - 1 degrees of freedom, which is clipped at 0.5.
    """

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
            event's shape.
          initial_scale: scale for zero features before training, likewise.
          name: of the module.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: an unknown projection, or an eps or initial_scale that is not positive.
        """
        super().__init__(event_spec, "floating", name=name)
        self._positive = heads.Positive(positive_projection, positive_eps)
        loc = heads.initial_values("initial_loc", initial_loc, event_spec.shape)
        scale = heads.initial_values("initial_scale", initial_scale, event_spec.shape)
        df = np.full(event_spec.shape, 3.0)  # softplus(3) + 2 is about 5
        self._head = heads.Head([df, loc, self._positive.inverse("initial_scale", scale)],
                                hidden_sizes, activation=activation, dropout=dropout)

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
