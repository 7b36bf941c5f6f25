# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The games that are kept: which, what is drawn from them, and that nothing of them is lost."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from examples.play.envs.env import Actions, Game
from examples.play.envs.replay import Episode, Replay
from vaeseq.runs.checkpoint import Checkpoints

CHOICES = Game("test", (), (1,), False, Actions(True, 3), 100)
STEERED = Game("test", (), (2, 2, 1), True, Actions(False, 2, (-1, -1), (1, 1)), 100)
T = 4


def _episode(moves, number, *, terminated=True):
    """Observations count on from 100 x number; the move from x is x % 3 and gives x."""
    seen = 100 * number + np.arange(moves + 1, dtype=np.float32)
    return Episode(seen[:, None], (seen[:-1] % 3).astype(np.int32), seen[:-1], terminated,
                   number)


def _filled(*lengths, most=10_000):
    replay = Replay(CHOICES, most)
    for number, moves in enumerate(lengths, 1):
        replay.add(_episode(moves, number, terminated=number % 2 == 1))
    return replay


def test_windows_are_pieces_of_one_game():
    lengths = (9, 2, 30, 4)
    windows = _filled(*lengths).sample(500, T, seed=[1, 2])
    steps = np.arange(T)
    for row in range(500):
        size, before = windows.lengths[row], windows.before[row, :, 0]
        first, number = int(before[0]), int(before[0]) // 100
        moves = lengths[number - 1]
        assert size == min(T, moves)
        assert 100 * number <= first <= 100 * number + moves - size
        valid = steps < size
        np.testing.assert_array_equal(before, np.where(valid, first + steps, 0))
        np.testing.assert_array_equal(windows.after[row, :, 0],
                                      np.where(valid, first + steps + 1, 0))
        np.testing.assert_array_equal(windows.actions[row], before % 3 * valid)
        np.testing.assert_array_equal(windows.rewards[row], before)
        last = valid & (first + steps == 100 * number + moves - 1)
        np.testing.assert_array_equal(windows.terminated[row], last & (number % 2 == 1))
    assert windows.terminated.any() and not windows.terminated.all(1).any()


def test_windows_follow_their_law():
    """Counted: a move with equal chances, an equal place of it, the window kept inside."""
    lengths, draws = (9, 2, 5), 40_000
    expected = np.zeros(300 + 9)
    for number, moves in enumerate(lengths, 1):
        for move in range(moves):
            for place in range(T):
                first = min(max(move - place, 0), max(moves - T, 0))
                expected[100 * number + first] += 1 / (sum(lengths) * T)
    windows = _filled(*lengths).sample(draws, T, seed=[0])
    counts = np.bincount(windows.before[:, 0, 0].astype(int), minlength=len(expected))
    assert expected.sum() == pytest.approx(1)
    error = np.abs(counts / draws - expected)
    assert (error <= 4.5 * np.sqrt(expected * (1 - expected) / draws)).all()
    # Far from the ends of a long game every move is in as many windows as any other.
    long = _filled(60).sample(draws, T, seed=[1]).before[..., 0].astype(int) - 100
    inside = np.bincount(long.ravel(), minlength=60)[2 * T:-2 * T] / draws
    assert np.abs(inside - T / 60).max() < 4.5 * np.sqrt(T / 60 / draws)


def test_windows_are_a_function_of_the_games_and_the_seed():
    one, same = _filled(9, 5, 7), _filled(9, 5, 7)
    for first, second in zip(one.sample(8, T, seed=[3, 4]), same.sample(8, T, seed=[3, 4])):
        np.testing.assert_array_equal(first, second)
    assert (one.sample(8, T, seed=[3, 5]).before != one.sample(8, T, seed=[3, 4]).before).any()


def test_the_oldest_games_go():
    replay = _filled(*[10] * 9, most=35)
    assert (replay.num_episodes, replay.num_steps, replay.episodes_added) == (3, 30, 9)
    seen = replay.transitions()
    numbers = np.repeat([7, 8, 9], 10)
    np.testing.assert_array_equal(seen.before[:, 0], 100 * numbers + np.tile(np.arange(10), 3))
    np.testing.assert_array_equal(seen.after, seen.before + 1)
    np.testing.assert_array_equal(np.flatnonzero(seen.terminated), [9, 29])
    replay.add(_episode(50, 10))
    assert (replay.num_episodes, replay.num_steps) == (1, 50)  # the latest stays


def test_many_games_come_and_go():
    rng, replay, kept = np.random.default_rng(0), Replay(CHOICES, 60), []
    for number in range(1, 300):
        kept.append(_episode(int(rng.integers(1, 20)), number))
        replay.add(kept[-1])
        while sum(episode.num_steps for episode in kept) > 60:
            kept.pop(0)
        seen = replay.transitions()
        np.testing.assert_array_equal(
            seen.before, np.concatenate([episode.observations[:-1] for episode in kept]))
        np.testing.assert_array_equal(
            seen.rewards, np.concatenate([episode.rewards for episode in kept]))


def _saved(tmp_path, replay):
    checkpoints = Checkpoints(tmp_path, log=lambda line: None)
    checkpoints.save(7, {"replay": replay, "other": tf.Variable(1.0)})
    return checkpoints


def test_saved_and_restored_to_the_last_bit(tmp_path):
    replay = _filled(9, 2, 30, most=35)
    checkpoints = _saved(tmp_path, replay)
    other = _filled(4, most=35)
    assert checkpoints.restore({"replay": other}) == 7
    assert other.episodes_added == 3 and other.num_episodes == replay.num_episodes == 2
    for _ in range(2):
        for one, same in zip(replay.sample(9, T, seed=[1]), other.sample(9, T, seed=[1])):
            assert one.dtype == same.dtype
            np.testing.assert_array_equal(one, same)
        for each in (replay, other):
            each.add(_episode(12, 9))


def test_pictures_and_continuous_actions_are_saved(tmp_path):
    rng, replay = np.random.default_rng(0), Replay(STEERED, 100)
    replay.add(Episode(rng.integers(0, 256, [6, 2, 2, 1]).astype(np.uint8),
                       rng.normal(size=[5, 2]).astype(np.float32),
                       rng.normal(size=5).astype(np.float32), False))
    other = Replay(STEERED, 100)
    _saved(tmp_path, replay).restore({"replay": other})
    for one, same in zip(replay.transitions(), other.transitions()):
        assert one.dtype == same.dtype
        np.testing.assert_array_equal(one, same)


def test_games_of_another_kind_are_refused(tmp_path):
    checkpoints = _saved(tmp_path, _filled(3))
    with pytest.raises(ValueError, match="expected a checkpoint of this model"):
        checkpoints.restore({"replay": Replay(STEERED, 10)})


@pytest.mark.parametrize("damage", [b"", b"not an archive", b"PK\x03\x04 cut"])
def test_damaged_games_are_refused(damage):
    replay = _filled(3)
    with pytest.raises(ValueError, match="damaged or of another game"):
        replay._saved.deserialize(damage)
    assert replay.num_steps == 3


def test_nothing_to_sample_and_nothing_to_add():
    with pytest.raises(ValueError, match="expected episodes to sample from, got none"):
        Replay(CHOICES, 10).sample(1, T, seed=[0])
    with pytest.raises(ValueError, match="at least one step"):
        Replay(CHOICES, 10).add(_episode(0, 1))
