# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Anomalies: surprising steps of series, with a false-alarm rate that held-out data calibrate.

The score s of a step is -log p(x_t | all before it) in nats, or what a bound gives for it (see
`model.SeriesModel.log_densities`), averaged over a window of steps. Its tail probability compares
it with n calibration scores c: (1 + #{c >= s}) / (1 + n). If normal steps are exchangeable with
those of the calibration, at most a share p of them has one of p or less.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Threshold(NamedTuple):
    """A threshold of scores."""

    value: float  # scores above it are anomalies
    # The share of false alarms that it stands for, at least 1 / (n + 1) for n independent scores
    rate: float
    size: int  # n, the number of calibration scores


def smooth(scores: np.ndarray, window: int) -> np.ndarray:
    """Returns the mean of each score and those of the `window - 1` steps before it, `[N]`.

    Missing scores are left out; NaN where all of a window are missing, and where there are fewer
    steps before: means of unlike numbers of steps exceed a threshold at unlike rates. Infinite ones
    make the mean infinite.
    """
    finite = np.isfinite(scores)
    sums = np.cumsum(np.concatenate([[0.0], np.where(finite, scores, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], finite]))
    infinite = np.cumsum(np.concatenate([[0], np.isposinf(scores)]))
    first = np.maximum(np.arange(len(scores)) + 1 - window, 0)
    last = np.arange(len(scores)) + 1
    number = counts[last] - counts[first]
    is_full = (number > 0) & (last >= window)
    means = np.where(is_full, (sums[last] - sums[first]) / np.maximum(number, 1), np.nan)
    return np.where(infinite[last] > infinite[first], np.inf, means)


def threshold(calibration: np.ndarray, rate: float, window: int = 1) -> Threshold:
    """Returns the threshold that a share `rate` of normal steps exceeds at most.

    Args:
      calibration: scores of normal steps, `[n]`; NaN and infinity are left out.
      rate: where n scores cannot tell so small a rate, the threshold is their maximum.
      window: of `smooth`; means of windows that overlap count as one.

    Raises:
      ValueError: there are no scores.
    """
    scores = np.sort(calibration[np.isfinite(calibration)])
    if not len(scores):
        raise ValueError("expected scores of normal steps to calibrate with, got none.")
    size = len(scores)
    least = 1 / (max(1, size // window) + 1)
    place = size if rate < least else min(size, math.ceil((size + 1) * (1 - rate)))
    return Threshold(float(scores[place - 1]), max(rate, least), size)


def tail_probability(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Returns (1 + #{c >= s}) / (1 + n) of each score s, NaN where it is missing."""
    sorted_scores = np.sort(calibration[np.isfinite(calibration)])
    above = len(sorted_scores) - np.searchsorted(sorted_scores, scores, "left")
    return np.where(~np.isnan(scores), (1 + above) / (1 + len(sorted_scores)), np.nan)


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the sum over thresholds of (R_n - R_n-1) P_n, with precision P and recall R.

    A random score has the share of anomalies. Equal scores are one threshold.

    Args:
      labels: 1 for an anomaly, 0 else, `[N]`.
      scores: `[N]`; steps whose score or label is missing are left out.

    Returns:
      NaN if there is no anomaly.
    """
    is_scored = ~np.isnan(scores) & np.isfinite(labels)
    labels, scores = labels[is_scored] > 0, scores[is_scored]
    if not labels.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    scores = scores[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(order) - 1)
    recall = hits[last] / hits[-1]
    precision = hits[last] / (last + 1)
    return float((np.diff(np.concatenate([[0.0], recall])) * precision).sum())


def stretches(flags: np.ndarray, apart: int) -> list[tuple[int, int]]:
    """Returns the runs of flagged steps, first and after the last; near ones are joined.

    Runs with fewer than `apart` unflagged steps between them are one.
    """
    spans: list[tuple[int, int]] = []
    for step in np.flatnonzero(flags).tolist():
        if spans and step - spans[-1][1] < apart:
            spans[-1] = (spans[-1][0], step + 1)
        else:
            spans.append((step, step + 1))
    return spans


def worst_tenth(scores: Sequence[np.ndarray]) -> float:
    """Returns the mean of the largest tenth of all scores, at least of one."""
    pooled = np.sort(np.concatenate(list(scores)))
    pooled = pooled[np.isfinite(pooled)]
    return float(pooled[-max(1, len(pooled) // 10):].mean())
