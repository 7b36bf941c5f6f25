# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The replay buffer: capacity, sampling and checkpoints."""

import numpy as np
import pytest
import tensorflow as tf

from examples.play.envs.env import Actions, Game
from examples.play.envs.replay import Episode, Replay
from vaeseq.runs.checkpoint import Checkpoints

DISCRETE = Game("test", (), (1,), False, Actions(True, 3), 100)
PICTURES = Game("test", (), (2, 2, 1), True, Actions(False, 2, (-1, -1), (1, 1)), 100)
T = 4


def _episode(num_steps, number, *, terminated=True):
    """Observations count on from 100 x number; the action at x is x % 3 and its reward x."""
    stored = 100 * number + np.arange(num_steps + 1, dtype=np.float32)
    return Episode(stored[:, None], (stored[:-1] % 3).astype(np.int32), stored[:-1], terminated,
                   number)


def _filled(*lengths, most=10_000):
    replay = Replay(DISCRETE, most)
    for number, num_steps in enumerate(lengths, 1):
        replay.add(_episode(num_steps, number, terminated=number % 2 == 1))
    return replay


def test_windows_are_consecutive_steps_of_one_episode():
    lengths = (9, 2, 30, 4)
    windows, sizes = _filled(*lengths).sample(500, T, seed=[1, 2])
    steps = np.arange(T)
    for row in range(500):
        size, before = sizes[row], windows.before[row, :, 0]
        first, number = int(before[0]), int(before[0]) // 100
        num_steps = lengths[number - 1]
        assert size == min(T, num_steps)
        assert 100 * number <= first <= 100 * number + num_steps - size
        valid = steps < size
        np.testing.assert_array_equal(before, np.where(valid, first + steps, 0))
        np.testing.assert_array_equal(windows.after[row, :, 0],
                                      np.where(valid, first + steps + 1, 0))
        np.testing.assert_array_equal(windows.actions[row], before % 3 * valid)
        np.testing.assert_array_equal(windows.rewards[row], before)
        last = valid & (first + steps == 100 * number + num_steps - 1)
        np.testing.assert_array_equal(windows.terminated[row], last & (number % 2 == 1))
    assert windows.terminated.any() and not windows.terminated.all(1).any()


@pytest.mark.parametrize("end_share", [0.0, 0.4])
def test_windows_have_the_documented_distribution(end_share):
    """A step is drawn uniformly, then its place in the window, which is shifted inside; or the
    window is the end of an episode."""
    lengths, draws = (9, 2, 5), 40_000
    expected = np.zeros(300 + 9)
    for number, num_steps in enumerate(lengths, 1):
        for step in range(num_steps):
            for place in range(T):
                first = min(max(step - place, 0), max(num_steps - T, 0))
                expected[100 * number + first] += (1 - end_share) / (sum(lengths) * T)
        expected[100 * number + max(num_steps - T, 0)] += end_share / len(lengths)
    windows, _ = _filled(*lengths).sample(draws, T, end_share=end_share, seed=[0])
    counts = np.bincount(windows.before[:, 0, 0].astype(int), minlength=len(expected))
    assert expected.sum() == pytest.approx(1)
    error = np.abs(counts / draws - expected)
    assert (error <= 4.5 * np.sqrt(expected * (1 - expected) / draws)).all()
    # Far from the ends of a long episode every step is in as many windows as any other.
    long = _filled(60).sample(draws, T, seed=[1])[0].before[..., 0].astype(int) - 100
    inside = np.bincount(long.ravel(), minlength=60)[2 * T:-2 * T] / draws
    assert np.abs(inside - T / 60).max() < 4.5 * np.sqrt(T / 60 / draws)


def test_windows_are_a_function_of_the_episodes_and_the_seed():
    one, same = _filled(9, 5, 7), _filled(9, 5, 7)
    first = one.sample(8, T, seed=[3, 4])[0]
    np.testing.assert_array_equal(first.before, same.sample(8, T, seed=[3, 4])[0].before)
    assert (one.sample(8, T, seed=[3, 5])[0].before != first.before).any()


def test_the_oldest_episodes_are_dropped_beyond_the_capacity():
    replay = _filled(*[10] * 9, most=35)
    assert (replay.num_episodes, replay.num_steps, replay.episodes_added) == (3, 30, 9)
    stored = replay.transitions()
    numbers = np.repeat([7, 8, 9], 10)
    np.testing.assert_array_equal(stored.before[:, 0], 100 * numbers + np.tile(np.arange(10), 3))
    np.testing.assert_array_equal(stored.after, stored.before + 1)
    np.testing.assert_array_equal(np.flatnonzero(stored.terminated), [9, 29])
    replay.add(_episode(50, 10))
    assert (replay.num_episodes, replay.num_steps) == (1, 50)


def _saved(tmp_path, replay):
    checkpoints = Checkpoints(tmp_path, log=lambda line: None)
    checkpoints.save(7, {"replay": replay, "other": tf.Variable(1.0)})
    return checkpoints


def test_a_checkpoint_restores_every_bit(tmp_path):
    replay = _filled(9, 2, 30, most=35)
    checkpoints = _saved(tmp_path, replay)
    other = _filled(4, most=35)
    assert checkpoints.restore({"replay": other}) == 7
    assert other.episodes_added == 3 and other.num_episodes == replay.num_episodes == 2
    for _ in range(2):
        for one, same in zip(replay.sample(9, T, seed=[1])[0], other.sample(9, T, seed=[1])[0]):
            assert one.dtype == same.dtype
            np.testing.assert_array_equal(one, same)
        for each in (replay, other):
            each.add(_episode(12, 9))


def test_pictures_and_continuous_actions_are_saved(tmp_path):
    rng, replay = np.random.default_rng(0), Replay(PICTURES, 100)
    replay.add(Episode(rng.integers(0, 256, [6, 2, 2, 1]).astype(np.uint8),
                       rng.normal(size=[5, 2]).astype(np.float32),
                       rng.normal(size=5).astype(np.float32), False))
    other = Replay(PICTURES, 100)
    _saved(tmp_path, replay).restore({"replay": other})
    for one, same in zip(replay.transitions(), other.transitions()):
        assert one.dtype == same.dtype
        np.testing.assert_array_equal(one, same)


def test_a_checkpoint_of_another_game_is_refused(tmp_path):
    checkpoints = _saved(tmp_path, _filled(3))
    with pytest.raises(ValueError, match="expected a checkpoint of this model"):
        checkpoints.restore({"replay": Replay(PICTURES, 10)})


@pytest.mark.parametrize("damage", [
    lambda a: a._replace(lengths=a.lengths + 1), lambda a: a._replace(lengths=a.lengths - 3),
    lambda a: a._replace(observations=a.observations[:-1]),
    lambda a: a._replace(rewards=a.rewards.astype(np.float64))])
def test_damaged_episodes_are_refused(damage):
    replay = _filled(3)
    with pytest.raises(ValueError, match="expected rewards|lengths do not agree"):
        replay.restore(damage(replay.arrays()), 1)
    assert replay.num_steps == 3


def test_empty_buffers_and_empty_episodes_are_refused():
    with pytest.raises(ValueError, match="expected episodes to sample from, got none"):
        Replay(DISCRETE, 10).sample(1, T, seed=[0])
    with pytest.raises(ValueError, match="at least one step"):
        Replay(DISCRETE, 10).add(_episode(0, 1))
