# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Densities compared with closed forms, sums and integrals, moments of samples, KL."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq.codec import decoders, latent

pytestmark = pytest.mark.oracle

tfd = tfp.distributions

B, T = 3, 4  # Any two sizes that differ.


def spec(*shape, dtype=tf.float64):
    return tf.TensorSpec(shape, dtype)


def features(*leading, seed=1):
    return tf.random.stateless_normal([*leading, 5], [0, seed], dtype=tf.float64)


def seed(number):
    return tf.constant([7, number], tf.int32)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


lgamma = np.vectorize(math.lgamma)


def normal_log_density(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi)


def categorical_log_density(params, x):
    p = softmax(params)
    return np.log((p * (x[..., None] == np.arange(p.shape[-1]))).sum(-1))


def bernoulli_log_density(params, x):
    p = sigmoid(params)
    return np.where(x == 1, np.log(p), np.log(1 - p))


def binomial_log_density(params, x, total_count=10):
    p = sigmoid(params)
    ways = lgamma(total_count + 1) - lgamma(x + 1) - lgamma(total_count - x + 1)
    return ways + x * np.log(p) + (total_count - x) * np.log(1 - p)


def beta_log_density(params, x):
    a, b = params
    norm = lgamma(a) + lgamma(b) - lgamma(a + b)
    return (a - 1) * np.log(x) + (b - 1) * np.log(1 - x) - norm


def mixture_log_density(params, x):
    densities = np.exp(normal_log_density(x[..., None], params.loc, params.scale))
    return np.log((softmax(params.logits) * densities).sum(-1))


def mixture_mean(params):
    return (softmax(params.logits) * params.loc).sum(-1)


def mixture_variance(params):
    second = (softmax(params.logits) * (params.loc ** 2 + params.scale ** 2)).sum(-1)
    return second - mixture_mean(params) ** 2


# A decoder, and its log-density in NumPy before the sum over the event.
CLOSED_FORMS = {
    "categorical": (lambda: decoders.Categorical(4, spec(3, dtype=tf.int32)),
                    categorical_log_density),
    "bernoulli": (lambda: decoders.Bernoulli(spec(3)), bernoulli_log_density),
    "binomial": (lambda: decoders.Binomial(10, spec(3)), binomial_log_density),
    "normal": (lambda: decoders.Normal(spec(3)), lambda p, x: normal_log_density(x, *p)),
    "normal, exp": (lambda: decoders.Normal(spec(3), positive_projection="exp"),
                    lambda p, x: normal_log_density(x, *p)),
    "beta": (lambda: decoders.Beta(spec(3)), beta_log_density),
    "mixture": (lambda: decoders.MixtureOfNormals(4, spec(3)), mixture_log_density),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_log_prob_against_the_closed_form(name):
    make, log_density = CLOSED_FORMS[name]
    decoder = make()
    params = decoder(features(B, T))
    dist = decoder.dist(params)
    x = dist.sample(2, seed=seed(1))
    expected = log_density(tf.nest.map_structure(lambda p: p.numpy(), params), x.numpy()).sum(-1)
    assert expected.shape == (2, B, T)
    np.testing.assert_allclose(dist.log_prob(x), expected, rtol=1e-9, atol=1e-9)


def test_group_log_prob_is_the_sum_of_its_parts():
    group = decoders.Group({"a": decoders.Categorical(4), "b": (decoders.Normal(spec(2)),)})
    params = group(features(B, T))
    dist = group.dist(params)
    x = dist.sample(seed=seed(1))
    a, b = params["a"].numpy(), params["b"][0]
    expected = categorical_log_density(a, x["a"].numpy()) + normal_log_density(
        x["b"][0].numpy(), b.loc.numpy(), b.scale.numpy()).sum(-1)
    np.testing.assert_allclose(dist.log_prob(x), expected, rtol=1e-9)


@pytest.mark.parametrize("decoder, support", [
    (decoders.Categorical(4, spec(2, dtype=tf.int32)), range(4)),
    (decoders.Bernoulli(spec(5)), (0.0, 1.0)),
    (decoders.Binomial(6, spec(2)), range(7)),
], ids=["categorical", "bernoulli", "binomial"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_discrete_densities_sum_to_one(decoder, support, temperature):
    dist = decoder.dist(decoder.temper(decoder(features(B)), temperature))
    size = decoder.event_spec.shape[0]
    events = np.array(list(itertools.product(support, repeat=size)))
    events = events.astype(decoder.event_spec.dtype.as_numpy_dtype)
    log_probs = dist.log_prob(events[:, None])
    np.testing.assert_allclose(np.exp(log_probs).sum(0), np.ones(B), rtol=1e-9)


@pytest.mark.parametrize("decoder, grid", [
    (decoders.Normal(spec()), np.linspace(-40, 40, 200_001)),
    (decoders.MixtureOfNormals(3, spec()), np.linspace(-40, 40, 200_001)),
    # The density is unbounded for concentrations below 1: substitutes x = sigmoid(s).
    (decoders.Beta(spec(), initial_concentration=0.4), sigmoid(np.linspace(-600, 36, 300_001))),
], ids=["normal", "mixture", "beta"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_continuous_densities_integrate_to_one(decoder, grid, temperature):
    dist = decoder.dist(decoder.temper(decoder(0.3 * features(B)), temperature))
    density = np.exp(dist.log_prob(grid[:, None]))
    widths = np.diff(grid)[:, None]
    integral = (0.5 * (density[1:] + density[:-1]) * widths).sum(0)
    np.testing.assert_allclose(integral, np.ones(B), atol=1e-3)


@pytest.mark.parametrize("make, mean, variance", [
    (lambda: decoders.Bernoulli(spec(3)), sigmoid, lambda p: sigmoid(p) * (1 - sigmoid(p))),
    (lambda: decoders.Binomial(10, spec(3)), lambda p: 10 * sigmoid(p),
     lambda p: 10 * sigmoid(p) * (1 - sigmoid(p))),
    (lambda: decoders.Normal(spec(3)), lambda p: p.loc, lambda p: p.scale ** 2),
    (lambda: decoders.Beta(spec(3)), lambda p: p[0] / (p[0] + p[1]),
     lambda p: p[0] * p[1] / ((p[0] + p[1]) ** 2 * (p[0] + p[1] + 1))),
    (lambda: decoders.MixtureOfNormals(3, spec(2)), mixture_mean, mixture_variance),
    (lambda: latent.DiagonalNormal(3), lambda p: p.loc, lambda p: p.scale ** 2),
    (lambda: latent.StandardNormal(3), lambda p: 0 * p.loc, lambda p: p.scale),
], ids=["bernoulli", "binomial", "normal", "beta", "mixture", "latent", "standard"])
def test_moments_of_samples(make, mean, variance):
    decoder, n = make(), 20_000
    params = decoder(features(B))
    x = decoder.dist(params).sample(n, seed=seed(2)).numpy()
    params = tf.nest.map_structure(lambda p: p.numpy(), params)
    # Tolerances: five standard errors of a mean, and of a variance from the fourth moment.
    error = np.sqrt(variance(params) / n)
    assert np.all(np.abs(x.mean(0) - mean(params)) < 5 * error)
    spread = (x - mean(params)) ** 2
    assert np.all(np.abs(spread.mean(0) - variance(params)) < 5 * spread.std(0) / np.sqrt(n))


def test_categorical_frequencies():
    decoder, n = decoders.Categorical(4), 20_000
    params = decoder(features(B))
    x = decoder.dist(params).sample(n, seed=seed(2)).numpy()
    p = softmax(params.numpy())
    frequencies = (x[..., None] == np.arange(4)).mean(0)
    assert np.all(np.abs(frequencies - p) < 5 * np.sqrt(p * (1 - p) / n))


@pytest.mark.parametrize("temperature", [0.5, tf.constant(3.0)])
@pytest.mark.parametrize("make, events", [
    (lambda: decoders.Categorical(4), np.arange(4)),
    (lambda: decoders.Bernoulli(spec()), np.array([0.0, 1.0])),
    (lambda: decoders.Normal(spec()), np.linspace(-3.0, 3.0, 7)),
    (lambda: decoders.Beta(spec(), initial_concentration=5.0), np.linspace(0.1, 0.9, 7)),
    (lambda: decoders.Group([decoders.Normal(spec())]), [np.linspace(-3.0, 3.0, 7)]),
], ids=["categorical", "bernoulli", "normal", "beta", "group"])
def test_temper_is_the_power_of_the_density(make, events, temperature):
    # log p_T(x) - log p(x) / T is constant in x: minus the log of the normaliser.
    decoder = make()
    params = decoder(features(B))
    events = tf.nest.map_structure(lambda x: x[:, None], events)
    plain = decoder.dist(params).log_prob(events).numpy()
    tempered = decoder.dist(decoder.temper(params, temperature)).log_prob(events).numpy()
    constant = tempered - plain / float(temperature)
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:1], constant.shape), atol=1e-9)


def test_the_kl_of_normals_is_the_closed_form_and_the_mean_over_samples():
    q, p = latent.DiagonalNormal(3), latent.DiagonalNormal(3, (8,))
    q_params, p_params = q(features(B)), p(features(B, seed=2))
    q_z, p_z = q.dist(q_params), p.dist(p_params)
    kl = tfd.kl_divergence(q_z, p_z).numpy()
    (m, s), (m0, s0) = [(x.loc.numpy(), x.scale.numpy()) for x in (q_params, p_params)]
    closed = (np.log(s0 / s) + (s ** 2 + (m - m0) ** 2) / (2 * s0 ** 2) - 0.5).sum(-1)
    np.testing.assert_allclose(kl, closed, rtol=1e-9)
    z = q_z.sample(20_000, seed=seed(3))
    estimates = (q_z.log_prob(z) - p_z.log_prob(z)).numpy()
    error = estimates.std(0) / np.sqrt(len(estimates))
    assert np.all(np.abs(estimates.mean(0) - kl) < 5 * error)


@pytest.mark.parametrize("kind", [latent.DiagonalNormal, latent.StandardNormal])
def test_a_latent_of_size_zero_has_log_density_and_kl_zero(kind):
    p = kind(0)
    p_z = p.dist(p(features(B, T)))
    z = p_z.sample(seed=seed(1))
    assert z.shape == [B, T, 0]
    np.testing.assert_array_equal(p_z.log_prob(z), np.zeros([B, T]))
    np.testing.assert_array_equal(tfd.kl_divergence(p_z, p_z), np.zeros([B, T]))


def test_reparameterised_gradient_of_the_latent():
    # d/d loc E[z] = 1 and d/d scale E[z^2 / 2] = scale.
    loc, scale = tf.constant([0.5], tf.float64), tf.constant([2.0], tf.float64)
    prior = latent.StandardNormal(1)
    with tf.GradientTape() as tape:
        tape.watch((loc, scale))
        z = prior.dist(latent.NormalParams(loc, scale)).sample(20_000, seed=seed(1)) - loc
        value = tf.reduce_mean(z ** 2 / 2) + tf.reduce_mean(z + loc)
    to_loc, to_scale = tape.gradient(value, (loc, scale))
    np.testing.assert_allclose(to_loc, [1.0])
    # z^2 / scale has standard deviation scale * sqrt(2).
    assert abs(to_scale[0] - 2.0) < 5 * (2.0 * np.sqrt(2) + 1.0) / np.sqrt(20_000)
