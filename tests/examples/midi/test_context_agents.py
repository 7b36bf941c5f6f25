# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Context agents of the music model: repeated passages, the beat, encoded contexts."""

import numpy as np
import pytest
import tensorflow as tf

from examples.midi.model.context_agents import Beat, EncodedContext, Recall
from tests import small
from vaeseq.agent import Chain, EncodeObserved
from vaeseq.codec import encoders
from vaeseq.testing import AgentContract

COLUMNS = 3
STEPS = np.array([1, 2, 3, 4, 6, 9, 13])


def few_frames(*leading):
    """Returns frames of few kinds, so that passages repeat by chance."""
    uniform = tf.random.stateless_uniform([*leading, COLUMNS], [1, 2])
    return tf.cast(uniform < 0.3, tf.float32)


class TestRecall(AgentContract):
    num_steps = 12

    def make_object_under_test(self):
        return Recall(COLUMNS, 16)

    def make_observations(self, leading):
        return few_frames(*leading)


class TestRecallOfShortWindow(TestRecall):
    """The window is shorter than the sequence."""

    def make_object_under_test(self):
        return Recall(COLUMNS, 4)


class TestEncodedContext(TestRecall):
    def make_object_under_test(self):
        spec = tf.TensorSpec([COLUMNS], tf.float32)
        return EncodedContext(
            Chain([EncodeObserved(encoders.Flatten(spec), spec), Recall(COLUMNS, 16), Beat(4)]),
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


def highest(frame):
    return frame * (np.arange(len(frame)) == np.flatnonzero(frame).max(initial=-1))


@pytest.mark.oracle
@pytest.mark.parametrize("window", [2, 5, 40])
def test_recall_finds_the_latest_of_the_longest_matches(window):
    observed = few_frames(2, 40)
    recall = Recall(COLUMNS, window)
    contexts, _ = recall.contexts(observed, recall.initial_state(2), seed=small.SEED)
    split = np.split(contexts.numpy(), [3, 10, 13], axis=-1)
    lengths = []
    for row in range(2):
        roll = observed[row].numpy()
        for number, key in enumerate((np.array, highest)):
            followed, classes = split[2 * number][row], split[2 * number + 1][row]
            for t, (length, place) in enumerate(brute_force(roll, key, window)):
                np.testing.assert_array_equal(classes[t], length >= STEPS)
                expected = np.zeros(3) if place is None else roll[place] * length / (length + 2)
                np.testing.assert_allclose(followed[t], expected, rtol=1e-6)
                lengths.append(length)
    assert set(lengths) >= {0, 1, 2}


def test_recall_predicts_a_repeated_phrase():
    phrase = np.eye(8, dtype=np.float32)[[0, 3, 1, 4, 2, 5]]
    roll = np.concatenate([phrase, np.eye(8, dtype=np.float32)[[7]], phrase])[None]
    recall = Recall(8, 32)
    contexts, _ = recall.contexts(tf.constant(roll), recall.initial_state(1), seed=small.SEED)
    np.testing.assert_array_equal(np.argmax(contexts[0, 8:, :8], 1), np.argmax(phrase[1:], 1))
    np.testing.assert_array_equal(contexts[0, :8], 0)


def test_the_beat_is_periodic():
    beat = Beat(4)
    contexts, state = beat.contexts(few_frames(2, 6), beat.initial_state(2), seed=small.SEED)
    np.testing.assert_array_equal(np.argmax(contexts, 2), [[0, 1, 2, 3, 0, 1]] * 2)
    np.testing.assert_array_equal(state, [2, 2])
