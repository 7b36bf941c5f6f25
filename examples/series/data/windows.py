# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Windows of series: scaled values, and the inputs of each step.

A window is scaled by the history before it alone, so that no value tells of itself or of what comes
later. The inputs of a step hold earlier values (lags); those before the window come from the table,
and in a forecast those after its origin come from the sample path itself.

Axes: B batch, T time, D targets, L lags, F features, C calendar codes (see `vaeseq.types`).
"""
from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vaeseq.data import Batch, DataSet

from .layout import Inputs, Layout
from .table import Series, Table

_LEAST_SPREAD = 0.01  # of a window, relative to the training data's
_LEAST_HISTORY = 8
_FIRST_STEP = 1 << 61  # no step has a number below minus this one


class StepInputs(NamedTuple):
    """The inputs of a step beside the state."""

    # Numbers, float32 `[..., F]`: calendar, covariates, the window's level and scale
    floats: np.ndarray
    codes: np.ndarray  # calendar and series, int32 `[..., C]`
    lags: np.ndarray  # earlier values in the model's units, `[..., L, D]`
    lags_seen: np.ndarray  # False where such a value is missing or not given, bool `[..., L, D]`
    # False where it is to be taken from the sequence itself, bool `[..., L]`
    lags_given: np.ndarray
    # What turns the log-density of the model's units into that of the data's, float32 `[...]`, nats
    log_jacobian: np.ndarray


class Window(NamedTuple):
    """A part of a series in the model's units."""

    values: np.ndarray  # `[T, D]`, 0 where missing
    is_observed: np.ndarray  # bool `[T, D]`
    inputs: StepInputs  # of its steps
    loc: np.ndarray  # what was subtracted, `[D]`
    scale: np.ndarray  # what the rest was divided by, `[D]`


@dataclasses.dataclass(frozen=True)
class Space:
    """The units that a model works in."""

    kind: str  # "scaled" numbers, "counts", "bits" or "classes"
    log: bool = False  # whether the logarithm is scaled
    # Whether windows are scaled by the history before them; otherwise all of them by the training
    # data
    history: bool = True
    centered: bool = True  # whether a level is subtracted

    @property
    def name(self) -> str:
        """The kind, or "log": what tells how `WindowMaker.to_data` computes the data's units."""
        return "log" if self.log else self.kind

    @property
    def dtype(self) -> type[np.generic]:
        """Of values in the model's units."""
        return np.int32 if self.kind == "classes" else np.float32


SPACES = {
    "normal": Space("scaled"), "student_t": Space("scaled"), "mixture": Space("scaled"),
    "lognormal": Space("scaled", log=True), "negative_binomial": Space("counts"),
    "zero_inflated": Space("counts"), "categorical": Space("classes"),
    "bernoulli": Space("bits"), "strokes": Space("scaled", centered=False)}


class WindowMaker:
    """Cuts windows out of a table.

    Attributes:
      inputs: computes the features of steps.
      lags: the lags, `[L]`.
      space: the model's units.
    """

    def __init__(
        self, layout: Layout, space: Space, *, season: int, lags: Sequence[int],
        embed_series: bool = True, level_inputs: bool = True, binary: Sequence[int] = (),
    ):
        """Creates the maker; with `embed_series` each series has a code.

        With `level_inputs` a window's level and scale are inputs of its steps. Of a single series
        with a trend they tell the time, and the future lies outside of their range. Targets in
        `binary` are never scaled.
        """
        self.inputs = Inputs(layout, season, embed_series=embed_series)
        self.lags = np.array(lags, np.int64)
        self.space = space
        self._layout = layout
        self._season = season
        self._level_inputs = level_inputs and space.kind == "scaled" and space.history
        self._binary = list(binary)
        center, spread = np.array(layout.center), np.array(layout.spread)
        if space.log:  # the delta method: a change of x by s changes log x by s / x
            spread = spread / np.maximum(center, 1e-12)
            center = np.log(np.maximum(center, 1e-12))
        self._center, self._spread = center, np.maximum(spread, 1e-12)

    @property
    def num_floats(self) -> int:
        """F, with two numbers for each scaled target if its window's level and scale are inputs."""
        return self.inputs.num_floats + 2 * self._layout.num_targets * self._level_inputs

    def first(self, stop: int) -> int:
        """Returns the first step that a window can start at: it needs some history.

        Of the steps before `stop` it takes half at most.
        """
        if self.space.kind != "scaled" or not self.space.history:
            return 0
        return min(max(self._season, _LEAST_HISTORY), stop // 2)

    def window(
        self, series: Series, start: int, stop: int, *, origin: int | None = None,
        own_from: int | None = None, known: np.ndarray | None = None,
    ) -> Window:
        """Returns the steps from `start` to `stop` of a series.

        Args:
          series: the series.
          start: the first step, counted from the first of the series.
          stop: the step after the last; it may lie after the series.
          origin: values from this step on are unknown; `stop` by default.
          own_from: lagged values from this step on are taken from the sequence itself, observed or
            sampled; by default those from `origin` on.
          known: covariates of the steps from the series' end on, `[N, K]`.
        """
        origin = stop if origin is None else origin
        size, dims = stop - start, series.values.shape[1]
        length = len(series.values)
        loc, scale = self._scale(series, start)
        steps = np.arange(start, stop)
        inside = steps < min(origin, length)
        raw = np.full([size, dims], np.nan)
        raw[inside] = self._with_noise(series, steps[inside])
        is_observed = np.isfinite(raw)
        values = np.nan_to_num((raw - loc) / scale).astype(self.space.dtype)
        lagged = steps[:, None] - self.lags  # [T, L]
        is_past = lagged < (origin if own_from is None else min(origin, own_from))
        usable = is_past & (lagged >= 0) & (lagged < length)
        lags = np.full([size, len(self.lags), dims], np.nan)
        lags[usable] = self._in_units(series.values[lagged[usable]])
        covariates = np.full([size, series.known.shape[1]], np.nan)
        for first, rows in ((0, series.known), (length, known)):
            if rows is not None:
                is_row = (steps >= first) & (steps < first + len(rows))
                covariates[is_row] = rows[steps[is_row] - first]
        floats, codes = self.inputs.compute(
            series.name, steps + series.start, covariates, series.static)
        if self._level_inputs:
            level = np.concatenate([np.log(scale / self._spread),
                                    np.arcsinh((loc - self._center) / self._spread)])
            floats = np.concatenate(
                [floats, np.broadcast_to(level, [size, len(level)])], 1).astype(np.float32)
        log_jacobian = np.zeros(size)
        if self.space.kind == "scaled":
            per_value = -np.log(scale) - (np.nan_to_num(raw) if self.space.log else 0.0)
            log_jacobian = np.where(is_observed, per_value, 0.0).sum(1)
        return Window(values, is_observed, StepInputs(
            floats, codes, np.nan_to_num((lags - loc) / scale).astype(self.space.dtype),
            np.isfinite(lags), is_past, log_jacobian.astype(np.float32)), loc, scale)

    def to_data(self, values: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Returns values in the data's units from those of the model, `[..., D]`."""
        if self.space.kind == "classes":
            return np.stack([np.array(classes)[np.clip(values[..., d], 0, len(classes) - 1)]
                             for d, classes in enumerate(self._layout.codes)], -1)
        values = np.asarray(values, np.float64) * scale + loc
        return np.exp(np.minimum(values, 700.0)) if self.space.log else values

    def is_possible(self, values: np.ndarray) -> np.ndarray:
        """Returns whether the output can have values `[N, D]`; True where one is missing."""
        if self.space.kind == "classes":
            possible = np.stack([np.isin(values[:, d], classes)
                                 for d, classes in enumerate(self._layout.codes)], -1)
        elif self.space.kind == "bits":
            possible = np.isin(values, (0, 1))
        elif self.space.kind == "counts":
            possible = (values >= 0) & (values == np.round(values))
        else:
            possible = values > 0 if self.space.log else np.ones(values.shape, bool)
            possible[:, self._binary] = np.isin(values[:, self._binary], (0, 1))
        return possible | np.isnan(values)

    def _possible(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.is_possible(values), values, np.nan)

    def _in_units(self, values: np.ndarray) -> np.ndarray:
        """Returns values `[N, D]` in unscaled units of the model, NaN where there are none."""
        values = self._possible(values)
        if self.space.kind == "classes":
            numbers = np.stack([np.searchsorted(classes, values[:, d])
                                for d, classes in enumerate(self._layout.codes)], -1)
            return np.where(np.isnan(values), np.nan, numbers)
        return np.log(values) if self.space.log else values

    def _with_noise(self, series: Series, steps: np.ndarray) -> np.ndarray:
        """Returns the values of consecutive steps with rounding noise, in the model's units.

        Values are rounded, and a density of rounded values can grow without limit. With uniform
        noise of the rounding unit it is a bound on the probability of the rounded value. The noise
        of a step depends on the series and the step alone, not on the window or the table.
        """
        values = series.values[steps]
        if self.space.kind != "scaled" or not len(steps):
            return self._in_units(values)
        unit = np.array(self._layout.unit)
        unit[self._binary] = 0.0
        # Philox draws four numbers at each place of its counter.
        number = (int(series.start + steps[0]) + _FIRST_STEP) * values.shape[1]
        noise = np.random.Generator(
            np.random.Philox(key=zlib.crc32(series.name.encode())).advance(number // 4)).random(
                number % 4 + values.size)[number % 4:]
        values = self._possible(values)  # noise would raise half of the zeros above 0
        return self._in_units(values + unit * (noise.reshape(values.shape) - 0.5))

    def _scale(self, series: Series, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the level and the spread of a series before `start`, each `[D]`."""
        dims = series.values.shape[1]
        if self.space.kind != "scaled":
            return np.zeros(dims), np.ones(dims)
        loc = self._center.copy() if self.space.centered else np.zeros(dims)
        scale = self._spread.copy()
        if self.space.history and start:
            recent = self._in_units(series.values[
                max(0, start - max(4 * self._season, 8 * _LEAST_HISTORY)):start])
            is_observed = np.isfinite(recent)
            count = is_observed.sum(0)
            enough = count >= 2
            mean = np.where(is_observed, recent, 0.0).sum(0) / np.maximum(count, 1)
            deviation = np.where(is_observed, np.abs(recent - mean), 0.0).sum(0)
            deviation /= np.maximum(count, 1)
            loc = np.where(enough, mean, loc)
            scale = np.where(enough, np.maximum(deviation, _LEAST_SPREAD * scale), scale)
        loc[self._binary], scale[self._binary] = 0.0, 1.0
        return loc, scale


def cut(window: Window, start: int, stop: int | None = None) -> Window:
    """Returns the steps of a window from `start` to `stop`, by default its end."""
    return window._replace(
        values=window.values[start:stop], is_observed=window.is_observed[start:stop],
        inputs=StepInputs(*(leaf[start:stop] for leaf in window.inputs)))


def stack(windows: Sequence[Window], rows: int, size: int, *, is_start: bool = True) -> Batch:
    """Pads windows to a batch of `rows` rows of `size` steps; `is_start`: they begin sequences."""
    def padded(*arrays: np.ndarray) -> np.ndarray:
        result = np.zeros([rows, size, *arrays[0].shape[1:]], arrays[0].dtype)
        for row, array in zip(result, arrays):
            row[:len(array)] = array
        return result

    lengths = np.zeros([rows], np.int32)
    lengths[:len(windows)] = [len(window.values) for window in windows]
    inputs = StepInputs(*(padded(*parts) for parts in zip(*(w.inputs for w in windows))))
    return Batch(padded(*(w.values for w in windows)), lengths, np.full([rows], is_start), inputs,
                 padded(*(w.is_observed for w in windows)))


@dataclasses.dataclass(frozen=True)
class Places:
    """Consecutive steps of a series in a table; models are trained on such."""

    series: int  # the number of the series in the table
    start: int  # the first step, counted from the first of the series
    stop: int  # the step after the last

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, steps: slice) -> Places:
        chosen = range(self.start, self.stop)[steps]
        return Places(self.series, chosen.start, chosen.stop)


def positions(ends: Sequence[int]) -> list[Places]:
    """Returns the places of the steps before `ends` of each series of a table."""
    return [Places(number, 0, end) for number, end in enumerate(ends) if end > 0]


class RandomWindows(DataSet):
    """Random windows of series, each equally likely, as a function of the training step."""

    def __init__(
        self, maker: WindowMaker, table: Table, sequences: Sequence[Places], batch_size: int,
        size: int, *, seed: int,
    ):
        """Creates the data set of windows of at most `size` steps T, `batch_size` rows B.

        Raises:
          ValueError: no series has steps to train on.
        """
        self.batch_size = batch_size
        self._maker, self._table, self._size, self._seed = maker, table, size, seed
        self._runs = []
        for places in sequences:
            first = max(places.start, maker.first(places.stop))
            if places.stop > first:
                self._runs.append((places.series, first, places.stop))
        if not self._runs:
            raise ValueError("expected a series with steps to train on, got none.")
        counts = np.array([max(1, last - first - size + 1) for _, first, last in self._runs])
        self._cumulative = np.cumsum(counts)
        self._size = min(size, max(last - first for _, first, last in self._runs))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._seed, step])
        chosen = np.searchsorted(
            self._cumulative, rng.integers(self._cumulative[-1], size=self.batch_size), "right")
        windows = []
        for run in chosen:
            number, first, last = self._runs[run]
            start = first + int(rng.integers(max(1, last - first - self._size + 1)))
            windows.append(self._maker.window(
                self._table.series[number], start, min(start + self._size, last)))
        return stack(windows, self.batch_size, self._size)


def scoring_batches(
    maker: WindowMaker, table: Table, sequences: Sequence[Places], context: int, horizon: int,
    batch_size: int,
) -> Iterator[Batch]:
    """Yields two batches in turn: the `context` steps before places at most, and the places.

    The rows of the second continue those of the first (`Batch.is_start`), so that a posterior which
    reads ahead tells nothing of the places to latents before them. Runs of more than `horizon`
    steps are split.
    """
    def halves(part: Places) -> tuple[Window, Window]:
        start = max(maker.first(part.start), part.start - context)
        window = maker.window(table.series[part.series], start, part.stop)
        return cut(window, 0, part.start - start), cut(window, part.start - start)

    windows = (halves(places[first:first + horizon]) for places in sequences
               for first in range(0, len(places), horizon))
    while rows := list(itertools.islice(windows, batch_size)):
        before, after = zip(*rows)
        yield stack(before, batch_size, context)
        yield stack(after, batch_size, horizon, is_start=False)
