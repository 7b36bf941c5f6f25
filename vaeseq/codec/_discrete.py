# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of discrete events, independent over the event's dimensions given the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, heads
from vaeseq.truncation import Truncation
from vaeseq.types import Spec, Tensor

_SYMBOL = tf.TensorSpec([], tf.int32)


class Categorical(heads.LogitsDecoder):
    """One of V classes: features -> Categorical(event; logits).

    Parameters: logits [..., *E, V]. `temper` is exact.
    """

    def __init__(self, num_classes: int, event_spec: Spec = _SYMBOL, *,
                 hidden_sizes: Sequence[int] = (), activation: str = "relu",
                 dropout: float = 0.0, initial_logits: float | np.ndarray = 0.0,
                 name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          num_classes: V. Events are in [0, V); the log-density of others is NaN.
          event_spec: of an integer dtype; one int32 by default.
          hidden_sizes: units of the layers between features and logits; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          initial_logits: the logits for zero features before training, one number or [V], for
            instance log frequencies.

        Raises:
          TypeError: `event_spec` is not a spec of integers.
          ValueError: `num_classes` is below 1 or above what the dtype holds, or `initial_logits` is
            of another shape.
        """
        super().__init__(event_spec, "integer", name=name)
        most = event_spec.dtype.max + 1
        if not 1 <= num_classes <= most:
            raise ValueError(f"Categorical expects 1 to {most:,} classes of "
                             f"{event_spec.dtype.name}, got {num_classes:,}.")
        initial = heads.initial_values(
            "initial_logits", initial_logits, [*event_spec.shape, num_classes])
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def truncate(self, params: Tensor, truncation: Truncation) -> Tensor:
        return truncation(params)

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(distributions.Categorical(
            logits=params, dtype=self.event_spec.dtype), self.event_spec)


class Bernoulli(heads.LogitsDecoder):
    """Binary values: features -> Bernoulli(event; logits).

    Parameters: logits [..., *E]. `temper` is exact.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: events are 0 and 1 in any floating or integer dtype, or bools; samples have
            the same dtype. A fraction x scores x log p + (1 - x) log(1 - p), which is no density.
          hidden_sizes: units of the layers between features and logits; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          initial_logits: the logits for zero features before training, one number or an array of
            the event's shape; best those of the training data's means (arXiv:1705.09279).

        Raises:
          TypeError: `event_spec` is not a spec of numbers or bools.
          ValueError: `initial_logits` is of another shape, or infinite.
        """
        super().__init__(event_spec, "floating", "integer", "bool", name=name)
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(distributions.Bernoulli(
            logits=params, dtype=self.event_spec.dtype), self.event_spec)


class Binomial(heads.LogitsDecoder):
    """Counts out of `total_count`: features -> Binomial(event; total_count, logits).

    Parameters: logits [..., *E]. `temper` is an approximation: a binomial with tempered odds, whose
    binomial coefficients are not tempered.
    """

    def __init__(self, total_count: int, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          total_count: the number of trials; events are integers in [0, total_count].
          event_spec: of a floating dtype; samples have the same dtype.
          hidden_sizes: units of the layers between features and logits; none by default.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          initial_logits: the logits of one trial for zero features before training, one number or
            an array of the event's shape.

        Raises:
          TypeError: `event_spec` is not a spec of floating numbers.
          ValueError: `total_count` is below 1, or `initial_logits` is of another shape.
        """
        super().__init__(event_spec, "floating", name=name)
        if total_count < 1:
            raise ValueError(f"Binomial expects at least one trial, got {total_count=}.")
        self._total_count = total_count
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def dist(self, params: Tensor) -> tfd.Distribution:
        count = tf.cast(self._total_count, params.dtype)
        return heads.independent(distributions.Binomial(count, logits=params), self.event_spec)
