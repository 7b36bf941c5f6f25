# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The recurrence that is linear in its state, h_t = a_t * h_t-1 + b_t, over a whole sequence.

All that is costly in such a layer (the products that give a and b) is done for all steps at once;
what is left is one multiplication and one addition a number. A plain loop over time does these as
fast as memory brings the numbers: on a CPU it takes about as long as copying them, and a third of
what a tree of partial products takes (log2 T passes over everything). The gradient is the same
recurrence run backwards:

    s_t = dL/dh_t (direct) + a_t+1 * s_t+1,   dL/db_t = s_t,   dL/da_t = s_t * h_t-1

Nothing is divided and no logarithm taken, so it is as exact as the step, whatever a is.
"""
from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.types import Tensor


def linear_scan(decay: Tensor, drive: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """h_t = decay_t * h_t-1 + drive_t for all t.

    Args:
      decay: a, [B, T, H], with T >= 1 known while tracing.
      drive: b, [B, T, H].
      state: h_0, [B, H].

    Returns:
      h_1:T, [B, T, H], and h_T, [B, H].
    """
    if decay.shape[1] == 1:
        hidden = decay[:, 0] * state + drive[:, 0]
        return hidden[:, tf.newaxis], hidden
    hidden = _scan(*nest_lib.swap_leading((decay, drive)), state)
    return nest_lib.swap_leading(hidden), hidden[-1]


@tf.custom_gradient
def _scan(decay: Tensor, drive: Tensor, state: Tensor
          ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """Time-major: [T, B, H] twice and [B, H] -> [T, B, H]."""
    hidden = _loop(decay, drive, state)

    def gradient(d_hidden: Tensor) -> tuple[Tensor, ...]:
        following = tf.concat([decay[1:], tf.zeros_like(decay[:1])], 0)
        d_drive = _loop(following, d_hidden, tf.zeros_like(state), reverse=True)
        before = tf.concat([state[tf.newaxis], hidden[:-1]], 0)
        return d_drive * before, d_drive, decay[0] * d_drive[0]

    return hidden, gradient


def _loop(decay: Tensor, drive: Tensor, state: Tensor, *, reverse: bool = False) -> Tensor:
    num_steps = decay.shape[0]
    order = range(num_steps - 1, -1, -1) if reverse else range(num_steps)
    if tf.executing_eagerly():
        steps = {}
        for t in order:
            state = steps[t] = decay[t] * state + drive[t]
        return tf.stack([steps[t] for t in range(num_steps)])

    decays, drives, hidden = (
        tf.TensorArray(decay.dtype, num_steps, element_shape=decay.shape[1:],
                       clear_after_read=False) for _ in range(3))
    decays, drives = decays.unstack(decay), drives.unstack(drive)

    def body(i: Tensor, state: Tensor, hidden: tf.TensorArray
             ) -> tuple[Tensor, Tensor, tf.TensorArray]:
        t = num_steps - 1 - i if reverse else i
        state = decays.read(t) * state + drives.read(t)
        return i + 1, state, hidden.write(t, state)

    _, _, hidden = tf.while_loop(
        lambda i, *_: i < num_steps, body, (tf.constant(0), state, hidden),
        maximum_iterations=num_steps)
    return hidden.stack()
