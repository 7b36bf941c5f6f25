# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Linear layers, MLPs, recurrent stacks and dropout."""

import numpy as np
import pytest
import tensorflow as tf

from vaeseq import nest
from vaeseq.dtypes import float_dtype
from vaeseq.nn import networks
from vaeseq.nn.dropout import apply_dropout, enable_dropout


def random(*shape, dtype=tf.float32):
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape), dtype)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("leading", [(), (2, 1, 3)])
def test_linear_multiplies_the_concatenation_of_its_parts(leading, use_bias):
    layer = networks.Linear(4, use_bias=use_bias)
    x = random(*leading, 3, dtype=tf.float64)
    layer(x)
    expected = x.numpy() @ layer.w.numpy()
    if use_bias:
        layer.b.assign(random(4, dtype=tf.float64))
        expected += layer.b.numpy()
    assert len(layer.trainable_variables) == 1 + use_bias
    for inputs in (x, (x[..., :1], x[..., 1:])):
        np.testing.assert_allclose(layer(inputs), expected, atol=1e-14)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (0, 0)])
def test_linear_layers_without_inputs_or_outputs_are_the_bias(sizes):
    layer, x = networks.Linear(sizes[1]), random(2, sizes[0])
    layer(x)
    layer.b.assign(random(sizes[1]))
    # In a graph, where TensorFlow fuses the product and the bias.
    outputs = tf.function(layer, autograph=False)(x)
    np.testing.assert_array_equal(outputs, tf.broadcast_to(layer.b, [2, sizes[1]]))


def test_linear_starts_with_glorots_variance():
    layer = networks.Linear(300)
    layer(tf.zeros([1, 200]))
    # The sample variance of n uniform draws has a standard error of sqrt(0.8 / n) of itself.
    assert abs(np.var(layer.w) / (2 / 500) - 1) < 5 * np.sqrt(0.8 / 60000)
    assert not np.any(layer.b)


def test_linear_refuses_an_unknown_last_dimension():
    layer = networks.Linear(4)
    function = tf.function(layer, input_signature=[tf.TensorSpec([2, None])])
    with pytest.raises(ValueError, match=r"last dimension is known[^$]*\[2, None\]"):
        function.get_concrete_function()


@pytest.mark.parametrize("activate_final", [False, True])
def test_an_mlp_activates_between_its_layers(activate_final):
    mlp = networks.MLP((5, 2), activation="tanh", activate_final=activate_final)
    x = random(3, 2, 4)
    outputs = mlp(x)
    b_0, w_0, b_1, w_1 = mlp.trainable_variables
    expected = tf.tanh(x @ w_0 + b_0) @ w_1 + b_1
    np.testing.assert_allclose(
        outputs, tf.tanh(expected) if activate_final else expected, atol=1e-6)


def test_an_mlp_of_no_layers_is_the_identity():
    x = random(3, 4)
    np.testing.assert_array_equal(networks.MLP(())(x), x)
    np.testing.assert_array_equal(networks.MLP(())((x, x)), tf.concat([x, x], -1))


@pytest.mark.parametrize("make,message", [
    (lambda: networks.MLP((3,), activation="rulu"),
     "Expected an activation among .*relu.*got 'rulu'"),
    (lambda: networks.RecurrentStack((3,), cell="lsmt"),
     "Expected a cell among .*lstm.*got 'lsmt'"),
    (lambda: networks.MLP((3,), dropout=-0.1), r"dropout rate in \[0, 1\), got -0.1"),
    (lambda: networks.RecurrentStack((3,), dropout=1.0), r"dropout rate in \[0, 1\), got 1.0"),
    (lambda: networks.RecurrentStack(()).output_size, r"at least one size, got sizes=\(\)"),
])
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_dropout_is_the_identity_outside_of_its_context():
    x = random(3, 4)
    mlp = networks.MLP((50, 2), dropout=0.5)
    plain = mlp(x)
    with enable_dropout(tf.constant([1, 2])):
        dropped = mlp(x)
    assert np.abs(dropped - plain).max() > 1e-3
    np.testing.assert_array_equal(mlp(x), plain)


def test_dropout_depends_on_its_seed_and_the_order_of_layers_alone():
    x = random(2, 100)

    def masks(seed):
        first, second = (networks.MLP((), dropout=0.5) for _ in range(2))

        def run():
            with enable_dropout(tf.constant(seed)):
                return apply_dropout(first, x, 0.5), apply_dropout(second, x, 0.5)
        return run(), tf.function(run, jit_compile=True)()
    (a, b), compiled = masks([1, 2])
    np.testing.assert_array_equal(masks([1, 2])[0], [a, b])
    np.testing.assert_allclose(compiled, [a, b], rtol=1e-6)
    assert np.any(a != b)
    assert np.any(masks([1, 3])[0][0] != a)


def test_dropout_keeps_the_mean():
    with enable_dropout(tf.constant([1, 2])):
        y = apply_dropout("layer", tf.ones([1, 20000]), 0.25).numpy()
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / 0.75], rtol=1e-6)
    assert abs(np.mean(y) - 1) < 5 * np.sqrt(0.25 / 0.75 / 20000)


@pytest.mark.parametrize("cell,arguments", [
    ("lstm", {}), ("gru", {"residual": True}), ("rglru", {"skip": True})])
def test_whole_sequences_equal_steps(cell, arguments):
    """In outputs and final state, and with zeros for padding."""
    with float_dtype(tf.float64):
        stack = networks.RecurrentStack((4, 4), cell=cell, **arguments)
    x = random(3, 5, 2, dtype=tf.float64)
    state, lengths = stack.initial_state(3), tf.constant([5, 2, 0])
    stepped, steps = state, []
    for t in range(5):
        h, s = stack.step((x[:, t, :1], x[:, t, 1:]), stepped)
        stepped = nest.where(t < lengths, s, stepped)
        steps.append(nest.mask(t < lengths, h))
    whole = tf.function(lambda: stack(x, state, lengths), jit_compile=True)()
    tf.nest.map_structure(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-12),
                          whole, (tf.stack(steps, 1), stepped))
    assert stack.output_size == 4


@pytest.mark.parametrize("cell,arguments", [("lstm", {"residual": True}), ("mingru", {})])
def test_residual_layers_add_their_inputs_where_sizes_agree(cell, arguments):
    stack = networks.RecurrentStack((4, 4), cell=cell, **arguments)
    x = random(3, 5, 2)
    outputs, _ = stack(x, stack.initial_state(3))
    first, second = stack._layers
    middle, _ = first(x, stack.initial_state(3)[0])
    expected, _ = second(middle, stack.initial_state(3)[1])
    np.testing.assert_allclose(outputs, middle + expected, atol=1e-6)


def test_skipped_inputs_follow_the_outputs():
    stack = networks.RecurrentStack((4, 3), skip=True)
    x = random(3, 5, 2)
    outputs, _ = stack(x, stack.initial_state(3))
    first, second = stack._layers
    middle, _ = first(x, stack.initial_state(3)[0])
    expected, _ = second(middle, stack.initial_state(3)[1])
    np.testing.assert_allclose(outputs, tf.concat([expected, x], -1), rtol=1e-6)


def test_a_stack_drops_outputs_but_no_state():
    stack = networks.RecurrentStack((50,), dropout=0.5)
    x = random(3, 5, 2)
    outputs, final = stack(x, stack.initial_state(3))
    with enable_dropout(tf.constant([1, 2])):
        dropped, dropped_final = stack(x, stack.initial_state(3))
    mask = dropped.numpy() != 0
    np.testing.assert_allclose(dropped.numpy()[mask], 2 * outputs.numpy()[mask], rtol=1e-5)
    assert abs(np.mean(mask) - 0.5) < 5 * np.sqrt(0.25 / mask.size)
    np.testing.assert_array_equal(final[0].hidden, dropped_final[0].hidden)


def test_a_stack_of_no_layers_is_the_identity():
    stack = networks.RecurrentStack(())
    x = random(3, 5, 2)
    outputs, final = stack(x, stack.initial_state(3))
    np.testing.assert_array_equal(outputs, x)
    assert final == ()
    outputs, _ = stack(x, (), tf.constant([5, 2, 0]))
    np.testing.assert_array_equal(outputs[1], tf.concat([x[1, :2], tf.zeros([3, 2])], 0))
