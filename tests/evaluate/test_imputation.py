# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Imputation by particles against the Kalman smoother with missing observations."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.codec import decoders, encoders, missing
from vaeseq.data import Masked
from vaeseq.evaluate import imputation
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


def kalman():
    """Means and variances [T] of the missing x_t given all that was seen, and the evidence."""
    model = tfd.LinearGaussianStateSpaceModel(
        len(X), tf.linalg.LinearOperatorFullMatrix([[W]]),
        tfd.MultivariateNormalDiag([B], [VARIANCE ** 0.5]),
        tf.linalg.LinearOperatorFullMatrix([[SCALE]]),
        tfd.MultivariateNormalDiag([OFFSET], [NOISE]), tfd.MultivariateNormalDiag([0.0], [1.0]))
    filled = np.where(SEEN, X, 0)[:, None]
    means, covariances = model.posterior_marginals(filled, mask=~SEEN)
    return (SCALE * means[:, 0] + OFFSET, SCALE ** 2 * covariances[:, 0, 0] + NOISE ** 2,
            model.log_prob(filled, mask=~SEEN))


def run(toy, rows, particles, **arguments):
    values = tf.tile(np.where(SEEN, X, np.nan)[None, :, None], [rows, 1, 1])
    mask = tf.tile(SEEN[None, :, None], [rows, 1, 1])
    return imputation.impute(
        toy, Masked(values, mask), num_particles=particles, seed=5, **arguments)


@pytest.mark.oracle
@pytest.mark.parametrize("lag", [None, 6])
def test_a_linear_model_imputes_as_the_kalman_smoother_does(gen_core, lag):
    rows = 60
    means, variances, evidence = kalman()
    imputed = run(gen_core, rows, 200, lag=lag)
    weights = tf.exp(imputed.log_weights).numpy()
    values = imputed.values.numpy()[..., 0]  # [B, S, T]
    mean = (weights * values).sum(1)
    square = (weights * (values - means.numpy()) ** 2).sum(1)
    for t in np.flatnonzero(~SEEN):
        assert abs(mean[:, t].mean() - means[t]) < 4 * mean[:, t].std() / np.sqrt(rows)
        assert abs(square[:, t].mean() - variances[t]) < 5 * square[:, t].std() / np.sqrt(rows)
    ratios = np.exp(imputed.log_prob.numpy().astype(np.float64) - float(evidence))
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(rows)


@pytest.mark.oracle
def test_a_lag_of_0_filters(gen_core):
    means, *_ = kalman()
    imputed = run(gen_core, 60, 100, lag=0)
    mean = (np.exp(imputed.log_weights) * imputed.values.numpy()[..., 0]).sum(1)
    # Before the fall to -1.4 is seen, nothing speaks of it.
    assert mean[:, 3].mean() > means[3] + 0.3


def test_seen_values_stay(gen_core):
    values = run(gen_core, 2, 5).values.numpy()[..., 0]
    np.testing.assert_array_equal(values[..., SEEN], np.broadcast_to(X[SEEN], [2, 5, SEEN.sum()]))
    assert np.isfinite(values).all()


def test_shorter_rows_give_what_they_give_alone(gen_core):
    values = np.where(SEEN, X, 0)[None, :, None].astype(np.float32)
    long = Masked(tf.constant(values), tf.constant(SEEN[None, :, None]))
    short = tf.nest.map_structure(lambda leaf: leaf[:, :5], long)
    alone = imputation.impute(gen_core, short, num_particles=4, seed=1)
    padded = imputation.impute(
        gen_core, tf.nest.map_structure(lambda leaf: tf.pad(leaf, [[0, 0], [0, 0], [0, 0]]), long),
        tf.constant([5]), num_particles=4, seed=1)
    assert padded.values.shape == [1, 4, 7, 1]
    np.testing.assert_array_equal(padded.values[:, :, 5:], 0)
    assert np.isfinite(alone.log_prob).all() and np.isfinite(padded.log_prob).all()


def test_rows_of_several_lengths(gen_core):
    whole, ragged = run(gen_core, 2, 4), run(gen_core, 2, 4, lengths=tf.constant([7, 5]))
    np.testing.assert_allclose(ragged.values[0], whole.values[0], rtol=1e-5)
    np.testing.assert_allclose(ragged.log_prob[0], whole.log_prob[0], rtol=1e-5)
    np.testing.assert_array_equal(ragged.values[1, :, 5:], 0)
    assert np.isfinite(ragged.log_prob).all()


@pytest.mark.slow
def test_compiled_equals_its_shapes(gen_core):
    compiled = tf.function(lambda: run(gen_core, 2, 3), jit_compile=True, autograph=False)
    tf.nest.map_structure(
        lambda one, other: np.testing.assert_array_equal(one.shape, other.shape),
        compiled(), run(gen_core, 2, 3))


def test_a_model_without_missing_values_is_refused():
    with pytest.raises(ValueError, match="expected a MaskedDecoder, got Normal"):
        imputation.impute(small.gen_core("RNN"), Masked(tf.zeros([1, 2, 2]), tf.ones([1, 2, 2])),
                          num_particles=2, seed=0)
