# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of latents against closed forms and quadrature, and the measures of posteriors."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import autoencoder
from vaeseq.autoencoder import learned, measures
from vaeseq.autoencoder.states import aggregate_log_prob
from vaeseq.evaluate import samples

RNG = np.random.default_rng(3)
MEAN, CHOLESKY = np.array([1.0, -2.0]), np.array([[1.0, 0.0], [0.8, 0.3]])
STATES = MEAN + RNG.standard_normal([3000, 2]) @ CHOLESKY.T
TWO = np.concatenate([RNG.normal(-3, 0.5, [600, 1]), RNG.normal(2, 1.0, [1200, 1])])


def fitted(name, states, stddevs=None, **options):
    model = autoencoder.STATE_MODELS[name](seed=0, **options)
    model.fit(states, stddevs)
    return model


def integral(model, low=-20, high=20, size=20001):
    grid = np.linspace(low, high, size)
    return np.exp(model.log_prob(grid[:, None])).sum() * (grid[1] - grid[0])


@pytest.mark.oracle
def test_a_normal_state_model_is_the_normal_distribution_of_its_moments():
    stddevs = np.full_like(STATES, 0.5)
    model = fitted("normal", STATES, stddevs)
    covariance = np.cov(STATES.T, bias=True) + 0.25 * np.eye(2)
    expected = tfd.MultivariateNormalTriL(STATES.mean(0), np.linalg.cholesky(covariance))
    z = RNG.normal(size=[4, 3, 2])
    np.testing.assert_allclose(model.log_prob(z), expected.log_prob(z), rtol=1e-5)
    latents = model.sample(20000, seed=1)
    np.testing.assert_allclose(np.cov(latents.T), covariance, atol=0.06)
    np.testing.assert_array_equal(latents, model.sample(20000, seed=1))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["normal", "mixture", "vamp"])
def test_densities_integrate_to_one(name):
    assert abs(integral(fitted(name, TWO)) - 1) < 1e-6


def test_a_mixture_finds_two_components():
    model = fitted("mixture", TWO, num_components=2)
    order = np.argsort(model._means[:, 0])
    np.testing.assert_allclose(model._means[order, 0], [-3, 2], atol=0.15)
    np.testing.assert_allclose(model._weights[order], [1 / 3, 2 / 3], atol=0.02)
    np.testing.assert_allclose(model._choleskys[order, 0, 0], [0.5, 1.0], atol=0.1)
    better = model.log_prob(TWO).mean() - fitted("normal", TWO).log_prob(TWO).mean()
    assert better > 0.4
    latents = model.sample(9000, seed=0)
    assert abs((latents < -0.9).mean() - 1 / 3) < 0.03


def test_every_step_of_expectation_maximisation_raises_the_likelihood(monkeypatch):
    scores = []
    for steps in (1, 2, 4, 8):
        monkeypatch.setattr("vaeseq.autoencoder.states._EM_STEPS", steps)
        scores.append(fitted("mixture", TWO, num_components=3).log_prob(TWO).mean())
    # A pseudo-count of variance may cost a little.
    assert np.all(np.diff(scores) > -1e-3) and scores[-1] > scores[0] + 0.2


@pytest.mark.oracle
def test_a_vamp_is_the_mean_of_posteriors():
    means, stddevs = RNG.normal(size=[2, 5, 3])
    stddevs = np.abs(stddevs) + 0.1
    model = fitted("vamp", means, stddevs)
    z = RNG.normal(size=[4, 3])
    expected = np.log(np.mean([np.exp(tfd.MultivariateNormalDiag(m, s).log_prob(z))
                               for m, s in zip(means, stddevs)], 0))
    np.testing.assert_allclose(model.log_prob(z), expected, rtol=1e-6)


@pytest.mark.oracle
def test_a_flow_learns_a_density_that_is_one():
    first = RNG.standard_normal(2000)
    bent = np.stack([first, first ** 2 + 0.3 * RNG.standard_normal(2000)], 1)
    flow = fitted("flow", bent, num_steps=400, learning_rate=5e-3)
    grid = np.linspace(-12, 12, 601)
    density = np.exp(flow.log_prob(np.stack(np.meshgrid(grid, grid), -1)))
    assert abs(density.sum() * (grid[1] - grid[0]) ** 2 - 1) < 0.01
    gained = flow.log_prob(bent).mean() - fitted("normal", bent).log_prob(bent).mean()
    assert gained > 0.5
    latents = flow.sample(4000, seed=1)
    assert abs(flow.log_prob(latents).mean() - flow.log_prob(bent).mean()) < 0.15


@pytest.mark.oracle
def test_losses_of_critic_and_generator_are_those_of_quadrature():
    # The best critic of N(0, I) and N(m, I) is linear: log p(x) / q(x) = m'm / 2 - m'x.
    shift = np.array([1.5, -0.5], np.float32)

    def critic(x):
        return (shift @ shift / 2 - tf.linalg.matvec(x, shift))[:, tf.newaxis]

    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    norm = np.linalg.norm(shift)  # f is N(norm^2 / 2, norm^2) for real points, else minus that
    softplus = (weights * np.log1p(np.exp(-norm ** 2 / 2 - norm * nodes))).sum() / weights.sum()
    real = tf.random.stateless_normal([200_000, 2], [1, 2])
    generated = tf.random.stateless_normal([100_000, 2], [3, 4]) + shift
    loss = learned.critic_loss(critic, real, generated, penalty=0.7)
    np.testing.assert_allclose(loss, 2 * softplus + 0.7 * norm ** 2, atol=0.01)
    up = (weights * np.log1p(np.exp(norm ** 2 / 2 - norm * nodes))).sum() / weights.sum()
    np.testing.assert_allclose(learned.generator_loss(critic, generated), up, atol=0.01)


@pytest.mark.parametrize("name, seed", [("gan", 0), ("gan", 1), ("gmmn", 0)])
def test_a_generator_learns_a_normal_distribution(name, seed):
    model = autoencoder.make(name, seed=seed)
    model._num_steps = 400
    model.fit(STATES)
    latents = model.sample(3000, seed=1)
    distance = samples.frechet_distance(latents, STATES)
    assert distance < 0.02 * np.trace(np.cov(STATES.T)), distance
    with pytest.raises(NotImplementedError, match=f"'{name}' is a sampler without a density"):
        model.log_prob(STATES)


def test_state_models_refuse_what_they_cannot_fit():
    with pytest.raises(ValueError, match="among normal, mixture, .*; got 'kde'"):
        autoencoder.make("kde")
    for states in (np.zeros([1, 2]), np.full([3, 2], np.nan)):
        with pytest.raises(ValueError, match="at least two finite latents"):
            autoencoder.make("normal").fit(states)


@pytest.mark.parametrize("name", autoencoder.STATE_MODELS)
def test_a_state_model_that_is_not_fitted_says_so(name):
    with pytest.raises(ValueError, match=f"expected a fitted state model, got a new '{name}'"):
        autoencoder.make(name).sample(1, seed=0)


@pytest.mark.oracle
def test_information_of_posteriors_that_are_equal_or_far_apart():
    equal = measures.information(np.full([50, 3], 0.5), np.full([50, 3], 2.0))
    expected = tfd.MultivariateNormalDiag([0.5] * 3, [2.0] * 3).kl_divergence(
        tfd.MultivariateNormalDiag([0.0] * 3, [1.0] * 3))
    np.testing.assert_allclose(equal.kl, expected, rtol=1e-5)
    np.testing.assert_allclose(equal.mutual_information, 0, atol=1e-9)
    apart = measures.information(100.0 * np.arange(50)[:, None], np.ones([50, 1]))
    np.testing.assert_allclose(apart.mutual_information, apart.cap)
    assert apart.cap == np.log(50)
    # With N(m, 1) for m ~ N(0, 1), I = 0.5 ln 2 and q(z) = N(0, 2).
    means = np.random.default_rng(1).standard_normal([4000, 1])
    close = measures.information(means, np.ones([4000, 1]))
    np.testing.assert_allclose(close.mutual_information, 0.5 * np.log(2), atol=0.04)
    np.testing.assert_allclose(close.aggregate_kl, 0.5 * (2 - 1 - np.log(2)), atol=0.06)


def test_the_information_of_many_posteriors_is_that_of_some(monkeypatch):
    means, stddevs = RNG.normal(size=[53, 2]), np.linspace(0.1, 1, 106).reshape(53, 2)
    whole = measures.information(means, stddevs)
    monkeypatch.setattr(measures, "_MOST_FOR_MIXTURE", 10)
    rows = [0, 5, 10, 15, 21, 26, 31, 37, 42, 47]
    some = measures.information(means[rows], stddevs[rows])
    assert measures.information(means, stddevs) == some._replace(kl=whole.kl)
    assert some.cap == np.log(10) and some.kl != whole.kl


def test_the_aggregate_in_pieces_is_the_aggregate(monkeypatch):
    means, stddevs = RNG.normal(size=[30, 2]), np.full([30, 2], 0.3)
    whole = aggregate_log_prob(means, means, stddevs)
    monkeypatch.setattr("vaeseq.autoencoder.states._ROWS_AT_ONCE", 200)
    np.testing.assert_allclose(aggregate_log_prob(means, means, stddevs), whole)


def test_active_units_edit_distance_and_derangement():
    means = np.stack([np.array([0.0, 1.0, 0.0, 1.0]), np.full(4, 3.0), [0, 0.1, 0, 0.1]], 1)
    assert measures.active_units(means) == 1  # variances 0.25, 0 and 0.0025
    kitten, sitting = ([ord(c) for c in word] for word in ("kitten", "sitting"))
    assert measures.edit_distance(kitten, sitting) == 3
    assert measures.edit_distance([], [1, 2]) == measures.edit_distance([1, 2], []) == 2
    assert measures.accuracy(np.array([1, 2, 3, 4]), np.array([1, 9, 3])) == 0.5
    for n in (2, 3, 10):
        order = measures.derangement(n, seed=0)
        assert sorted(order) == list(range(n)) and np.all(order != np.arange(n))


def test_spherical_points_keep_the_norm_and_the_ends():
    a, b = np.array([3.0, 0.0]), np.array([0.0, 3.0])
    points = autoencoder.spherical(a, b, 5)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 3)
    np.testing.assert_allclose(points[[0, -1]], [a, b], atol=1e-12)
    np.testing.assert_allclose(points[2], [3 / np.sqrt(2)] * 2)
    np.testing.assert_allclose(autoencoder.spherical(a, 2 * a, 3)[1], 1.5 * a)
    np.testing.assert_allclose(autoencoder.spherical(a, 0 * a, 3)[1], 0.5 * a)
    with pytest.raises(ValueError, match="at least 2 points"):
        autoencoder.spherical(a, b, 1)
