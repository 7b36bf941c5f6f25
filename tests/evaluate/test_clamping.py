# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sequences with fixed values, drawn from a model of complete ones, against an enumeration."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.codec import decoders, encoders
from vaeseq.data import Masked
from vaeseq.evaluate import clamping, imputation
from vaeseq.vae import CoreState

SPEC = tf.TensorSpec([3], tf.float32)
MOVES = np.array([[0.8, 0.2], [0.3, 0.7]], np.float32)
X = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]], np.float32)
FIXED = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 1]], bool)


class Switching(vae.VAECore):
    """z_t is one-hot and depends on z_t-1; the decoder sees z_t and the frame before."""

    latent_size = 2
    state_spec = CoreState((), tf.TensorSpec([2], tf.float32))

    def hidden(self, context_feature, state):
        return context_feature, tf.concat([state[..., :1], 1 - state[..., :1]], -1)

    def prior(self, h):
        probs = tf.einsum("...i,ij->...j", h[1], tf.constant(MOVES))
        return tfd.OneHotCategorical(probs=probs, dtype=tf.float32)

    def posterior(self, h, feature):
        raise AssertionError("it expects complete sequences")

    def update(self, h, z):
        return tf.concat([h[0], z], -1), z


@pytest.fixture(scope="module")
def gen_core():
    encoder = encoders.Flatten(SPEC)
    core = Switching(decoders.MaskedBernoulli(SPEC, (9,)))
    toy = vae.GenCore(agent.EncodeObserved(encoder, SPEC), core)
    toy.generate(1, toy.initial_state(1), seed=small.SEED)
    return small.set_weights(toy, 1.5)


def enumerate_all(toy, temperature):
    """Returns all sequences [N, T, D] that have the fixed values, and p(x, z) [N]."""
    steps = len(X)
    x = np.array([x for x in itertools.product([0, 1], repeat=X.size)
                  if (np.reshape(x, X.shape) == X)[FIXED].all()], np.float32)
    z = np.eye(2, dtype=np.float32)[list(itertools.product([0, 1], repeat=steps))]
    x, z = np.repeat(x.reshape(-1, *X.shape), len(z), 0), np.tile(z, [len(x), 1, 1])
    contexts, _ = toy.agent.contexts(
        x, toy.agent.initial_state(len(x)), seed=small.SEED)
    state = np.zeros([len(x), 2], np.float32)
    log_p = 0.0
    for t in range(steps):
        h = toy.core.hidden(contexts[:, t], state)
        outputs, state = toy.core.update(h, z[:, t])
        params = toy.core.decoder(outputs)
        dist = toy.core.decoder.dist(toy.core.decoder.temper(params, temperature))
        log_p += toy.core.prior(h).log_prob(z[:, t]) + dist.log_prob(x[:, t])
    return x, np.exp(np.float64(log_p))


@pytest.mark.oracle
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_completions_and_evidence_equal_an_enumeration(gen_core, temperature):
    rows, particles = 100, 100
    x, p = enumerate_all(gen_core, temperature)
    clamped = clamping.with_missing_values(gen_core, temperature=temperature)
    observed = Masked(tf.tile(X[None], [rows, 1, 1]), tf.tile(FIXED[None], [rows, 1, 1]))
    run = tf.function(lambda: imputation.impute(
        clamped, observed, num_particles=particles, seed=1), autograph=False)
    imputed = run()
    ratios = np.exp(np.float64(imputed.log_prob)) / p.sum()
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(rows) < 0.1
    weights = np.exp(imputed.log_weights)[..., None]
    completions = imputed.values.numpy()
    np.testing.assert_array_equal(
        completions[..., FIXED], np.broadcast_to(X[FIXED], [rows, particles, FIXED.sum()]))
    # The share of each value, and of each pair of values in one step or two.
    law = np.einsum("n,ni,nj->ij", p / p.sum(), *[x.reshape(len(x), -1)] * 2)
    flat = completions.reshape(rows, particles, -1)
    shares = np.einsum("bs,bsi,bsj->bij", weights[:, :, 0, 0], flat, flat)
    error = shares.std(0) / np.sqrt(rows)
    assert (np.abs(shares.mean(0) - law) < 5 * error + 2 / particles / rows ** 0.5).all()
    assert np.ptp(law) > 0.5


def test_all_values_fixed_give_the_density_of_the_sequence():
    toy = small.gen_core("RNN", lambda: (
        encoders.Flatten(SPEC), decoders.MaskedBernoulli(SPEC, (9,))))
    contexts, _ = toy.agent.contexts(X[None], toy.agent.initial_state(1), seed=small.SEED)
    features, _ = toy.core.encode_contexts(contexts, toy.core.initial_state(1).context)
    outputs = toy.core.infer(features, (), toy.core.initial_state(1).latent,
                              seed=small.SEED).outputs
    imputed = imputation.impute(
        clamping.with_missing_values(toy),
        Masked(tf.constant(X[None]), tf.ones([1, *X.shape], tf.bool)), num_particles=2, seed=0)
    np.testing.assert_allclose(
        imputed.log_prob, tf.reduce_sum(toy.core.log_prob(outputs, X[None]), 1), rtol=1e-5)


def test_a_model_of_whole_sequences_is_refused():
    with pytest.raises(ValueError, match="by particles needs a model that generates step by step"):
        clamping.with_missing_values(small.gen_core("GAUSSDIFF"))


def test_a_model_of_missing_values_needs_no_others(gen_core):
    with pytest.raises(ValueError, match="got one of missing values.*imputation.impute"):
        clamping.with_missing_values(clamping.with_missing_values(gen_core))
