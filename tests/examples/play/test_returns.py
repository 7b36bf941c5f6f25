# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Returns against their definition, and the policy's gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from examples.play.actor_critic.returns import discount_weights, lambda_returns


def _arrays(batch=3, horizon=6):
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=[2, batch, horizon])
    return rewards, rng.uniform(size=[batch, horizon]), values


def _n_step(rewards, continues, values, t, n):
    """The sum of n rewards from t on, and the value after them, each times the chance of it."""
    total, weight = 0.0, 1.0
    for k in range(t, t + n):
        total += weight * rewards[k]
        weight *= continues[k]
    return total + weight * values[t + n - 1]


def _twin(rewards, continues, values, lambda_):
    """The forward view: a mean of n-step returns with weights (1 - lambda) lambda^(n-1)."""
    horizon = len(rewards)
    returns = []
    for t in range(horizon):
        most = horizon - t
        weights = [(1 - lambda_) * lambda_ ** (n - 1) for n in range(1, most)]
        weights.append(lambda_ ** (most - 1))
        returns.append(sum(w * _n_step(rewards, continues, values, t, n)
                           for n, w in enumerate(weights, 1)))
    return returns


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_lambda_returns_are_means_of_n_step_returns(lambda_):
    arrays = _arrays()
    expected = [_twin(*rows, lambda_) for rows in zip(*arrays)]
    returns = lambda_returns(*map(tf.constant, arrays), lambda_)
    np.testing.assert_allclose(returns, expected, rtol=1e-12)


def test_advantages_add_up_temporal_differences():
    rewards, continues, values = _arrays()
    first = np.random.default_rng(1).normal(size=[3, 1])
    before = np.concatenate([first, values[:, :-1]], 1)  # of the state that is acted on
    errors = rewards + continues * values - before
    lambda_ = 0.8
    advantages = np.zeros_like(rewards)
    for t in reversed(range(6)):  # Schulman et al., arXiv:1506.02438, equation 16
        later = advantages[:, t + 1] if t < 5 else 0.0
        advantages[:, t] = errors[:, t] + lambda_ * continues[:, t] * later
    returns = lambda_returns(*map(tf.constant, (rewards, continues, values)), lambda_)
    np.testing.assert_allclose(returns - before, advantages, rtol=1e-12, atol=1e-14)


def test_discount_weights_are_the_probability_of_getting_there():
    _, continues, _ = _arrays()
    expected = [[np.prod(row[:t]) for t in range(6)] for row in continues]
    np.testing.assert_allclose(discount_weights(tf.constant(continues)), expected, rtol=1e-12)


def test_different_shapes_are_refused():
    ones = tf.ones([2, 3])
    with pytest.raises(ValueError, match=r"one shape \[B, H\], got \(2, 3\), \(2, 3\) and \(2,\)"):
        lambda_returns(ones, ones, tf.ones([2]), 0.5)
