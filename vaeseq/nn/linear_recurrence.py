# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recurrent layers that are parallel in time: large products, and a recurrence linear in h.

Both layers are the same block around a different recurrence:

    n_t      = x_t / rms(x_t) * scale                     RMS normalisation, arXiv:1910.07467
    u_t, g_t = n_t W + b
    v_t      = b' + sum_k c_k * u_t-3+k,  k = 0..3        causal convolution of each unit
    h_t      = a_t * h_t-1 + b_t                          linear in h; a_t and b_t below
    y_t      = (h_t * silu(g_t)) W'

    minGRU (arXiv:2410.01201)   z_t = sigmoid(v_t U + d)
                                a_t = 1 - z_t,  b_t = z_t * v_t
    RG-LRU (arXiv:2402.19427)   r_t, i_t = sigmoid(v_t U + d)
                                a_t = exp(-8 softplus(l) r_t),  b_t = sqrt(1 - a_t^2) i_t * v_t

The gates do not depend on h_t-1. So the products of all steps are computed at once, and the loop
over time (`linear_scan`) is one multiplication and one addition per unit and step:

    x_1..T --> u, g --> v --> a, b     all steps at once
                               |
                               v
    h_0 --> h_1 --> ... --> h_T        elementwise, in a loop
             |               |
             v               v
            y_1    ...      y_T        all steps at once

Its gradient is the same recurrence, backward in time: with d_t the gradient of the loss with
respect to h_t, as far as y_t passes it, and D_t the whole gradient of h_t,

    D_t = d_t + a_t+1 * D_t+1,    gradient of b_t = D_t,    gradient of a_t = D_t * h_t-1

For the same reason one layer alone can express less than an LSTM: use two or more. A
`networks.RecurrentStack` adds the block's inputs to its outputs where their sizes agree.

Deviations: minGRU's gate and candidate read v_t instead of x_t, and its candidate is v_t itself;
RG-LRU's gates are full matrices; no feed-forward block follows a layer (the gate g_t is the
nonlinearity). Each costs less for what it gains at the sizes that a CPU trains.

The state is h_t and the last three u_t, whatever the length of the sequence.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.cells import Cell, Linear, rms_norm
from vaeseq.nn.initializers import Glorot, Initializer
from vaeseq.nn.scan.matmul import Parts, as_parts, concat_parts
from vaeseq.types import Spec, Tensor

_WIDTH = 4  # of the convolution
_EPS = 1e-6  # the least 1 - a^2


def linear_scan(decay: Tensor, increment: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Computes h_t = decay_t * h_t-1 + increment_t for all t.

    Args:
      decay: a, [B, T, H], with T known while tracing.
      increment: b, [B, T, H].
      state: h_0, [B, H].

    Returns:
      h_1:T, [B, T, H], and h_T, [B, H].
    """
    if decay.shape[1] == 0:
        return tf.zeros_like(increment), state
    if decay.shape[1] == 1:
        hidden = decay[:, 0] * state + increment[:, 0]
        return hidden[:, tf.newaxis], hidden
    hidden = _scan(*nest_lib.swap_leading((decay, increment)), state)
    return nest_lib.swap_leading(hidden), hidden[-1]


@tf.custom_gradient
def _scan(decay: Tensor, increment: Tensor, state: Tensor
          ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """Time-major: [T, B, H] twice and [B, H] -> [T, B, H]."""
    hidden = _loop(decay, increment, state)

    def gradient(d_hidden: Tensor) -> tuple[Tensor, ...]:
        next_decay = tf.concat([decay[1:], tf.zeros_like(decay[:1])], 0)
        d_increment = _loop(next_decay, d_hidden, tf.zeros_like(state), reverse=True)
        previous = tf.concat([state[tf.newaxis], hidden[:-1]], 0)
        return d_increment * previous, d_increment, decay[0] * d_increment[0]

    return hidden, gradient


def _loop(decay: Tensor, increment: Tensor, state: Tensor, *, reverse: bool = False) -> Tensor:
    """Runs the recurrence over [T, B, H], from the last step if `reverse`."""
    num_steps = decay.shape[0]
    if tf.executing_eagerly():
        steps = {}
        for t in reversed(range(num_steps)) if reverse else range(num_steps):
            state = steps[t] = decay[t] * state + increment[t]
        return tf.stack([steps[t] for t in range(num_steps)])

    decays, increments, hidden = (
        tf.TensorArray(decay.dtype, num_steps, element_shape=decay.shape[1:],
                       clear_after_read=False) for _ in range(3))
    decays, increments = decays.unstack(decay), increments.unstack(increment)

    def body(i: Tensor, state: Tensor, hidden: tf.TensorArray
             ) -> tuple[Tensor, Tensor, tf.TensorArray]:
        t = num_steps - 1 - i if reverse else i
        state = decays.read(t) * state + increments.read(t)
        return i + 1, state, hidden.write(t, state)

    _, _, hidden = tf.while_loop(
        lambda i, *_: i < num_steps, body, (tf.constant(0), state, hidden),
        maximum_iterations=num_steps)
    return hidden.stack()


class ParallelState(NamedTuple):
    """State of a layer.

    Attributes:
      recent: the last three u_t, oldest first, [..., 3, E].
      hidden: h_t, [..., E], or what a subclass needs.
    """
    recent: Tensor
    hidden: Tensor


class ParallelCell(Cell):
    """The block of the module description around any recurrence: a subclass computes it.

    Attributes:
      units: E, the size of u_t, v_t and g_t.
    """

    def __init__(self, size: int, *, units: int | None = None, name: str | None = None) -> None:
        """Creates the layer; its variables are created at the first call.

        Args:
          size: H, of the outputs.
          units: E; H by default.
        """
        super().__init__(size, name=name)
        self.units = units or size
        self._inputs = Linear(2 * self.units, name="inputs")
        self._outputs = Linear(size, name="outputs", use_bias=False)

    @property
    def state_spec(self) -> ParallelState:
        return ParallelState(Spec([_WIDTH - 1, self.units], self._dtype),
                             Spec([self.units], self._dtype))

    def step(self, inputs: Parts, state: ParallelState) -> tuple[Tensor, ParallelState]:
        u, gate = self._read(inputs)
        window = tf.concat([state.recent, u[..., tf.newaxis, :]], -2)
        v = tf.reduce_sum(window * self._taps, -2) + self._shift
        y, hidden = self._recur_step(v, state.hidden)
        return (self._outputs(y * tf.nn.silu(gate)),
                ParallelState(window[..., 1:, :], hidden))

    def __call__(self, inputs: Parts, state: ParallelState,
                 lengths: Tensor | None = None) -> tuple[Tensor, ParallelState]:
        inputs = concat_parts(as_parts(inputs))
        num_steps = self._num_steps(inputs)
        u, gate = self._read(inputs)
        history = tf.concat([state.recent, u], 1)  # [B, 3 + T, E]
        v = self._shift + sum(
            history[:, k:k + num_steps] * self._taps[k] for k in range(_WIDTH))
        y, hidden = self._recur(v, state.hidden, lengths)
        outputs = self._outputs(y * tf.nn.silu(gate))
        if lengths is None:
            return outputs, ParallelState(history[:, num_steps:], hidden)
        ends = tf.cast(lengths, tf.int32)[:, tf.newaxis] + tf.range(_WIDTH - 1)
        recent = tf.gather(history, ends, batch_dims=1)
        return nest_lib.mask_time(outputs, lengths), ParallelState(recent, hidden)

    @abc.abstractmethod
    def _recur_step(self, v: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Computes what is gated by g_t, and h_t: ([..., E], [..., *]) -> ([..., E], [..., *])."""

    @abc.abstractmethod
    def _recur(self, v: Tensor, hidden: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Runs the recurrence over v_1:T, [B, T, E], from a state [B, *].

        Returns:
          What is gated, [B, T, E], anything past the length, and the state after the last valid
          step of each row.
        """

    def _read(self, inputs: Parts) -> tuple[Tensor, Tensor]:
        """Returns u_t and g_t, [..., E] each, from x_t [..., F]."""
        x = concat_parts(as_parts(inputs))
        self._initialize(x.shape[-1])
        u, gate = tf.split(self._inputs(rms_norm(x, self._scale)), 2, -1)
        return u, gate

    @snt.once
    def _initialize(self, input_size: int) -> None:
        # The variables are created outside of the function that is being traced.
        with tf.init_scope():
            self._scale = tf.Variable(tf.ones([input_size], self._dtype), name="scale")
            # Starts the convolution near the identity: the last tap is 1, the others are small.
            # (A later assignment would reach one of several replicas alone.)
            small = Glorot()([_WIDTH, self.units], self._dtype)[:-1]
            self._taps = tf.Variable(
                tf.concat([small, tf.ones([1, self.units], self._dtype)], 0), name="taps")
            self._shift = tf.Variable(tf.zeros([self.units], self._dtype), name="shift")


class LinearCell(ParallelCell):
    """A layer whose recurrence is h_t = a_t h_t-1 + b_t; a subclass computes a_t and b_t."""

    @abc.abstractmethod
    def _recurrence(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a_t and b_t, [..., H], from v_t [..., H]."""

    def _recur_step(self, v: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        decay, increment = self._recurrence(v)
        hidden = decay * hidden + increment
        return hidden, hidden

    def _recur(self, v: Tensor, hidden: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        decay, increment = self._recurrence(v)
        if lengths is not None:
            valid = nest_lib.mask_from_lengths(lengths, v.shape[1])
            decay = nest_lib.where(valid, decay, tf.ones_like(decay))
            increment = nest_lib.mask(valid, increment)
        return linear_scan(decay, increment, hidden)


class MinGRU(LinearCell):
    """A minimal gated recurrent unit; its units start with time constants of 1.4 to 55 steps."""

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(size, name=name)
        self._gate = Linear(size, name="gate", b_init=_Spread(-4.0, 1.0))

    def _recurrence(self, v: Tensor) -> tuple[Tensor, Tensor]:
        z = tf.sigmoid(self._gate(v))
        return 1.0 - z, z * v


class RGLRU(LinearCell):
    """A real-gated linear recurrent unit; with r_t = 1, its a_t starts between 0.9 and 0.999."""

    _POWER = 8.0

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(size, name=name)
        self._gates = Linear(2 * size, name="gates")

    def _recurrence(self, v: Tensor) -> tuple[Tensor, Tensor]:
        self._initialize_decay()
        r, i = tf.split(tf.sigmoid(self._gates(v)), 2, -1)
        log_decay = -self._POWER * tf.nn.softplus(self._log_rate) * r
        # Without cancellation, and bounded from 0, where the square root has no gradient.
        complement = tf.maximum(-tf.math.expm1(2.0 * log_decay), _EPS)
        return tf.exp(log_decay), tf.sqrt(complement) * i * v

    @snt.once
    def _initialize_decay(self) -> None:
        # softplus(l) = -log(a) / 8
        rates = -np.log(np.linspace(0.9, 0.999, self.size)) / self._POWER
        with tf.init_scope():
            self._log_rate = tf.Variable(
                tf.constant(np.log(np.expm1(rates)), self._dtype), name="log_rate")


LINEAR_CELLS: dict[str, type[LinearCell]] = {"mingru": MinGRU, "rglru": RGLRU}


class _Spread(Initializer):
    """Returns evenly spaced numbers from `low` to `high`."""

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.cast(tf.linspace(self._low, self._high, shape[0]), dtype)
