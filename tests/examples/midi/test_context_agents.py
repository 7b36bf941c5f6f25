# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Context agents of the music model: repeated passages, the beat, encoded contexts."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from examples.midi.data.piano_roll import Grid
from examples.midi.model.context_agents import Beat, EncodedContext, Recall
from tests import small
from vaeseq.agent import Chain, EncodeObserved
from vaeseq.codec import encoders
from vaeseq.testing import AgentContract

COLUMNS = 3
GRID = Grid(lowest=60, highest=62)
STEPS = np.array([1, 2, 3, 4, 6, 9, 13])


def few_frames(*leading, columns=COLUMNS):
    """Returns frames of few kinds, so that passages repeat by chance."""
    uniform = tf.random.stateless_uniform([*leading, columns], [1, 2])
    return tf.cast(uniform < 0.3, tf.float32)


def make_recall(grid, window):
    return Recall(grid.shape, grid.pitched_parts, window)


class TestRecall(AgentContract):
    num_steps = 12

    def make_object_under_test(self):
        return make_recall(GRID, 16)

    def make_observations(self, leading):
        return few_frames(*leading)


class TestRecallOfShortWindow(TestRecall):
    """The window is shorter than the sequence."""

    def make_object_under_test(self):
        return make_recall(GRID, 4)


class TestEncodedContext(TestRecall):
    def make_object_under_test(self):
        spec = tf.TensorSpec([COLUMNS], tf.float32)
        return EncodedContext(
            Chain([EncodeObserved(encoders.Flatten(spec), spec), make_recall(GRID, 16), Beat(4)]),
            (6,), activation="tanh")


class TestBeat(AgentContract):
    def make_object_under_test(self):
        return Beat(3)

    def make_observations(self, leading):
        return few_frames(*leading)


def brute_force(roll, key, window):
    """Yields for each frame the length of the longest match, and the place after it."""
    for t in range(len(roll)):
        best = (0, None)
        for place in range(max(0, t - window), t - 1):
            length = 0
            # A match may begin before the window.
            while place - length >= 0 and np.array_equal(
                    key(roll[place - length]), key(roll[t - 1 - length])):
                length += 1
            if length and length >= best[0]:
                best = (length, place + 1)
        yield best


def highest(frame, grid):
    """Returns the highest pitch that sounds in a part without drums, -1 for silence."""
    parts = frame.reshape(grid.shape)
    pitched = parts[:-1] if grid.drums and len(parts) > 1 else parts
    return np.flatnonzero(pitched.any(axis=(0, 1))).max(initial=-1)


@pytest.mark.oracle
@pytest.mark.parametrize("window, options", [
    (2, {}), (5, {}), (40, {}), (40, {"drums": True}), (40, {"parts": 2}), (40, {"onsets": True}),
    (40, {"parts": 2, "drums": True, "onsets": True})])
def test_recall_finds_the_latest_of_the_longest_matches(window, options):
    grid = dataclasses.replace(GRID, **options)
    observed = few_frames(2, 40, columns=grid.columns)
    recall = make_recall(grid, window)
    contexts, _ = recall.contexts(observed, recall.initial_state(2), seed=small.SEED)
    split = np.split(contexts.numpy(), np.cumsum([grid.columns, 7, grid.columns]), axis=-1)
    lengths = []
    for row in range(2):
        roll = observed[row].numpy()
        for number, key in enumerate((np.array, functools.partial(highest, grid=grid))):
            followed, classes = split[2 * number][row], split[2 * number + 1][row]
            for t, (length, place) in enumerate(brute_force(roll, key, window)):
                np.testing.assert_array_equal(classes[t], length >= STEPS)
                expected = 0 * roll[0] if place is None else roll[place] * length / (length + 2)
                np.testing.assert_allclose(followed[t], expected, rtol=1e-6)
                lengths.append(length)
    assert set(lengths) >= {0, 1, 2}


def test_recall_predicts_a_repeated_phrase():
    phrase = np.eye(8, dtype=np.float32)[[0, 3, 1, 4, 2, 5]]
    roll = np.concatenate([phrase, np.eye(8, dtype=np.float32)[[7]], phrase])[None]
    recall = make_recall(Grid(lowest=60, highest=67), 32)
    contexts, _ = recall.contexts(tf.constant(roll), recall.initial_state(1), seed=small.SEED)
    np.testing.assert_array_equal(np.argmax(contexts[0, 8:, :8], 1), np.argmax(phrase[1:], 1))
    np.testing.assert_array_equal(contexts[0, :8], 0)


def test_the_beat_is_periodic():
    beat = Beat(4)
    contexts, state = beat.contexts(few_frames(2, 6), beat.initial_state(2), seed=small.SEED)
    np.testing.assert_array_equal(np.argmax(contexts, 2), [[0, 1, 2, 3, 0, 1]] * 2)
    np.testing.assert_array_equal(state, [2, 2])
