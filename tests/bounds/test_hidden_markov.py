# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds on a hidden Markov model, a core with discrete latents, compared with exact sums."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests import small
from vaeseq import seeds, vae
from vaeseq.bounds import ELBO, FIVO, IWAE, resampling
from vaeseq.codec import decoders
from vaeseq.vae import CoreState

pytestmark = pytest.mark.oracle

tfd = tfp.distributions

START = np.array([0.6, 0.3, 0.1])
MOVES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
SHOWS = np.array([[0.8, 0.1, 0.05, 0.05], [0.1, 0.6, 0.1, 0.2], [0.05, 0.15, 0.4, 0.4]])
X = np.array([0, 3, 1, 1, 2, 0])


class HiddenMarkov(vae.VAECore):
    """z_t is one-hot. The proposal: the prior, or the smoothing posterior."""

    latent_size = 3
    state_spec = CoreState((), tf.TensorSpec([4], tf.float32))  # z_t-1, and whether t > 1

    def __init__(self, proposal):
        decoder = decoders.Categorical(4, small.SYMBOL)
        super().__init__(decoder)
        self.proposal = proposal
        decoder(tf.zeros([1, 3]))
        for variable in decoder.trainable_variables:
            shows = np.log(SHOWS) if variable.shape.rank == 2 else np.zeros(variable.shape)
            variable.assign(shows.astype(np.float32))

    def encode_observed(self, context_features, observed, lengths=None):
        """Returns p(x_t:T | z_t) for each z_t, [B, T, 3]."""
        likely = tf.gather(tf.constant(SHOWS.T, tf.float32), observed)
        messages, message = [], tf.ones_like(likely[:, 0])
        for x in reversed(tf.unstack(likely, axis=1)):
            messages.append(x * message)
            message = tf.linalg.matvec(tf.constant(MOVES, tf.float32), messages[-1])
        return tf.stack(messages[::-1], 1)

    def hidden(self, context_feature, state):
        moved = tf.matmul(tf.reshape(state[..., :3], [-1, 3]), tf.constant(MOVES, tf.float32))
        moved = tf.reshape(moved, tf.shape(state[..., :3]))
        return tf.where(state[..., 3:] > 0, moved, tf.constant(START, tf.float32))

    def prior(self, h):
        return tfd.OneHotCategorical(probs=h, dtype=tf.float32)

    def posterior(self, h, feature):
        if self.proposal == "prior":
            return self.prior(h)
        weighed = h * feature
        return tfd.OneHotCategorical(
            probs=weighed / tf.reduce_sum(weighed, -1, keepdims=True), dtype=tf.float32)

    def update(self, h, z):
        return z, tf.concat([z, tf.ones_like(z[..., :1])], -1)


def exact(x):
    return float(tfd.HiddenMarkovModel(
        tfd.Categorical(probs=START), tfd.Categorical(probs=MOVES), tfd.Categorical(probs=SHOWS),
        len(x)).log_prob(x))


def enumerated(x):
    total = 0.0
    for path in itertools.product(range(3), repeat=len(x)):
        p = START[path[0]] * math.prod(MOVES[i, j] for i, j in zip(path, path[1:]))
        total += p * math.prod(SHOWS[z, shown] for z, shown in zip(path, x))
    return math.log(total)


def run(bound, proposal, runs):
    core = HiddenMarkov(proposal)
    observed = tf.tile(tf.constant(X, tf.int32)[None], [runs, 1])
    result = bound(core, tf.zeros([runs, len(X), 0]), observed,
                   bound.initial_state(core, runs), seed=seeds.make(1))
    return tf.reduce_sum(result.increments, 1).numpy().astype(np.float64), result


def test_the_oracles_agree():
    assert exact(X) == pytest.approx(enumerated(X), abs=1e-5)


@pytest.mark.parametrize("bound", [
    ELBO(2, monte_carlo=True), IWAE(3), FIVO(3, resample_criterion_fn=resampling.never)])
def test_with_the_exact_posterior_every_bound_is_the_likelihood(bound):
    values, _ = run(bound, "smoother", 5)
    np.testing.assert_allclose(values, enumerated(X), atol=1e-4)


@pytest.mark.parametrize("bound", [
    IWAE(8), FIVO(8),
    FIVO(8, resample_fn=resampling.multinomial, resample_criterion_fn=resampling.always)])
def test_with_the_prior_as_proposal_the_exponential_is_unbiased(bound):
    values, _ = run(bound, "prior", 30_000)
    ratios = np.exp(values - enumerated(X))
    error = ratios.std(ddof=1) / math.sqrt(len(ratios))
    assert abs(ratios.mean() - 1) < 4 * error < 0.05
    assert values.mean() < enumerated(X)


def test_discrete_latents_have_no_kl_per_dimension():
    for bound in (ELBO(2), IWAE(2), FIVO(2)):
        _, result = run(bound, "smoother", 3)
        assert result.latent_kl.shape == [3, len(X), 0]
        assert result.kl.shape == [3, len(X)]
