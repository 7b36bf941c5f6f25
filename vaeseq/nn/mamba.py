# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Mamba: a selective state-space layer (Gu and Dao, arXiv:2312.00752).

    n_t           = rms_norm(x_t)
    u_t, g_t      = n_t W + b                                 E = 2 H units each
    v_t           = silu(b' + sum_k c_k * u_t-3+k), k = 0..3  causal convolution of each unit
    r_t, B_t, C_t = v_t X                                     of sizes R = H / 16, N = 16, N
    delta_t       = softplus(r_t D + d)                       step sizes, E
    h_t           = exp(delta_t A) h_t-1 + delta_t v_t B_t    [N, E]; A = -exp(a) < 0
    y_t           = (C_t h_t + s * v_t) * silu(g_t)
    output_t      = y_t W'

The state-space model of each unit, h' = A h + B v, is discretised with a step size, an input map B
and a read-out C that depend on the input (the selection), so that the layer can keep or forget what
it reads. A `networks.RecurrentStack` adds the inputs of a layer to its outputs where their sizes
agree, and normalises the last layer's.

The products of all steps are computed at once. The recurrence is linear in h, but its decays have
N E numbers at each step; `unroll.scan` computes them inside of the loop, in the backward pass too,
so that only h_1:T is stored. On a CPU that takes a third of the time of
`linear_recurrence.linear_scan`, which reads them from memory.

The state is h_t and the last three u_t, whatever the length of the sequence.

Deviations: the input map has a bias; the step sizes start evenly spaced, on a logarithmic scale,
instead of random.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.nn.cells import Linear
from vaeseq.nn.initializers import Initializer
from vaeseq.nn.linear_recurrence import ParallelCell, ParallelState
from vaeseq.nn.scan import unroll
from vaeseq.types import Spec, Tensor


class Mamba(ParallelCell):
    """A selective state-space layer (see the module description)."""

    is_pre_norm = True

    def __init__(self, size: int, *, states: int = 16, name: str | None = None) -> None:
        """Creates the layer; its variables are created at the first call.

        Args:
          size: H, of the outputs.
          states: N, numbers in the state of each unit.
        """
        super().__init__(size, units=2 * size, name=name)
        self._states = states
        self._rank = max(1, size // 16)
        self._selection = Linear(self._rank + 2 * states, use_bias=False, name="selection")
        self._step_sizes = Linear(self.units, b_init=_StepSizes(), name="step_sizes")

    @property
    def state_spec(self) -> ParallelState:
        return super().state_spec._replace(hidden=Spec([self._states, self.units], self._dtype))

    def _recur_step(self, v: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        v = tf.nn.silu(v)
        y, hidden = self._update((*self._select(v), v), self._rates(), hidden)
        return y + self._skip * v, hidden

    def _recur(self, v: Tensor, hidden: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        v = tf.nn.silu(v)
        rates = self._rates()
        step_sizes, *maps = self._select(v)
        # A step of size 0 keeps the state: cheaper than a mask of the state in the loop.
        step_sizes = nest_lib.mask_time(step_sizes, lengths)
        y, hidden = unroll.scan(
            lambda inputs_t, hidden: self._update(inputs_t, rates, hidden),
            (step_sizes, *maps, v), hidden)
        return y + self._skip * v, hidden

    def _select(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the step sizes [..., E], the input map [..., N] and the read-out [..., N]."""
        step_sizes, input_map, read_out = tf.split(
            self._selection(v), [self._rank, self._states, self._states], -1)
        return tf.nn.softplus(self._step_sizes(step_sizes)), input_map, read_out

    def _update(self, inputs: tuple[Tensor, ...], rates: Tensor, hidden: Tensor
                ) -> tuple[Tensor, Tensor]:
        """Returns C_t h_t, [..., E], and h_t, [..., N, E]."""
        step_sizes, input_map, read_out, v = inputs
        decay = tf.exp(step_sizes[..., tf.newaxis, :] * rates)
        hidden = decay * hidden + (
            (step_sizes * v)[..., tf.newaxis, :] * input_map[..., tf.newaxis])
        return tf.reduce_sum(hidden * read_out[..., tf.newaxis], -2), hidden

    def _rates(self) -> Tensor:
        """Returns A, [N, E]."""
        self._initialize_states()
        return -tf.exp(self._log_rates)

    @snt.once
    def _initialize_states(self) -> None:
        rates = np.log(np.arange(1, self._states + 1))[:, np.newaxis].repeat(self.units, 1)
        with tf.init_scope():
            self._log_rates = tf.Variable(tf.constant(rates, self._dtype), name="log_rates")
            self._skip = tf.Variable(tf.ones([self.units], self._dtype), name="skip")


class _StepSizes(Initializer):
    """Biases of step sizes, before the softplus, from 0.001 to 0.1."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.constant(np.log(np.expm1(np.geomspace(0.001, 0.1, shape[0]))), dtype)
