# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Latents: sizes, the residual posterior, errors."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import distributions, latent


def test_standard_normal_ignores_the_features():
    prior = latent.StandardNormal(2)
    for features in (tf.zeros([4, 7]), tf.fill([4, 7], 1e6)):
        params = prior(features)
        np.testing.assert_array_equal(params.loc, np.zeros([4, 2]))
        np.testing.assert_array_equal(params.scale, np.ones([4, 2]))
    assert not prior.trainable_variables


def test_features_in_parts_equal_their_concatenation():
    whole = tf.random.stateless_normal([4, 7], [1, 2])
    for module in (latent.DiagonalNormal(2), latent.StandardNormal(2)):
        from_parts = module((whole[:, :3], whole[:, 3:]))
        for one, other in zip(module(whole), from_parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_scale_starts_at_its_initial_value_and_stays_above_its_limit():
    module = latent.DiagonalNormal(2, initial_scale=0.3, positive_eps=0.1)
    np.testing.assert_allclose(module(tf.zeros([5])).scale, [0.3, 0.3], rtol=1e-5)
    for variable in module.trainable_variables:
        variable.assign(tf.fill(variable.shape, -1e4))
    np.testing.assert_allclose(module(tf.ones([5])).scale, [0.1, 0.1], rtol=1e-5)


def test_residual_moves_the_prior_and_keeps_its_own_scale():
    prior = latent.NormalParams(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]))
    delta = latent.NormalParams(tf.constant([0.5, -0.5]), tf.constant([0.1, 0.2]))
    posterior = latent.residual(prior, delta)
    np.testing.assert_array_equal(posterior.loc, [1.5, 1.5])
    np.testing.assert_array_equal(posterior.scale, delta.scale)


def test_a_latent_of_size_zero_has_finite_gradients():
    module = latent.DiagonalNormal(0, (4,))
    features = tf.ones([3, 2])

    @tf.function(jit_compile=True)
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(features)
            z_dist = module.dist(module(features))
            z = z_dist.sample(seed=tf.constant([1, 2]))
            value = tf.reduce_sum(z_dist.log_prob(z) + tf.reduce_sum(features, -1))
        return tape.gradient(value, features)

    np.testing.assert_array_equal(gradient(), np.ones([3, 2]))


@pytest.mark.parametrize("make", [latent.DiagonalNormal, latent.StandardNormal])
def test_a_negative_size_is_refused(make):
    with pytest.raises(ValueError, match=f"{make.__name__} expects a size of 0 or more, got -1"):
        make(-1)


def test_padding_has_finite_densities():
    params = latent.NormalParams(tf.Variable([[2.0], [0.0]]), tf.Variable([[3.0], [0.0]]))
    with tf.GradientTape() as tape:
        log_prob = latent.normal(params).log_prob([[2.0], [0.0]])
    np.testing.assert_allclose(log_prob, [-np.log(3), 0] - np.log(2 * np.pi) / 2, rtol=1e-6)
    assert all(np.isfinite(g).all() for g in tape.gradient(log_prob, list(params)))


def test_parameters_are_read_from_independent_normals_only():
    params = latent.NormalParams(tf.ones([4, 2]), tf.fill([4, 2], 3.0))
    for one, other in zip(latent.normal_params(latent.normal(params)), params, strict=True):
        np.testing.assert_array_equal(one, other)
    for other in (tfd.Normal(0.0, 1.0), tfd.Independent(tfd.Beta([1.0], [1.0]), 1),
                  tfd.Independent(latent.normal(params), 1),
                  tfd.MultivariateNormalDiag([0.0], [1.0])):
        assert latent.normal_params(other) == ()
    one = latent.normal_params(tfd.Independent(distributions.Normal(tf.ones([2, 3]), 0.5), 1))
    np.testing.assert_array_equal(one.scale, tf.fill([2, 3], 0.5))
