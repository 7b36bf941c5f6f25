# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""KVAE against TFP's linear-Gaussian state-space model, with fixed and with mixed dynamics."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, nest, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders, encoders, latent, missing
from vaeseq.data import Masked
from vaeseq.evaluate import imputation
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.vae import kvae

pytestmark = pytest.mark.oracle

SPEC = tf.TensorSpec([2], tf.float32)
NOISE = 0.4  # of x_t given a_t
X = np.array([[0.5, 1.0], [2.0, -1.0], [1.0, 0.3], [-0.7, 0.1], [0.2, -1.9]], np.float32)
SEEN = np.array([True, False, True, False, True])


@functools.cache
def make_core(num_dynamics, *, masked=False, layers=(4,)):
    """A KVAE of a three-dimensional state; decoder and posterior add noise to a_t and to x_t."""
    decoder, encoder = decoders.Normal(SPEC), encoders.Flatten(SPEC)
    if masked:
        decoder = missing.MaskedDecoder(decoder, per_dimension=False)
        encoder = missing.MaskedEncoder(encoder, decoder.event_spec)
    dynamics = kvae.LinearDynamics(3, 2, num_dynamics, RecurrentStack(layers))
    core = vae.KVAE(decoder, encoder, dynamics, latent.DiagonalNormal(2), MLP(()))
    run(core, ELBO(), 1, masked=masked)
    small.set_weights(core)
    for head, noise in ((decoder, NOISE), (core._q_a, 1.2 * NOISE)):
        for v in head.trainable_variables:
            v.assign(tf.eye(v.shape[0], 4) * [1, 1, 0, 0] if v.shape.rank == 2 else [
                0, 0, *[np.log(np.expm1(noise - 1e-5))] * 2])
    return core


def masked_rows(rows):
    return Masked(tf.tile(X[None], [rows, 1, 1]), tf.tile(SEEN[None], [rows, 1]))


def run(core, bound, rows, *, masked=False):
    observed = masked_rows(rows) if masked else tf.tile(X[None], [rows, 1, 1])
    contexts = tf.zeros([rows, len(X), 1])
    return bound(core, contexts, observed, bound.initial_state(core, rows), seed=small.SEED)


def matrices(core):
    """A_t [T, Z, Z] and C_t [T, A, Z] given a_1:T = X, step by step."""
    state, pairs = core.initial_state(1).latent, []
    for x in X:
        h = core.hidden(tf.zeros([1, 0]), state)
        pairs.append((h.transition[0], h.emission[0]))
        _, state = core.update(h, tf.constant(x[None]))
    return [tf.stack(x) for x in zip(*pairs, strict=True)]


def exact(core, decoder_noise=0.0):
    """TFP's model of a_1:T, or of x_1:T with the noise of the decoder."""
    transition, emission = matrices(core)
    following = tf.concat([transition[1:], transition[:1]], 0)  # TFP's index is of the step before
    q, r = (noise(tf.float32) for noise in (
        core.dynamics.transition_noise, core.dynamics.emission_noise))
    return tfd.LinearGaussianStateSpaceModel(
        len(X), lambda t: tf.linalg.LinearOperatorFullMatrix(following[t]),
        tfd.MultivariateNormalDiag(tf.zeros(3), q),
        lambda t: tf.linalg.LinearOperatorFullMatrix(emission[t]),
        tfd.MultivariateNormalDiag(tf.zeros(2), tf.sqrt(r ** 2 + decoder_noise ** 2)),
        tfd.MultivariateNormalDiag(tf.zeros(3), tf.fill([3], 20.0 ** 0.5)))


@pytest.mark.parametrize(("num_dynamics", "observed_mask"), [(1, None), (3, None), (1, SEEN)])
def test_filter_smoother_and_evidence_are_those_of_tfp(num_dynamics, observed_mask):
    core = make_core(num_dynamics)
    model, mask = exact(core), None if observed_mask is None else ~observed_mask
    smoothed = core.smooth(
        X[None].astype(np.float64), None if observed_mask is None else observed_mask[None])
    log_probs, filtered, covariances, *_ = model.forward_filter(X, mask=mask)
    means, smoothed_covariances = model.posterior_marginals(X, mask=mask)
    for actual, expected in (
            (smoothed.log_prob, log_probs), (smoothed.filtered_mean, filtered),
            (smoothed.filtered_covariance, covariances), (smoothed.mean, means),
            (smoothed.covariance, smoothed_covariances)):
        np.testing.assert_allclose(actual[0], expected, rtol=2e-3, atol=2e-3)
    if num_dynamics > 1:
        transition, _ = matrices(core)
        assert np.std(transition, 0).max() > 0.01, "the dynamics should change over time"
    if observed_mask is None:
        rows = tf.constant(X[None])
        inferred = core.infer_given(tf.zeros([1, len(X), 0]), core.encode_observed((), rows),
                                    rows, core.initial_state(1).latent)
        np.testing.assert_allclose(inferred.prior.log_prob(rows)[0], log_probs, rtol=1e-4)


def test_padding_changes_no_smoothed_state():
    core, lengths = make_core(3), np.array([5, 3, 1])
    padded = core.smooth(tf.tile(X[None], [3, 1, 1]), lengths=tf.constant(lengths))
    for row, length in enumerate(lengths):
        alone = core.smooth(X[None, :length])
        small.close(tuple(x[row, :length] for x in padded), tuple(x[0] for x in alone),
                    rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bound", [IWAE(64), FIVO(16)])
def test_the_exponential_of_a_bound_is_unbiased(bound):
    core = make_core(1)
    evidence = float(exact(core, NOISE).log_prob(X))
    small.assert_unbiased(run(core, bound, 1000).increments, evidence, spread=1.5)


def test_frames_that_nobody_saw_are_inferred_from_the_prediction():
    core = make_core(1, masked=True)
    observed = masked_rows(2)
    features = core.encode_observed((), observed)
    inferred = core.infer(
        tf.zeros([2, len(X), 0]), features, core.initial_state(2).latent, seed=small.SEED)
    kl = inferred.posterior.kl_divergence(inferred.prior).numpy()
    np.testing.assert_allclose(kl[:, ~SEEN], 0, atol=1e-4)
    assert np.all(kl[:, SEEN] > 0.01)
    alone = core.posterior(nest.zeros(core.state_spec.latent, 2), (features[0][:, 0],))
    np.testing.assert_allclose(inferred.posterior.mean()[:, 0], alone.mean())
    np.testing.assert_allclose(inferred.posterior.stddev()[:, 0], alone.stddev(), rtol=1e-5)


def test_unseen_frames_are_not_inferred_through_flows():
    hparams = small.HPARAMS.replace(vae_type="KVAE", posterior_flows=1)
    assert vae.make(hparams, decoders.Normal(SPEC), encoders.Flatten(SPEC)).latent_size
    with pytest.raises(ValueError, match="or missing_values=none, got 1 and observations"):
        vae.make(hparams.replace(missing_values="observations"), decoders.Normal(SPEC),
                 encoders.Flatten(SPEC))


def test_missing_frames_are_imputed_as_the_kalman_smoother_does():
    core, rows = make_core(1, masked=True), 40
    gen_core = vae.GenCore(agent.Constant(), core)
    imputed = imputation.impute(gen_core, masked_rows(rows), num_particles=200, seed=3)
    weights = tf.exp(imputed.log_weights)[..., None].numpy()
    values = (weights * imputed.values.numpy()).sum(1)  # [B, T, E]
    _, emission = matrices(core)
    model = exact(core, NOISE)
    means, _ = model.posterior_marginals(X, mask=~SEEN)
    expected = tf.linalg.matvec(emission, means)
    error = values.std(0) / np.sqrt(rows)
    assert np.all(np.abs(values.mean(0) - expected)[~SEEN] < 4 * error[~SEEN])
    evidence = np.exp(imputed.log_prob.numpy() - float(model.log_prob(X, mask=~SEEN)))
    assert abs(evidence.mean() - 1) < 4 * evidence.std() / np.sqrt(rows)


@pytest.mark.parametrize(("layers", "is_local"), [((), True), ((4,), False)])
def test_without_recurrent_layers_the_last_encoding_alone_weighs_the_dynamics(layers, is_local):
    core = make_core(3, layers=layers)
    transitions = []
    for first in (0.0, 2.0):
        state = core.initial_state(1).latent
        for a in ([first, -first], [0.5, 1.0]):
            _, state = core.update(core.hidden(tf.zeros([1, 0]), state), tf.constant([a]))
        transitions.append(core.hidden(tf.zeros([1, 0]), state).transition)
    difference = np.abs(transitions[0] - transitions[1]).max()
    assert difference < 1e-7 if is_local else difference > 1e-3


def test_controls_need_contexts():
    core = small.gen_core("KVAE", kvae_controls=True).core
    with pytest.raises(ValueError, match="expects their contexts"):
        core.smooth(X[None])
    moved, unmoved = (core.smooth(X[None], contexts=np.full([1, 5, 3], value, np.float32)).log_prob
                    for value in (1.0, 0.0))
    assert not np.allclose(moved, unmoved)


def test_a_core_reads_contexts_if_its_dynamics_have_controls():
    for controls in (True, False):
        dynamics = kvae.LinearDynamics(3, 2, 2, RecurrentStack((4,)), controls=controls)
        core = vae.KVAE(decoders.Normal(SPEC), encoders.Flatten(SPEC), dynamics,
                        latent.DiagonalNormal(2), MLP(()))
        features, _ = core.encode_contexts(tf.zeros([1, 5, 3]), ())
        assert features.shape == [1, 5, 3 if controls else 0]
