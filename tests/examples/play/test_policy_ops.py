# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Returns against their definition; both policy gradients against exact ones."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from examples.play.actor_critic.policy import Policy
from examples.play.actor_critic.policy_ops import (
    _MIN_SCALE,
    _SCALE_DECAY,
    PolicyOps,
    discount_weights,
    lambda_returns,
)
from examples.play.envs.replay import Transitions
from examples.play.world_model import imagination
from examples.play.world_model.model import World
from tests.examples.play.games import HPARAMS, game
from tests.small import set_weights
from vaeseq import seeds

SMALL = HPARAMS.replace(horizon=2, lambda_=1.0, entropy=0.0, policy_layers=())
CONTINUES = 0.5  # of every step, whatever the belief


def _make(hparams, *, discrete):
    """Returns a world whose episodes continue with probability 1/2, a policy, and its training."""
    world = World(hparams, game(discrete=discrete))
    world.train_ops(seeds.make(1)).build(world.empty_batch())
    policy = Policy(hparams, world.game.actions)
    ops = PolicyOps(hparams, world, policy, seed=seeds.make(2))
    ops.build()
    for module, scale in ((world, 0.7), (policy, 0.7), (ops.value, 0.1), (ops._average_value, 0.3)):
        set_weights(module, scale)
    for variable in world.gen_core.core.decoder._decoders[2].trainable_variables:
        variable.assign(tf.zeros_like(variable))
    return world, policy, ops


def _batch(world, rows):
    """Returns equal recorded steps, `[rows, 1]`."""
    def repeat(x):
        return tf.fill([rows, *x.shape[1:]], tf.constant(0.3, x.dtype))
    batch = world.empty_batch()
    observed = tf.nest.map_structure(repeat, batch.observed)._replace(continues=tf.ones([rows, 1]))
    return batch._replace(observed=observed, inputs=tf.nest.map_structure(repeat, batch.inputs),
                          lengths=np.ones([rows], np.int32))


def _silence(normal):
    """Minimises the scale, so that every change and reward is its mean."""
    linear = normal._head._linear
    half = linear.w.shape[1] // 2
    keep = tf.constant([1.0] * half + [0.0] * half)
    linear.w.assign(linear.w * keep)
    linear.b.assign(linear.b * keep - 40.0 * (1 - keep))


def _exact_gradient(world, policy, ops, belief):
    """Returns the gradient of the expected return: a sum over all sequences of two actions."""
    sequences = np.array(list(itertools.product(range(2), repeat=2)))
    beliefs = tf.nest.map_structure(lambda x: tf.repeat(x, 4, 0), belief)
    actions = tf.one_hot(sequences, 2)
    rollout = imagination.imagine(world, beliefs, 2, actions=actions, seed=seeds.make(0))
    features = [world.features(beliefs)]
    for action in tf.unstack(actions, axis=1):
        context = world.context(beliefs, action)
        beliefs = world.imagine_step(beliefs, context, seed=seeds.make(0)).belief
        features.append(world.features(beliefs))
    h = ops._hparams
    rewards = rollout.rewards * (1 - h.discount) / world.reward_size
    g = h.discount * CONTINUES
    returns = rewards[:, 0] + g * (rewards[:, 1] + g * ops._average_value(features[2]))
    with tf.GradientTape() as tape:
        log_prob = sum(policy.log_prob(policy(features[t]), sequences[:, t]) for t in range(2))
        expected = tf.reduce_sum(tf.exp(log_prob) * returns)
    return tape.gradient(expected, policy.trainable_variables), 1 + g


def test_score_gradient_is_the_expected_returns():
    hparams = SMALL.replace(policy_gradient="score", positive_eps=1e-7)
    world, policy, ops = _make(hparams, discrete=True)
    for normal in world.gen_core.core.decoder._decoders[:2]:
        _silence(normal)
    belief, _ = imagination.infer_beliefs(world, _batch(world, 1))
    exact, num_steps = _exact_gradient(world, policy, ops, belief)
    estimates = []
    for seed in range(8):
        estimates.append(_unscaled(ops, _batch(world, 8192), seeds.make(seed)))
    estimates = np.array([_flat(gradients) for gradients in estimates]) * -num_steps
    error = estimates.std(0, ddof=1) / np.sqrt(len(estimates))
    np.testing.assert_array_less(np.abs(estimates.mean(0) - _flat(exact)), 6 * error + 1e-7)
    assert np.linalg.norm(_flat(exact)) > 6 * np.linalg.norm(error)  # the test has power


def _unscaled(ops, batch, seed):
    """Returns the policy's gradients for returns that are not divided by their deviation."""
    ops._scale.assign(0.0)
    gradients, _, _ = ops.gradients(batch, seed)
    deviation = ops._scale / (1 - _SCALE_DECAY)
    return [gradient * tf.maximum(deviation, _MIN_SCALE) for gradient in gradients]


def _flat(gradients):
    return np.concatenate([np.ravel(gradient) for gradient in gradients])


def test_pathwise_gradient_equals_finite_differences_of_the_sampled_return():
    hparams = SMALL.replace(policy_gradient="pathwise", lambda_=0.6, horizon=3)
    world, policy, ops = _make(hparams, discrete=False)
    batch, seed = _batch(world, 2), seeds.make(5)
    gradients = _unscaled(ops, batch, seed)

    def loss():
        belief, _ = imagination.infer_beliefs(world, batch)
        rollout = ops._imagine(belief, seed)
        rewards = rollout.rewards.numpy() * (1 - hparams.discount)
        values = ops._average_value(ops._features(rollout)[:, 1:]).numpy()
        g, after, total = hparams.discount * CONTINUES, values[:, -1], 0.0
        for t in (2, 1, 0):
            after = rewards[:, t] + g * (0.4 * values[:, t] + 0.6 * after)
            total += g ** t * after
        return -np.mean(np.float64(total)) / (1 + g + g * g)

    weights = policy.trainable_variables
    weights_before = [weight.numpy() for weight in weights]
    for number in range(3):
        rng = np.random.default_rng(number)
        direction = [rng.normal(size=weight.shape).astype(np.float32) for weight in weights]
        ends = []
        for step in (-1e-2, 1e-2):
            for weight, before, along in zip(weights, weights_before, direction):
                weight.assign(before + step * along)
            ends.append(loss())
        slope = sum(np.sum(g * along) for g, along in zip(gradients, direction))
        np.testing.assert_allclose((ends[1] - ends[0]) / 2e-2, slope, rtol=0.02, atol=2e-5)


def test_a_discrete_policy_has_a_pathwise_gradient():
    world, _, ops = _make(SMALL.replace(policy_gradient="pathwise"), discrete=True)
    gradients, _, _ = ops.gradients(_batch(world, 4), seeds.make(5))
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert max(np.abs(gradient).max() for gradient in gradients) > 1e-4


def test_pathwise_gradients_agree_in_graph_and_eager_mode():
    world, _, ops = _make(SMALL.replace(policy_gradient="pathwise"), discrete=False)
    batch, seed = _batch(world, 3), seeds.make(5)
    eager = ops.gradients(batch, seed)
    ops._scale.assign(0.0)
    traced = tf.function(ops.gradients, autograph=False)(batch, seed)
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(traced)):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_averages_decay_slower_until_the_configured_decay():
    hparams = SMALL.replace(policy_average=0.3, value_average=0.9, jit_compile=False,
                            policy_learning_rate=0.1, value_learning_rate=0.1)
    world, policy, ops = _make(hparams, discrete=True)
    followed = ((policy, ops.average, 0.3), (ops.value, ops._average_value, 0.9))
    averages = [average.trainable_variables[0].numpy() for _, average, _ in followed]
    for number in range(5):
        ops(_batch(world, 4))
        most = (1 + number) / (10 + number)
        for place, (module, average, decay) in enumerate(followed):
            weight, share = module.trainable_variables[0].numpy(), min(decay, most)
            assert np.abs(weight - averages[place]).max() > 1e-3
            averages[place] = share * averages[place] + (1 - share) * weight
            np.testing.assert_allclose(average.trainable_variables[0], averages[place], rtol=1e-5)


def test_values_are_clipped_to_the_bounds_of_rewards():
    world, _, ops = _make(SMALL.replace(policy_gradient="score"), discrete=True)
    rewards = np.float32([-2.0, 4.0, 1.0])
    before, after = np.random.default_rng(0).normal(size=[2, 3, world.size])
    world.fit_statistics(Transitions(
        before, np.zeros([3], np.int32), after, rewards, np.zeros([3], bool)))
    belief, _ = imagination.infer_beliefs(world, _batch(world, 2))
    rollout = ops._imagine(belief, seeds.make(0))._replace(rewards=tf.zeros([2, 2]))
    size = np.sqrt(np.mean(rewards**2))
    for value, limit in ((1e6, 4.0), (-1e6, -2.0)):
        ops._average_value._mlp._layers[-1].b.assign([value])
        returns = ops._returns(rollout, ops._features(rollout))
        np.testing.assert_allclose(
            returns[:, -1], np.full([2], ops._hparams.discount * CONTINUES * limit / size),
            rtol=1e-5)


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


def test_discount_weights_are_the_probability_of_getting_there():
    _, continues, _ = _arrays()
    expected = [[np.prod(row[:t]) for t in range(6)] for row in continues]
    np.testing.assert_allclose(discount_weights(tf.constant(continues)), expected, rtol=1e-12)
