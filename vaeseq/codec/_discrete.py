# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of discrete events, independent over the event's dimensions given the features.

They share these arguments:

    hidden_sizes    units of the layers between features and logits; none by default
    activation      of those layers (see `networks.MLP`)
    dropout         the share of their units dropped, inside `dropout.enable_dropout`
    initial_logits  the logits where the features are zero at the start of training: one number,
                    or an array of the logits' shape
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, heads
from vaeseq.dist_module import DistModule
from vaeseq.types import Spec, Tensor

_SYMBOL = tf.TensorSpec([], tf.int32)


class _LogitsDecoder(DistModule):
    """A decoder whose parameters are one tensor of logits."""

    _event_spec: Spec
    _head: heads.Head

    @property
    def event_spec(self) -> Spec:
        return self._event_spec

    def __call__(self, features: Tensor) -> Tensor:
        return self._head(features)[0]

    def _temper(self, params: Tensor, temperature: float | Tensor) -> Tensor:
        return params / tf.cast(temperature, params.dtype)


class Categorical(_LogitsDecoder):
    """One of V classes: features -> Categorical(event; logits).

    Parameters: logits [..., *E, V]. `temper` is exact.
    """

    def __init__(self, num_classes: int, event_spec: Spec = _SYMBOL, *,
                 hidden_sizes: Sequence[int] = (), activation: str = "relu",
                 dropout: float = 0.0, initial_logits: float | np.ndarray = 0.0,
                 name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          num_classes: V. Events are in [0, V); the log-density of others is not defined.
          event_spec: of an integer dtype; one int32 by default.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          initial_logits: for instance log frequencies, [V].
          name: of the module.

        Raises:
          TypeError: an event_spec that is no integer spec.
          ValueError: fewer than one class, or initial_logits of another shape.
        """
        super().__init__(name=name)
        if num_classes < 1:
            raise ValueError(f"Categorical expects at least one class, got {num_classes=}.")
        self._event_spec = heads.check_event_spec("Categorical", event_spec, "integer")
        initial = heads.initial_values(
            "initial_logits", initial_logits, [*event_spec.shape, num_classes])
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(distributions.Categorical(
            logits=params, dtype=self._event_spec.dtype), self._event_spec)


class Bernoulli(_LogitsDecoder):
    """Yes or no: features -> Bernoulli(event; logits).

    Parameters: logits [..., *E]. `temper` is exact.
    """

    def __init__(self, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          event_spec: events are 0 and 1 in any floating or integer dtype, or bools; samples have
            the same dtype.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          initial_logits: best those of the training data's means (arXiv:1705.09279).
          name: of the module.

        Raises:
          TypeError: an event_spec that is no spec.
          ValueError: initial_logits of another shape, or infinite.
        """
        super().__init__(name=name)
        self._event_spec = heads.check_event_spec(
            "Bernoulli", event_spec, "floating", "integer", "bool")
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def dist(self, params: Tensor) -> tfd.Distribution:
        return heads.independent(
            distributions.Bernoulli(logits=params, dtype=self._event_spec.dtype), self._event_spec)


class Binomial(_LogitsDecoder):
    """A count out of `total_count`: features -> Binomial(event; total_count, logits).

    Parameters: logits [..., *E]. `temper` is an approximation: a binomial again, whose
    coefficients stay as they are while the odds are tempered.
    """

    def __init__(self, total_count: int, event_spec: Spec, *, hidden_sizes: Sequence[int] = (),
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          total_count: the number of trials; events are whole numbers in [0, total_count].
          event_spec: of a floating dtype, as samples are.
          hidden_sizes: see the module description; so are activation and dropout.
          activation: see there.
          dropout: see there.
          initial_logits: of one trial.
          name: of the module.

        Raises:
          TypeError: an event_spec that is no floating spec.
          ValueError: fewer than one trial, or initial_logits of another shape.
        """
        super().__init__(name=name)
        if total_count < 1:
            raise ValueError(f"Binomial expects at least one trial, got {total_count=}.")
        self._total_count = total_count
        self._event_spec = heads.check_event_spec("Binomial", event_spec, "floating")
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        self._head = heads.Head([initial], hidden_sizes, activation=activation, dropout=dropout)

    def dist(self, params: Tensor) -> tfd.Distribution:
        count = tf.cast(self._total_count, params.dtype)
        return heads.independent(tfd.Binomial(count, logits=params), self._event_spec)
