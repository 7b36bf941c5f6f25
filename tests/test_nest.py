# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Nests of specs."""

import tensorflow as tf

from vaeseq import nest


def test_zeros_have_the_specs_with_their_leading_dimensions():
    specs = {"notes": tf.TensorSpec([88], tf.bool), "time": tf.TensorSpec([], tf.int32)}
    expected = {"notes": tf.TensorSpec([2, 5, 88], tf.bool),
                "time": tf.TensorSpec([2, 5], tf.int32)}
    assert nest.with_leading(specs, 2, 5) == expected
    assert tf.nest.map_structure(tf.type_spec_from_value, nest.zeros(specs, 2, 5)) == expected
    unknown = nest.with_leading(specs, None, 5)["notes"]
    assert unknown.shape.as_list() == [None, 5, 88]


def test_a_nest_without_rows_or_steps_is_filled_with_nothing():
    for shape in ([0, 3], [2, 0]):
        filled = nest.fill(tf.ones(shape, tf.bool), {"x": tf.ones([*shape, 4])})
        assert filled["x"].shape == [*shape, 4]
