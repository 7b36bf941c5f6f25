# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Truncated sampling against sets of classes found by enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.truncation import Truncation

pytestmark = pytest.mark.oracle

PROBS = np.array([0.05, 0.4, 0.1, 0.25, 0.2])


def support(truncation, probs):
    """The classes left, and their renormalised probabilities."""
    logits = truncation(tf.constant(np.log(probs)[None], tf.float64))
    left = tf.nn.softmax(logits)[0].numpy()
    return set(np.flatnonzero(left)), left


def smallest_set_of(probs, p):
    """The smallest set of classes of probability at least p, the most likely among those."""
    for size in range(1, len(probs) + 1):
        sets = [set(s) for s in itertools.combinations(range(len(probs)), size)]
        best = max(sets, key=lambda s: sum(probs[i] for i in s))
        if sum(probs[i] for i in best) >= p - 1e-12:
            return best
    raise AssertionError(p)


@pytest.mark.parametrize("k", [1, 2, 4, 5, 9])
def test_top_k_leaves_the_most_likely(k):
    classes, left = support(Truncation(top_k=k), PROBS)
    assert classes == set(np.argsort(-PROBS)[:k])
    np.testing.assert_allclose(left, np.where(left > 0, PROBS, 0) / PROBS[list(classes)].sum())


@pytest.mark.parametrize("p", [0.01, 0.39, 0.41, 0.64, 0.66, 0.86, 0.96, 1.0])
def test_the_nucleus_is_the_smallest_set_that_is_probable_enough(p):
    assert support(Truncation(top_p=p), PROBS)[0] == smallest_set_of(PROBS, p)


def test_the_nucleus_of_next_to_no_probability_is_the_most_likely_class():
    logits = Truncation(top_p=1e-300)(tf.constant(np.log(PROBS), tf.float32))
    np.testing.assert_array_equal(np.isfinite(logits), PROBS.max() == PROBS)


@pytest.mark.parametrize("p", [0.0, 0.2, 0.3, 0.6, 1.0])
def test_min_p_is_relative_to_the_most_likely(p):
    assert support(Truncation(min_p=p), PROBS)[0] == {
        i for i, prob in enumerate(PROBS) if prob >= p * PROBS.max() - 1e-12}


def test_each_works_on_what_the_one_before_left():
    # Of the three most likely, 0.85 together, the nucleus of 0.7 needs 0.4 + 0.25 >= 0.7 * 0.85.
    assert support(Truncation(top_k=3, top_p=0.7), PROBS)[0] == {1, 3}
    assert support(Truncation(top_p=0.7), PROBS)[0] == {1, 3, 4}
    assert support(Truncation(top_k=3, top_p=0.9, min_p=0.55), PROBS)[0] == {1, 3}


def test_ties_stay():
    even = np.full(4, 0.25)
    for truncation in (Truncation(top_k=1), Truncation(top_p=0.1), Truncation(min_p=1.0)):
        assert support(truncation, even)[0] == {0, 1, 2, 3}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_equals_eager(jit_compile):
    truncation = Truncation(top_k=4, top_p=0.8, min_p=0.1)
    logits = tf.random.stateless_normal([3, 2, 9], [1, 2])
    compiled = tf.function(truncation, jit_compile=jit_compile, autograph=False)
    np.testing.assert_array_equal(compiled(logits), truncation(logits))


def test_the_default_leaves_all():
    assert Truncation().leaves_all and not Truncation(top_k=1).leaves_all
    logits = tf.random.stateless_normal([3, 9], [1, 2])
    np.testing.assert_array_equal(Truncation()(logits), logits)


@pytest.mark.parametrize("wrong", [{"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}, {"min_p": -0.1},
                                   {"min_p": float("nan")}])
def test_numbers_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: expected .* got"):
        Truncation(**wrong).check()
