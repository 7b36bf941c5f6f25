# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a run knows of its data: roles, step, scales and the inputs of each step.

    LOG_DIR/series.json   the layout; later commands read tables by it, columns by name
"""
from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir

from .roles import Roles
from .table import Table
from .times import Step

FILE = "series.json"
_MOST_CHARACTERS = 1 << 26
_MOST_EMBEDDED = 20_000  # series
_MOST_SAMPLED = 1 << 21  # rows that the statistics of targets are computed from
MOST_CLASSES = 32  # of a categorical target
_CODES = {"weekday": 7, "hour": 24, "slot": 288, "month": 12, "day of month": 31,
          "day of year": 366, "weekday of month": 12 * 5 * 7}


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a run knows of its data."""

    roles: Roles  # of the columns
    step: Step  # between values
    levels: Mapping[str, tuple[str, ...]]  # categories of covariates
    names: tuple[str, ...]  # of the training series, sorted
    ends: tuple[int, ...]  # for each of them the number of the step after its last training step
    center: tuple[float, ...]  # mean of each target over the training data, `[D]`
    # Mean absolute deviation within a training series, of each target, `[D]`
    spread: tuple[float, ...]
    low: tuple[float, ...]  # least value of each target, `[D]`
    high: tuple[float, ...]  # greatest one, `[D]`
    unit: tuple[float, ...]  # the rounding unit of each target, `[D]`; 0 for none
    # The classes of each target, for categorical ones; empty otherwise
    codes: tuple[tuple[float, ...], ...]
    # Mean and spread of each numeric covariate, known ones first, `[K + P, 2]`
    covariates: tuple[tuple[float, float], ...]
    files: tuple[str, ...]  # paths of the training files
    checksum: str  # of the training data
    valid_windows: int  # the windows at the end of each series that training holds out
    sample_rate: int = 0  # of sound, samples per second; 0 for tables
    # Steps that training does not see: the series, and the number of the step
    hidden: tuple[tuple[str, int], ...] = ()
    gaps: str = "auto"  # how training read steps without a row (`table.build`)
    # Of separate validation data, "" without them; None in runs of earlier versions
    valid_checksum: str | None = None
    usual_length: int = 0  # the median of the series' training steps; 0 in runs of earlier versions
    frame: int = 0  # samples of a step of sound; 0 for tables, and in runs of earlier versions

    @property
    def num_targets(self) -> int:
        """D, the number of targets."""
        return len(self.roles.targets)

    def calendar(self) -> dict[str, int]:
        """Returns the calendar codes that suit the step, with their numbers of values."""
        unit, count = self.step.unit, self.step.count
        names: list[str] = []
        if unit in ("s", "min", "h"):
            names = ["weekday", "hour", "month"]
            if unit == "min" and 5 <= count < 60:
                names.append("slot")
        elif unit == "D" and count == 1:
            names = ["weekday", "month", "day of year", "weekday of month"]
        elif unit == "B":
            names = ["weekday", "month", "day of month"]
        elif unit in ("W", "MS", "QS", "D"):
            names = ["month"]
        return {name: _CODES[name] for name in names}

    def check_same(self, other: Layout) -> None:
        """Raises UsageError where the data of a run to resume have changed."""
        if other.checksum != self.checksum:
            raise UsageError(
                f"{', '.join(map(repr, self.files))}: expected the data that the run was trained "
                "on, but they have changed. Give the same files again, or another --log-dir.")
        if ((other.ends, other.valid_windows) != (self.ends, self.valid_windows)
                or self.valid_checksum not in (None, other.valid_checksum)):
            raise UsageError(
                f"expected the validation steps of the run to resume, {self._valid_text()}, got "
                f"{other._valid_text()}. Give the same --valid-windows and --valid-data again, or "
                "another --log-dir.")

    def _valid_text(self) -> str:
        """Returns the options that chose the validation steps."""
        data = "" if self.valid_checksum is None else " without --valid-data"
        if self.valid_checksum:
            data = f" and --valid-data with the checksum {self.valid_checksum}"
        return f"--valid-windows {self.valid_windows}{data}"

    def save(self, log_dir: LogDir) -> None:
        """Writes `series.json` into a log directory."""
        log_dir.write(FILE, json.dumps(self.as_dict()) + "\n")

    def as_dict(self) -> dict[str, Any]:
        """Returns the layout for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, log_dir: LogDir) -> Layout:
        """Reads `series.json`; raises ValueError where it is missing or damaged."""
        try:
            values = json.loads(log_dir.read(FILE, _MOST_CHARACTERS))
            return cls._of_json(values)
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that describes the data. "
                "The log directory is damaged; train in a new one.") from None

    @classmethod
    def _of_json(cls, values: dict[str, Any]) -> Layout:
        roles: dict[str, Any] = {key: value if isinstance(value, str) else tuple(
            tuple(item) if isinstance(item, list) else item for item in value)
            for key, value in values.pop("roles").items()}
        step = Step(**values.pop("step"))
        levels = {str(name): tuple(map(str, entries))
                  for name, entries in values.pop("levels").items()}
        codes = tuple(tuple(map(float, entries)) for entries in values.pop("codes"))
        pairs = tuple((float(mean), float(spread)) for mean, spread in values.pop("covariates"))
        whole = {name: values.pop(name) for name in ("checksum", "valid_windows", "sample_rate",
                                                   "gaps", "valid_checksum",
                                                   "usual_length", "frame") if name in values}
        hidden = tuple((str(name), int(number)) for name, number in values.pop("hidden", ()))
        values.pop("num_hidden", None)  # an earlier version's
        tuples: dict[str, Any] = {name: tuple(value) for name, value in values.items()}
        layout = cls(roles=Roles(**roles), step=step, levels=levels, codes=codes,
                     covariates=pairs, hidden=hidden, **whole, **tuples)
        sizes = {len(getattr(layout, name)) for name in ("center", "spread", "low", "high",
                                                         "unit")}
        if sizes != {layout.num_targets} or len(layout.names) != len(layout.ends):
            raise ValueError
        return layout


def describe(
    table: Table, *, held_out: int, valid_windows: int, files: Sequence[str],
    sample_rate: int = 0, gaps: str = "auto", frame: int = 0,
) -> Layout:
    """Returns the layout of training data, whose last `held_out` steps are not trained on.

    These steps are for `valid_windows` windows. The table was built with `gaps`.

    Raises:
      UsageError: a target has no values or never changes.
    """
    parts = [one.values[:max(1, len(one.values) - held_out)] for one in table.series]
    low, high = (function.reduce([function.reduce(part, 0) for part in parts], 0)
                 for function in (np.fmin, np.fmax))
    ends = tuple(one.start + len(part) for one, part in zip(table.series, parts))
    usual_length = int(np.median([len(part) for part in parts]))
    # Of a large table, every n-th row tells the rest.
    stride = 1 + sum(map(len, parts)) // _MOST_SAMPLED
    parts = [part[::stride] for part in parts]
    values = np.concatenate(parts)
    center, spread = [], []
    for d, name in enumerate(table.roles.targets):
        finite = values[:, d][np.isfinite(values[:, d])]
        if not len(finite):
            raise UsageError(f"column {name!r}: expected numbers to train on, got none. Name the "
                             "targets: --targets a,b.")
        if low[d] == high[d]:
            raise UsageError(f"column {name!r}: expected a target that changes, got "
                             f"{finite[0]:g} in "
                             "every row. Leave it out of --targets.")
        deviations = np.concatenate([np.abs(part[:, d] - np.nanmean(part[:, d]))
                                     for part in parts if np.isfinite(part[:, d]).any()])
        center.append(float(finite.mean()))
        spread.append(float(np.nanmean(deviations)) or float(np.abs(finite - finite.mean()).mean()))
    covariates = [_moments(np.concatenate([one.known[::stride, k] for one in table.series]))
                  for k in range(len(table.roles.known))]
    covariates += [_moments(np.array([one.static[p] for one in table.series]))
                   for p in range(len(table.roles.static))]
    return Layout(
        roles=table.roles, step=table.step, levels=table.levels,
        names=tuple(one.name for one in table.series),
        ends=ends, center=tuple(center), spread=tuple(spread),
        low=tuple(low.tolist()), high=tuple(high.tolist()),
        unit=tuple(rounding_unit(values[:, d]) for d in range(values.shape[1])),
        codes=tuple(_classes(values[:, d]) for d in range(values.shape[1])),
        covariates=tuple(covariates), files=tuple(files), checksum=checksum(table),
        valid_windows=valid_windows, sample_rate=sample_rate,
        gaps=gaps, valid_checksum="", usual_length=usual_length,
        frame=frame if sample_rate else 0)


def rounding_unit(values: np.ndarray) -> float:
    """Returns the unit that values are rounded to, 1 to 1e-4, if many of them are equal; else 0.

    Values that are all within one unit are not rounded to it.
    """
    finite = values[np.isfinite(values)]
    if len(np.unique(finite)) > 0.98 * len(finite):
        return 0.0
    for decimals in range(5):
        if np.allclose(finite, np.round(finite, decimals), rtol=1e-9, atol=1e-7):
            unit = float(10.0 ** -decimals)
            return unit if np.ptp(finite) > 0.5 * unit else 0.0
    return 0.0


def checksum(table: Table) -> str:
    """Returns a checksum of a table's values, times and covariates."""
    digest = hashlib.sha256(repr((table.step, table.roles.targets)).encode())
    for one in table.series:
        digest.update(repr((one.name, one.start)).encode())
        for array in (one.values, one.known, one.static):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _classes(values: np.ndarray) -> tuple[float, ...]:
    """Returns the different values of a target that has at most `MOST_CLASSES` of them."""
    entries = np.unique(values[np.isfinite(values)])
    return tuple(entries.tolist()) if len(entries) <= MOST_CLASSES else ()


def _moments(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    return float(finite.mean()), float(finite.std()) or 1.0


class Inputs:
    """Computes the inputs of each step: the calendar, covariates and the series itself.

    Attributes:
      code_sizes: the numbers of values of the codes.
      embeds_series: whether the last code is the series.
    """

    def __init__(self, layout: Layout, season: int, *, embed_series: bool = True):
        """Creates the inputs for a season in steps; with `embed_series` each series has a code."""
        self._layout = layout
        self._season = season
        self._calendar = layout.calendar()
        self._numbers = {name: number for number, name in enumerate(layout.names, 1)}
        self.code_sizes = list(self._calendar.values())
        self.embeds_series = embed_series and 1 < len(layout.names) <= _MOST_EMBEDDED
        if self.embeds_series:
            self.code_sizes.append(len(layout.names) + 1)  # 0 is an unknown series
        self._harmonics = min(3, season // 2) if season > 1 else 0
        self._yearly = 3 if layout.step.unit in ("D", "h", "min", "W") else 0
        columns = (*layout.roles.known, *layout.roles.static)
        self._widths = [len(layout.levels.get(name, "1")) for name in columns]
        self.num_floats = 2 * (self._harmonics + self._yearly) + sum(self._widths)

    def compute(
        self, name: str, index: np.ndarray, known: np.ndarray, static: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the inputs of steps: floats `[N, F]` and codes `[N, C]`.

        Args:
          name: of the series.
          index: numbers of the steps, `[N]`.
          known: covariates, `[N, K]`.
          static: of the series, `[P]`.
        """
        times = self._layout.step.clock(index)
        floats = []
        for k in range(1, self._harmonics + 1):
            floats += _waves(index * (k / self._season))
        if self._yearly:
            year = times.astype("datetime64[Y]")
            days = (times - year.astype("datetime64[us]")).astype(np.int64) / 86400e6
            for k in range(1, self._yearly + 1):
                floats += _waves(days * (k / 365.2425))
        rows = np.concatenate([known, np.broadcast_to(static, [len(index), len(static)])], 1)
        names = (*self._layout.roles.known, *self._layout.roles.static)
        for column, width, (mean, spread), row in zip(
                names, self._widths, self._layout.covariates, rows.T):
            if column in self._layout.levels:
                floats += list((row[:, None] == np.arange(width)).T.astype(np.float64))
            else:
                floats.append(np.nan_to_num((row - mean) / spread))
        codes = [_CALENDAR[name](times) for name in self._calendar]
        if self.embeds_series:
            codes.append(np.full(len(index), self._numbers.get(name, 0)))
        return (np.array(floats, np.float32).reshape(-1, len(index)).T,
                np.array(codes, np.int32).reshape(-1, len(index)).T)


def _waves(phase: np.ndarray) -> list[np.ndarray]:
    return [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)]


def _days(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[D]").astype(np.int64)


def _month(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64) % 12


def _day_of_month(times: np.ndarray) -> np.ndarray:
    return _days(times) - times.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _day_of_year(times: np.ndarray) -> np.ndarray:
    """Returns the day of the year from 0, with 29 February in every year's count."""
    starts = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
    return starts[_month(times)] + _day_of_month(times)


def _weekday(times: np.ndarray) -> np.ndarray:
    return (_days(times) + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0


def _weekday_of_month(times: np.ndarray) -> np.ndarray:
    """Returns a code of the month, the weekday and its place: the fourth Thursday of November."""
    return (_month(times) * 5 + _day_of_month(times) // 7) * 7 + _weekday(times)


_CALENDAR = {
    "weekday": _weekday, "hour": lambda times: times.astype(np.int64) // 3600_000_000 % 24,
    "month": _month, "day of month": _day_of_month,
    "slot": lambda times: times.astype(np.int64) // 300_000_000 % 288,
    "day of year": _day_of_year, "weekday of month": _weekday_of_month}
