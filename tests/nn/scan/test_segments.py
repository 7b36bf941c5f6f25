# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Long sequences by segments, against the same sequences whole."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from tests.nn.scan.test_unroll import (
    assert_close,
    everything,
    python_loop,
    results_and_gradients,
    run_as,
)
from vaeseq import seeds
from vaeseq.bounds import ELBO, _importance
from vaeseq.nn import networks
from vaeseq.nn.dropout import enable_dropout, segment_dropout
from vaeseq.nn.scan import unroll


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr(unroll, "SEGMENT", 2)


def test_the_size_of_a_segment():
    assert unroll.segment_size(2 * unroll.SEGMENT) == 2 * unroll.SEGMENT
    assert unroll.segment_size(10000) == 500
    for steps in (2 * unroll.SEGMENT + 1, 4096, 9973, 123457):
        size = unroll.segment_size(steps)
        assert unroll.SEGMENT // 2 < size <= unroll.SEGMENT
        assert steps % size < 10


@pytest.mark.slow
def test_a_scan_in_segments(short_segments):
    """Two segments and a rest, and padding in each."""
    module, inputs, outside, state, weights = everything(tf.float64, 3, 5)
    lengths = tf.constant([5, 2, 1])
    expected = results_and_gradients(python_loop, module, inputs, outside, state, lengths, weights)

    def ours(inputs, outside, state):
        return results_and_gradients(
            unroll.scan, module, inputs, outside, state, lengths, weights)
    assert_close(run_as("compiled", ours)(inputs, outside, state), expected, tf.float64)


@pytest.mark.parametrize("steps", [6, 5])
def test_a_function_in_segments(short_segments, steps):
    """Called once for all segments, and each has its number and dropout of its own."""
    layer = networks.MLP((6, 2), dropout=0.5)
    x = tf.constant(np.random.default_rng(1).normal(size=[3, steps, 2]))
    layer(x)

    def part(x, total, number):
        number = 0 if number is None else number
        y = layer(x)
        total += tf.reduce_sum(y, 1)
        return (y, tf.fill(y.shape[:2], number)), total

    def run(fn):
        with tf.GradientTape() as tape:
            tape.watch(x)
            (y, numbers), total = unroll.by_segments(fn, x, tf.zeros([3, 2], tf.float64))
            loss = tf.reduce_sum(tf.sin(y)) + tf.reduce_sum(total**2)
        return y, total, numbers, tape.gradient(loss, [x, *layer.trainable_variables])

    *expected, _, d_expected = run(part)  # eager: whole
    *actual, numbers, d_actual = run_as("compiled", lambda: run(part))()
    assert_close((actual, d_actual), (expected, d_expected), tf.float64)
    np.testing.assert_array_equal(numbers[0], np.arange(steps) // 2)


def test_dropout_differs_between_segments(short_segments):
    layer = networks.MLP((50,), activate_final=True, dropout=0.5)
    layer(tf.ones([1, 1]))
    layer._layers[0].w.assign(tf.ones([1, 50]))

    def part(x, state, number):
        with segment_dropout(number):
            return layer(x), state

    @tf.function(jit_compile=True, autograph=False)
    def run():
        with enable_dropout(tf.constant([1, 2])):
            return unroll.by_segments(part, tf.ones([1, 6, 1]))[0]
    first, second, third = np.split(run().numpy()[0], 3)
    assert np.any(first != second) and np.any(second != third)
    np.testing.assert_array_equal(np.unique(first), [0.0, 2.0])


def test_a_bound_in_segments(monkeypatch):
    """The same random numbers, values and gradients, whatever is computed again."""
    model = small.gen_core("RNN")
    observed, lengths = small.reals(3, 6), tf.constant([6, 4, 1])

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            contexts, _ = model.agent.contexts(
                observed, model.agent.initial_state(3), (), lengths, seed=seeds.make(1))
            result = ELBO()(model.core, contexts, observed, ELBO().initial_state(model.core, 3),
                            lengths, seed=small.SEED)
            loss = tf.reduce_sum(result.objective)
        gradients = tape.gradient(
            loss, model.trainable_variables, unconnected_gradients="zero")
        return result.increments, result.state, gradients

    whole = run()
    monkeypatch.setattr(unroll, "SEGMENT", 2)
    again = tf.function(run.python_function, autograph=False)()
    # A gradient adds up 18 steps, each of up to 10: 180 roundings' worth of 1.2e-7.
    small.close(again, whole, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("vae_type", [
    pytest.param("SRNN", marks=pytest.mark.slow), "VRNN"])
def test_latents_in_segments(short_segments, vae_type):
    """As if each segment were scored by itself, with a seed of its own and the state carried."""
    model = small.gen_core(vae_type)
    observed, lengths = small.reals(3, 5), tf.constant([5, 3, 1])
    contexts, _ = model.agent.contexts(
        observed, model.agent.initial_state(3), (), lengths, seed=seeds.make(1))
    state = ELBO(2).initial_state(model.core, 3)

    def whole(features):
        return _importance.importance_weights(
            model.core, features, state.latent, 2, lengths, chunked=True, analytic=True,
            seed=small.SEED)

    def by_parts(features):
        parts, latent = [], state.latent
        for number, first in enumerate((0, 2, 4)):
            part = _importance.Features(*tf.nest.map_structure(
                lambda x, first=first: x[:, first:first + 2], features[:3]), features.context_state)
            parts.append(_importance.importance_weights(
                model.core, part, latent, 2, tf.clip_by_value(lengths - first, 0, 2),
                chunked=True, analytic=True, seed=seeds.fold_in(small.SEED, number)))
            latent = parts[-1].latent
        return _importance.WeightedSamples(
            *(tf.concat(fields, 2) for fields in zip(*(part[:5] for part in parts))), latent)

    def run(score):
        with tf.GradientTape() as tape:
            samples = score(_importance.encode(model.core, contexts, observed, state, lengths))
            valid = tf.sequence_mask(lengths, 5)[:, tf.newaxis]
            loss = tf.reduce_sum(tf.where(valid, samples.log_prob - samples.kl, 0.0))
        return samples, tape.gradient(loss, model.trainable_variables, unconnected_gradients="zero")

    # By XLA other random numbers would be drawn than eagerly.
    small.close(run_as("graph", lambda: run(whole))(), run(by_parts), rtol=2e-5, atol=2e-5)


@pytest.mark.slow
def test_fixed_samples_have_the_dropout_of_those_drawn(short_segments):
    model = small.gen_core("VRNN", dropout=0.5)
    observed = small.reals(3, 5)
    state = ELBO(2).initial_state(model.core, 3)

    def densities():
        contexts, _ = model.agent.contexts(
            observed, model.agent.initial_state(3), seed=seeds.make(1))
        with enable_dropout(seeds.make(4)):
            features = _importance.encode(model.core, contexts, observed, state, None)
            drawn = _importance.importance_weights(
                model.core, features, state.latent, 2, None, chunked=True, analytic=True,
                seed=small.SEED)
            fixed = _importance.densities_of(model.core, features, drawn.z, state.latent, None)
        return (drawn.log_prob, drawn.log_ratio), (fixed.p_x, fixed.q_z - fixed.p_z)

    small.close(*run_as("graph", densities)(), rtol=1e-5, atol=1e-5)
