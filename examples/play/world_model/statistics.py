# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Running statistics, which make numbers of any size fit for a network.

Axes: [...] any leading dimensions, D numbers of an observation.
"""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from vaeseq.types import Tensor

_NEVER = 1e-6  # standard deviation of what never changed
_MOST_WEIGHTS = 1 << 18  # of a line: pictures have none
_ENOUGH = 10  # examples for each number that a line reads


class Standard(tf.Module):
    """The mean and the standard deviation of what was seen; 0 and 1 before anything was.

    What never changed has a deviation of 1: it is 0 when standardised.
    """

    def __init__(self, shape: tuple[int, ...], name: str, *, least: float = 0.0):
        """Creates it.

        Args:
          shape: of what is seen.
          name: of the module.
          least: the least deviation.
        """
        super().__init__(name=name)
        self._least = least
        self._mean = tf.Variable(tf.zeros(shape), trainable=False, name="mean")
        self._deviation = tf.Variable(tf.ones(shape), trainable=False, name="deviation")

    def fit(self, seen: np.ndarray) -> None:
        """Takes the statistics of all that was seen, `[N, *shape]`."""
        seen = np.asarray(seen, np.float64)
        deviation = np.maximum(seen.std(0), self._least)
        self._mean.assign(seen.mean(0))
        self._deviation.assign(np.where(deviation > _NEVER, deviation, 1.0))

    def __call__(self, numbers: Tensor) -> Tensor:
        """`[..., *shape]` -> the same, standardised."""
        return (numbers - self._mean) / self._deviation

    def of_array(self, numbers: np.ndarray) -> np.ndarray:
        """`__call__` of an array, float32."""
        return np.float32((numbers - self._mean.numpy()) / self._deviation.numpy())

    def inverse(self, standardised: Tensor) -> Tensor:
        """Undoes `__call__`."""
        return self._mean + self._deviation * standardised


class Line(tf.Module):
    """The linear function that fits best what was seen; 0 before enough was, or of too many.

    Axes: N examples, F numbers that it reads, D that it gives.

    Attributes:
      is_used: false where there are too many numbers: it is 0 then, whatever was seen.
    """

    def __init__(self, inputs: int, outputs: int, name: str):
        """Args: inputs: F. outputs: D. name: of the module."""
        super().__init__(name=name)
        self.is_used = inputs * outputs <= _MOST_WEIGHTS
        self._inputs = inputs if self.is_used else 0
        self._weights = tf.Variable(
            tf.zeros([self._inputs + 1, outputs]), trainable=False, name="weights")

    def fit(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        """Takes the least squares of all that was seen: `[N, F]` and `[N, D]`."""
        if not self.is_used or len(inputs) < _ENOUGH * (self._inputs + 1):
            return
        rows = np.column_stack([inputs, np.ones(len(inputs))]).astype(np.float64)
        self._weights.assign(np.linalg.lstsq(rows, outputs, rcond=None)[0])

    def __call__(self, inputs: Tensor) -> Tensor:
        """`[..., F]` -> `[..., D]`."""
        return tf.tensordot(inputs[..., :self._inputs], self._weights[:-1], 1) + self._weights[-1]

    def of_array(self, inputs: np.ndarray) -> np.ndarray:
        """`__call__` of an array, float32."""
        weights = self._weights.numpy()
        return np.float32(inputs[..., :self._inputs] @ weights[:-1] + weights[-1])
