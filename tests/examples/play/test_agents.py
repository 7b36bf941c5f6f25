# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Agents, their beliefs, rollouts and policies."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import bijectors
from tensorflow_probability import distributions as tfd

from examples.play.actor_critic.agents import AgentPlayer, PolicyActor
from examples.play.actor_critic.policy import Policy
from examples.play.envs.replay import Transitions
from examples.play.world_model import imagination
from examples.play.world_model.model import Transition, World
from tests.examples.play.games import HPARAMS, game
from tests.small import set_weights
from vaeseq import seeds
from vaeseq.testing import AgentContract


def _world(vae_type="RNN", *, discrete=True, **hparams):
    world = World(HPARAMS.replace(vae_type=vae_type, **hparams), game(discrete=discrete))
    world.train_ops(seeds.make(1)).build(world.empty_batch())
    set_weights(world)
    actions = np.int32([0, 1]) if discrete else np.float32([[0, 1], [2, 1]])
    world.fit_statistics(Transitions(
        np.float32([[1, 2], [3, 2]]), actions, np.float32([[2, 2], [3, 5]]), np.float32([1, 4]),
        np.zeros([2], bool)))
    return world


def _policy(world):
    policy = Policy(HPARAMS, world.game.actions)
    policy(world.features(world.first_belief(tf.zeros([1, 2]))))
    return set_weights(policy)


class TestRecordedActions(AgentContract):
    """With recorded actions, contexts are functions of them and of the observations."""

    batch_size, num_steps = 2, 3
    trained = False  # rewards train the policy

    def make_object_under_test(self):
        world = _world()
        return PolicyActor(world, _policy(world))

    def make_observations(self, leading):
        change = tf.random.stateless_normal([*leading, 2], [1, 0])
        return Transition(change, change[..., 0], tf.ones(leading))

    def make_inputs(self, leading):
        return tf.one_hot(tf.ones(leading, tf.int32), 2)


@pytest.mark.parametrize("vae_type, cell", [("RNN", "mamba"), ("VRNN", "gru")])
def test_beliefs_inferred_from_windows_are_those_of_the_player(vae_type, cell):
    world = _world(vae_type, cell=cell)
    player = AgentPlayer(PolicyActor(world, _policy(world)), jit_compile=False)
    rng = np.random.default_rng(0)
    observations = rng.normal(size=[2, 4, 2]).astype(np.float32)
    rewards = rng.normal(size=[2, 4]).astype(np.float32)
    state, all_actions, features = player.start(2), [], []
    for t in range(4):
        actions, state = player.step(
            state, observations[:, t], rewards[:, t - 1], np.full([2], t == 0), np.int32([t, 1]))
        all_actions.append(actions)
        features.append(world.features(state[0]))
    steps = Transitions(observations[:, :3], np.stack(all_actions[:3], 1), observations[:, 1:],
                        rewards[:, :3], np.zeros([2, 3], bool))
    inferred, valid = imagination.infer_beliefs(
        world, world.batch(steps, np.full([2], 3, np.int32)))
    assert valid.numpy().all()
    np.testing.assert_allclose(tf.reshape(world.features(inferred), [2, 3, -1]),
                               tf.stack(features[1:], 1), rtol=1e-4, atol=1e-5)


def test_no_rollout_starts_from_a_terminal_state():
    world = _world()
    batch = world.empty_batch()
    observed = tf.nest.map_structure(lambda x: tf.repeat(x, 3, 1), batch.observed)
    batch = batch._replace(
        observed=observed._replace(continues=tf.constant([[1.0, 0.0, 0.0]])),
        inputs=tf.nest.map_structure(lambda x: tf.repeat(x, 3, 1), batch.inputs),
        lengths=tf.constant([2]))
    np.testing.assert_array_equal(
        imagination.infer_beliefs(world, batch)[1], [True, False, False])


def test_a_game_of_one_step_is_imagined_from_its_beginning():
    world, observations = _world(), np.float32([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    batch = world.batch(Transitions(
        observations, np.ones([2, 2], np.int32), observations + 1, np.ones([2, 2], np.float32),
        np.array([[True, False], [False, True]])), np.int32([1, 2]))
    beliefs, valid = imagination.infer_beliefs(world, batch)
    np.testing.assert_array_equal(valid, [True, False, True, False])
    np.testing.assert_allclose(beliefs.observation[::2], [[1, 2], [6, 7]], rtol=1e-5)
    np.testing.assert_array_equal(beliefs.steps, [0, 2, 1, 2])
    core = tf.nest.flatten(beliefs.core)[0]
    assert not np.any(core[0]) and np.all(np.any(core[1:], 1))


def test_a_rollout_with_recorded_actions_repeats_single_steps():
    world = _world()
    belief = world.first_belief(tf.constant([[1.0, 2.0]]))
    actions = tf.one_hot([[0, 1, 1]], 2)
    rollout = imagination.imagine(world, belief, 3, actions=actions, temperature=1e-12,
                                  seed=seeds.make(0))
    np.testing.assert_array_equal(rollout.acts.action, actions)
    for t in range(3):
        imagined = world.imagine_step(
            belief, world.context(belief, actions[:, t]), temperature=1e-12, seed=seeds.make(t))
        belief = imagined.belief
        np.testing.assert_allclose(
            rollout.observations[:, t], belief.observation, rtol=1e-4)
        np.testing.assert_allclose(rollout.rewards[:, t], imagined.reward, rtol=1e-4)
        np.testing.assert_allclose(rollout.continues[:, t], imagined.continues, rtol=1e-4)


def test_continuous_entropy_is_that_of_the_action():
    world = _world(discrete=False)
    policy = _policy(world)
    params = policy(world.features(world.first_belief(tf.zeros([200_000, 2]))))
    act = policy.sample(params, seed=seeds.make(3))
    density = tfd.Independent(tfd.TransformedDistribution(
        tfd.Normal(params.loc, params.scale), bijectors.Tanh()), 1)
    estimates = policy.entropy(params, act.sample).numpy()
    expected = -density.log_prob(tf.clip_by_value(act.action, -1 + 1e-6, 1 - 1e-6)).numpy()
    error = np.std(estimates - expected) / np.sqrt(len(expected))
    assert abs(estimates.mean() - expected.mean()) < 5 * error + 1e-4
