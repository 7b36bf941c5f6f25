# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rolling-origin backtests: forecasts from earlier origins, scored beside the seasonal naive one.

A forecast from an origin reads nothing of the series from there on, except covariates that are
known ahead. An item is one target of one series from one origin.
"""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple, Protocol

import numpy as np

from vaeseq.evaluate import forecasts

from .data.table import Series, Table

COVERAGES = (0.5, 0.8, 0.95)
_LEVELS = sorted({*forecasts.LEVELS, *((1 + sign * c) / 2 for c in COVERAGES for sign in (-1, 1))})
_NAIVE_SAMPLES = 101


class Forecaster(Protocol):
    """Samples what follows in a series (`SeriesModel.forecast`)."""

    def forecast(
        self, series: Series, origin: int, *, horizon: int, num_paths: int,
        known: np.ndarray | None = None, seed: int = 0,
    ) -> np.ndarray:
        """Returns paths `[num_paths, horizon, D]`."""


class Item(NamedTuple):
    """A forecast of one target of a series from one origin."""

    series: str  # name
    target: int  # number of the target
    origin: int  # number of its first step (`Step.index`)
    observed: np.ndarray  # what came, `[H]`, NaN where missing
    samples: np.ndarray  # `[M, H]`
    naive: np.ndarray  # samples of the seasonal naive forecast, `[M', H]`
    seasonal: float  # its mean absolute error within the history


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of forecasts."""

    mase: float  # mean of the items' mean absolute scaled error; undefined ones are left out
    wql: float  # weighted quantile loss, of all items at once
    nd: float  # normalised deviation of the median, likewise
    crps: float  # mean, in the data's unit
    smape: float  # mean of the items'
    msis: float  # mean of the items' scaled interval score of the 95 % interval
    coverage: tuple[float, ...]  # the share of observations in the central intervals of `COVERAGES`
    width: tuple[float, ...]  # mean width of these intervals
    coverage_by_step: np.ndarray  # the same for each step ahead, `[len(COVERAGES), H]`
    pit: np.ndarray  # shares of the observations in ten classes of the PIT

    def as_dict(self) -> dict[str, object]:
        """Returns the scores for JSON; what is undefined is None."""
        values = dataclasses.asdict(self)
        return {name: _for_json(value) for name, value in values.items()}


def origins(series: Series, windows: int, stride: int, horizon: int) -> list[int]:
    """Returns the first steps of the windows at the end of a series, of those that have a past."""
    last = len(series.values) - horizon
    return [o for o in range(last - (windows - 1) * stride, last + 1, stride)
            if o >= 1 and np.isfinite(series.values[:o]).any()]


def run(
    model: Forecaster, table: Table, *, windows: int, stride: int, horizon: int, season: int,
    num_paths: int = 200, seed: int = 0,
) -> Iterator[list[Item]]:
    """Forecasts the end of each series from several origins; yields the items of each forecast.

    The last of the `windows` forecasts ends where the series ends; `stride` is between origins, and
    `season` the lag of the seasonal naive forecast and of the scaled errors.
    """
    for series in table.series:
        for origin in origins(series, windows, stride, horizon):
            paths = model.forecast(
                series, origin, horizon=horizon, num_paths=num_paths, seed=seed)
            history = series.values[:origin]
            observed = series.values[origin:origin + horizon]
            seasonal = forecasts.seasonal_error(history, season)
            yield [Item(series.name, d, series.start + origin, observed[:, d], paths[:, :, d],
                        naive(history[:, d], horizon, season), float(seasonal[d]))
                   for d in range(paths.shape[-1])]


def naive(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Returns samples of the seasonal naive forecast, evenly spread quantiles `[M, H]`.

    The mean repeats the last season (missing values those of the season before it). The errors are
    normal with the variance of the changes over a season, and grow with each season ahead. A
    history without a value has a forecast of NaN.
    """
    mean = np.full(horizon, np.nan)
    finite = np.flatnonzero(np.isfinite(history))
    for h in range(horizon):
        place = len(history) - season + h % season
        while place >= 0 and not np.isfinite(history[place]):
            place -= season
        if place < 0 and len(finite):
            place = finite[-1]
        if place >= 0:
            mean[h] = history[place]
    change = history[season:] - history[:-season]
    change = change[np.isfinite(change)]
    deviation = math.sqrt(np.mean(change ** 2)) if len(change) else 0.0
    growth = np.sqrt(np.arange(horizon) // season + 1.0)
    levels = (np.arange(_NAIVE_SAMPLES) + 0.5) / _NAIVE_SAMPLES
    normal = np.array([NormalDist().inv_cdf(level) for level in levels])
    return mean + deviation * growth * normal[:, None]


def score(items: Sequence[Item], *, of_naive: bool = False, seed: int = 0) -> Scores:
    """Returns the scores of forecasts of one horizon, or of their seasonal naive forecasts.

    Where a forecast is NaN, the observation is left out.

    The seed is for places among equals in the PIT.
    """
    samples = [item.naive if of_naive else item.samples for item in items]
    observed = np.stack([item.observed for item in items])  # [I, H]
    seasonal = [item.seasonal for item in items]
    quantiles = np.stack([np.quantile(s, _LEVELS, axis=0) for s in samples], 1)  # [Q, I, H]
    at = {level: quantiles[q] for q, level in enumerate(_LEVELS)}
    median = at[0.5]
    observed = np.where(np.isnan(median), np.nan, observed)
    bounds = [(at[(1 - c) / 2], at[(1 + c) / 2]) for c in COVERAGES]
    inside = np.stack([np.where(np.isfinite(observed), (low <= observed) & (observed <= high),
                                np.nan) for low, high in bounds])
    ranks = forecasts.pit(np.stack([s.T for s in samples]), observed, seed=seed)
    classes, _ = np.histogram(ranks[np.isfinite(ranks)], 10, (0, 1))
    crps = np.stack([forecasts.crps(s.T, y) for s, y in zip(samples, observed)])
    return Scores(
        mase=_mean([forecasts.mase(y, f, s) for y, f, s in zip(observed, median, seasonal)]),
        wql=forecasts.weighted_quantile_loss(
            observed, np.stack([at[level] for level in forecasts.LEVELS])),
        nd=forecasts.weighted_quantile_loss(observed, median[None], [0.5]),
        crps=_mean(crps),
        smape=_mean([forecasts.smape(y, f) for y, f in zip(observed, median)]),
        msis=_mean([forecasts.mean_scaled_interval_score(y, low, high, 0.05, s)
                    for y, low, high, s in zip(observed, *bounds[-1], seasonal)]),
        coverage=tuple(_mean(row) for row in inside),
        width=tuple(_mean(high - low) for low, high in bounds),
        coverage_by_step=np.array([[_mean(row[:, h]) for h in range(row.shape[1])]
                                   for row in inside]),
        pit=classes / max(1, classes.sum()))


def energy_score(groups: Sequence[Sequence[Item]], spread: Sequence[float]) -> float:
    """Returns the mean energy score of the targets of a step together, each over its spread."""
    scores = [forecasts.energy_score(
        np.stack([item.samples.T / s for item, s in zip(group, spread)], -1),
        np.stack([item.observed / s for item, s in zip(group, spread)], -1))
        for group in groups]
    return _mean(np.concatenate(scores))


def _mean(values: Sequence[float] | np.ndarray) -> float:
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    return float(finite.mean()) if len(finite) else math.nan


def _for_json(value: object) -> object:
    if isinstance(value, np.ndarray):
        return _for_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_for_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
