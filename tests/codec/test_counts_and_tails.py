# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders of counts, heavy tails and pairs: densities against SciPy, samples against them."""

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.codec import decoders, distributions

stats = pytest.importorskip("scipy.stats")
pytestmark = pytest.mark.oracle


def spec(*shape):
    return tf.TensorSpec(shape, tf.float64)


def params_of(decoder):
    return decoder(tf.random.stateless_normal([6, 5], [0, 1], dtype=tf.float64))


def test_student_t():
    decoder = decoders.StudentT(spec())
    params = params_of(decoder)
    x = np.linspace(-4, 4, 6)
    df, loc, scale = (p.numpy() for p in params)
    np.testing.assert_allclose(decoder.dist(params).log_prob(x),
                               stats.t.logpdf(x, df, loc, scale), rtol=1e-9)
    hot = decoder.dist(decoder.temper(params, 1.5))
    ratio = hot.log_prob(x) - decoder.dist(params).log_prob(x) / 1.5
    others = hot.log_prob(x + 1) - decoder.dist(params).log_prob(x + 1) / 1.5
    np.testing.assert_allclose(ratio, others, rtol=1e-9)  # the power, up to a constant


def test_negative_binomial_with_and_without_extra_zeros():
    decoder = decoders.NegativeBinomial(spec(), initial_mean=4.0)
    params = params_of(decoder)
    mean, r = np.exp(params.log_mean), params.total_count.numpy()
    x = np.array([0.0, 1, 2, 5, 9, 40])
    expected = stats.nbinom.logpmf(x, r, r / (r + mean))
    np.testing.assert_allclose(decoder.dist(params).log_prob(x), expected, rtol=1e-8)
    inflated = decoders.ZeroInflated(decoder)
    params = params_of(inflated)
    p = 1 / (1 + np.exp(-params.logits.numpy()))
    np.testing.assert_allclose(
        np.exp(inflated.dist(params).log_prob(x)), p * (x == 0) + (1 - p) * np.exp(expected),
        rtol=1e-8)


def test_mixture_of_bivariate_normals():
    decoder = decoders.MixtureOfBivariateNormals(3, spec(2))
    params = params_of(decoder)
    x = np.array([0.3, -1.2])
    logits, loc, scale, rho = (p.numpy() for p in params)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for row in range(6):
        density = 0.0
        for k in range(3):
            cross = rho[row, k] * scale[row, k].prod()
            covariance = [[scale[row, k, 0] ** 2, cross], [cross, scale[row, k, 1] ** 2]]
            density += weights[row, k] * stats.multivariate_normal.pdf(
                x, loc[row, k], covariance)
        np.testing.assert_allclose(
            decoder.dist(params).log_prob(x)[row], np.log(density), rtol=1e-8)


def test_pairs_have_the_correlation_of_their_component():
    decoder = decoders.MixtureOfBivariateNormals(1, spec(2))
    params = decoders.BivariateMixtureParams(
        *(tf.constant(v, tf.float64) for v in ([0.0], [[1.0, 2.0]], [[2.0, 0.5]], [-0.8])))
    x = decoder.dist(params).sample(20000, seed=[0, 3]).numpy()
    np.testing.assert_allclose(x.mean(0), [1, 2], atol=0.06)
    np.testing.assert_allclose(np.corrcoef(x.T)[0, 1], -0.8, atol=0.015)


@pytest.mark.parametrize("name, sample, law", [
    *((f"gamma {a}", lambda a=a: distributions.gamma(tf.fill([20000], np.float64(a)), 5),
       stats.gamma(a)) for a in (0.05, 0.7, 1.0, 40.0)),
    *((f"t {df}", lambda df=df: distributions.StudentT(
        np.float64(df), np.float64(1), np.float64(2)).sample(20000, seed=[0, 5]),
       stats.t(df, 1, 2)) for df in (0.5, 3.0, 500.0))])
def test_samplers_follow_their_distribution(name, sample, law):
    assert stats.kstest(np.asarray(sample()), law.cdf).pvalue > 1e-3, name


def binomial_counts(r, mean, zeros):
    """Draws 20,000 counts; beside those of the law, a share `zeros` is 0."""
    decoder = decoders.ZeroInflated(decoders.NegativeBinomial(spec()))
    params = decoders.ZeroInflatedParams(
        np.log(zeros / (1 - zeros)),
        decoders.NegativeBinomialParams(np.log(np.float64(mean)), np.float64(r)))
    return decoder.dist(params).sample(20000, seed=[0, 9]).numpy()


@pytest.mark.parametrize("r, mean", [(0.3, 4.0), (2.0, 0.5), (15.0, 60.0)])
@pytest.mark.parametrize("zeros", [1e-12, 0.4])
def test_counts_follow_their_distribution(r, mean, zeros):
    law = stats.nbinom(r, r / (r + mean))
    x = binomial_counts(r, mean, zeros)
    edges = np.unique(law.ppf(np.linspace(0, 1, 11)[1:-1]))
    cumulative = np.array([0.0, *(zeros + (1 - zeros) * law.cdf(edges)), 1.0])
    counts = np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1)
    assert stats.chisquare(counts, np.diff(cumulative) * len(x)).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.0, 0.3, 9.9, 10.1, 300.0, 1e7])
def test_poisson_samples_follow_their_distribution(rate):
    x = distributions.poisson(tf.fill([20000], np.float64(rate)), 7).numpy()
    if rate == 0.0:
        assert not x.any()
        return
    assert np.array_equal(x, np.floor(x))
    law = stats.poisson(rate)
    edges = np.unique(law.ppf(np.linspace(0, 1, 21)[1:-1]))
    expected = np.diff([0.0, *law.cdf(edges), 1.0]) * len(x)
    counts = np.bincount(np.searchsorted(edges, x), minlength=len(edges) + 1)
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3
