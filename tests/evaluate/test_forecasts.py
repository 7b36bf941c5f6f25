# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Scores of forecasts against scoringrules and cases worked by hand."""

import numpy as np
import pytest

from vaeseq.evaluate import forecasts

RNG = np.random.default_rng(0)
SAMPLES, OBSERVED = RNG.normal(size=[4, 5, 30]), RNG.normal(size=[4, 5])


@pytest.mark.oracle
def test_scores_equal_those_of_scoringrules():
    rules = pytest.importorskip("scoringrules")
    np.testing.assert_allclose(
        forecasts.crps(SAMPLES, OBSERVED),
        rules.crps_ensemble(OBSERVED, SAMPLES, estimator="fair", backend="numpy"), rtol=1e-10)
    np.testing.assert_allclose(
        forecasts.quantile_loss(OBSERVED, SAMPLES[..., 0], 0.3),
        rules.quantile_score(OBSERVED, SAMPLES[..., 0], 0.3), rtol=1e-10)
    lower, upper = np.quantile(SAMPLES, [0.1, 0.9], axis=-1)
    np.testing.assert_allclose(
        forecasts.interval_score(OBSERVED, lower, upper, 0.2),
        rules.interval_score(OBSERVED, lower, upper, 0.2), rtol=1e-10)
    vectors = np.moveaxis(SAMPLES, 1, -1)
    biased = rules.es_ensemble(OBSERVED, vectors, estimator="nrg", backend="numpy")
    error = np.linalg.norm(vectors - OBSERVED[:, None], axis=-1).mean(-1)
    np.testing.assert_allclose(  # its pairs include each sample with itself
        forecasts.energy_score(vectors, OBSERVED), error - (error - biased) * 30 / 29, rtol=1e-10)


@pytest.mark.oracle
def test_crps_is_unbiased_and_that_of_a_normal_distribution():
    # The closed form for N(0, 1) at y (Gneiting & Raftery, 2007).
    y, rng = 0.7, np.random.default_rng(1)
    scores = forecasts.crps(rng.normal(size=[40000, 3]), np.full(40000, y))
    density, tail = np.exp(-y * y / 2) / np.sqrt(2 * np.pi), 0.758036
    exact = y * (2 * tail - 1) + 2 * density - 1 / np.sqrt(np.pi)
    assert abs(scores.mean() - exact) < 4 * scores.std() / np.sqrt(len(scores))


def test_the_energy_score_of_one_dimension_is_the_crps():
    np.testing.assert_allclose(
        forecasts.energy_score(SAMPLES[..., None], OBSERVED[..., None]),
        forecasts.crps(SAMPLES, OBSERVED))


def test_scores_worked_by_hand():
    y, f = np.array([2.0, 4.0, np.nan, 0.0]), np.array([1.0, 6.0, 3.0, 0.0])
    history = np.array([1.0, 3.0, 2.0, 6.0])
    assert forecasts.seasonal_error(history) == (2 + 1 + 4) / 3
    assert forecasts.seasonal_error(history, 2) == (1 + 3) / 2
    assert forecasts.mase(y, f, 2.0) == (1 + 2 + 0) / 3 / 2
    assert forecasts.smape(y, f) == pytest.approx((2 / 3 + 4 / 10) / 2)
    # 2 (0.5 |1| + 0.5 |2|) / 6 for the median, 2 (0.9 * 1 + 0.1 * 2) / 6 for the level 0.9.
    assert forecasts.weighted_quantile_loss(y, np.stack([f, f]), [0.5, 0.9]) == pytest.approx(
        (3 / 6 + 2 * (0.9 + 0.2) / 6) / 2)
    assert forecasts.coverage(y, f - 1, f + 1) == pytest.approx(2 / 3)
    assert forecasts.mean_scaled_interval_score(
        y, f - 1, f + 1, 0.2, 2.0) == pytest.approx((2 + (2 + 10 * 1) + 2) / 3 / 2)


def test_masked_observations_are_missing():
    y = np.ma.masked_array([1.0, 2.0, -999.0, 4.0], [0, 0, 1, 0])
    f, samples = np.array([1.5, 1.0, 0.0, 4.5]), np.random.default_rng(0).normal(size=[4, 8])
    history = np.ma.masked_array([1.0, -999.0, 2.0, 4.0], [0, 1, 0, 0])
    for score in (
            lambda y, _: forecasts.crps(samples, y), lambda y, _: forecasts.pit(samples, y),
            lambda y, _: forecasts.energy_score(samples[..., None], y[..., None]),
            lambda y, _: forecasts.quantile_loss(y, f, 0.1),
            lambda y, _: forecasts.weighted_quantile_loss(y, f[None], [0.5]),
            lambda _, history: forecasts.seasonal_error(history),
            lambda y, _: forecasts.mase(y, f, 1.0), lambda y, _: forecasts.smape(y, f),
            lambda y, _: forecasts.interval_score(y, f - 1, f + 1, 0.2),
            lambda y, _: forecasts.mean_scaled_interval_score(y, f - 1, f + 1, 0.2, 1.0),
            lambda y, _: forecasts.coverage(y, f - 1, f + 1)):
        masked, expected = score(y, history), score(y.filled(np.nan), history.filled(np.nan))
        assert not isinstance(masked, np.ma.MaskedArray)
        np.testing.assert_array_equal(masked, expected)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_forecasts_that_are_no_numbers_do_not_improve_a_score(wrong):
    y, f = np.array([1.0, 2.0, np.nan]), np.array([1.5, wrong, 0.0])
    for score in (
            forecasts.mase(y, f, 1.0), forecasts.smape(y, f),
            forecasts.weighted_quantile_loss(y, f[None], [0.5]),
            forecasts.mean_scaled_interval_score(y, y - 1, f, 0.1, 1.0)):
        assert np.isnan(score)
    if np.isnan(wrong):
        assert np.isnan(forecasts.coverage(y, y - 1, f))
        assert np.isnan(forecasts.pit(np.stack([f, f], -1), y)).tolist() == [False, True, True]
    f[1] = 2.5
    assert forecasts.mase(y, f, 1.0) == 0.5


def test_what_is_undefined_is_nan():
    assert np.isnan(forecasts.seasonal_error(np.ones(9)))
    assert np.isnan(forecasts.seasonal_error(np.ones(2), 7))
    assert np.isnan(forecasts.seasonal_error(np.array([1.0, np.inf, 2.0, 3.0])))
    for seasonal in (float("nan"), 0.0, float("inf")):
        assert np.isnan(forecasts.mase(np.ones(3), np.zeros(3), seasonal))
        assert np.isnan(forecasts.mean_scaled_interval_score(
            np.ones(3), np.zeros(3), np.ones(3), 0.1, seasonal))
    assert np.isnan(forecasts.weighted_quantile_loss(np.zeros(3), np.zeros([9, 3])))
    assert np.isnan(forecasts.coverage(np.full(2, np.nan), np.zeros(2), np.ones(2)))
    with pytest.raises(ValueError, match="at least two samples of each number, got 1"):
        forecasts.crps(np.zeros([3, 1]), np.zeros(3))


@pytest.mark.parametrize("draw", [
    lambda rng, shape: rng.normal(size=shape), lambda rng, shape: rng.poisson(1.0, shape)])
def test_the_pit_of_the_true_distribution_is_uniform(draw):
    rng = np.random.default_rng(2)
    u = forecasts.pit(draw(rng, [20000, 19]), draw(rng, [20000]))
    counts, _ = np.histogram(u, 10, (0, 1))
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-squared of 9 degrees, p = 0.001
