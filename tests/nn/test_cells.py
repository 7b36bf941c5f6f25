# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recurrent layers against NumPy: one step, whole sequences, and what they start as."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.nn import cells, networks

pytestmark = pytest.mark.oracle


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def numpy_lstm(layer, x, state):
    y = np.concatenate([x, state.hidden], -1) @ layer._gates.w.numpy() + layer._gates.b.numpy()
    i, f, o, g = np.split(y, 4, -1)
    c = sigmoid(f) * state.cell + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, cells.LSTMState(h, c)


def numpy_gru(layer, h_state_x, h):
    x = h_state_x @ layer._input.w.numpy() + layer._input.b.numpy()
    y = h @ layer._recurrent.w.numpy() + layer._recurrent.b.numpy()
    (xr, xu, xn), (yr, yu, yn) = np.split(x, 3, -1), np.split(y, 3, -1)
    r, u = sigmoid(xr + yr), sigmoid(xu + yu)
    h = u * h + (1 - u) * np.tanh(xn + r * yn)
    return h, h


NUMPY = {"lstm": numpy_lstm, "gru": numpy_gru}
TOLERANCE = {tf.float64: 1e-12, tf.float32: 2e-6}


def make(cell, dtype, leading=(3,), size=5):
    """A layer with random biases, inputs [..., T=4, F=2] and a state [..., H]."""
    rng = np.random.default_rng(5)
    layer = cells.CELLS[cell](size, dtype=dtype)
    inputs = rng.normal(size=[*leading, 4, 2]).astype(dtype.as_numpy_dtype)
    state = tf.nest.map_structure(
        lambda spec: rng.normal(size=[*leading, *spec.shape]).astype(dtype.as_numpy_dtype),
        layer.state_spec)
    layer.step(tf.constant(inputs[..., 0, :]), tf.nest.map_structure(tf.constant, state))
    for v in layer.trainable_variables:
        v.assign_add(rng.normal(size=v.shape, scale=0.3))
    return layer, inputs, state


def assert_close(ours, theirs, dtype):
    for x, y in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("leading", [(3,), (2, 3), (1,), ()])
@pytest.mark.parametrize("dtype", [tf.float64, tf.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_a_step(cell, dtype, leading):
    layer, inputs, state = make(cell, dtype, leading)
    x = inputs[..., 0, :]
    actual = layer.step(tf.constant(x), tf.nest.map_structure(tf.constant, state))
    assert_close(actual, NUMPY[cell](layer, x, state), dtype)


@pytest.mark.parametrize("compiled", [None, False, True])
@pytest.mark.parametrize("lengths", [None, (4, 1, 0)])
@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_whole_sequences(cell, lengths, compiled):
    layer, inputs, state = make(cell, tf.float64)
    expected = np.zeros([3, 4, 5])
    final = tf.nest.map_structure(np.copy, state)
    for row, length in enumerate(lengths or (4, 4, 4)):
        s = tf.nest.map_structure(lambda x, row=row: x[row], state)
        for t in range(length):
            expected[row, t], s = NUMPY[cell](layer, inputs[row, t], s)
        for whole, x in zip(tf.nest.flatten(final), tf.nest.flatten(s), strict=True):
            whole[row] = x

    def run():
        return layer(tf.constant(inputs), tf.nest.map_structure(tf.constant, state),
                     None if lengths is None else tf.constant(lengths))
    run = run if compiled is None else tf.function(run, jit_compile=compiled, autograph=False)
    assert_close(run(), (expected, final), tf.float64)


def numpy_gradient(loss, variable, epsilon=1e-6):
    """Central differences in every entry of `variable`."""
    value = variable.numpy()
    gradient = np.zeros_like(value)
    for index in np.ndindex(*value.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = value.copy()
            moved[index] += sign * epsilon
            variable.assign(moved)
            ends.append(loss())
        gradient[index] = (ends[0] - ends[1]) / (2 * epsilon)
    variable.assign(value)
    return gradient


@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_gradients_by_differences(cell):
    layer, inputs, state = make(cell, tf.float64, size=2)

    def loss():
        total, s = 0.0, state
        for t in range(4):
            h, s = NUMPY[cell](layer, inputs[:, t], s)
            total += np.sum(np.sin(h))
        return total

    @tf.function(jit_compile=True, autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            h, _ = layer(tf.constant(inputs), tf.nest.map_structure(tf.constant, state))
            value = tf.reduce_sum(tf.sin(h))
        return tape.gradient(value, layer.trainable_variables)
    for actual, variable in zip(gradients(), layer.trainable_variables, strict=True):
        np.testing.assert_allclose(actual, numpy_gradient(loss, variable), atol=1e-8)


def test_an_lstm_starts_with_open_forget_gates_and_orthogonal_recurrence():
    stack = networks.RecurrentStack((6,))
    stack.step(tf.zeros([1, 3]), stack.initial_state(1))
    variables = {v.name.split("/")[-1]: v.numpy() for v in stack.trainable_variables}
    np.testing.assert_array_equal(variables["b:0"], np.repeat([0.0, 1.0, 0.0, 0.0], 6))
    for block in np.split(variables["w:0"][3:], 4, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(6), atol=1e-5)
    limit = np.sqrt(6 / (3 + 6))
    assert 0.5 * limit < np.abs(variables["w:0"][:3]).max() <= limit
