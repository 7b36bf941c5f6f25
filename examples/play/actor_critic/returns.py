# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Returns of imagined games: what each step is worth.

Notation: r_t the reward that follows the action at x_t, g_t the chance that the game goes on after
it times the discount, v_t the value of x_t.

    R_t = r_t + g_t ((1 - lambda) v_t+1 + lambda R_t+1)      R_H = v_H

Axes: B batch, H steps imagined.
"""
from __future__ import annotations

import tensorflow as tf

from vaeseq.types import Tensor


def lambda_returns(rewards: Tensor, going: Tensor, values: Tensor, trace: float) -> Tensor:
    """R_0 to R_H-1 (Sutton and Barto, Reinforcement Learning, 2nd ed., section 12.1).

    Args:
      rewards: r_t, `[B, H]`.
      going: g_t, `[B, H]`.
      values: v_1 to v_H, `[B, H]`: of the states after each step.
      trace: lambda, in [0, 1].

    Returns:
      `[B, H]`.

    Raises:
      ValueError: the three do not have one shape.
    """
    if not rewards.shape == going.shape == values.shape or rewards.shape.rank != 2:
        raise ValueError(
            "expected rewards, going and values of one shape [B, H], got "
            f"{rewards.shape}, {going.shape} and {values.shape}.")
    after = values[:, -1]
    returns = []
    for t in reversed(range(rewards.shape[1])):
        after = rewards[:, t] + going[:, t] * ((1 - trace) * values[:, t] + trace * after)
        returns.append(after)
    return tf.stack(returns[::-1], axis=1)


def reach(going: Tensor) -> Tensor:
    """How much each step counts: the product of g before it, `[B, H]`; 1 for the first."""
    return tf.math.cumprod(going, axis=1, exclusive=True)
