# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recurrent layers against NumPy: steps, whole sequences, gradients, and initial weights."""

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.dtypes import float_dtype
from vaeseq.nn import networks
from vaeseq.nn.cells import LSTMState
from vaeseq.nn.linear_recurrence import MinGRU, ParallelState, linear_scan
from vaeseq.nn.scan import unroll
from vaeseq.nn.transformer import TransformerState

pytestmark = pytest.mark.oracle

TOLERANCE = {tf.float64: 1e-10, tf.float32: 2e-5}
CELLS = pytest.mark.parametrize("cell", sorted(networks.CELLS))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def affine(layer, x):
    return x @ layer.w.numpy() + layer.b.numpy()


def numpy_lstm(layer, x, state):
    i, f, o, g = np.split(affine(layer._gates, np.concatenate([x, state.hidden], -1)), 4, -1)
    c = sigmoid(f) * state.cell + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, LSTMState(h, c)


def numpy_gru(layer, x, h):
    xr, xu, xn = np.split(affine(layer._input, x), 3, -1)
    yr, yu, yn = np.split(affine(layer._recurrent, h), 3, -1)
    r, u = sigmoid(xr + yr), sigmoid(xu + yu)
    h = u * h + (1 - u) * np.tanh(xn + r * yn)
    return h, h


def mingru_recurrence(layer, v):
    z = sigmoid(affine(layer._gate, v))
    return 1 - z, z * v


def rglru_recurrence(layer, v):
    r, i = np.split(sigmoid(affine(layer._gates, v)), 2, -1)
    a = np.exp(-8 * np.log1p(np.exp(layer._log_rate.numpy())) * r)
    return a, np.sqrt(1 - a**2) * i * v


def numpy_parallel(recurrence):
    """Returns one step of the block in `linear_recurrence`."""
    def step(layer, x, state):
        n = x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6) * layer._scale.numpy()
        u, g = np.split(affine(layer._inputs, n), 2, -1)
        window = np.concatenate([state.recent, u[..., None, :]], -2)
        v = np.sum(window * layer._taps.numpy(), -2) + layer._shift.numpy()
        a, b = recurrence(layer, v)
        h = a * state.hidden + b
        return (h * g * sigmoid(g)) @ layer._outputs.w.numpy(), ParallelState(window[..., 1:, :], h)
    return step


def numpy_mamba(layer, x, state):
    n = x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6) * layer._scale.numpy()
    u, g = np.split(affine(layer._inputs, n), 2, -1)
    window = np.concatenate([state.recent, u[..., None, :]], -2)
    v = np.sum(window * layer._taps.numpy(), -2) + layer._shift.numpy()
    v = v * sigmoid(v)
    rank, b, c = np.split(v @ layer._selection.w.numpy(), [layer._rank, -layer._states], -1)
    delta = np.log1p(np.exp(affine(layer._step_sizes, rank)))
    a = -np.exp(layer._log_rates.numpy())
    h = (np.exp(np.einsum("...e,ne->...ne", delta, a)) * state.hidden
         + np.einsum("...e,...n->...ne", delta * v, b))
    y = np.einsum("...n,...ne->...e", c, h) + layer._skip.numpy() * v
    return (y * g * sigmoid(g)) @ layer._outputs.w.numpy(), ParallelState(window[..., 1:, :], h)


def numpy_transformer(layer, x, state):
    """Rotary embeddings as products of complex numbers, by distance."""
    def norm(x, scale):
        return x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6) * scale.numpy()

    def heads(x):
        return x.reshape(*x.shape[:-1], layer._heads, -1)

    def pairs(x):
        real, imaginary = np.split(heads(x), 2, -1)
        return real + 1j * imaginary
    window, half = layer._window, layer.size // layer._heads // 2
    if x.shape[-1] != layer.size:
        x = x @ layer._project.w.numpy()
    q, k, v = np.split(norm(x, layer._attention_norm.scale)
                       @ layer._queries_keys_values.w.numpy(), 3, -1)
    keys = np.concatenate([state.keys, k[..., None, :]], -2)
    values = np.concatenate([state.values, v[..., None, :]], -2)
    distance = np.arange(window + 1) - window
    turns = np.exp(1j * distance[:, None, None] * 10000.0 ** (-np.arange(half) / half))
    scores = np.sum(np.conj(pairs(q)[..., None, :, :]) * pairs(keys) * turns, -1).real
    exists = -distance <= np.asarray(state.count)[..., None]
    weights = np.exp(scores / np.sqrt(2 * half)) * exists[..., None]
    weights /= np.sum(weights, -2, keepdims=True)
    attended = np.sum(weights[..., None] * heads(values), -3).reshape(x.shape)
    x = x + attended @ layer._attention_outputs.w.numpy()
    gate, up = np.split(norm(x, layer._norm.scale) @ layer._gates.w.numpy(), 2, -1)
    count = np.minimum(state.count + np.int32(1), np.int32(window))
    return (x + (gate * sigmoid(gate) * up) @ layer._outputs.w.numpy(),
            TransformerState(keys[..., 1:, :], values[..., 1:, :], count))


NUMPY_STEP = {"lstm": numpy_lstm, "gru": numpy_gru, "mingru": numpy_parallel(mingru_recurrence),
              "rglru": numpy_parallel(rglru_recurrence), "mamba": numpy_mamba,
              "transformer": numpy_transformer}


def make(cell, dtype=tf.float64, leading=(3,), size=3, steps=6):
    """A layer with random weights, inputs [..., T, F=2] and a state."""
    rng = np.random.default_rng(5)
    options = {"states": 2} if cell == "mamba" else {}
    if cell == "transformer":
        heads = size // 2 + size % 2
        size, options = 2 * heads, {"heads": heads, "window": 4}
    with float_dtype(dtype):
        layer = networks.CELLS[cell](size, **options)
    inputs = rng.normal(size=[*leading, steps, 2]).astype(dtype.as_numpy_dtype)

    def random(spec):
        shape = [*leading, *spec.shape]
        if spec.dtype == tf.int32:
            return rng.integers(0, 5, shape).astype(np.int32)
        return rng.normal(size=shape).astype(dtype.as_numpy_dtype)
    state = tf.nest.map_structure(random, layer.state_spec)
    layer.step(tf.constant(inputs[..., 0, :]), tf.nest.map_structure(tf.constant, state))
    for v in layer.trainable_variables:
        v.assign_add(rng.normal(size=v.shape, scale=0.3))
    return layer, inputs, state


def numpy_whole(cell, layer, inputs, state, lengths=None):
    rows, steps, _ = inputs.shape
    outputs = np.zeros([rows, steps, layer.size])
    final = tf.nest.map_structure(np.copy, state)
    for row in range(rows):
        s = tf.nest.map_structure(lambda x, row=row: x[row], state)
        for t in range(steps if lengths is None else lengths[row]):
            outputs[row, t], s = NUMPY_STEP[cell](layer, inputs[row, t], s)
        for whole, x in zip(tf.nest.flatten(final), tf.nest.flatten(s), strict=True):
            whole[row] = x
    return outputs, final


def assert_close(ours, theirs, tolerance=1e-10):
    for x, y in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def floating(nest):
    return [x for x in tf.nest.flatten(nest) if tf.as_dtype(x.dtype).is_floating]


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


@pytest.mark.parametrize("leading", [(2, 3), ()])
@CELLS
def test_a_step_equals_numpy_for_any_leading_dimensions_and_parts(cell, leading):
    layer, inputs, state = make(cell, leading=leading)
    x = inputs[..., 0, :]
    parts = (tf.constant(x[..., :1]), tf.constant(x[..., 1:]))
    assert_close(layer.step(parts, tf.nest.map_structure(tf.constant, state)),
                 NUMPY_STEP[cell](layer, x, state))


def test_a_gru_without_inputs_equals_numpy():
    with float_dtype(tf.float64):
        layer = networks.CELLS["gru"](3)
    inputs, h = np.zeros([2, 4, 0]), np.ones([2, 3])
    actual = tf.function(lambda: layer(tf.constant(inputs), tf.constant(h)), autograph=False)()
    assert_close(actual, numpy_whole("gru", layer, inputs, h))


@pytest.mark.parametrize("lengths", [None, (6, 2, 0)])
@pytest.mark.parametrize("wrap,dtype", [
    (lambda run: run, tf.float64), (compiled, tf.float64), (compiled, tf.float32)],
    ids=["eager", "compiled", "compiled-float32"])
@CELLS
def test_whole_sequences_equal_numpy(cell, wrap, dtype, lengths):
    layer, inputs, state = make(cell, dtype)
    lengths_tensor = None if lengths is None else tf.constant(lengths)
    actual = wrap(lambda: layer(
        tf.constant(inputs), tf.nest.map_structure(tf.constant, state), lengths_tensor))()
    assert_close(actual, numpy_whole(cell, layer, inputs, state, lengths), TOLERANCE[dtype])


@pytest.mark.parametrize("rows,steps", [(1, 1), (1, 5), (3, 1)])
@pytest.mark.parametrize("cell", ["mamba", "mingru", "rglru"])
def test_steps_and_halves_with_the_state_carried_equal_the_whole(cell, rows, steps):
    layer, inputs, state = make(cell, leading=(rows,), steps=steps)
    expected = numpy_whole(cell, layer, inputs, state)
    inputs = tf.constant(inputs)

    def run():
        outputs, stepped = [], state
        for t in range(steps):
            output, stepped = layer.step(inputs[:, t], stepped)
            outputs.append(output)
        halves = [layer(inputs[:, :1], state)]
        if steps > 1:
            halves.append(layer(inputs[:, 1:], halves[0][1]))
        return (layer(inputs, state), (tf.stack(outputs, 1), stepped),
                (tf.concat([half for half, _ in halves], 1), halves[-1][1]))
    for actual in compiled(run)():
        assert_close(actual, expected)


def numpy_gradient(loss, array, epsilon=1e-6):
    """Central differences in every entry of `array`, which is changed in place."""
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
def test_gradients_equal_differences(cell):
    layer, inputs, state = make(cell, leading=(2,), size=2, steps=4)
    lengths = (4, 2)

    @compiled
    def gradients():
        x, s = tf.nest.map_structure(tf.constant, (inputs, state))
        with tf.GradientTape() as tape:
            tape.watch([x, *floating(s)])
            outputs, final = layer(x, s, tf.constant(lengths))
            loss = sum(tf.reduce_sum(tf.sin(y)) for y in floating((outputs, final)))
        return tape.gradient(loss, [x, *floating(s), *layer.trainable_variables])

    values = [v.numpy() for v in layer.trainable_variables]

    def loss():
        for variable, value in zip(layer.trainable_variables, values):
            variable.assign(value)
        results = numpy_whole(cell, layer, inputs, state, lengths)
        return sum(np.sum(np.sin(y)) for y in floating(results))
    sources = [inputs, *floating(state), *values]
    for actual, array in zip(gradients(), sources, strict=True):
        np.testing.assert_allclose(actual, numpy_gradient(loss, array), atol=2e-8)


def test_a_closed_gate_keeps_the_state_and_has_finite_gradients():
    layer, inputs, state = make("rglru", tf.float32)
    layer._gates.b.assign(-1e4 * tf.ones_like(layer._gates.b))
    with tf.GradientTape() as tape:
        outputs, final = layer(tf.constant(inputs), state)
        loss = tf.reduce_sum(outputs)
    np.testing.assert_array_equal(final.hidden, state.hidden)
    for gradient in tape.gradient(loss, layer.trainable_variables):
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("wrap", [lambda run: run, compiled], ids=["eager", "compiled"])
def test_decays_of_a_linear_scan_may_be_zero_or_one(wrap):
    decay = tf.constant([[[0.0], [1.0], [1.0], [0.0], [0.5]]], tf.float64)
    increment = tf.constant([[[1.0], [2.0], [0.0], [3.0], [1.0]]], tf.float64)
    hidden, last = wrap(linear_scan)(decay, increment, tf.constant([[7.0]], tf.float64))
    np.testing.assert_array_equal(hidden[0, :, 0], [1.0, 3.0, 3.0, 3.0, 2.5])
    np.testing.assert_array_equal(last, hidden[:, -1])


@pytest.mark.parametrize("cell,steps", [
    ("mingru", 6), ("rglru", 5), ("mamba", 5), ("transformer", 5)])
@pytest.mark.slow
def test_segments_change_no_output_and_no_gradient(cell, steps, monkeypatch):
    with float_dtype(tf.float64):
        stack = networks.RecurrentStack((4, 4), cell=cell, heads=2, window=3)
    rng = np.random.default_rng(1)
    x = tf.constant(rng.normal(size=[2, steps, 3]))
    stack(x, stack.initial_state(2))
    for variable in stack.trainable_variables:
        variable.assign_add(rng.normal(size=variable.shape, scale=0.3))
    lengths = tf.constant([steps, 3])

    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, final = stack(x, stack.initial_state(2), lengths)
            loss = tf.reduce_sum(outputs**2) + sum(map(tf.reduce_sum, floating(final[1])))
        return outputs, final, tape.gradient(loss, [x, *stack.trainable_variables])
    expected = run()
    monkeypatch.setattr(unroll, "SEGMENT", 2)
    assert_close(compiled(run)(), expected)


def test_a_mingru_starts_with_long_and_short_memories():
    layer = MinGRU(5)
    layer.step(tf.zeros([1, 2]), tf.nest.map_structure(
        lambda spec: tf.zeros([1, *spec.shape]), layer.state_spec))
    np.testing.assert_allclose(layer._gate.b, [-4.0, -2.75, -1.5, -0.25, 1.0])
    np.testing.assert_array_equal(layer._taps[-1], np.ones(5))


def test_a_mamba_starts_with_long_and_short_memories():
    layer = networks.CELLS["mamba"](6)
    layer.step(tf.zeros([1, 2]), tf.nest.map_structure(
        lambda spec: tf.zeros([1, *spec.shape]), layer.state_spec))
    step_sizes = tf.nn.softplus(layer._step_sizes.b)
    np.testing.assert_allclose(step_sizes[::11], [0.001, 0.1], rtol=1e-4)
    np.testing.assert_allclose(layer._rates()[:, 0], -np.arange(1, 17), rtol=1e-5)


def test_an_lstm_starts_with_open_forget_gates_and_orthogonal_recurrence():
    stack = networks.RecurrentStack((6,))
    stack.step(tf.zeros([1, 3]), stack.initial_state(1))
    variables = {v.name.split("/")[-1]: v.numpy() for v in stack.trainable_variables}
    np.testing.assert_array_equal(variables["b:0"], np.repeat([0.0, 1.0, 0.0, 0.0], 6))
    for block in np.split(variables["w:0"][3:], 4, axis=1):
        np.testing.assert_allclose(block @ block.T, np.eye(6), atol=1e-5)
    limit = np.sqrt(6 / (3 + 6))
    assert 0.5 * limit < np.abs(variables["w:0"][:3]).max() <= limit
