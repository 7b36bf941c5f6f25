# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Inverse autoregressive flows (Kingma et al., arXiv:1606.04934).

A flow maps a sample u of a simple distribution to z by steps whose Jacobian is triangular:

    m, s = MADE(u)                  m_i and s_i depend on u_1:i-1 only
    g    = sigmoid(s + 2)           near 1 before training, so that a step starts near the identity
    z    = g * u + (1 - g) * m      log |dz / du| = sum_i log g_i

and the order of the dimensions is reversed between steps. Sampling, with the density of the
sample, takes one pass through each network. The density of any other z takes Z passes, because u is
found one dimension after the other.

Deviation: the networks read no context; what the posterior knows is in the parameters of u. Pyro's
deep Markov model has its flows without context, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import _layers
from vaeseq.description import Described
from vaeseq.types import Seed, Tensor

_GATE_BIAS = 2.0


class InverseAutoregressiveFlow(Described, snt.Module):
    """One step, an invertible map of [..., Z]."""

    def __init__(self, size: int, hidden_sizes: Sequence[int] = (64,), *,
                 activation: str = "relu", name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          size: Z, at least 1.
          hidden_sizes: units of each masked layer.
          activation: of those layers, a name as for `networks.MLP`.

        Raises:
          ValueError: a size below 1.
        """
        super().__init__(name=name)
        if size < 1:
            raise ValueError(
                f"A flow maps latent variables, got a size of {size}. A model without latents has "
                "no posterior: set posterior_flows=0.")
        # A unit of degree m may depend on the inputs before m.
        inputs = np.arange(size)
        degrees = [np.arange(hidden) * size // hidden for hidden in hidden_sizes]
        masks = [below[:, None] < above if layer == 0 else below[:, None] <= above
                 for layer, (below, above) in enumerate(
                     zip([inputs, *degrees], [*degrees, inputs], strict=True))]
        masks[-1] = np.tile(masks[-1], 2)  # m and s
        self._layers = [_layers.MaskedLinear(mask, name=f"masked_{i}")
                        for i, mask in enumerate(masks)]
        self._activations = [_layers.Activation(activation) for _ in hidden_sizes]
        self._size = size

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u [..., Z] to z [..., Z] and log |dz / du| [...]."""
        shift, log_gate = self._params(u)
        gate = tf.exp(log_gate)
        return (gate * u + (1 - gate) * shift)[..., ::-1], tf.reduce_sum(log_gate, -1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z [..., Z] to u [..., Z] and log |dz / du| [...]."""
        z = z[..., ::-1]

        def solve(step: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
            # Each pass fixes one more dimension: u_i is right once u_1:i-1 is. Those after it stay
            # 0: what they would be might grow from pass to pass up to infinity.
            shift, log_gate = self._params(u)
            gate = tf.exp(log_gate)
            is_solved = tf.range(self._size) <= step
            return step + 1, tf.where(is_solved, (z - (1 - gate) * shift) / gate, 0.0)

        self._params(z)  # creates the variables outside of the loop
        _, u = tf.while_loop(lambda step, _: step < self._size, solve,
                             (tf.constant(0), tf.zeros_like(z)), maximum_iterations=self._size)
        return u, tf.reduce_sum(self._params(u)[1], -1)

    def _params(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Computes m and log g, [..., Z] each."""
        units = u
        for layer, activation in zip(self._layers, self._activations):
            units = activation(layer(units))
        shift, gate = tf.split(self._layers[-1](units), 2, -1)
        return shift, tf.math.log_sigmoid(gate + _GATE_BIAS)


class FlowDistribution(tfd.Distribution):
    """The distribution of a sample of another one after some flows.

    `log_prob` of the tensor that `sample()` returned last is known from sampling; that of any other
    tensor inverts the flows.
    """

    def __init__(self, base: tfd.Distribution, flows: Sequence[InverseAutoregressiveFlow],
                 name: str = "FlowDistribution") -> None:
        """Args: base: of u, over [Z]; flows: in the order of sampling; name: its own."""
        self._base = base
        self._flows = tuple(flows)
        self._sampled: tuple[Tensor, Tensor] | None = None
        super().__init__(
            dtype=base.dtype, reparameterization_type=base.reparameterization_type,
            validate_args=False, allow_nan_stats=True,
            parameters={"base": base, "flows": flows}, name=name)

    def sample(self, sample_shape: Any = (), seed: Seed | None = None, **kwargs: Any) -> Tensor:
        """Draws z, [*sample_shape, ..., Z]."""
        u = self._base.sample(sample_shape, seed=seed, **kwargs)
        log_prob = self._base.log_prob(u)
        for flow in self._flows:
            u, log_det = flow(u)
            log_prob -= log_det
        self.remember(u, log_prob)
        return u

    def remember(self, value: Tensor, log_prob: Tensor) -> None:
        """Sets the log-density [...] of a tensor [..., Z], in place of inverting the flows."""
        self._sampled = value, log_prob

    def _batch_shape(self) -> tf.TensorShape:
        return self._base.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._base.batch_shape_tensor()

    def _event_shape(self) -> tf.TensorShape:
        return self._base.event_shape

    def _log_prob(self, value: Tensor) -> Tensor:
        if self._sampled is not None and value is self._sampled[0]:
            return self._sampled[1]
        log_det = tf.zeros([], value.dtype)
        for flow in reversed(self._flows):
            value, one = flow.inverse(value)
            log_det += one
        return self._base.log_prob(value) - log_det
