# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Layers that are parallel in time against NumPy, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.nn import linear_recurrence, networks
from vaeseq.nn.linear_recurrence import PARALLEL_CELLS, ParallelState, linear_scan
from vaeseq.nn.scan import unroll

pytestmark = pytest.mark.oracle

TOLERANCE = {tf.float64: 1e-10, tf.float32: 2e-5}
MODES = ("eager", "function", "compiled")
CELLS = pytest.mark.parametrize("cell", sorted(PARALLEL_CELLS))


def run_as(mode, function):
    if mode == "eager":
        return function
    return tf.function(function, jit_compile=mode == "compiled", autograph=False)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def affine(layer, x):
    return x @ layer.w.numpy() + layer.b.numpy()


def mingru(layer, v):
    z = sigmoid(affine(layer._gate, v))
    return 1 - z, z * v


def rglru(layer, v):
    r, i = np.split(sigmoid(affine(layer._gates, v)), 2, -1)
    a = np.exp(-8 * np.log1p(np.exp(layer._log_rate.numpy())) * r)
    return a, np.sqrt(1 - a**2) * i * v


def numpy_step(layer, x, state):
    """The equations of the module, for one row [F]."""
    recent, h = state
    n = x / np.sqrt(np.mean(x**2) + 1e-6) * layer._scale.numpy()
    u, g = np.split(affine(layer._inputs, n), 2)
    window = np.concatenate([recent, u[None]])
    v = np.sum(window * layer._taps.numpy(), 0) + layer._shift.numpy()
    a, b = {"MinGRU": mingru, "RGLRU": rglru}[type(layer).__name__](layer, v)
    h = a * h + b
    return (h * g * sigmoid(g)) @ layer._outputs.w.numpy(), ParallelState(window[1:], h)


def make(cell, dtype=tf.float64, size=3, rows=3, steps=6):
    """A layer, inputs [B, T, F=2] and a state, all random."""
    rng = np.random.default_rng(5)
    layer = PARALLEL_CELLS[cell](size, dtype=dtype)
    inputs = rng.normal(size=[rows, steps, 2]).astype(dtype.as_numpy_dtype)
    state = tf.nest.map_structure(
        lambda spec: rng.normal(size=[rows, *spec.shape]).astype(dtype.as_numpy_dtype),
        layer.state_spec)
    layer.step(tf.constant(inputs[:, 0]), tf.nest.map_structure(tf.constant, state))
    for v in layer.trainable_variables:
        v.assign_add(rng.normal(size=v.shape, scale=0.3))
    return layer, inputs, state


def numpy_whole(layer, inputs, state, lengths=None):
    rows, steps, _ = inputs.shape
    outputs = np.zeros([rows, steps, layer.size])
    final = tf.nest.map_structure(np.copy, state)
    for row in range(rows):
        s = ParallelState(*(part[row] for part in state))
        for t in range(steps if lengths is None else lengths[row]):
            outputs[row, t], s = numpy_step(layer, inputs[row, t], s)
        final.recent[row], final.hidden[row] = s
    return outputs, final


def assert_close(ours, theirs, tolerance):
    for x, y in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@CELLS
@pytest.mark.parametrize("lengths", [None, (6, 2, 0)])
@pytest.mark.parametrize("mode,dtype", [
    ("eager", tf.float64), ("function", tf.float64), ("compiled", tf.float64),
    ("compiled", tf.float32)])
def test_whole_sequences(cell, mode, dtype, lengths):
    layer, inputs, state = make(cell, dtype)
    given = None if lengths is None else tf.constant(lengths)
    actual = run_as(mode, lambda: layer(tf.constant(inputs), state, given))()
    assert_close(actual, numpy_whole(layer, inputs, state, lengths), TOLERANCE[dtype])


@CELLS
@pytest.mark.parametrize("rows,steps", [(1, 1), (1, 5), (3, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_steps_and_one_row_or_step(cell, rows, steps, mode):
    """Stepped, whole, and in two halves with the state carried: the same."""
    layer, inputs, state = make(cell, rows=rows, steps=steps)

    def run():
        whole = layer(tf.constant(inputs), state)
        outputs, stepped = [], state
        for t in range(steps):
            output, stepped = layer.step(inputs[:, t], stepped)
            outputs.append(output)
        halves = [layer(inputs[:, :1], state)]
        if steps > 1:
            halves.append(layer(inputs[:, 1:], halves[0][1]))
        return (whole, (tf.stack(outputs, 1), stepped),
                (tf.concat([half for half, _ in halves], 1), halves[-1][1]))
    expected = numpy_whole(layer, inputs, state)
    for actual in run_as(mode, run)():
        assert_close(actual, expected, 1e-10)


@CELLS
def test_a_step_takes_any_leading_dims_and_parts(cell):
    layer, inputs, state = make(cell)
    expected, _ = numpy_whole(layer, inputs[:, :1], state)
    x = tf.constant(inputs[:, 0])[tf.newaxis]
    parts = (x[..., :1], x[..., 1:])
    outputs, moved = layer.step(parts, tf.nest.map_structure(lambda s: s[tf.newaxis], state))
    np.testing.assert_allclose(outputs[0], expected[:, 0], atol=1e-12)
    assert moved.recent.shape == [1, 3, 3, 3]


def numpy_gradient(loss, array, epsilon=1e-6):
    """Central differences in every entry of `array`, in place."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        value, ends = array[index], []
        for sign in (1.0, -1.0):
            array[index] = value + sign * epsilon
            ends.append(loss())
        array[index] = value
        gradient[index] = (ends[0] - ends[1]) / (2 * epsilon)
    return gradient


@CELLS
def test_gradients_by_differences(cell):
    layer, inputs, state = make(cell, size=2, rows=2, steps=4)
    lengths = (4, 2)

    @tf.function(jit_compile=True, autograph=False)
    def gradients():
        x, s = tf.constant(inputs), tf.nest.map_structure(tf.constant, state)
        with tf.GradientTape() as tape:
            tape.watch([x, s])
            outputs, final = layer(x, s, tf.constant(lengths))
            loss = tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(final.hidden**2)
            loss += tf.reduce_sum(tf.cos(final.recent))
        return tape.gradient(loss, [x, *s, *layer.trainable_variables])

    values = [v.numpy() for v in layer.trainable_variables]

    def loss():
        for variable, value in zip(layer.trainable_variables, values):
            variable.assign(value)
        outputs, final = numpy_whole(layer, inputs, state, lengths)
        return (np.sum(np.sin(outputs)) + np.sum(final.hidden**2)
                + np.sum(np.cos(final.recent)))
    actual = gradients()
    for ours, array in zip(actual, [inputs, *state, *values], strict=True):
        np.testing.assert_allclose(ours, numpy_gradient(loss, array), atol=2e-8)


def test_what_a_closed_gate_does_is_finite():
    layer, inputs, state = make("rglru", tf.float32)
    layer._gates.b.assign(-1e4 * tf.ones_like(layer._gates.b))
    with tf.GradientTape() as tape:
        outputs, final = layer(tf.constant(inputs), state)
        loss = tf.reduce_sum(outputs)
    np.testing.assert_array_equal(final.hidden, state.hidden)
    for gradient in tape.gradient(loss, layer.trainable_variables):
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("mode", MODES)
def test_a_linear_scan_of_decays_that_are_zero_or_one(mode):
    decay = tf.constant([[[0.0], [1.0], [1.0], [0.0], [0.5]]], tf.float64)
    increment = tf.constant([[[1.0], [2.0], [0.0], [3.0], [1.0]]], tf.float64)
    hidden, last = run_as(mode, linear_scan)(decay, increment, tf.constant([[7.0]], tf.float64))
    np.testing.assert_array_equal(hidden[0, :, 0], [1.0, 3.0, 3.0, 3.0, 2.5])
    np.testing.assert_array_equal(last, hidden[:, -1])


@CELLS
def test_a_stack_adds_what_it_read(cell):
    stack = networks.RecurrentStack((3, 3), cell=cell, dtype=tf.float64)
    x = tf.constant(np.random.default_rng(1).normal(size=[2, 4, 3]))
    outputs, _ = stack(x, stack.initial_state(2))
    first, second = stack._layers
    middle = x + first(x, first_state := stack.initial_state(2)[0])[0]
    np.testing.assert_allclose(outputs, middle + second(middle, first_state)[0], atol=1e-14)


@pytest.mark.parametrize("cell,steps", [("mingru", 6), ("rglru", 5)])
@pytest.mark.slow
def test_a_long_sequence_in_segments(cell, steps, monkeypatch):
    stack = networks.RecurrentStack((2, 2), cell=cell, dtype=tf.float64)
    x = tf.constant(np.random.default_rng(1).normal(size=[2, steps, 3]))
    stack(x, stack.initial_state(2))
    lengths = tf.constant([steps, 3])

    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, final = stack(x, stack.initial_state(2), lengths)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(final[1].hidden)
        return outputs, final, tape.gradient(loss, [x, *stack.trainable_variables])
    expected = run()
    monkeypatch.setattr(unroll, "SEGMENT", 2)
    assert_close(run_as("compiled", run)(), expected, 1e-10)


def test_a_layer_starts_with_long_and_short_memories():
    layer = linear_recurrence.MinGRU(5)
    layer.step(tf.zeros([1, 2]), tf.nest.map_structure(
        lambda spec: tf.zeros([1, *spec.shape]), layer.state_spec))
    np.testing.assert_allclose(layer._gate.b, [-4.0, -2.75, -1.5, -0.25, 1.0])
    np.testing.assert_array_equal(layer._taps[-1], np.ones(5))
