# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Running statistics, which make numbers of any size fit for a network.

Axes: [...] any leading dimensions, D numbers of an observation.
"""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from vaeseq.types import Tensor

_LEAST = 1e-6  # standard deviation of what never changed


class Standard(tf.Module):
    """The mean and the standard deviation of what was seen; 0 and 1 before anything was.

    What never changed has a deviation of 1: it is 0 when standardised.
    """

    def __init__(self, shape: tuple[int, ...], name: str):
        super().__init__(name=name)
        self._mean = tf.Variable(tf.zeros(shape), trainable=False, name="mean")
        self._deviation = tf.Variable(tf.ones(shape), trainable=False, name="deviation")

    def fit(self, seen: np.ndarray) -> None:
        """Takes the statistics of all that was seen, `[N, *shape]`."""
        seen = np.asarray(seen, np.float64)
        deviation = seen.std(0)
        self._mean.assign(seen.mean(0))
        self._deviation.assign(np.where(deviation > _LEAST, deviation, 1.0))

    def __call__(self, numbers: Tensor) -> Tensor:
        """`[..., *shape]` -> the same, standardised."""
        return (numbers - self._mean) / self._deviation

    def of_array(self, numbers: np.ndarray) -> np.ndarray:
        """`__call__` of an array, float32."""
        return np.float32((numbers - self._mean.numpy()) / self._deviation.numpy())

    def inverse(self, standardised: Tensor) -> Tensor:
        """Undoes `__call__`."""
        return self._mean + self._deviation * standardised
