# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""MaskedBernoulli: an exact autoregressive density, and its samples."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.codec import _layers, decoders

RELATIVE = {"relative": True, "aligned": (0,)}


def seed(number):
    return tf.constant([7, number], tf.int32)


def features(*leading):
    return tf.random.stateless_normal([*leading, 5], seed(0), dtype=tf.float64)


def make(size, hidden_sizes=(30,), **kwargs):
    decoder = decoders.MaskedBernoulli(
        tf.TensorSpec([size], tf.float64), hidden_sizes, **kwargs)
    decoder.dist(decoder(features(1))).log_prob(np.zeros([1, size]))
    # Weights large enough for strong dependence between dimensions.
    for i, variable in enumerate(decoder.trainable_variables):
        variable.assign(tf.random.stateless_normal(
            variable.shape, seed(9 + i), stddev=0.5, dtype=tf.float64))
    return decoder


def all_events(size):
    return np.array(list(itertools.product([0.0, 1.0], repeat=size)))


@pytest.mark.parametrize("size, hidden_sizes, arguments", [
    (1, (3,), {}), (6, (9, 20, 9), {}), (1, (3,), RELATIVE), (4, (8, 12), RELATIVE)])
def test_densities_of_all_events_sum_to_one(size, hidden_sizes, arguments):
    decoder = make(size, hidden_sizes, **arguments)
    for temperature in (1.0, 0.5):
        dist = decoder.dist(decoder.temper(decoder(features(3)), temperature))
        log_probs = dist.log_prob(all_events(size)[:, None])
        np.testing.assert_allclose(np.exp(log_probs).sum(0), np.ones(3), rtol=1e-9)


def test_relative_weights_depend_on_the_distance_alone():
    for size, below, above in ((1, 1, 1), (4, 1, 3), (3, 2, 4)):
        weights = _layers.RelativeWeights(size, below, above)
        values = weights(tf.float64).numpy().reshape(size, below, size, above)
        for i, j in itertools.product(range(size), repeat=2):
            np.testing.assert_array_equal(values[i, :, j], weights.table[j - i])


def variables(module, *names):
    """Returns the variables of the layers of these names."""
    return [v for v in module.trainable_variables if set(names) & set(v.name.split("/"))]


def test_relative_logits_move_with_the_event_and_the_aligned_features():
    # Before training, when the free weights are zero.
    size = 6
    decoder = decoders.MaskedBernoulli(
        tf.TensorSpec([size], tf.float64), (18,), relative=True, aligned=(2,))
    features = np.concatenate([np.zeros([2]), [0.3, -0.8, 0.0, 1.2, 0.0, 0.0]])
    event = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 0.0])

    def logits(moved):
        aligned = np.concatenate([features[:2], np.roll(features[2:], moved)])
        return decoder.dist(decoder(tf.constant(aligned))).conditional_logits(
            np.roll(event, moved)).numpy()

    logits(0)
    # A hidden unit at the lower edge has no neighbour below it, so features must not activate it.
    for variable in variables(decoder, "head", "to_hidden"):
        variable.assign(tf.zeros_like(variable))
    np.testing.assert_allclose(logits(1)[1:], logits(0)[:-1], rtol=1e-12)
    assert np.ptp(logits(0)) > 0.01
    assert any(variable.shape == [size, 18] for variable in decoder.trainable_variables), (
        "training must be able to break the symmetry")


def test_relative_logits_move_with_the_aligned_features():
    size = 6
    decoder = decoders.RelativeBernoulli(tf.TensorSpec([size], tf.float64), 3, aligned=(2,))
    row = np.array([0.0, 0.0, 1.2, -0.7, 0.0, 0.0])

    def logits(moved):
        return decoder(tf.constant(np.concatenate([[0.0, 0.0], np.roll(row, moved)]))).numpy()

    logits(0)
    for variable in variables(decoder, "head"):
        variable.assign(tf.zeros_like(variable))
    # One layer is a convolution. Two lose units beyond the edges, so the first is made narrow.
    (table,) = variables(decoder, "to_hidden")
    near = np.isin(np.arange(2 * size), (0, 1))[:, None, None]
    table.assign(np.where(near, table, 0))
    for moved in (-1, 1):
        inside = slice(1, None) if moved > 0 else slice(None, -1)
        np.testing.assert_allclose(
            logits(moved)[inside], np.roll(logits(0), moved)[inside], rtol=1e-12)
    assert np.ptp(logits(0)) > 0.01


def test_seen_values_are_kept_also_where_they_have_no_probability():
    decoder = decoders.MaskedBernoulli(tf.TensorSpec([3], tf.float64), (8,))
    dist = decoder.dist(decoder(features(2)))
    values, mask = np.array([[64.0, 0, 1], [1, 0, 0]]), np.tile([True, False, True], [2, 1])
    event, log_weight = dist.sample_given(values, mask, seed=seed(3))
    np.testing.assert_array_equal(event.numpy()[mask], values[mask])
    assert np.isnan(log_weight).tolist() == [True, False]


@pytest.mark.parametrize("hidden_sizes", [(30,), (3,), (20, 12)])
def test_a_logit_depends_on_all_dimensions_before_it_and_no_others(hidden_sizes):
    size = 8
    decoder = make(size, hidden_sizes, activation="tanh")
    dist = decoder.dist(decoder(features()))
    event = all_events(size)[37]
    with tf.GradientTape() as tape:
        x = tf.constant(event)
        tape.watch(x)
        logits = dist.conditional_logits(x)
    jacobian = tape.jacobian(logits, x).numpy()  # [logit j, input i]
    assert np.all(np.triu(jacobian) == 0.0)
    if hidden_sizes != (3,):  # Three units of degrees 0, 2 and 5 cannot see everything.
        assert np.all(jacobian[np.tril_indices(size, -1)] != 0.0)


def test_log_prob_is_the_product_of_its_conditionals():
    # Each conditional is a ratio of sums of the joint density over the later dimensions.
    size = 5
    decoder = make(size)
    dist = decoder.dist(decoder(features()))
    events = all_events(size)
    joint = np.exp(dist.log_prob(events))
    for event, log_prob in zip(events, dist.log_prob(events).numpy(), strict=True):
        probs = 1.0 / (1.0 + np.exp(-dist.conditional_logits(event)))
        for i in range(size):
            prefix = np.all(events[:, :i] == event[:i], axis=1)
            one = joint[prefix & (events[:, i] == 1.0)].sum() / joint[prefix].sum()
            np.testing.assert_allclose(probs[i], one, rtol=1e-9)
        np.testing.assert_allclose(
            log_prob, np.log(np.where(event == 1.0, probs, 1.0 - probs)).sum(), rtol=1e-6)


@pytest.mark.parametrize("hidden_sizes, arguments, compiled, temperature", [
    ((30,), {}, False, 1.0), ((20, 12), {}, True, 0.5), ((8, 12), RELATIVE, False, 1.0)])
def test_samples_have_the_density(hidden_sizes, arguments, compiled, temperature):
    size, n = 4, 20_000
    decoder = make(size, hidden_sizes, **arguments)
    dist = decoder.dist(decoder.temper(decoder(features(2)), temperature))
    sample = tf.function(dist.sample, jit_compile=True) if compiled else dist.sample
    x = sample(n, seed=seed(1)).numpy()
    assert x.shape == (n, 2, size)
    p = np.exp(dist.log_prob(all_events(size)[:, None]))
    number = (x @ (2 ** np.arange(size)[::-1])).astype(int)
    frequencies = (number[..., None] == np.arange(2 ** size)).mean(0).T
    error = np.sqrt(p * (1 - p) / n)
    assert np.all(np.abs(frequencies - p) < 5 * error + 1 / n)


def test_events_broadcast_against_parameters():
    decoder = make(4)
    params = decoder(features(3, 2))
    events = all_events(4)[[3, 9]]
    log_prob = decoder.dist(params).log_prob(events)
    assert log_prob.shape == [3, 2]
    alone = decoder.dist(decoder(features(3, 2)[1, 0])).log_prob(events[0])
    np.testing.assert_allclose(log_prob[1, 0], alone)
