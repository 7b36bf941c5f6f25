# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Returns of imagined rollouts.

Notation: r_t the reward for the action at x_t, c_t the probability that the episode continues
after it times the discount, v_t the value of x_t.

    R_t = r_t + c_t ((1 - lambda) v_t+1 + lambda R_t+1)      R_H = v_H

Axes: B batch, H imagined steps.
"""
from __future__ import annotations

import tensorflow as tf

from vaeseq.types import Tensor


def lambda_returns(rewards: Tensor, continues: Tensor, values: Tensor, lambda_: float) -> Tensor:
    """Computes R_0 to R_H-1 (Sutton and Barto, Reinforcement Learning, 2nd ed., section 12.1).

    Args:
      rewards: r_t, `[B, H]`.
      continues: c_t, `[B, H]`.
      values: v_1 to v_H, `[B, H]`: of the states after each step.
      lambda_: in [0, 1].

    Returns:
      `[B, H]`.

    Raises:
      ValueError: the three do not have one shape.
    """
    if not rewards.shape == continues.shape == values.shape or rewards.shape.rank != 2:
        raise ValueError(
            "expected rewards, continues and values of one shape [B, H], got "
            f"{rewards.shape}, {continues.shape} and {values.shape}.")
    after = values[:, -1]
    returns = []
    for t in reversed(range(rewards.shape[1])):
        after = rewards[:, t] + continues[:, t] * ((1 - lambda_) * values[:, t] + lambda_ * after)
        returns.append(after)
    return tf.stack(returns[::-1], axis=1)


def discount_weights(continues: Tensor) -> Tensor:
    """Returns the weight of each step, `[B, H]`: the product of c before it, 1 for the first."""
    return tf.math.cumprod(continues, axis=1, exclusive=True)
