# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The Adam optimizer, for every `tf.distribute` strategy, and averages of weights."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

from vaeseq.types import Tensor

Optimizer = Any  # tf.keras.optimizers.Optimizer, or snt.Optimizer: apply(updates, parameters)


class Adam(snt.optimizers.Adam):
    """Sonnet's Adam (arXiv:1412.6980), bit for bit, for dense gradients.

    Sonnet's own `apply` raises under strategies it was not tested with. Checkpoints are the same.
    """

    def apply(self, updates: Sequence[Tensor], parameters: Sequence[tf.Variable]) -> None:
        """Updates `parameters` by `updates`, their gradients, of the same shapes and dtypes."""
        self._initialize(parameters)
        self.step.assign_add(1)
        for g, weight, m_var, v_var in zip(updates, parameters, self.m, self.v):
            rate, beta1, beta2, epsilon, t = (
                tf.cast(x, g.dtype)
                for x in (self.learning_rate, self.beta1, self.beta2, self.epsilon, self.step))
            m = beta1 * m_var + (1.0 - beta1) * g
            v = beta2 * v_var + (1.0 - beta2) * g * g
            m_hat = m / (1.0 - tf.pow(beta1, t))
            v_hat = v / (1.0 - tf.pow(beta2, t))
            weight.assign_sub(rate * m_hat / (tf.sqrt(v_hat) + epsilon))
            m_var.assign(m)
            v_var.assign(v)


@contextlib.contextmanager
def assigned(weights: Sequence[tf.Variable], values: Sequence[Tensor]) -> Iterator[None]:
    """Returns a context in which weights have other values; after it they are as before.

    It can be used inside of a `tf.function`.
    """
    before = [tf.identity(weight) for weight in weights]
    for weight, value in zip(weights, values):
        weight.assign(value)
    try:
        yield
    finally:
        for weight, value in zip(weights, before):
            weight.assign(value)


class WeightAverage(tf.Module):
    """The exponential moving average of weights (Polyak averaging), which often predicts better.

    The decay of the first updates is smaller, (1 + step) / (10 + step), so that the initial weights
    are forgotten soon.
    """

    def __init__(self, decay: float, weights: Sequence[tf.Variable]):
        """Creates the average, with the weights' present values."""
        super().__init__(name="average")
        self._decay = decay
        self._weights = tuple(weights)
        self.values = [tf.Variable(weight, trainable=False) for weight in weights]

    def update(self, step: Tensor) -> None:
        """Moves the average towards the weights after update number `step`, from 1."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1 + step) / (10 + step))
        for value, weight in zip(self.values, self._weights):
            value.assign_add(tf.cast(1 - decay, value.dtype) * (weight - value))

    def assign_to_weights(self) -> None:
        """Assigns the average to the weights."""
        for value, weight in zip(self.values, self._weights):
            weight.assign(value)

    def as_weights(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which the weights are the average."""
        return assigned(self._weights, self.values)
