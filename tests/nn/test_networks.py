# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Linear layers, MLPs, recurrent stacks and dropout."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.nn import networks
from vaeseq.nn.dropout import enable_dropout


def random(*shape, dtype=tf.float32):
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape), dtype)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("leading", [(), (2,), (2, 3), (2, 1, 3)])
def test_linear(leading, use_bias):
    layer = networks.Linear(4, use_bias=use_bias)
    x = random(*leading, 3, dtype=tf.float64)
    y = layer(x)
    expected = x.numpy() @ layer.w.numpy()
    if use_bias:
        layer.b.assign(random(4, dtype=tf.float64))
        y, expected = layer(x), expected + layer.b.numpy()
    assert len(layer.trainable_variables) == 1 + use_bias
    np.testing.assert_allclose(y, expected, atol=1e-14)


def test_linear_takes_parts_side_by_side():
    layer = networks.Linear(4)
    x, y = random(2, 5, 3), random(2, 5, 1)
    np.testing.assert_allclose(layer((x, y)), layer(tf.concat([x, y], -1)), atol=1e-6)
    assert layer.w.shape == [4, 4]


def test_linear_starts_with_glorots_variance():
    layer = networks.Linear(300)
    layer(tf.zeros([1, 200]))
    # The sample variance of n uniform draws has a standard error of sqrt(0.8 / n) of itself.
    assert abs(np.var(layer.w) / (2 / 500) - 1) < 5 * np.sqrt(0.8 / 60000)
    assert not np.any(layer.b)


def test_linear_wants_a_known_last_dimension():
    layer = networks.Linear(4)
    function = tf.function(layer, input_signature=[tf.TensorSpec([2, None])])
    with pytest.raises(ValueError, match=r"last dimension is known[^$]*\[2, None\]"):
        function.get_concrete_function()


@pytest.mark.parametrize("activate_final", [False, True])
def test_mlp(activate_final):
    mlp = networks.MLP((5, 2), activation="tanh", activate_final=activate_final)
    x = random(3, 2, 4)
    first, second = mlp._layers if mlp(x) is not None else ()
    expected = second(tf.tanh(first(x)))
    np.testing.assert_allclose(mlp(x), tf.tanh(expected) if activate_final else expected,
                               atol=1e-6)


def test_mlp_of_no_layers_is_the_identity():
    x = random(3, 4)
    np.testing.assert_array_equal(networks.MLP(())(x), x)
    np.testing.assert_array_equal(networks.MLP(())((x, x)), tf.concat([x, x], -1))


def test_mlp_refuses_an_unknown_activation():
    with pytest.raises(ValueError, match="Expected an activation among .*relu.*got 'rulu'"):
        networks.MLP((3,), activation="rulu")


@pytest.mark.parametrize("rate", [-0.1, 1.0])
@pytest.mark.parametrize("network", [networks.MLP, networks.RecurrentStack])
def test_a_dropout_rate_is_checked(network, rate):
    with pytest.raises(ValueError, match=rf"dropout rate in \[0, 1\), got {rate}"):
        network((3,), dropout=rate)


def test_dropout_is_the_identity_outside_of_its_context():
    x = random(3, 4)
    mlp = networks.MLP((50, 2), dropout=0.5)
    with enable_dropout(tf.constant([1, 2])):
        dropped = mlp(x)
    np.testing.assert_array_equal(mlp(x), mlp(x))
    assert np.abs(dropped - mlp(x)).max() > 1e-3


def test_dropout_repeats_with_its_seed_in_any_instance():
    x = tf.ones([2, 100])
    first, second = (networks.MLP((), dropout=0.5), networks.MLP((), dropout=0.5))
    assert first is not second

    def masks(seed):
        layers = [networks.MLP((100,), activate_final=True, dropout=0.5) for _ in range(2)]
        for layer in layers:
            layer(x)
            layer._layers[0].w.assign(tf.eye(100))
        with enable_dropout(tf.constant(seed)):
            return [layer(x).numpy() for layer in layers]
    a, b = masks([1, 2])
    np.testing.assert_array_equal(masks([1, 2]), [a, b])
    assert np.any(a != b)
    assert np.any(masks([1, 3])[0] != a)


def test_dropout_is_the_same_eager_and_compiled():
    mlp = networks.MLP((50, 2), dropout=0.5)

    def run():
        with enable_dropout(tf.constant([1, 2])):
            return mlp(tf.ones([3, 4]))
    np.testing.assert_allclose(tf.function(run, jit_compile=True)(), run(), atol=1e-5)


def test_dropout_keeps_the_mean():
    layer = networks.MLP((20000,), activate_final=True, dropout=0.25)
    x = tf.ones([1, 1])
    layer(x)
    layer._layers[0].w.assign(tf.ones([1, 20000]))
    with enable_dropout(tf.constant([1, 2])):
        y = layer(x).numpy()
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / 0.75], rtol=1e-6)
    assert abs(np.mean(y) - 1) < 5 * np.sqrt(0.25 / 0.75 / 20000)


@pytest.mark.parametrize("compiled", [None, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", sorted(networks.CELLS))
def test_a_stack_runs_alike_by_steps_and_whole(cell, residual, compiled):
    stack = networks.RecurrentStack((4, 4), cell=cell, residual=residual, dtype=tf.float64)
    x = random(3, 5, 2, dtype=tf.float64)
    state = stack.initial_state(3)
    lengths = tf.constant([5, 2, 1])

    def run():
        return stack(x, state, lengths)
    outputs, final = (run if compiled is None else tf.function(run, jit_compile=True))()
    s, steps = state, []
    for t in range(5):
        h, s = stack.step(x[:, t], s)
        steps.append((h, s))
    for row, length in enumerate(lengths.numpy()):
        for t in range(length):
            np.testing.assert_allclose(outputs[row, t], steps[t][0][row], atol=1e-12)
        for whole, by_step in zip(tf.nest.flatten(final), tf.nest.flatten(steps[length - 1][1]),
                                  strict=True):
            np.testing.assert_allclose(whole[row], by_step[row], atol=1e-12)
    assert stack.output_size == 4


def test_residual_adds_the_inputs_of_a_layer():
    plain, residual = (networks.RecurrentStack((4, 4), residual=r) for r in (False, True))
    x = random(3, 5, 2)
    for stack in (plain, residual):
        stack(x, stack.initial_state(3))
    for ours, theirs in zip(residual.variables, plain.variables, strict=True):
        ours.assign(theirs)
    first = plain._layers[0](x, plain.initial_state(3)[0])[0]
    np.testing.assert_allclose(residual(x, residual.initial_state(3))[0],
                               plain(x, plain.initial_state(3))[0] + first, atol=1e-6)


def test_skipped_inputs_follow_the_outputs():
    plain, skipping = (networks.RecurrentStack((4, 3), skip=skip) for skip in (False, True))
    x = random(3, 5, 2)
    for stack in (plain, skipping):
        stack(x, stack.initial_state(3))
    for ours, theirs in zip(skipping.variables, plain.variables, strict=True):
        ours.assign(theirs)
    outputs, state = skipping(x, skipping.initial_state(3))
    expected, expected_state = plain(x, plain.initial_state(3))
    np.testing.assert_allclose(outputs, tf.concat([expected, x], -1), rtol=1e-6)
    tf.nest.map_structure(np.testing.assert_array_equal, state, expected_state)
    step, _ = skipping.step((x[:, 0, :1], x[:, 0, 1:]), skipping.initial_state(3))
    np.testing.assert_allclose(step, outputs[:, 0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["residual", "skip"])
def test_padding_of_a_residual_stack_stays_zero(kind):
    stack = networks.RecurrentStack((2,), **{kind: True})
    outputs, _ = stack(random(3, 5, 2), stack.initial_state(3), tf.constant([5, 2, 0]))
    assert not np.any(outputs[1, 2:]) and not np.any(outputs[2])


def test_a_stack_drops_outputs_not_the_recurrence():
    stack = networks.RecurrentStack((50,), dropout=0.5)
    x = random(3, 5, 2)
    outputs, final = stack(x, stack.initial_state(3))
    with enable_dropout(tf.constant([1, 2])):
        dropped, dropped_final = stack(x, stack.initial_state(3))
    kept = dropped.numpy() != 0
    np.testing.assert_allclose(dropped.numpy()[kept], 2 * outputs.numpy()[kept], rtol=1e-5)
    assert abs(np.mean(kept) - 0.5) < 5 * np.sqrt(0.25 / kept.size)
    np.testing.assert_array_equal(final[0].hidden, dropped_final[0].hidden)


def test_a_stack_of_no_layers_is_the_identity():
    stack = networks.RecurrentStack(())
    x = random(3, 5, 2)
    outputs, final = stack(x, stack.initial_state(3))
    np.testing.assert_array_equal(outputs, x)
    assert final == ()
    with pytest.raises(ValueError, match=r"at least one size, got sizes=\(\)"):
        _ = stack.output_size


def test_a_stack_refuses_an_unknown_cell():
    with pytest.raises(ValueError, match="Expected a cell among .*lstm.*got 'lsmt'"):
        networks.RecurrentStack((3,), cell="lsmt")
