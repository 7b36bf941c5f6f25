# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Laws of the transformer block; `test_recurrent_layers` compares it with NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import nest
from vaeseq.dtypes import float_dtype
from vaeseq.nn import networks, transformer
from vaeseq.nn.dropout import enable_dropout
from vaeseq.nn.transformer import Transformer

RNG = np.random.default_rng(2)


def make(window, dtype=tf.float32, layers=1):
    """A stack with random weights."""
    with float_dtype(dtype):
        stack = networks.RecurrentStack(
            (4,) * layers, cell="transformer", heads=2, window=window)
    stack.step(tf.zeros([1, 3], dtype), stack.initial_state(1))
    for variable in stack.trainable_variables:
        variable.assign_add(RNG.normal(size=variable.shape, scale=0.5))
    return stack


def random(*shape, dtype=tf.float32):
    return tf.constant(RNG.normal(size=shape), dtype)


# Steps within the window, exactly one and two blocks, a block and a part, and a window of one step.
@pytest.mark.parametrize("window,steps", [(5, 2), (3, 3), (3, 6), (3, 7), (1, 4)])
def test_whole_sequences_equal_steps_from_a_carried_state(window, steps):
    stack = make(window, tf.float64, layers=2)
    x = random(3, steps, 3, dtype=tf.float64)
    lengths = tf.constant([steps, steps // 2, 0])
    # Rows that carry a full cache, a part of one, and none.
    before = random(3, 2 * window, 3, dtype=tf.float64)
    _, state = stack(before, stack.initial_state(3), tf.constant([2 * window, 1, 0]))

    def run():
        outputs, stepped = [], state
        for t in range(steps):
            h, after = stack.step((x[:, t, :1], x[:, t, 1:]), stepped)
            stepped = nest.where(t < lengths, after, stepped)
            outputs.append(nest.mask(t < lengths, h))
        return stack(x, state, lengths), (tf.stack(outputs, 1), stepped)
    small.close(*run(), rtol=1e-10, atol=1e-12)


def test_both_ways_a_step_reads_its_window_and_nothing_else():
    window, steps = 3, 10
    with float_dtype(tf.float64):
        layer = Transformer(8, heads=2, window=window)
    x = random(2, steps, 8, dtype=tf.float64)
    layer.both_ways(x)
    for variable in layer.trainable_variables:
        variable.assign_add(RNG.normal(size=variable.shape, scale=0.5))
    whole = layer.both_ways(x, tf.constant([steps, 8]))
    for row, length in enumerate([steps, 8]):
        for t in range(length):
            first = max(0, t - window)
            alone = layer.both_ways(x[row:row + 1, first:min(length, t + window + 1)])
            small.close(whole[row, t], alone[0, t - first], rtol=1e-10, atol=1e-12)
    assert not whole[1, 8:].numpy().any()


@pytest.mark.parametrize("changed", [0, 2, 5])
def test_a_step_changes_nothing_before_it_and_nothing_past_its_window(changed):
    window, steps = 3, 10
    stack = make(window)
    x = random(2, steps, 3)
    other = tf.tensor_scatter_nd_update(x, [[1, changed]], random(1, 3))
    one, two = (stack(inputs, stack.initial_state(2))[0].numpy() for inputs in (x, other))
    differs = np.any(one[1] != two[1], -1)
    np.testing.assert_array_equal(
        differs, (np.arange(steps) >= changed) & (np.arange(steps) <= changed + window))
    np.testing.assert_array_equal(one[0], two[0])


def test_permuting_the_batch_permutes_the_outputs():
    stack, x, lengths = make(3), random(4, 7, 3), tf.constant([7, 4, 0, 2])
    order = [2, 0, 3, 1]
    one = stack(x, stack.initial_state(4), lengths)
    other = stack(tf.gather(x, order), stack.initial_state(4), tf.gather(lengths, order))
    small.same(tf.nest.map_structure(lambda leaf: tf.gather(leaf, order), one), other)


def test_a_restarted_row_does_not_see_its_cache():
    stack, x = make(3), random(2, 5, 3)
    _, state = stack(x, stack.initial_state(2))
    restarted = [layer._replace(count=tf.zeros_like(layer.count)) for layer in state]
    small.same(stack(x, restarted)[0], stack(x, stack.initial_state(2))[0])


def test_scores_of_rotated_vectors_depend_on_their_distance_alone():
    q, k = random(1, 1, 6, dtype=tf.float64), random(1, 1, 6, dtype=tf.float64)

    def score(at, to):
        return np.sum(transformer._rotate(q, at) * transformer._rotate(k, to))
    np.testing.assert_allclose(score(3, 10), score(1003, 1010), rtol=1e-10)
    assert abs(score(3, 10) - score(3, 11)) > 1e-3
    np.testing.assert_allclose(score(5, 5), np.sum(q * k), rtol=1e-12)


def test_a_block_starts_as_the_identity():
    layer, x = Transformer(4, heads=1, window=2), random(2, 5, 4)
    small.same(layer(x, nest.zeros(layer.state_spec, 2))[0], x)


def test_dropout_drops_what_a_block_adds_and_not_what_it_is_added_to():
    layer, x = Transformer(4, heads=2, window=3, dropout=0.5), random(20, 5, 4)
    state = nest.zeros(layer.state_spec, 20)
    layer(x, state)
    layer._outputs.w.assign(tf.ones_like(layer._outputs.w))
    plain, cache = layer(x, state)
    with enable_dropout(tf.constant([1, 2])):
        dropped, dropped_cache = layer(x, state)
    added = (dropped - x) / (plain - x)
    np.testing.assert_allclose(added, np.round(added / 2) * 2, atol=1e-3)
    assert abs(np.mean(added) - 1) < 5 / np.sqrt(400)
    small.same(cache, dropped_cache)


def test_memory_grows_with_the_window_and_not_with_the_square_of_the_length():
    stack = make(4)

    def elements(steps):
        graph = tf.function(lambda x: stack(x, stack.initial_state(1))[0]).get_concrete_function(
            tf.TensorSpec([1, steps, 3])).graph
        return max(tensor.shape.num_elements() or 0 for op in graph.get_operations()
                   for tensor in op.outputs)
    assert elements(512) <= 2.1 * elements(256)


@pytest.mark.parametrize("arguments,message", [
    ({"heads": 3}, "multiple of twice the number of heads, got size 4 and 3 heads"),
    ({"heads": 4}, "got size 4 and 4 heads"), ({"heads": 0}, "0 heads"),
    ({"heads": 1, "window": 0}, "at least 1 step, got 0"),
    ({"heads": 1, "dropout": 1.0}, "dropout rate")])
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Transformer(4, **arguments)


def test_an_unknown_length_is_refused():
    layer = Transformer(4, heads=1)
    with pytest.raises(ValueError, match=r"a T that is known while tracing"):
        tf.function(lambda x: layer(x, nest.zeros(layer.state_spec, 2))).get_concrete_function(
            tf.TensorSpec([2, None, 4]))
