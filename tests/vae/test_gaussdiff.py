# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gaussian diffusion against the closed forms of normal data, and its sampler against its model."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import seeds, vae
from vaeseq.bounds import ELBO
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate.filling import Filler
from vaeseq.evaluate.sampler import Sampler

T = 4
REAL = tf.TensorSpec([1], tf.float32)
RNG = np.random.default_rng(4)
# Strongly dependent, so that what one part of a sequence says of another is nats, not noise.
COVARIANCE = np.outer(*[[1.0, 0.8, -1.2, 1.0]] * 2) + 0.05 * np.eye(T)
MEAN = RNG.normal(size=T)
FIRST, LAST = 2 * math.log(1e-3), 2 * math.log(100)  # levels at times 0 and 1


class Exact(vae.GaussDiff):
    """The best denoiser of the normal distribution of T numbers, times `scale`."""

    def __init__(self, scale=1.0, **options):
        super().__init__(decoders.Normal(REAL), encoders.Flatten(REAL), None, **options)
        self._mean = tf.constant(scale * MEAN)
        self._covariance = tf.constant(scale ** 2 * COVARIANCE)

    def estimate(self, noisy, level, lengths=None):
        level = tf.cast(level, tf.float64)  # its exponential is up to 1e10 times another
        difference = tf.cast(noisy[..., 0], tf.float64) / tf.sqrt(tf.sigmoid(-level)) - self._mean
        gain = self._covariance @ tf.linalg.inv(
            self._covariance + tf.linalg.diag(tf.exp(level)))
        variance = tf.linalg.diag_part(gain) * tf.exp(level)
        return decoders.NormalParams(*(
            tf.cast(x, tf.float32)[..., tf.newaxis]
            for x in (self._mean + tf.linalg.matvec(gain, difference), tf.sqrt(variance))))


def draw(rows, scale=1.0):
    """Draws sequences, float32 `[rows, T, 1]`, and their log-densities, `[rows]`."""
    x = RNG.multivariate_normal(MEAN, COVARIANCE, rows)
    centred = x - MEAN
    quadratic = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(COVARIANCE), centred)
    log_density = -0.5 * (
        quadratic + np.linalg.slogdet(2 * np.pi * COVARIANCE)[1]) - T * math.log(scale)
    return tf.constant(scale * x[..., np.newaxis], tf.float32), log_density


def bound(core, x, lengths=None, num_samples=1):
    elbo, rows = ELBO(num_samples), len(x)
    return elbo(core, tf.zeros([rows, x.shape[1], 1]), x, elbo.initial_state(core, rows), lengths,
                seed=seeds.make(2))


def expected_gap(steps):
    """The mean of the bound of `steps` steps below the mean log-density, in closed form."""
    levels = np.linspace(FIRST, LAST, steps + 1)
    variances = np.array([np.diag(COVARIANCE - COVARIANCE @ np.linalg.solve(
        COVARIANCE + ratio * np.eye(T), COVARIANCE)) for ratio in np.exp(levels[1:])])
    precisions = np.exp(-levels[:-1]) - np.exp(-levels[1:])
    diffusion = 0.5 * np.sum(np.log1p(precisions[:, np.newaxis] * variances))
    noise = 1 / (1 + math.exp(-LAST))
    prior = 0.5 * ((1 - noise) * np.sum(MEAN ** 2 + np.diag(COVARIANCE))
                   + T * (noise - 1 - math.log(noise)))
    reconstruction = 0.5 * T * (1 + math.log(2 * math.pi) + FIRST)
    entropy = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * COVARIANCE)[1]
    return diffusion + prior + reconstruction - entropy


@pytest.mark.oracle
@pytest.mark.parametrize("filling, scale", [(0.0, 2.0), (1.0, 1.0)])
def test_with_the_best_denoiser_the_bound_is_the_log_density(filling, scale):
    x, log_density = draw(100000, scale)  # of data scaled by c, it is lower by log c a number
    result = bound(Exact(scale, filling=filling, noise=0.01), x)
    small.assert_mean(tf.reduce_sum(result.increments, 1) - log_density)


@pytest.mark.oracle
def test_the_bound_of_finite_steps_is_that_of_the_closed_form_and_more_steps_are_tighter():
    gaps = [expected_gap(steps) for steps in (5, 10, 20, 40, 4000)]
    assert np.all(np.diff(gaps) < 0) and 0 < gaps[-1] < 0.01, gaps
    x, log_density = draw(30000)
    for steps, gap in [(10, gaps[1]), (40, gaps[3])]:
        result = bound(Exact(steps=steps, filling=0.0), x)
        small.assert_mean(log_density - tf.reduce_sum(result.increments, 1), gap)
    # A worse denoiser has a lower bound.
    worse = bound(Exact(1.5, filling=0.0), x)
    assert np.mean(tf.reduce_sum(worse.increments, 1) - log_density) < -0.1


@pytest.mark.oracle
def test_gaps_are_drawn_from_the_conditional_distribution():
    filler, rows = Filler(Exact(steps=80)), 8000
    is_known = np.array([False, True, False, True])
    values = np.zeros([rows, T, 1], np.float32)
    values[:, is_known] = [[1.0], [-0.5]]
    filled = filler.fill(values, np.tile(is_known, [rows, 1]), seed=1)
    np.testing.assert_array_equal(filled[:, is_known], values[:, is_known])
    fixed = COVARIANCE[np.ix_(is_known, is_known)]
    gain = np.linalg.solve(fixed, COVARIANCE[np.ix_(is_known, ~is_known)]).T
    mean = MEAN[~is_known] + gain @ ([1.0, -0.5] - MEAN[is_known])
    covariance = (COVARIANCE[np.ix_(~is_known, ~is_known)]
                  - gain @ COVARIANCE[np.ix_(is_known, ~is_known)])
    samples = filled[:, ~is_known, 0]
    deviation = np.sqrt(np.diag(covariance))
    # The error of 80 steps is below a hundredth of the scale.
    np.testing.assert_allclose(
        (samples.mean(0) - mean) / deviation, 0, atol=0.01 + 4.5 / np.sqrt(rows))
    np.testing.assert_allclose(
        (np.cov(samples.T) - covariance) / np.outer(deviation, deviation), 0,
        atol=0.02 + 4.5 * np.sqrt(2 / rows))


@pytest.mark.oracle
@pytest.mark.parametrize("steps, filling", [(0, 0.5), (1, 0.0), (5, 0.5)])
def test_independent_normals_are_modelled_exactly_with_any_number_of_steps(steps, filling):
    core = vae.GaussDiff(
        decoders.Normal(REAL, initial_loc=2.0, initial_scale=3.0), encoders.Flatten(REAL),
        lambda inputs, lengths: tf.zeros([*inputs[0].shape[:2], 4]), steps=steps, filling=filling)
    x = 2 + 3 * small.reals(20000, 2)[..., :1]
    log_density = -0.5 * (((x - 2) / 3) ** 2 + math.log(2 * math.pi * 9))
    small.assert_mean(
        tf.reduce_sum(bound(core, x).increments, 1) - tf.reduce_sum(log_density, [1, 2]))


def test_padding_changes_neither_the_bound_nor_its_gradient_and_the_error_is_that_of_repeats():
    core = small.gen_core("GAUSSDIFF").core
    observed, lengths = small.reals(3, 5), tf.constant([5, 2, 0])

    def run(observed):
        with tf.GradientTape() as tape:
            result = bound(core, observed, lengths)
            loss = tf.reduce_sum(result.objective)
        return result.increments, tape.gradient(loss, core.trainable_variables)

    increments, gradients = run(observed)
    small.same((increments, gradients), run(tf.constant(small.garbage_after(observed, [5, 2, 0]))))
    assert all(np.any(gradient) for gradient in gradients)
    assert not increments.numpy()[1, 2:].any() and increments.numpy()[1, :2].all()
    result = bound(core, tf.repeat(observed[:1], 2000, 0), num_samples=8)
    totals = tf.reduce_sum(result.increments, 1).numpy()
    np.testing.assert_allclose(np.sqrt(result.variance.numpy().mean()), totals.std(), rtol=0.1)
    assert not result.kl.numpy().any()


HPARAMS = small.HPARAMS.replace(
    vae_type="GAUSSDIFF", rnn_hidden_sizes=(16,), learning_rate=0.01, gaussdiff_noise=0.01)


@pytest.mark.parametrize("call, message", [
    (lambda model, x: model.impute([np.ma.array(x, mask=[[True, True], [False] * 2, [False] * 2])]),
     "sequence 0, step 1, dimension 0: expected a number, got NaN"),
    (lambda model, x: model.generate(length=2, prime=x), "step 1, dimension 0: expected a number"),
    (lambda model, x: model.generate(length=2, prime=np.ma.masked_invalid(x)),
     "the data have missing values, and the model takes none")])
def test_what_is_no_number_is_refused(tmp_path, call, message):
    model = small.Reals(HPARAMS, tmp_path)
    model.build()
    model._ready = True
    with pytest.raises(ValueError, match=message):
        call(model, np.array([[0.5, 1.0], [np.nan, 2.0], [1.0, 0.0]], np.float32))


def test_a_model_trains_scores_draws_continues_and_fills(tmp_path):
    rng = np.random.default_rng(4)
    levels = rng.normal(size=[40, 1, 2])
    lines = list((levels + 0.1 * rng.normal(size=[40, 8, 2])).astype(np.float32))
    model = small.Reals(HPARAMS.replace(batch_size=40, sequence_size=8), tmp_path)
    model.train(lines, num_steps=100)
    model = small.Reals.load(tmp_path, gaussdiff_steps=20, gaussdiff_filling=0.0)
    score = model.evaluate(lines)
    assert score.bound == "elbo" and score.standard_error > 0
    assert score.nats_per_step < 2.5  # independent numbers: 2.85
    (sample,) = model.generate(length=4, prime=lines[0][:4], temperature=0.5)
    assert sample.shape == (4, 2) and np.all(abs(sample) < 5)
    gaps = [np.ma.masked_array(line, np.zeros_like(line, bool)) for line in lines[:20]]
    for gap in gaps:
        gap[3] = np.ma.masked
    filled = np.stack(model.impute(gaps))[:, 0]
    assert np.all((filled == lines[:20]) | (np.arange(8) == 3)[:, np.newaxis])
    (again,) = Sampler(model.gen_core).fill(
        np.float64(lines[:1]), np.arange(8)[np.newaxis] != 3)
    np.testing.assert_array_equal(again[np.arange(8) != 3], lines[0][np.arange(8) != 3])
    # 0.12 here, 0.20 to 0.25 for other data; two independent draws: 0.9
    assert np.median((filled[:, 3] - levels[:20, 0]) ** 2) < 0.4


def test_other_decoders_and_truncation_are_refused_in_a_line(tmp_path):
    with pytest.raises(ValueError, match="expected the decoder decoders.Normal, got Categorical"):
        small.gen_core("GAUSSDIFF", small.symbol_codec)
    with pytest.raises(ValueError, match="decoders.Normal, got MaskedDecoder.* gaps are filled"):
        small.Reals(HPARAMS.replace(missing_values="values"), tmp_path)
    with pytest.raises(NotImplementedError, match="leaves classes out, and Normal has none"):
        small.Reals(HPARAMS, tmp_path).generate(length=2, top_k=3)
