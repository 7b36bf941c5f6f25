# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The Adam optimizer, for every `tf.distribute` strategy."""
from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from vaeseq.types import Tensor


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
