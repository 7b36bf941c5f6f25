# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Imputation by particles against the Kalman smoother with missing observations."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.bounds import Reconstruction
from vaeseq.codec import decoders, encoders, missing
from vaeseq.data import Masked
from vaeseq.evaluate import clamping, imputation
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.vae import dmm

SPEC = tf.TensorSpec([1], tf.float32)
W, B, VARIANCE, SCALE, OFFSET, NOISE = 0.9, 0.1, 0.4, 1.2, -0.3, 0.3
X = np.array([0.8, np.nan, np.nan, np.nan, -1.4, np.nan, 0.3], np.float32)
SEEN = ~np.isnan(X)


@pytest.fixture(scope="module")
def gen_core():
    """A DMM with linear transition and decoder."""
    normal = decoders.Normal(SPEC)
    decoder = missing.MaskedDecoder(normal)
    encoder = missing.MaskedEncoder(encoders.Flatten(SPEC), decoder.event_spec)
    core = dmm.DMM(
        decoder, encoder, dmm.GatedTransition(1, 3), dmm.Combiner(1, 3, structured=True),
        MLP(()), latent_size=1, past=None, future=RecurrentStack((3,)))
    toy = vae.GenCore(agent.Constant(), core)
    small.build(toy)
    small.set_weights(toy, 0.3)
    by_name = {v.name: v for v in core.p_z.trainable_variables}
    for name, value in {"gate/linear_1/w:0": 0, "gate/linear_1/b:0": -40, "linear/w:0": W,
                        "linear/b:0": B, "variance/w:0": 0,
                        "variance/b:0": np.log(np.expm1(VARIANCE - 1e-5))}.items():
        variable = by_name[f"gated_transition/{name}"]
        variable.assign(tf.fill(variable.shape, float(value)))
    for variable in normal.trainable_variables:
        variable.assign(tf.constant([[SCALE, 0.0]] if variable.shape.rank == 2 else [
            OFFSET, np.log(np.expm1(NOISE - 1e-5))], tf.float32, variable.shape))
    return toy


def kalman(size=7):
    """Means and variances [T] of the missing x_t given the first steps, and their evidence."""
    x, mask = X[:size], SEEN[:size]
    model = tfd.LinearGaussianStateSpaceModel(
        size, tf.linalg.LinearOperatorFullMatrix([[W]]),
        tfd.MultivariateNormalDiag([B], [VARIANCE ** 0.5]),
        tf.linalg.LinearOperatorFullMatrix([[SCALE]]),
        tfd.MultivariateNormalDiag([OFFSET], [NOISE]), tfd.MultivariateNormalDiag([0.0], [1.0]))
    filled = np.where(mask, x, 0)[:, None]
    means, covariances = model.posterior_marginals(filled, mask=~mask)
    return (SCALE * means[:, 0] + OFFSET, SCALE ** 2 * covariances[:, 0, 0] + NOISE ** 2,
            model.log_prob(filled, mask=~mask))


def run(toy, rows, particles, **arguments):
    values = tf.tile(np.where(SEEN, X, np.nan)[None, :, None], [rows, 1, 1])
    mask = tf.tile(SEEN[None, :, None], [rows, 1, 1])
    return imputation.impute(
        toy, Masked(values, mask), num_particles=particles, seed=5, **arguments)


@pytest.mark.oracle
@pytest.mark.parametrize("lag", [None, 1])
def test_a_linear_model_imputes_as_the_kalman_smoother_does(gen_core, lag):
    rows = 60
    _, _, evidence = kalman()
    imputed = run(gen_core, rows, 200, lag=lag)
    weights = tf.exp(imputed.log_weights).numpy()
    values = imputed.values.numpy()[..., 0]  # [B, S, T]
    mean = (weights * values).sum(1)
    # The proposal reads the whole sequence: where the lag ignores the next value that was seen, the
    # weights have few effective samples.
    for t in np.flatnonzero(~SEEN) if lag is None else (3, 5):
        means, variances, _ = kalman(len(X) if lag is None else min(t + lag + 1, len(X)))
        square = (weights[..., t] * (values[..., t] - float(means[t])) ** 2).sum(1)
        assert abs(mean[:, t].mean() - means[t]) < 4 * mean[:, t].std() / np.sqrt(rows)
        assert abs(square.mean() - variances[t]) < 5 * square.std() / np.sqrt(rows)
    ratios = np.exp(imputed.log_prob.numpy().astype(np.float64) - float(evidence))
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(rows)


@pytest.mark.oracle
@pytest.mark.parametrize("lag", [0, 1])
def test_what_is_later_than_the_lag_is_ignored(gen_core, lag):
    means, *_ = kalman()
    imputed = run(gen_core, 60, 100, lag=lag)
    mean = (np.exp(imputed.log_weights) * imputed.values.numpy()[..., 0]).sum(1)
    # Before the fall to -1.4 is seen, nothing speaks of it.
    assert mean[:, 3 - lag].mean() > means[3 - lag] + 0.3


def test_seen_values_stay(gen_core):
    values = run(gen_core, 2, 5).values.numpy()[..., 0]
    np.testing.assert_array_equal(values[..., SEEN], np.broadcast_to(X[SEEN], [2, 5, SEEN.sum()]))
    assert np.isfinite(values).all()


def test_rows_of_several_lengths(gen_core):
    whole, ragged = run(gen_core, 2, 4), run(gen_core, 2, 4, lengths=tf.constant([7, 5]))
    np.testing.assert_allclose(ragged.values[0], whole.values[0], rtol=1e-5)
    np.testing.assert_allclose(ragged.log_prob[0], whole.log_prob[0], rtol=1e-5)
    np.testing.assert_array_equal(ragged.values[1, :, 5:], 0)
    assert np.isfinite(ragged.log_prob).all()


@pytest.mark.slow
def test_compiled_equals_eager(gen_core):
    compiled = tf.function(lambda: run(gen_core, 2, 3), jit_compile=True, autograph=False)
    for one, other in zip(compiled(), run(gen_core, 2, 3), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_what_stands_for_unseen_integers_means_nothing():
    symbols = clamping.with_missing_values(small.gen_core("VRNN", small.symbol_codec))
    x = tf.constant([[1, 0, 3, 2]])
    mask = tf.constant([[True, False, True, False]])
    one, other = (imputation.impute(
        symbols, Masked(tf.where(mask, x, value), mask), num_particles=3, seed=1)
        for value in (-1, 99))
    np.testing.assert_array_equal(one.values, other.values)
    assert np.all((one.values >= 0) & (one.values < 4))


def test_arrays_are_taken_and_sequences_without_steps_refused(gen_core):
    arrays = np.float64(X)[None, :, None], SEEN[None, :, None]
    small.same(imputation.impute(gen_core, Masked(*arrays), num_particles=2, seed=5),
               run(gen_core, 1, 2))
    with pytest.raises(ValueError, match="at least one step to impute, got 0 steps"):
        imputation.impute(gen_core, Masked(np.zeros([1, 0, 1]), np.zeros([1, 0, 1], bool)),
                          num_particles=2, seed=5)


def test_where_the_posterior_is_a_point_the_density_is_that_of_what_was_seen_given_it():
    def codec():
        decoder = missing.MaskedDecoder(decoders.Normal(small.REAL))
        return missing.MaskedEncoder(encoders.Flatten(small.REAL), decoder.event_spec), decoder

    toy = small.gen_core("SEQAE", codec, cell="gru", seqae_posterior="deterministic")
    observed = Masked(small.reals(2, 4), tf.ones([2, 4, 2], tf.bool))
    imputed = imputation.impute(toy, observed, num_particles=2, seed=1)
    bound = Reconstruction()
    contexts, _ = toy.agent.contexts(observed, toy.agent.initial_state(2), seed=small.SEED)
    result = bound(toy.core, contexts, observed, bound.initial_state(toy.core, 2), seed=small.SEED)
    small.close(imputed.log_prob, tf.reduce_sum(result.log_prob, 1))


def test_a_model_without_missing_values_is_refused():
    with pytest.raises(ValueError, match="expected a MaskedDecoder, got Normal"):
        imputation.impute(small.gen_core("RNN"), Masked(tf.zeros([1, 2, 2]), tf.ones([1, 2, 2])),
                          num_particles=2, seed=0)
