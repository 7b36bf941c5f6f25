# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Standardisation and a linear baseline, fitted to recorded data.

Axes: [...] any leading dimensions, D numbers of an observation.
"""
from __future__ import annotations

from types import EllipsisType

import numpy as np
import tensorflow as tf

from vaeseq.types import Tensor

_CONSTANT = 1e-6  # standard deviation below which a number counts as constant
_NORMAL_RANGE = 3.2897  # standard deviations between the 5 % and 95 % quantiles
_MAX_WEIGHTS = 1 << 18  # of a linear baseline, which pictures exceed
_MIN_EXAMPLES = 10  # for each input of a linear baseline


class Standardizer(tf.Module):
    """Standardises numbers by the mean and the standard deviation of data; identity before `fit`.

    Constant numbers get a deviation of 1, so that they become 0.
    """

    def __init__(self, shape: tuple[int, ...], name: str, *, min_deviation: float = 0.0):
        """Creates the module for examples of a shape, with a lower bound of the deviation."""
        super().__init__(name=name)
        self._min_deviation = min_deviation
        self._mean = tf.Variable(tf.zeros(shape), trainable=False, name="mean")
        self._deviation = tf.Variable(tf.ones(shape), trainable=False, name="deviation")

    def fit(
        self, data: np.ndarray, part: slice | EllipsisType = ..., *, by_quantiles: bool = False
    ) -> None:
        """Computes the statistics of data `[N, *shape]`, or those of a part of its numbers.

        With `by_quantiles` the deviation is that of a normal distribution with as much between the
        5 % and 95 % quantiles, which a few large numbers do not change; where these are equal, the
        usual one.
        """
        data = np.asarray(data, np.float64)
        deviation = data.std(0)
        if by_quantiles:
            between = np.diff(np.quantile(data, [0.05, 0.95], 0), axis=0)[0] / _NORMAL_RANGE
            deviation = np.where(between > _CONSTANT, between, deviation)
        deviation = np.maximum(deviation, self._min_deviation)
        for variable, numbers in (
                (self._mean, data.mean(0)),
                (self._deviation, np.where(deviation > _CONSTANT, deviation, 1.0))):
            values = np.array(variable.numpy())
            values[part] = numbers
            variable.assign(values)

    def __call__(self, numbers: Tensor) -> Tensor:
        """Standardises numbers `[..., *shape]`."""
        return (numbers - self._mean) / self._deviation

    def of_array(self, numbers: np.ndarray, part: slice | EllipsisType = ...) -> np.ndarray:
        """Applies `__call__` to an array, or to the array of a part of the numbers; float32."""
        mean, deviation = (np.array(v.numpy()) for v in (self._mean, self._deviation))
        return np.float32((numbers - mean[part]) / deviation[part])

    def inverse(self, standardised: Tensor) -> Tensor:
        """Inverts `__call__`."""
        return self._mean + self._deviation * standardised


class LinearBaseline(tf.Module):
    """A linear least-squares fit; zero before `fit` and where it would have too many weights.

    Axes: N examples, F inputs, D outputs.

    Attributes:
      is_used: false where there are too many weights: the output is always 0.
    """

    def __init__(self, inputs: int, outputs: int, name: str):
        """Args: inputs: F. outputs: D. name: of the module."""
        super().__init__(name=name)
        self.is_used = inputs * outputs <= _MAX_WEIGHTS
        self._inputs = inputs if self.is_used else 0
        self._weights = tf.Variable(
            tf.zeros([self._inputs + 1, outputs]), trainable=False, name="weights")

    def fit(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        """Fits inputs `[N, F]` to outputs `[N, D]`; does nothing with too few examples."""
        if not self.is_used or len(inputs) < _MIN_EXAMPLES * (self._inputs + 1):
            return
        rows = np.column_stack([inputs, np.ones(len(inputs))]).astype(np.float64)
        self._weights.assign(np.linalg.lstsq(rows, outputs, rcond=None)[0])

    def __call__(self, inputs: Tensor) -> Tensor:
        """`[..., F]` -> `[..., D]`."""
        if not self.is_used:  # a compiled product over no inputs ends the process in oneDNN
            return tf.zeros(tf.concat([tf.shape(inputs)[:-1], self._weights.shape[1:]], 0))
        return tf.tensordot(inputs, self._weights[:-1], 1) + self._weights[-1]

    def of_array(self, inputs: np.ndarray) -> np.ndarray:
        """Applies `__call__` to an array; float32."""
        weights = self._weights.numpy()
        return np.float32(inputs[..., :self._inputs] @ weights[:-1] + weights[-1])
