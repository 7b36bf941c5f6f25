# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Scores of probabilistic forecasts, in NumPy.

Forecasts are M samples of each number, `[..., M]`, or quantiles. Observations `[...]` may be NaN,
or masked, for what was not observed; such numbers are left out of every score. What a score cannot
be computed for (a history without change, or a forecast that is no number) is NaN, never 0 or
infinity.

    crps                      continuous ranked probability score, from samples, unbiased
    weighted_quantile_loss    WQL, of several quantile levels, divided by the sum of |y|
    seasonal_error, mase      mean absolute error over that of the seasonal naive forecast
    smape                     symmetric mean absolute percentage error, 0 to 2
    interval_score            of a central interval; `mean_scaled_interval_score`, MSIS
    coverage                  the share of observations within an interval
    pit                       probability integral transform, uniform for a calibrated forecast
    energy_score              of vectors, from samples, unbiased

Axes: M samples, D dimensions of a vector, Q quantile levels.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEVELS = tuple(level / 10 for level in range(1, 10))  # the usual ones of the weighted quantile loss


def crps(samples: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Returns the continuous ranked probability score E|X - y| - E|X - X'|/2 of each number.

    The second expectation is over pairs of different samples, which makes the score unbiased for
    any M (the "fair" estimator of Ferro, 2014): more samples do not make it smaller.

    Args:
      samples: `[..., M]`, M at least 2.
      observed: `[...]`.

    Raises:
      ValueError: fewer than two samples.
    """
    size = _num_samples(samples)
    samples = np.sort(np.asarray(samples, np.float64), -1)
    error = np.abs(samples - _numbers(observed)[..., None]).mean(-1)
    # The sum of |x_i - x_j| over all pairs, from the ranks.
    ranks = 2.0 * np.arange(1, size + 1) - size - 1
    return error - (samples * ranks).sum(-1) / (size * (size - 1))


def energy_score(samples: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Returns the energy score E||X - y|| - E||X - X'||/2 of each vector.

    Unbiased, as `crps`, which it equals for vectors of one dimension. Divide dimensions of unlike
    units by their spread first. A vector with a NaN in it scores NaN.

    Args:
      samples: `[..., M, D]`, M at least 2.
      observed: `[..., D]`.

    Raises:
      ValueError: fewer than two samples.
    """
    size = _num_samples(np.asarray(samples)[..., 0])
    samples = np.asarray(samples, np.float64)
    error = np.linalg.norm(samples - _numbers(observed)[..., None, :], axis=-1).mean(-1)
    between = np.zeros(error.shape)
    for shift in range(1, size):  # pairs (i, i + shift): memory for one of them at a time
        between += np.linalg.norm(
            samples[..., shift:, :] - samples[..., :-shift, :], axis=-1).sum(-1)
    return error - between / (size * (size - 1))


def quantile_loss(observed: np.ndarray, forecast: np.ndarray, level: float) -> np.ndarray:
    """Returns the quantile (pinball) loss (y - f)(q - 1{y < f}) of each number."""
    error = _numbers(observed) - forecast
    return error * (level - (error < 0))


def weighted_quantile_loss(
    observed: np.ndarray, quantiles: np.ndarray, levels: Sequence[float] = LEVELS
) -> float:
    """Returns the mean over levels of 2 sum(quantile loss) / sum |y|, over all numbers at once.

    At the level 0.5 alone it is the normalised deviation (ND). It depends on the level of the data
    and means nothing for data around 0.

    Args:
      observed: `[...]`.
      quantiles: `[Q, ...]`.
      levels: the Q levels.
    """
    observed = _numbers(observed)
    total = np.nansum(np.abs(observed))
    if not total > 0:
        return float("nan")
    losses = [np.where(np.isnan(observed), 0.0, quantile_loss(observed, forecast, level)).sum()
              for forecast, level in zip(quantiles, levels, strict=True)]
    return _finite(2.0 * np.mean(losses) / total)


def seasonal_error(history: np.ndarray, season: int = 1) -> np.ndarray:
    """Returns the mean absolute error of the seasonal naive forecast within a history.

    Args:
      history: `[N, ...]`, everything before the forecast.
      season: the lag m; 1 repeats the last value.

    Returns:
      `[...]`; NaN where the history has no pair of observations m steps apart, never changes, or
      has an infinity.
    """
    history = _numbers(history)
    change = np.abs(history[season:] - history[:-season])
    count = np.isfinite(change).sum(0)
    error = np.nansum(change, 0) / np.maximum(count, 1)
    return np.where((error > 0) & np.isfinite(error), error, np.nan)


def mase(observed: np.ndarray, forecast: np.ndarray, seasonal: np.ndarray | float) -> float:
    """Returns the mean absolute scaled error of one window: mean |y - f| / seasonal error.

    Args:
      observed: `[H]`.
      forecast: the medians, `[H]`.
      seasonal: of the history before the window (`seasonal_error`); NaN gives NaN.
    """
    return _scaled(_mean(np.abs(_numbers(observed) - forecast), observed), seasonal)


def smape(observed: np.ndarray, forecast: np.ndarray) -> float:
    """Returns the symmetric mean absolute percentage error mean 2|y - f| / (|y| + |f|), 0 to 2.

    Pairs of zeros are left out.
    """
    observed, forecast = _numbers(observed), np.asarray(forecast, np.float64)
    size = np.abs(observed) + np.abs(forecast)
    with np.errstate(invalid="ignore"):  # infinity over infinity
        ratio = 2.0 * np.abs(observed - forecast) / np.where(size == 0, np.nan, size)
    return _mean(ratio, np.where(size == 0, np.nan, observed))


def interval_score(
    observed: np.ndarray, lower: np.ndarray, upper: np.ndarray, alpha: float
) -> np.ndarray:
    """Returns U - L + (2/alpha)(L - y)+ + (2/alpha)(y - U)+ of each central 1 - alpha interval."""
    observed = _numbers(observed)
    below = np.maximum(np.asarray(lower) - observed, 0.0)
    above = np.maximum(observed - np.asarray(upper), 0.0)
    return upper - lower + 2.0 / alpha * (below + above)


def mean_scaled_interval_score(
    observed: np.ndarray, lower: np.ndarray, upper: np.ndarray, alpha: float,
    seasonal: np.ndarray | float,
) -> float:
    """Returns MSIS: the mean interval score over the seasonal error, as `mase`."""
    return _scaled(_mean(interval_score(observed, lower, upper, alpha), observed), seasonal)


def coverage(observed: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """Returns the share of observations with lower <= y <= upper."""
    observed = _numbers(observed)
    inside = np.where(np.isnan(lower) | np.isnan(upper), np.nan,
                      (lower <= observed) & (observed <= np.asarray(upper)))
    return _mean(inside, observed)


def pit(samples: np.ndarray, observed: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Returns the probability integral transform of each observation among samples.

    It is the rank of the observation among the M samples, with a random place among equals, scaled
    to (0, 1); uniform if observation and samples come from one distribution.

    Args:
      samples: `[..., M]`.
      observed: `[...]`; NaN gives NaN, as does one of the samples.
      seed: for the random places.
    """
    observed = _numbers(observed)
    below = (samples < observed[..., None]).sum(-1)
    equal = (samples == observed[..., None]).sum(-1)
    uniform = np.random.default_rng(seed).random(observed.shape)
    rank = (below + uniform * (equal + 1)) / (np.asarray(samples).shape[-1] + 1)
    return np.where(np.isnan(observed) | np.isnan(samples).any(-1), np.nan, rank)


def _numbers(values: np.ndarray) -> np.ndarray:
    """Returns numbers with NaN for masked ones."""
    return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)


def _mean(values: np.ndarray, observed: np.ndarray) -> float:
    """Returns the mean of values where something was observed; NaN for none."""
    values = np.asarray(values)[~np.isnan(_numbers(observed))]
    return _finite(values.mean()) if len(values) else float("nan")


def _scaled(error: float, seasonal: np.ndarray | float) -> float:
    return float(error / seasonal) if 0 < seasonal < np.inf else float("nan")


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")


def _num_samples(samples: np.ndarray) -> int:
    size = np.asarray(samples).shape[-1]
    if size < 2:
        raise ValueError(f"expected at least two samples of each number, got {size}.")
    return size
