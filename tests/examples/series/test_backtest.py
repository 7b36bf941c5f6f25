# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Backtests: the seasonal naive forecast, and scores of forecasts that are known."""

import json

import numpy as np
import pytest

from examples.series import backtest
from examples.series.data import columns, roles, table
from vaeseq.evaluate import forecasts


class NormalForecaster:
    """Forecasts N(mean, 1) whatever came."""

    def __init__(self, mean):
        self.mean = mean
        self.calls = []

    def forecast(self, series, origin, *, horizon, num_paths, known=None, seed=0):
        self.calls.append((series.name, origin))
        rng = np.random.default_rng(origin)
        return self.mean + rng.normal(size=[num_paths, horizon, series.values.shape[1]])


def table_of(**series):
    names = np.repeat(list(series), [len(values) for values in series.values()])
    times = np.concatenate([np.arange(len(values)) for values in series.values()])
    read = columns.of_mapping(
        {"series": names, "time": times, "y": np.concatenate(list(series.values())).astype(float)})
    return table.build([read], roles.find(read))


def items_of(model, one, **options):
    options = {"windows": 2, "stride": 5, "horizon": 5, "season": 1, **options}
    return [item for group in backtest.run(model, one, **options) for item in group]


def test_windows_end_where_a_series_ends():
    model = NormalForecaster(0.0)
    items_of(model, table_of(a=np.arange(30), b=np.arange(12), c=np.arange(5)))
    assert model.calls == [("a", 20), ("a", 25), ("b", 2), ("b", 7)]


def test_scores_of_a_true_model():
    rng = np.random.default_rng(0)
    one = table_of(a=3 + rng.normal(size=2000))
    items = items_of(NormalForecaster(3.0), one, windows=150, stride=10, horizon=10)
    scores = backtest.score(items)
    n = 1500
    for share, measured in zip(backtest.COVERAGES, scores.coverage):
        assert abs(measured - share) < 5 * np.sqrt(share * (1 - share) / n) + 0.01
    assert ((scores.pit * n - n / 10) ** 2 / (n / 10)).sum() < 27.9
    assert scores.crps == pytest.approx(1 / np.sqrt(np.pi), abs=0.04)
    worse = backtest.score(items, of_naive=True)
    assert worse.crps > scores.crps and worse.wql > scores.wql and worse.mase > scores.mase
    assert np.shape(scores.coverage_by_step) == (3, 10)
    json.dumps(scores.as_dict(), allow_nan=False)


def test_the_seasonal_naive_forecast():
    history = np.array([1.0, 2, 3, 4, 5, np.nan])
    median = np.median(backtest.naive(history, 4, 3), 0)
    np.testing.assert_allclose(median, [4, 5, 3, 4])  # the missing value from the season before
    ahead = backtest.naive(np.random.default_rng(0).normal(size=500).cumsum(), 9, 1)
    np.testing.assert_allclose(ahead.std(0)[[3, 8]] / ahead.std(0)[0], [2, 3], rtol=1e-6)


def test_a_target_without_a_past_has_no_naive_forecast():
    empty = np.full(20, np.nan)
    assert np.isnan(backtest.naive(empty, 3, 2)).all()
    one = table_of(a=np.arange(30) % 4, b=np.arange(30) % 5)
    items = items_of(NormalForecaster(0.0), one)
    alone = backtest.score(items, of_naive=True)
    late = items[0]._replace(naive=backtest.naive(empty, 5, 1), seasonal=np.nan)
    both = backtest.score([*items, late], of_naive=True)
    for name in ("mase", "wql", "crps", "smape", "msis", "coverage", "width"):
        np.testing.assert_allclose(getattr(both, name), getattr(alone, name))
    assert np.isfinite(backtest.score([*items, late]).crps)


def test_a_constant_series_has_no_mase_and_the_mean_is_of_the_others():
    one = table_of(a=np.arange(30), b=np.full(30, 4))
    items = items_of(NormalForecaster(0.0), one)
    undefined = [item.series for item in items if np.isnan(item.seasonal)]
    assert undefined == ["b", "b"]
    only = [item for item in items if item.series == "a"]
    assert backtest.score(items).mase == backtest.score(only).mase > 0
    assert np.isnan(backtest.score(items[-1:]).mase)
    assert backtest.score(items[-1:]).as_dict()["mase"] is None


def test_the_energy_score_of_one_target_is_the_crps():
    one = table_of(a=np.random.default_rng(0).normal(size=40))
    group = items_of(NormalForecaster(0.0), one)[:1]
    assert backtest.energy_score([group], [2.0]) == pytest.approx(
        forecasts.crps(group[0].samples.T, group[0].observed).mean() / 2)
