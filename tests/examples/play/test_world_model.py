# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of a game: its statistics and its linear baseline."""

import numpy as np
import pytest
import tensorflow as tf

from examples.play.envs.env import Actions, Game
from examples.play.envs.replay import Transitions
from examples.play.world_model import model
from examples.play.world_model.model import World
from examples.play.world_model.statistics import LinearBaseline, Standardizer
from tests.examples.play.games import HPARAMS, game
from vaeseq import seeds

# A deterministic linear system: x_t+1 - x_t = PUSH[a_t] + x_t TURN.
PUSH, TURN = np.array([[0.5, -1.0], [-2.0, 3.0]]), np.array([[0.1, 0.2], [-0.3, 0.05]])


def transitions(count, seed):
    rng = np.random.default_rng(seed)
    before = rng.normal(size=[count, 2]) * [10, 0.1] + [3, 0]
    actions = rng.integers(2, size=count)
    after = before + PUSH[actions] + before @ TURN
    return Transitions(before.astype(np.float32), actions.astype(np.int32),
                       after.astype(np.float32), rng.normal(size=count).astype(np.float32),
                       np.zeros([count], bool))


def expected_error(world):
    """Returns the root mean square error of one-step predictions, in deviations of a change."""
    training = transitions(200, seed=1)
    belief = world.first_belief(tf.constant(training.before))
    context = world.context(belief, tf.one_hot(training.actions, 2))
    imagined = world.imagine_step(belief, context, temperature=1e-12, seed=seeds.make(0))
    errors = imagined.belief.observation.numpy() - training.after
    return np.sqrt(np.mean((errors / (training.after - training.before).std(0)) ** 2))


def test_the_baseline_is_the_least_squares_fit():
    rng = np.random.default_rng(0)
    inputs, noise = rng.normal(size=[500, 3]), 0.1 * rng.normal(size=[500, 2])
    weights, offset = rng.normal(size=[3, 2]), rng.normal(size=2)
    line = LinearBaseline(3, 2, "line")
    np.testing.assert_array_equal(line(tf.ones([4, 3])), np.zeros([4, 2]))
    line.fit(inputs, inputs @ weights + offset + noise)
    for fitted in (line(tf.constant(inputs, tf.float32)).numpy(), line.of_array(inputs)):
        residuals = inputs @ weights + offset + noise - fitted  # orthogonal to the inputs
        np.testing.assert_allclose(
            np.column_stack([inputs, np.ones(500)]).T @ residuals, 0, atol=1e-3)


def test_the_baseline_stays_zero_with_too_few_examples():
    line = LinearBaseline(3, 1, "line")
    line.fit(np.ones([39, 3]), np.ones([39, 1]))
    np.testing.assert_array_equal(line.of_array(np.ones([1, 3])), [[0]])
    line.fit(np.ones([40, 3]), np.ones([40, 1]))
    np.testing.assert_allclose(line.of_array(np.ones([1, 3])), [[1]], rtol=1e-5)


def test_pictures_have_no_baseline():
    line = LinearBaseline(12_290, 12_288, "line")
    assert not line.is_used and sum(np.prod(v.shape) for v in line.variables) == 12_288
    line.fit(np.ones([10, 12_290]), np.ones([10, 12_288]))
    compiled = tf.function(line, autograph=False)  # which fuses the product and the sum
    np.testing.assert_array_equal(compiled(tf.ones([2, 12_290])), np.zeros([2, 12_288]))


def test_the_statistics_of_pictures_are_computed_in_parts(monkeypatch):
    rng, sizes, fit = np.random.default_rng(0), [], Standardizer.fit
    before, after = rng.integers(256, size=[2, 9, 13, 14, 3]).astype(np.uint8)
    world = World(HPARAMS, Game("none", (), (13, 14, 3), True, Actions(True, 2), 10))

    def recorded(standard, data, *args, **options):
        sizes.append(data.size)
        fit(standard, data, *args, **options)

    monkeypatch.setattr(Standardizer, "fit", recorded)
    monkeypatch.setattr(model, "_PART", 9 * 100)
    world.fit_statistics(Transitions(
        before, np.zeros([9], np.int32), after, np.zeros([9], np.float32), np.zeros([9], bool)))
    assert max(sizes) == 9 * 100
    x, x_next = (array.reshape(9, -1).astype(np.float64) for array in (before, after))
    batch = world.batch(Transitions(
        before[None], np.zeros([1, 9], np.int32), after[None], np.zeros([1, 9], np.float32),
        np.zeros([1, 9], bool)), np.array([9], np.int32))
    for standardised, numbers in (
            (batch.inputs.observation, x), (batch.observed.change, x_next - x)):
        np.testing.assert_allclose(
            standardised[0], (numbers - numbers.mean(0)) / numbers.std(0), atol=1e-5)


def test_a_standardizer_bounds_the_deviation_from_below():
    standard = Standardizer((2,), "numbers", min_deviation=0.5)
    standard.fit(np.array([[1.0, 0.0], [1.0, 4.0]]))
    np.testing.assert_allclose(standard.of_array(np.array([[2.0, 4.0]])), [[2.0, 1.0]])


def test_quantiles_are_a_deviation_that_a_few_large_numbers_do_not_change():
    standard = Standardizer((), "numbers")
    numbers = np.random.default_rng(0).normal(1.0, 3.0, 100_000)
    standard.fit(numbers, by_quantiles=True)
    mean = numbers.mean()
    assert standard.of_array(mean + 3) == pytest.approx(1.0, rel=0.01)
    numbers[:500] *= 100
    standard.fit(numbers, by_quantiles=True)
    assert standard.of_array(numbers.mean() + 3) == pytest.approx(1.0, rel=0.02)
    standard.fit(numbers)
    assert standard.of_array(numbers.mean() + 3) < 0.2
    rare = np.where(np.arange(1000) % 50 == 0, 100.0, -0.01)  # equal quantiles
    standard.fit(rare, by_quantiles=True)
    assert standard.of_array(rare.mean() + rare.std()) == pytest.approx(1.0)


@pytest.mark.parametrize("overrides", [
    {"accumulate": 2}, {"weight_average": 0.9}, {"weight_posterior": "gaussian"}, {"patience": 3},
    {"missing_values": "values"}, {"precision": "float64"}, {"cell": "transformer"},
    {"vae_type": "KVAE"}, {"vae_type": "MASKDIFF"}, {"vae_type": "DSAE"}, {"vae_type": "DMM"}])
def test_hyperparameters_that_games_do_not_have_are_refused(overrides):
    (name,) = overrides
    with pytest.raises(ValueError, match=f"{name}.*expected|expected.*{name}"):
        HPARAMS.replace(**overrides)


@pytest.mark.parametrize("unit, expected", [("deviation", 1 / 10), ("quantiles", 1)])
def test_the_unit_of_rewards_is_the_one_that_is_chosen(unit, expected):
    """Rewards are normal, and one of 100 is 100 more or less: a deviation of about 10."""
    world, steps = World(HPARAMS.replace(reward_unit=unit), game()), transitions(10_000, seed=0)
    large = 100 * (np.arange(10_000) % 100 == 0) * (-1.0) ** (np.arange(10_000) // 100)
    world.fit_statistics(steps._replace(rewards=steps.rewards + np.float32(large)))
    one, other = (world.batch(tf.nest.map_structure(lambda x: x[None, :4], steps._replace(
        rewards=np.full([10_000], reward, np.float32))), np.array([4])) for reward in (1, 0))
    distance = one.observed.reward - other.observed.reward
    np.testing.assert_allclose(distance, np.full([1, 4], expected), rtol=0.05)


@pytest.mark.parametrize("vae_type", ["RNN", "SRNN"])
def test_linear_motion_is_predicted_before_any_update(vae_type):
    world = World(HPARAMS.replace(vae_type=vae_type), game())
    world.train_ops(seeds.make(1)).build(world.empty_batch())
    before = expected_error(world)
    world.fit_statistics(transitions(200, seed=0))
    assert expected_error(world) < 0.05 < 0.5 < before
