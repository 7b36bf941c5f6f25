# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoders: values, dtypes, gradients, errors."""

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.codec import encoders
from vaeseq.dtypes import float_dtype


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


@pytest.mark.parametrize("dtype, cast_to, expected", [
    (tf.float32, tf.float64, tf.float32), (tf.bool, tf.float32, tf.float32),
    (tf.uint8, tf.float64, tf.float64)])
def test_flatten_casts_what_is_not_floating(dtype, cast_to, expected):
    observation = tf.cast(tf.reshape(tf.range(24) % 2, [2, 2, 2, 3]), dtype)
    with float_dtype(cast_to):
        features = encoders.Flatten(spec(2, 3, dtype=dtype))(observation)
    assert features.dtype == expected
    np.testing.assert_array_equal(features, np.reshape(np.arange(24) % 2, [2, 2, 6]))


def test_embed_looks_up_rows():
    encoder = encoders.Embed(5, 3)
    symbols = np.array([[0, 4], [4, 2]])
    features = encoder(tf.constant(symbols))
    np.testing.assert_array_equal(features, encoder.embeddings.numpy()[symbols])


def test_embed_takes_bytes():
    encoder = encoders.Embed(256, 3)
    symbols = np.array([0, 255, 7], np.uint8)
    np.testing.assert_array_equal(
        encoder(tf.constant(symbols)), encoder(tf.constant(symbols.astype(np.int32))))


def test_embed_has_a_dense_gradient_that_counts_repeated_symbols():
    encoder = encoders.Embed(4, 2)
    symbols = tf.constant([1, 1, 3, 1], tf.int64)
    weights = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])

    def gradient():
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(encoder(symbols) * weights)
        return tape.gradient(value, encoder.embeddings)

    expected = [[0, 0], [11, 14], [0, 0], [5, 6]]
    for function in (gradient, tf.function(gradient, jit_compile=True)):
        assert isinstance(function(), tf.Tensor)
        np.testing.assert_array_equal(function(), expected)


def test_embed_is_initialised_with_its_stddev():
    with float_dtype(tf.float64):
        encoder = encoders.Embed(100, 50, stddev=0.2)
    encoder(tf.constant([0]))
    assert encoder.embeddings.dtype == tf.float64
    assert 0.1 < np.std(encoder.embeddings) < 0.25  # truncated at two standard deviations


def test_an_mlp_equals_numpy():
    encoder = encoders.MLPEncoder(spec(2, 2), (5, 3), activation="tanh", activate_final=False)
    x = np.random.default_rng(1).normal(size=[6, 2, 2]).astype(np.float32)
    features = encoder(tf.constant(x))
    b_0, w_0, b_1, w_1 = [v.numpy() for v in encoder.trainable_variables]
    np.testing.assert_allclose(
        features, np.tanh(x.reshape(6, 4) @ w_0 + b_0) @ w_1 + b_1, rtol=1e-4, atol=1e-6)


def test_an_mlp_without_layers_flattens():
    encoder = encoders.MLPEncoder(spec(2, 2), ())
    assert encoder.output_size == 4
    np.testing.assert_array_equal(encoder(tf.ones([3, 2, 2])), np.ones([3, 4]))


@pytest.mark.parametrize("height, width, kernel_size, stride", [(7, 9, 3, 2), (5, 4, 1, 1)])
def test_the_output_size_of_convolutions(height, width, kernel_size, stride):
    encoder = encoders.ConvEncoder(
        spec(height, width, 2), (4, 3), kernel_size=kernel_size, stride=stride)
    assert encoder(tf.ones([2, height, width, 2])).shape == [2, encoder.output_size]


def test_a_convolution_equals_numpy():
    encoder = encoders.ConvEncoder(spec(6, 6, 2), (4,), kernel_size=2, scale=0.5)
    x = np.random.default_rng(1).normal(size=[3, 6, 6, 2]).astype(np.float32)
    features = encoder(tf.constant(x))
    b, w = [v.numpy() for v in encoder.trainable_variables]
    # Stride 2 over an even size: windows do not overlap and there is no padding.
    windows = 0.5 * x.reshape(3, 3, 2, 3, 2, 2)
    expected = np.maximum(np.einsum("nhiwjc,ijcd->nhwd", windows, w) + b, 0.0)
    np.testing.assert_allclose(features, expected.reshape(3, -1), rtol=1e-4, atol=1e-5)


def test_frames_are_scaled():
    encoder = encoders.ConvEncoder(spec(2, 2, 1, dtype=tf.uint8), (), scale=1 / 255)
    np.testing.assert_allclose(encoder(tf.constant(255, tf.uint8, [2, 2, 1])), np.ones(4))


def test_a_sequence_is_a_composition():
    embed, mlp = encoders.Embed(5, 3), encoders.MLPEncoder(spec(3), (4,))
    sequence = encoders.EncoderSequence([embed, mlp])
    symbols = tf.constant([[1, 2], [3, 4]])
    np.testing.assert_array_equal(sequence(symbols), mlp(embed(symbols)))
    assert sequence.output_size == 4
    assert sequence.input_spec == embed.input_spec
    assert len(sequence.trainable_variables) == 3


def test_a_group_concatenates_features():
    group = encoders.Group({"b": encoders.Flatten(spec()), "a": encoders.Flatten(spec(2))})
    observation = {"a": tf.constant([[1.0, 2.0]]), "b": tf.constant([3.0])}
    np.testing.assert_array_equal(group(observation), [[1.0, 2.0, 3.0]])
    assert group.output_size == 3
    assert group.input_spec == {"a": spec(2), "b": spec()}


@pytest.mark.parametrize("make, error, message", [
    (lambda: encoders.Flatten([3]), TypeError,
     r"Flatten expects input_spec to be a tf.TensorSpec of one observation, got \[3\]"),
    (lambda: encoders.Flatten(tf.TensorSpec([None], tf.float32)), ValueError,
     r"Flatten expects input_spec to have a fully defined shape, got \(None,\). Leave the"),
    (lambda: encoders.Flatten(spec(2, 3))(tf.zeros([5, 3])), ValueError,
     r"Flatten expects observations of shape \[..., 2, 3\], got \(5, 3\)"),
    (lambda: encoders.Flatten(spec(2, 3))(tf.zeros([3])), ValueError, r"got \(3,\)"),
    (lambda: encoders.Embed(0, 3), ValueError,
     "at least one symbol and one feature, got vocab_size=0, size=3"),
    (lambda: encoders.Embed(3, 3)(tf.zeros([2])), TypeError,
     r"Embed expects integers, got float32 of shape \(2,\)"),
    (lambda: encoders.MLPEncoder(spec(2), (3,), activation="swoosh"), ValueError, "got 'swoosh'"),
    (lambda: encoders.ConvEncoder(spec(8, 8)), ValueError,
     r"expects frames of shape \[height, width, channels\], got \(8, 8\). A grey image has one"),
    (lambda: encoders.ConvEncoder(spec(8, 8, 1), stride=0), ValueError,
     "kernel_size and stride of at least 1, got kernel_size=3, stride=0"),
    (lambda: encoders.ConvEncoder(spec(8, 8, 1), activation="swoosh"), ValueError, "got 'swoosh'"),
    (lambda: encoders.EncoderSequence([]), ValueError, "expects at least one encoder, got none"),
    (lambda: encoders.EncoderSequence([encoders.Embed(5, 3), encoders.Flatten(spec(4))]),
     ValueError, r"flatten takes .*shape=\(4,\).*, but embed before it gives \[3\]"),
    (lambda: encoders.EncoderSequence([
        encoders.Embed(5, 3), encoders.Group((encoders.Flatten(spec(3)),))]),
     ValueError, r"group takes .*, but embed before it gives \[3\]"),
    (lambda: encoders.Group({}), ValueError,
     "encoders.Group expects at least one encoder, got {}"),
    (lambda: encoders.Group(["x"]), TypeError,
     "encoders.Group expects a nest of Encoders, got 'x' in it"),
])
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
