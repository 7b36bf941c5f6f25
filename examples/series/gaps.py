# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gaps of series, and their completions by a model.

Gaps that are near each other are completed by the same particles; those farther apart are
independent of each other.

A model that reads the past alone knows of the values after a gap only by the weights of its
particles, which its density, too narrow as a rule, makes too unequal. In short gaps a straight line
is hard to beat. So the samples x of a gap become

    line + level (median - line) + spread r (x - median) / d

where r is the mean error of lines in such gaps of the series, d the mean of |x - median|, and
`level` and `spread` are those with the least CRPS on values that training did not see and that are
completed as if they were missing, for gaps of several lengths (`Bridge`). The width that the model
itself gives is not used: it is smaller among values that the model was trained on.
"""
from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from vaeseq.evaluate import forecasts

from .data.sources import LEAST_HIDDEN
from .data.table import Series, Table
from .data.windows import Places

_MOST_STEPS = 128  # of gaps that are completed together, unless one gap is longer
_MOST_HIDDEN = 128  # steps that are compared, for each length of gaps
_MOST_COMPARED = 1 << 16  # steps of a series that tell the error of lines
_NEAR = 1 << 12  # steps beside a hidden gap in which a line finds its ends
_LEVELS = np.linspace(0.0, 1.0, 11)
_SPREADS = np.geomspace(0.02, 8.0, 41)


class Completer(Protocol):
    """Samples missing values (`SeriesModel.complete`)."""

    def complete(
        self, series: Series, start: int, stop: int, *, lookahead: int, num_samples: int,
        num_particles: int, seed: int = 0,
    ) -> np.ndarray:
        """Returns completions `[num_samples, stop - start, D]`."""


class Span(NamedTuple):
    """Consecutive steps of a series with gaps, without missing values."""

    start: int  # the first step, counted from the first of the series
    samples: np.ndarray  # completions `[M, T, D]`; all M are equal where a value was observed

    @property
    def steps(self) -> slice:
        """The steps, counted from the first of the series."""
        return slice(self.start, self.start + self.samples.shape[1])


class Completed(NamedTuple):
    """A series without missing values."""

    values: np.ndarray  # `[N, D]`, NaN where missing
    spans: list[Span]  # all steps with a missing value, ascending

    @property
    def filled(self) -> np.ndarray:
        """Whether a value was missing, bool `[N, D]`."""
        return np.isnan(self.values)

    def sample(self, number: int) -> np.ndarray:
        """Returns a completion of the whole series, `[N, D]`."""
        result = self.values.copy()
        for span in self.spans:
            result[span.steps] = span.samples[number]
        return result

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Returns quantiles of the completions, `[len(levels), N, D]`."""
        result = np.repeat(self.values[None], len(levels), 0)
        for span in self.spans:
            result[:, span.steps] = np.quantile(span.samples, levels, axis=0)
        return result


class Bridge(NamedTuple):
    """How much of a completion is the model's and how much a straight line."""

    # Lengths of gaps, ascending; the factors of others follow the logarithm of theirs
    sizes: tuple[int, ...]
    levels: tuple[float, ...]  # of gaps of these sizes; 1 is the model's median, 0 the line
    spreads: tuple[float, ...]  # mean deviation from the median, in mean errors of a line, likewise
    values: tuple[int, ...]  # hidden values that the factors of each size were fitted to

    def apply(self, spans: Sequence[Span], values: np.ndarray) -> list[Span]:
        """Returns the spans of a series `[N, D]` with other levels and spreads."""
        result = [Span(start, samples.copy()) for start, samples in spans]
        starts = [span.start for span in spans]
        for d, column in enumerate(values.T):
            if not np.isfinite(column).any():
                continue  # no line; the model's completions stay
            line, errors = lines(column), functools.cache(functools.partial(line_error, column))
            for start, stop in _runs(np.isnan(column)):
                if start == 0 or stop == len(column):
                    continue  # a line needs both ends; the model's completions stay
                level, spread = (np.interp(np.log(stop - start), np.log(self.sizes), factors)
                                 for factors in (self.levels, self.spreads))
                number = bisect.bisect(starts, start) - 1
                inside = slice(start - starts[number], stop - starts[number])
                completions = spans[number].samples[:, inside, d]
                median = np.median(completions, 0)
                width = spread * errors(stop - start)
                result[number].samples[:, inside, d] = (
                    line[start:stop] + level * (median - line[start:stop])
                    + width * _unit_deviations(completions))
        return result


def lines(column: np.ndarray) -> np.ndarray:
    """Returns a series `[N]` with gaps bridged by straight lines, constant before and after it."""
    steps, is_seen = np.arange(len(column)), np.isfinite(column)
    return np.interp(steps, steps[is_seen], column[is_seen])


def line_error(column: np.ndarray, size: int) -> float:
    """Returns the mean error of straight lines over `size` observed steps of a series `[N]`.

    Of a series without such a stretch it is the mean distance from the series' median. The last
    65,536 steps tell it.
    """
    column = column[-_MOST_COMPARED:]
    before, after = column[:-size - 1], column[size + 1:]
    total, count = 0.0, 0
    for step in range(1, size + 1):  # one at a time: gaps and series may be long
        errors = np.abs(
            before + (after - before) * (step / (size + 1)) - column[step:-(size + 1 - step)])
        total += float(np.nansum(errors))
        count += int(np.isfinite(errors).sum())
    return total / count if count else float(np.nanmean(np.abs(column - np.nanmedian(column))))


class HiddenGap(NamedTuple):
    """Steps to hide, and those of them that are compared."""

    series: int  # number of the series
    start: int  # first step, counted from the first of the series
    compared: slice  # which of the gap's steps training did not see


def fit(
    model: Completer, table: Table, hidden: Mapping[int, Sequence[HiddenGap]], *, lookahead: int,
    num_samples: int, num_particles: int, seed: int = 0,
    on_gap: Callable[[], None] = lambda: None,
) -> Bridge | None:
    """Fits a bridge to values that are hidden, one gap at a time; other options as for `complete`.

    Args:
      model: samples missing values.
      table: the data.
      hidden: gaps to hide, those of a series together, by their size.
      on_gap: called after each gap.

    Returns:
      The bridge, for the sizes with at least `LEAST_HIDDEN` values; None if there is none.
    """
    fitted = []
    for size, all_gaps in sorted(hidden.items()):
        scores = np.zeros([len(_LEVELS), len(_SPREADS)])
        count = 0
        for number, of_series in itertools.groupby(all_gaps, key=lambda gap: gap.series):
            series = table.series[number]
            line_errors = [max(line_error(column, size), 1e-12) if np.isfinite(column).any() else 0
                           for column in series.values.T]
            values = series.values.copy()
            for _, start, compared in of_series:
                stop = start + size
                values[start:stop] = np.nan
                completions = model.complete(
                    series._replace(values=values), start, stop, lookahead=lookahead,
                    num_samples=num_samples, num_particles=num_particles,
                    seed=seed + (start << 31))[:, compared]
                first = max(0, start - _NEAR)
                for d, error in enumerate(line_errors):
                    truth = series.values[start:stop, d][compared]
                    near = values[first:stop + _NEAR, d]
                    if not (np.isfinite(truth).any() and np.isfinite(near).any()):
                        continue
                    line = lines(near)[start - first:stop - first][compared]
                    median = np.median(completions[..., d], 0)
                    deviation = error * _unit_deviations(completions[..., d]).T
                    errors = truth - line - _LEVELS[:, None, None] * (median - line)
                    scores += np.nansum(forecasts.crps(
                        _SPREADS[:, None, None] * deviation, errors), -1) / error
                    count += int(np.isfinite(truth).sum())
                values[start:stop] = series.values[start:stop]
                on_gap()
        if count >= LEAST_HIDDEN:
            level, spread = np.unravel_index(np.argmin(scores), scores.shape)
            fitted.append((size, float(_LEVELS[level]), float(_SPREADS[spread]), count))
    return Bridge(*zip(*fitted)) if fitted else None


def sizes_to_hide(table: Table, longest: int) -> list[int]:
    """Returns 1, 2, 4, ... up to the longest gap of a table, at most `longest`."""
    runs = (stop - start for one in table.series for column in one.values.T
            for start, stop in _runs(np.isnan(column)))
    most = min(max(runs, default=1), longest)
    return [1 << power for power in range(most.bit_length())]


def hidden_gaps(table: Table, places: Sequence[Places], size: int) -> list[HiddenGap]:
    """Returns gaps of `size` steps to hide, evenly spread over steps that training did not see.

    Each has a step of the series before it and one after it. Places shorter than a gap lie in it,
    now at its beginning, now at its end, and alone are compared.
    """
    gaps = []
    for turn, run in enumerate(places):
        values = table.series[run.series].values
        last = len(values) - 1 - size  # where a gap may begin
        length = run.stop - run.start
        if length >= size:
            gaps += [HiddenGap(run.series, start, slice(0, size))
                     for start in range(max(1, run.start), min(run.stop - size, last) + 1, size)]
        else:
            start = min(max(1, run.start - turn % (size - length + 1)), last)
            if start >= 1 and start <= run.start and run.stop <= start + size:
                gaps.append(HiddenGap(
                    run.series, start, slice(run.start - start, run.stop - start)))
    gaps = [gap for gap in gaps if np.isfinite(
        table.series[gap.series].values[gap.start:gap.start + size][gap.compared]).any()]
    if not gaps:
        return []
    most = max(1, _MOST_HIDDEN // (gaps[0].compared.stop - gaps[0].compared.start))
    return [gaps[i] for i in np.unique(np.linspace(0, len(gaps) - 1, most).astype(int))]


def _unit_deviations(completions: np.ndarray) -> np.ndarray:
    """Returns deviations from the median of samples `[M, N]`, of mean size 1 at each step."""
    deviation = completions - np.median(completions, 0)
    return deviation / np.maximum(np.abs(deviation).mean(0), 1e-12)


def _runs(is_missing: np.ndarray) -> list[tuple[int, int]]:
    """Returns the first step of each run of missing values and the step after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_missing.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def groups(values: np.ndarray, lookahead: int) -> list[tuple[int, int]]:
    """Returns the steps from and to which gaps in `[N, D]` are completed together.

    These are gaps with at most `lookahead` steps between them.
    """
    steps = np.flatnonzero(np.isnan(values).any(1))
    spans: list[tuple[int, int]] = []
    for step in steps.tolist():
        is_next = bool(spans) and step == spans[-1][1]
        is_near = bool(spans) and (
            step - spans[-1][1] < lookahead and step - spans[-1][0] < _MOST_STEPS)
        if is_next or is_near:
            spans[-1] = (spans[-1][0], step + 1)
        else:
            spans.append((step, step + 1))
    return spans


def complete(
    model: Completer, series: Series, *, lookahead: int, num_samples: int, num_particles: int,
    seed: int = 0, bridge: Bridge | None = None, on_group: Callable[[], None] = lambda: None,
) -> Completed:
    """Completes a series by samples of a particle filter, changed by the bridge.

    The `lookahead` steps after a gap count. Calls `on_group` after each group of gaps (`groups`).
    """
    spans = []
    for number, (start, stop) in enumerate(groups(series.values, lookahead)):
        completions = model.complete(
            series, start, stop, lookahead=lookahead, num_samples=num_samples,
            num_particles=num_particles, seed=seed + (number << 31))
        values = series.values[start:stop]
        spans.append(Span(start, np.where(np.isnan(values), completions, values)))
        on_group()
    if bridge is not None:
        spans = bridge.apply(spans, series.values)
    return Completed(series.values, spans)
