# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loop over time against a Python loop, in outputs and gradients."""

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from vaeseq import nest
from vaeseq.dtypes import float_dtype
from vaeseq.nn import networks
from vaeseq.nn.dropout import enable_dropout
from vaeseq.nn.scan import lookup, matmul, unroll

MODES = ("eager", "function", "compiled", "split")
# XLA compiles the same graph, which two tests below compare; a loop whose steps are split is traced
# step by step.
GRAPHS = pytest.mark.parametrize("mode", [
    "function", pytest.param("split", marks=pytest.mark.slow)])
TOLERANCE = {tf.float64: 1e-10, tf.float32: 2e-5}


def run_as(mode, function):
    if mode == "eager":
        return function

    def traced(*args):
        with matmul.precision_scope(matmul.Precision(split_steps=mode == "split")):
            return function(*args)
    return tf.function(traced, jit_compile=mode == "compiled", autograph=False)


def python_loop(step, inputs, state, lengths=None):
    """What `scan` promises, one step after the other."""
    outputs = []
    for t in range(tf.nest.flatten(inputs)[0].shape[1]):
        outputs_t, next_state = step(tf.nest.map_structure(lambda x, t=t: x[:, t], inputs), state)
        if lengths is not None:
            zeros = tf.nest.map_structure(tf.zeros_like, outputs_t)
            outputs_t = nest.where(t < lengths, outputs_t, zeros)
            next_state = nest.where(t < lengths, next_state, state)
        outputs.append(outputs_t)
        state = next_state
    return tf.nest.map_structure(lambda *xs: tf.stack(xs, 1), *outputs), state


class Everything(snt.Module):
    """A step that multiplies in every way that the loop treats differently."""

    def __init__(self, dtype):
        super().__init__()
        self.first = networks.MLP((5, 4), activation="tanh")
        self.second = networks.Linear(4)
        self.given = networks.Linear(3, use_bias=False)
        self.twice = networks.Linear(4)
        with float_dtype(dtype):
            self.cell = networks.RecurrentStack((4,))
        self.scale = tf.Variable(tf.ones([4], dtype) * 0.7)
        self.table = tf.Variable(tf.reshape(tf.linspace(tf.cast(-1, dtype), 1, 12), [3, 4]))

    def initial_state(self, batch_size):
        return {"z": tf.zeros([batch_size, 4], self.scale.dtype),
                "count": tf.zeros([batch_size], tf.int32),
                "cell": self.cell.initial_state(batch_size)}

    def __call__(self, outside):
        def step(inputs_t, state):
            x, (u, symbol) = inputs_t
            z = state["z"]
            p = self.first((x, z))                           # One part given, one inside.
            q = self.second((z, u, x))                       # In another order, two given.
            r = self.given(u)                                # Given as a whole.
            z = tf.tanh(p + q * self.scale) + self.twice(self.twice(z) * x[:, :4])
            z += tf.matmul(r, self.given.w[:4], transpose_b=True)[:, :4]  # A weight, tied.
            z = z * outside + tf.gather(self.table, symbol)  # A captured tensor; a table.
            h, cell = self.cell.step((u, z), state["cell"])
            return ({"h": h, "count": state["count"], "r": r},
                    {"z": tf.tanh(z + h), "count": state["count"] + symbol, "cell": cell})
        return step


def everything(dtype, batch_size, num_steps):
    rng = np.random.default_rng(3)
    module = Everything(dtype)
    inputs = (tf.constant(rng.normal(size=[batch_size, num_steps, 6]), dtype),
              (tf.constant(rng.normal(size=[batch_size, num_steps, 4]), dtype),
               tf.constant(rng.integers(0, 3, size=[batch_size, num_steps]), tf.int32)))
    outside = tf.constant(rng.normal(size=[batch_size, 4]), dtype)
    state = tf.nest.map_structure(
        lambda x: x if x.dtype.is_integer else tf.constant(rng.normal(size=x.shape), dtype),
        module.initial_state(batch_size))
    module(outside)(tf.nest.map_structure(lambda x: x[:, 0], inputs), state)
    weights = [tf.constant(rng.normal(size=[batch_size, num_steps, n]), dtype) for n in (4, 3)]
    return module, inputs, outside, state, weights


def results_and_gradients(loop, module, inputs, outside, state, lengths, weights):
    """All outputs, and the gradients of a function of all of them."""
    x, (u, symbol) = inputs
    with tf.GradientTape() as tape:
        tape.watch([x, u, outside, state["z"], state["cell"]])
        outputs, final = loop(module(outside), inputs, state, lengths)
        loss = sum(tf.reduce_sum(w * tf.sin(outputs[name])) for w, name in zip(weights, "hr"))
        loss += tf.reduce_sum(final["z"] ** 2) + tf.reduce_sum(final["cell"][0].cell ** 2)
    sources = [x, u, outside, state["z"], state["cell"], list(module.trainable_variables)]
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return outputs, final, tf.nest.map_structure(tf.convert_to_tensor, gradients)


def assert_close(ours, theirs, dtype):
    tf.nest.assert_same_structure(ours, theirs)
    for x, y in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs)):
        np.testing.assert_allclose(x, y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("mode,dtype,lengths", [
    *((mode, tf.float64, (5, 2, 1)) for mode in MODES), ("function", tf.float64, None),
    ("compiled", tf.float32, None)])
def test_scan_equals_a_python_loop(mode, dtype, lengths):
    case = everything(dtype, 3, 5)
    lengths = None if lengths is None else tf.constant(lengths)

    def ours(inputs, outside, state):
        return results_and_gradients(unroll.scan, case[0], inputs, outside, state, lengths, case[4])
    module, inputs, outside, state, weights = case
    expected = results_and_gradients(python_loop, module, inputs, outside, state, lengths, weights)
    assert_close(run_as(mode, ours)(inputs, outside, state), expected, dtype)
    assert all(np.abs(g).max() > 1e-6 for g in tf.nest.flatten(expected[2]))


@pytest.mark.parametrize("lengths", [None, (8, 3, 1)])
@GRAPHS
def test_lookups_as_inputs_equal_a_python_loop(mode, lengths):
    """Multiplied by themselves, with a bias and without, and beside what the loop knows alone."""
    rng = np.random.default_rng(4)
    table = tf.Variable(rng.normal(size=[4, 3]))
    numbers = tf.constant(rng.integers(0, 4, [3, 8]))
    with float_dtype(tf.float64):
        cell = networks.RecurrentStack((5,))
    alone = networks.Linear(2)
    bare = networks.Linear(2, use_bias=False)
    lengths = None if lengths is None else tf.constant(lengths)

    def step(x, state):
        h, state = cell.step(x, state)
        return (h, alone(x), bare(x), x), state

    def run(loop):
        with tf.GradientTape() as tape:
            x = lookup.Lookup(table, numbers)
            outputs, final = loop(step, x, cell.initial_state(3), lengths)
            loss = sum(tf.reduce_sum(tf.sin(y)) for y in tf.nest.flatten((outputs, final)))
        variables = (table, *(v for m in (cell, alone, bare) for v in m.trainable_variables))
        return outputs, final, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    run(python_loop)  # makes the variables
    for linear, b in ((cell._layers[0]._gates, -0.3), (alone, 0.4)):
        linear.b.assign(tf.fill(linear.b.shape, tf.constant(b, tf.float64)))
    expected = run(python_loop)
    assert_close(run_as(mode, lambda: run(unroll.scan))(), expected, tf.float64)


@pytest.mark.parametrize("jit_compile,split", [(False, False), (True, False), (False, True)])
def test_bfloat16_errors_are_those_of_a_python_loop(jit_compile, split):
    """As near to the exact results as a Python loop whose products are rounded alike."""
    case = everything(tf.float32, 3, 5)
    module, inputs, outside, state, weights = case
    precision = matmul.Precision(bfloat16=True, split_steps=split)

    def ours(inputs, outside, state):
        with matmul.precision_scope(precision):
            return results_and_gradients(
                unroll.scan, module, inputs, outside, state, None, weights)

    def errors(results):
        """Of each tensor, relative to its norm."""
        pairs = list(zip(tf.nest.flatten(results), tf.nest.flatten(exact), strict=True))
        assert all(x.dtype == y.dtype for x, y in pairs)
        assert all((x == y).numpy().all() for x, y in pairs if y.dtype.is_integer)
        return np.array([np.linalg.norm(x - y) / np.linalg.norm(y)
                         for x, y in pairs if y.dtype.is_floating])

    exact = results_and_gradients(python_loop, module, inputs, outside, state, None, weights)
    with matmul.precision_scope(precision):
        alike = errors(results_and_gradients(
            python_loop, module, inputs, outside, state, None, weights))
    actual_errors = errors(
        tf.function(ours, jit_compile=jit_compile, autograph=False)(inputs, outside, state))
    assert (actual_errors > 1e-5).all()
    # Over 14 draws of the weights the ratio was 0.2 to 1.7.
    assert np.sqrt(np.mean(actual_errors**2) / np.mean(alike**2)) < 2


@pytest.mark.parametrize("batch_size,num_steps", [(1, 4), (3, 1)])
@GRAPHS
def test_one_row_or_one_step_equals_a_python_loop(mode, batch_size, num_steps):
    module, inputs, outside, state, weights = everything(tf.float64, batch_size, num_steps)

    def with_loop(loop):
        return results_and_gradients(loop, module, inputs, outside, state, None, weights)
    assert_close(run_as(mode, lambda: with_loop(unroll.scan))(), with_loop(python_loop), tf.float64)


@GRAPHS
def test_padding_changes_no_output_and_no_gradient(mode):
    module, inputs, outside, state, weights = everything(tf.float64, 3, 5)
    lengths = tf.constant([5, 2, 0])
    padding = ~tf.sequence_mask(lengths, 5)[..., tf.newaxis]
    x, (u, symbol) = inputs

    def run(x):
        return results_and_gradients(unroll.scan, module, (x, (u, symbol)), outside, state,
                                     lengths, weights)
    clean, garbage = (run_as(mode, run)(tf.where(padding, tf.cast(fill, x.dtype), x))
                      for fill in (0.0, 1e3))
    assert_close(garbage, clean, tf.float64)
    outputs, final, gradients = clean
    assert not np.any(tf.boolean_mask(outputs["h"], padding[..., 0]))
    assert not np.any(tf.boolean_mask(gradients[0], padding[..., 0]))
    np.testing.assert_array_equal(final["z"][2], state["z"][2])
    np.testing.assert_array_equal(final["count"][2], 0)


@GRAPHS
def test_two_scans_with_the_state_carried_equal_one(mode):
    module, inputs, outside, state, _ = everything(tf.float64, 3, 5)

    def run(inputs, state):
        return unroll.scan(module(outside), inputs, state)
    run = run_as(mode, run)
    whole, final = run(inputs, state)
    first, middle = run(tf.nest.map_structure(lambda x: x[:, :2], inputs), state)
    second, last = run(tf.nest.map_structure(lambda x: x[:, 2:], inputs), middle)
    joined = tf.nest.map_structure(lambda x, y: tf.concat([x, y], 1), first, second)
    assert_close((joined, last), (whole, final), tf.float64)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_reach_outside_of_the_function(compiled):
    """A tape around the function, and two loops that capture the same tensor."""
    layer = networks.Linear(2)
    scale = tf.constant([[0.3, -0.2]], tf.float64)
    inputs = tf.constant(np.random.default_rng(1).normal(size=[3, 4, 2]))

    def both(loop, inputs, scale):
        scale = scale * 2.0

        def step(x, s):
            s = tf.tanh(layer((x, s)) * scale)
            return s, s
        first, _ = loop(step, inputs, tf.zeros([3, 2], tf.float64))
        return loop(step, first, first[:, -1])

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch([inputs, scale])
            outputs, final = function(inputs, scale)
            loss = tf.reduce_sum(outputs ** 2) + tf.reduce_sum(final)
        return tape.gradient(loss, [inputs, scale, layer.w, layer.b])

    expected = gradients(lambda *args: both(python_loop, *args))
    function = tf.function(lambda *args: both(unroll.scan, *args), jit_compile=compiled)
    assert_close(gradients(function), expected, tf.float64)


def test_second_derivatives_are_right_or_refused():
    stack = networks.RecurrentStack((3,))
    x = tf.reshape(tf.linspace(-1.0, 1.0, 8), [1, 4, 2])

    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(stack(x, stack.initial_state(1))[0])
            first = tape.gradient(total, x)
        return first, outer.gradient(first, x)

    first, gradient = second(x)
    for change in (0.01, -0.01):
        moved, _ = second(x + change)
        small = tf.reduce_sum(moved) - tf.reduce_sum(first)
        np.testing.assert_allclose(small, change * tf.reduce_sum(gradient), rtol=0.1)
    with pytest.raises(NotImplementedError, match="second derivatives of a compiled scan"):
        run_as("function", second)(x)


@pytest.mark.parametrize("mode", ["compiled", "split"])
def test_the_backward_pass_drops_the_same_units(mode):
    layer = networks.MLP((6, 2), dropout=0.5)
    inputs = tf.constant(np.random.default_rng(1).normal(size=[3, 4, 2]))

    def step(x, s):
        s = tf.tanh(layer((x, s)))
        return s, s

    def run(loop, seed):
        with tf.GradientTape() as tape:
            with enable_dropout(seed):
                outputs, _ = loop(step, inputs, tf.ones([3, 2], tf.float64))
            loss = tf.reduce_sum(outputs ** 2)
        return outputs, tape.gradient(loss, layer.trainable_variables)
    seed = tf.constant([1, 2])
    # A compiled program draws other numbers from a seed that is an argument.
    expected = run_as("compiled", lambda seed: run(python_loop, seed))(seed)
    assert_close(run_as(mode, lambda seed: run(unroll.scan, seed))(seed), expected, tf.float64)
    plain, _ = unroll.scan(step, inputs, tf.ones([3, 2], tf.float64))
    assert np.abs(plain - expected[0]).max() > 1e-3


@GRAPHS
def test_a_scan_within_a_scan_equals_python_loops(mode):
    layer = networks.Linear(2)
    inputs = tf.constant(np.random.default_rng(1).normal(size=[3, 4, 2]))

    def run(loop):
        def inner(x, s):
            s = tf.tanh(layer((x, s)))
            return s, s

        def outer(x, s):
            outputs, s = loop(inner, tf.stack([x, x * 2], 1), s)
            return outputs, s
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, _ = loop(outer, inputs, tf.ones([3, 2], tf.float64))
            loss = tf.reduce_sum(outputs ** 2)
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])
    run(python_loop)
    assert_close(run_as(mode, lambda: run(unroll.scan))(), run(python_loop), tf.float64)


@pytest.mark.parametrize("mode", [
    "function", "compiled", pytest.param("split", marks=pytest.mark.slow)])
def test_layers_in_graphs_inside_of_a_step_equal_a_python_loop(mode):
    first, second = networks.Linear(2), networks.Linear(2)
    rng = np.random.default_rng(1)
    inputs, state = tf.constant(rng.normal(size=[3, 4, 2])), tf.constant(rng.normal(size=[3, 2]))
    traced = tf.function(lambda s: tf.tanh(second(s)), autograph=False)

    def step(x, s):
        _, s = tf.while_loop(
            lambda i, _: i < 2, lambda i, s: (i + 1, s + 0.1 * tf.tanh(first((x, s)))),
            (tf.constant(0), s), maximum_iterations=2)
        s = tf.cond(tf.reduce_sum(s) > 0, lambda: second(s), lambda: -first((x, s)))
        s += tf.map_fn(lambda row: second(row[tf.newaxis])[0], x)
        return second(s), traced(s) + first((s, x))

    def run(loop):
        with tf.GradientTape() as tape:
            tape.watch([inputs, state])
            outputs, final = loop(step, inputs, state)
            loss = tf.reduce_sum(outputs ** 2) + tf.reduce_sum(final)
        return outputs, tape.gradient(
            loss, [inputs, state, *first.trainable_variables, *second.trainable_variables])
    run(python_loop)
    assert_close(run_as(mode, lambda: run(unroll.scan))(), run(python_loop), tf.float64)


@pytest.mark.parametrize("of_inputs", [True, False])
def test_layers_in_recompute_grad_are_refused(of_inputs):
    layer = networks.Linear(2)
    x = tf.ones([3, 4, 2])
    layer(x)
    again = tf.recompute_grad(lambda y: layer(y))

    @tf.function(autograph=False)
    def outputs():
        return unroll.scan(
            lambda x, s: (s, tf.tanh(again(x) + s if of_inputs else x + again(s))), x, x[:, 0])[0]

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            y = outputs()
        return tape.gradient(y, layer.w)

    def refused():
        return pytest.raises(NotImplementedError, match="inside of tf.recompute_grad in a step. L")

    with refused():
        gradient()
    outputs()  # traced now without a tape, as scores are
    with refused():
        gradient()


@GRAPHS
def test_states_that_begin_as_one_tensor_are_kept_apart(mode):
    """They are different after a step, and so are their products."""
    first, second = (networks.Linear(3, use_bias=False) for _ in range(2))
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 4, 3]))
    zeros = tf.zeros([2, 3], tf.float64)

    def step(x_t, state):
        h, c = state
        return h, (tf.tanh(x_t + second(c)), tf.tanh(first(h) - x_t))

    def run(loop):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, final = loop(step, x, (zeros, zeros))
            loss = tf.reduce_sum(outputs ** 2) + tf.reduce_sum(final[1] ** 2)
        return outputs, final, tape.gradient(loss, [x, first.w, second.w])
    step(x[:, 0], (zeros, zeros))  # makes the variables
    assert_close(run_as(mode, lambda: run(unroll.scan))(), run(python_loop), tf.float64)


@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_variables_can_be_created_inside(mode):
    layer = networks.MLP((3, 2))
    outputs, _ = run_as(mode, lambda x: unroll.scan(
        lambda x, s: (layer((x, s)), s), x, tf.zeros([2, 1])))(tf.ones([2, 4, 3]))
    assert outputs.shape == [2, 4, 2]
    assert len(layer.trainable_variables) == 4


@GRAPHS
def test_products_over_several_leading_dimensions_equal_a_python_loop(mode):
    """As particle filters have them: a sample dimension beside the batch."""
    layer = networks.Linear(2)
    inputs = tf.constant(np.random.default_rng(1).normal(size=[3, 4, 5, 2]))

    def run(loop):
        def step(x, s):
            s = tf.tanh(layer((x, s)))
            return s, s
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, _ = loop(step, inputs, tf.ones([3, 5, 2], tf.float64),
                              tf.constant([4, 1, 2]))
            loss = tf.reduce_sum(outputs ** 2)
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])
    run(python_loop)
    assert_close(run_as(mode, lambda: run(unroll.scan))(), run(python_loop), tf.float64)


@pytest.mark.parametrize("lengths", [None, (4, 1, 0)])
def test_reverse(lengths):
    x = np.arange(24).reshape(3, 4, 2)
    expected = x.copy()
    for row, n in enumerate(lengths or (4, 4, 4)):
        expected[row, :n] = x[row, :n][::-1]
    lengths_tensor = None if lengths is None else tf.constant(lengths)
    actual = unroll.reverse({"x": tf.constant(x), "y": tf.constant(x[..., 0])}, lengths_tensor)
    np.testing.assert_array_equal(actual["x"], expected)
    np.testing.assert_array_equal(actual["y"], expected[..., 0])


def identity(x, s):
    return x, s


@pytest.mark.parametrize("inputs", [(), tf.zeros([3]), (tf.zeros([3, 2]), tf.zeros([3, 4]))])
def test_scan_rejects_inputs_without_one_number_of_steps(inputs):
    with pytest.raises(ValueError, match=r"scan expects inputs of shape \[B, T, ...\] .* got"):
        unroll.scan(identity, inputs, tf.zeros([3]))


@pytest.mark.parametrize("mode", ["eager", "function"])
def test_no_steps_leave_the_state(mode):
    outputs, state = run_as(mode, lambda x: unroll.scan(
        lambda x, s: (x @ tf.ones([2, 4]), s + 1.0), x, tf.ones([3])))(tf.zeros([3, 0, 2]))
    assert outputs.shape == [3, 0, 4]
    np.testing.assert_array_equal(state, np.ones(3))


def test_scan_rejects_an_unknown_number_of_steps():
    function = tf.function(lambda x: unroll.scan(identity, x, x[:, 0]),
                           input_signature=[tf.TensorSpec([3, None, 2])])
    with pytest.raises(ValueError, match=r"one T that is known while tracing.*None"):
        function.get_concrete_function()


@pytest.mark.parametrize("mode", ["eager", "function"])
@pytest.mark.parametrize("change", [lambda s: (s,), lambda s: tf.cast(s, tf.float64),
                                    lambda s: s[..., tf.newaxis]])
def test_scan_rejects_a_state_that_changes_its_form(mode, change):
    with pytest.raises(ValueError, match=r"step to return a state like .*float32.*, got"):
        run_as(mode, lambda x: unroll.scan(
            lambda x, s: (x, change(s)), x, tf.zeros([2])))(tf.ones([2, 3]))
