# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds on a linear-Gaussian state-space model, compared with the Kalman filter.

    z_1 ~ N(0, 1)    z_t = a z_t-1 + N(0, q^2)    x_t = z_t + N(0, r^2)
"""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq import seeds, vae
from vaeseq.bounds import ELBO, FIVO, IWAE, resampling
from vaeseq.dist_module import DistModule
from vaeseq.vae import CoreState

pytestmark = pytest.mark.oracle

tfd = tfp.distributions

A, Q, R = 0.9, 0.5, 0.6
X = np.array([0.3, -1.2, 0.8, 1.5, 0.1], np.float32)


class Observation(DistModule):
    """p(x_t | z_t)."""

    event_spec = tf.TensorSpec([1], tf.float32)

    def __call__(self, features):
        return features

    def dist(self, params):
        return tfd.Independent(tfd.Normal(params, tf.cast(R, params.dtype)), 1)


def normal(loc, scale):
    return tfd.Independent(tfd.Normal(loc, scale), 1)


class LinearGaussian(vae.VAECore):
    """The state is (z_t-1, whether t > 1). The proposal: prior, filter or smoother."""

    latent_size = 1
    state_spec = CoreState((), tf.TensorSpec([2], tf.float32))

    def __init__(self, proposal):
        super().__init__(Observation())
        self.proposal = proposal

    def encode_observed(self, context_features, observed, lengths=None):
        """Returns x_t, and the precision and mean of the message from x_t+1:T to z_t."""
        return tf.concat([observed, backward_messages(observed)], -1)

    def hidden(self, context_feature, state):
        z, has_begun = state[..., :1], state[..., 1:]
        return tf.concat([A * z * has_begun, has_begun * Q + (1 - has_begun)], -1)

    def prior(self, h):
        return normal(h[..., :1], h[..., 1:])

    def posterior(self, h, feature):
        if self.proposal == "prior":
            return self.prior(h)
        precision = h[..., 1:] ** -2
        weighed = h[..., :1] * precision
        x, later, later_mean = tf.split(feature, 3, -1)
        if self.proposal in ("filter", "smoother"):
            precision += R ** -2
            weighed += x * R ** -2
        if self.proposal == "smoother":
            precision += later
            weighed += later * later_mean
        return normal(weighed / precision, precision ** -0.5)

    def update(self, h, z):
        return z, tf.concat([z, tf.ones_like(z)], -1)


def backward_messages(observed):
    """Returns the Gaussian messages from x_t+1:T to z_t: precision and mean, [B, T, 2]."""
    steps = tf.unstack(observed[..., 0], axis=1)
    precision, mean = tf.zeros_like(steps[0]), tf.zeros_like(steps[0])
    messages = []
    for x in reversed(steps):
        messages.append(tf.stack([precision, mean], -1))
        # Adds the observation of z_t, then passes through z_t = a z_t-1 + noise.
        joined = precision + R ** -2
        mean = (precision * mean + x * R ** -2) / joined / A
        precision = A ** 2 / (1 / joined + Q ** 2)
    return tf.stack(messages[::-1], 1)


def exact(x):
    model = tfd.LinearGaussianStateSpaceModel(
        len(x), tf.linalg.LinearOperatorDiag([A]), tfd.MultivariateNormalDiag([0.0], [Q]),
        tf.linalg.LinearOperatorIdentity(1), tfd.MultivariateNormalDiag([0.0], [R]),
        tfd.MultivariateNormalDiag([0.0], [1.0]))
    return float(model.log_prob(x[:, None]))


def run(bound, proposal, runs, number=1):
    """Computes the bound of `runs` independent rows, [runs]."""
    core = LinearGaussian(proposal)
    observed = tf.tile(X[None, :, None], [runs, 1, 1])
    contexts = tf.zeros([runs, len(X), 0])
    result = bound(core, contexts, observed, bound.initial_state(core, runs),
                   seed=seeds.make(number))
    return tf.reduce_sum(result.increments, 1).numpy().astype(np.float64), result


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize("bound", [
    ELBO(1), ELBO(3), ELBO(2, monte_carlo=True), IWAE(1), IWAE(5), FIVO(1),
    FIVO(5, resample_criterion_fn=resampling.never)])
def test_with_the_exact_posterior_every_bound_is_the_likelihood(bound):
    values, result = run(bound, "smoother", 4)
    tolerance = 1e-4
    if isinstance(bound, ELBO) and bound.num_samples != 2:
        # With the closed-form KL only the mean is exact; with the sampled KL the noise cancels.
        values, _ = run(bound, "smoother", 4000)
        mean, error = mean_and_error(values)
        values, tolerance = mean, 4 * error
    else:
        # At the last step all weights are equal; before it they anticipate the future.
        np.testing.assert_allclose(
            result.effective_sample_size[:, -1], bound.num_samples, rtol=1e-4)
        if bound.num_samples > 1:
            np.testing.assert_allclose(result.variance, 0.0, atol=1e-5)
    np.testing.assert_allclose(values, exact(X), atol=tolerance)


BOUNDS = {
    "iwae": IWAE(4),
    "systematic": FIVO(4, resample_criterion_fn=resampling.always),
    "stratified": FIVO(
        4, resample_fn=resampling.stratified, resample_criterion_fn=resampling.always),
    "multinomial": FIVO(
        4, resample_fn=resampling.multinomial, resample_criterion_fn=resampling.always),
    "adaptive": FIVO(4),
    "elbo": ELBO(1, monte_carlo=True),
}
RUNS = dict.fromkeys(BOUNDS, 120000) | {"elbo": 480_000}


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_the_exponential_of_a_bound_is_unbiased(name):
    values, _ = run(BOUNDS[name], "filter", RUNS[name])
    ratios = np.exp(values - exact(X))
    mean, error = mean_and_error(ratios)
    assert abs(mean - 1) < 4 * error
    assert 4 * error < 0.012, "too few runs to catch a bias of 2 %"


def test_the_bounds_are_in_order():
    means = [mean_and_error(run(bound, "prior", 20_000)[0])
             for bound in (ELBO(1, monte_carlo=True), IWAE(4), FIVO(4))]
    means.append((exact(X), 0.0))
    for (lower, error), (upper, other) in zip(means, means[1:]):
        assert lower + 4 * math.hypot(error, other) < upper


@pytest.mark.parametrize("bound", [
    ELBO(8), IWAE(32), FIVO(64),
    FIVO(64, resample_fn=resampling.multinomial, resample_criterion_fn=resampling.always)])
def test_the_variance_estimate_is_that_over_many_seeds(bound):
    values, result = run(bound, "filter", 4_000)
    # FIVO's estimate ignores the effect of resampling on later steps.
    rel = 0.5 if isinstance(bound, FIVO) else 0.15
    assert np.mean(result.variance) == pytest.approx(values.var(ddof=1), rel=rel)


def test_the_bounds_of_two_parts_are_unbiased_together():
    """With a filtering proposal, they also have the mean of the whole's."""
    core, runs = LinearGaussian("filter"), 20_000
    for bound in (IWAE(4), FIVO(4)):
        state, total = bound.initial_state(core, runs), 0.0
        for number, part in enumerate((X[:2], X[2:])):
            observed = tf.tile(part[None, :, None], [runs, 1, 1])
            result = bound(core, tf.zeros([runs, len(part), 0]), observed, state,
                           seed=seeds.make(number))
            state = result.state
            total = total + tf.reduce_sum(result.increments, 1).numpy().astype(np.float64)
        mean, error = mean_and_error(np.exp(total - exact(X)))
        assert abs(mean - 1) < 4 * error < 0.03
        whole, _ = run(bound, "filter", runs)
        (one, error), (other, other_error) = mean_and_error(total), mean_and_error(whole)
        assert abs(one - other) < 4 * math.hypot(error, other_error)
