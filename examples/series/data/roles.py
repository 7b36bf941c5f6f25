# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What each column of a table is for: time, series, targets, covariates."""
from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from . import csv_tables
from . import times as times_lib
from .columns import MOMENT_NAMES, Columns

_TIME_NAMES = MOMENT_NAMES | {"month", "week", "day", "year", "quarter", "hour"}
_SERIES_NAMES = {"series", "series_id", "unique_id", "item_id", "id"}
_PARTS_OF_TIME = {"year", "month", "day", "hour", "minute", "second", "weekday", "dayofweek",
                  "day_of_week", "day_of_month", "day_of_year", "week", "quarter",
                  *csv_tables.HOUR_NAMES}
_ROW_NAMES = {"", "rownames", "index", "row", "rowid", "unnamed: 0", "idx", "id",
              "__index_level_0__"}
_LABEL_NAMES = {"is_anomaly", "anomaly", "label", "labels", "is_outlier", "outlier"}
_MOST_TARGETS = 100


@dataclasses.dataclass(frozen=True)
class Roles:
    """The roles of a table's columns, by name."""

    time: str  # of the times; "" where rows are numbered
    series: str  # names the series; "" for a single one
    targets: tuple[str, ...]  # what is modelled
    known: tuple[str, ...] = ()  # covariates that are known ahead
    static: tuple[str, ...] = ()  # properties of a series
    ignored: tuple[tuple[str, str], ...] = ()  # other columns, each with the reason
    zone: str = ""  # of the clock, an IANA name; "" for UTC, the offset of dates, and none

    def describe(self) -> list[str]:
        """Returns lines that say the role of each column."""
        local = f" (the clock of {self.zone})" if self.zone else ""
        lines = [f"  time: {self.time or 'the number of the row'}{local}"]
        if self.series:
            lines.append(f"  series: {self.series}")
        lines.append(f"  targets: {', '.join(self.targets)}")
        for name, columns in (("known ahead", self.known), ("static", self.static)):
            if columns:
                lines.append(f"  {name}: {', '.join(columns)}")
        if self.ignored:
            lines.append("  ignored: " + ", ".join(f"{n} ({why})" for n, why in self.ignored))
        return lines


@dataclasses.dataclass(frozen=True)
class Options:
    """The roles that the user gives; what is empty is found."""

    time: str = ""
    series: str = ""
    targets: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    zone: str = ""
    ignore_times: bool = False


def find(columns: Columns, options: Options = Options()) -> Roles:
    """Finds the role of each column; what `options` gives stays.

    Raises:
      UsageError: a column of `options` is missing, of the wrong kind or has two roles, there is
        no target, or times repeat and no column tells series apart.
    """
    option_of: dict[str, str] = {}
    for option in ("time", "series", "targets", "known", "static"):
        chosen = getattr(options, option)
        for name in (chosen,) if isinstance(chosen, str) else chosen:
            if name:
                columns.require(name, f"--{option}")
                if name in option_of:
                    raise UsageError(
                        f"--{option}: expected a column without another role, got "
                        f"{short_repr(name)}, which --{option_of[name]} names as well. Leave it "
                        "out of one of them.")
                option_of[name] = option
    given_names = {options.series, *options.targets, *options.known, *options.static}
    time = options.time or _find_time(columns, given_names, options.ignore_times)
    zone = options.zone
    if zone and time and columns.are_dates(time, zone):  # without an hour that a clock changes
        options = dataclasses.replace(options, zone="")
    times = columns.times(time, options.zone, options.series) if time else None
    if time and times is None:
        raise columns.unreadable_time(time)
    free = [name for name in columns.names if name not in given_names and name != time]
    series = options.series
    if not series:
        series = _find_series(columns, free, time, times, options)
    ignored: dict[str, str] = {}
    targets = list(options.targets)
    for name in free:
        if name == series:
            continue
        reason = "not among the targets" if options.targets else (
            _why_ignored(columns, name, bool(time)))
        if reason:
            ignored[name] = reason
        else:
            targets.append(name)
    if not targets:
        described = (f"{name} ({ignored[name]})" if name in ignored else name
                     for name in columns.names[:30])
        raise UsageError(
            f"{columns.name!r}: expected a column of numbers to model, found none. Columns: "
            f"{', '.join(described)}.")
    if not (time or options.targets or options.ignore_times):
        _check_not_transposed(columns.name, targets)
    if len(targets) > _MOST_TARGETS and not options.targets and not columns.sample_rate:
        raise UsageError(f"{columns.name!r}: expected at most {_MOST_TARGETS} columns of numbers, "
                         f"got {len(targets)}. Name those to model: --targets a,b.")
    return Roles(time, series, tuple(targets), options.known, options.static,
                 tuple(ignored.items()), zone if time else "")


def _check_not_transposed(table: str, targets: Sequence[str]) -> None:
    """Raises UsageError where most columns are times, so that rows are series."""
    sample = targets[:_MOST_TARGETS]
    times = [name for name in sample if times_lib.is_name_of_time(name)]
    if len(times) > max(1, len(sample) // 2):
        raise UsageError(
            f"{table!r}: expected a row for each time, got a column for each, such as "
            f"{short_repr(times[0])}. Transpose the table; --freq none models the rows in their "
            "order.")


def _find_time(columns: Columns, chosen: set[str], ignore_times: bool) -> str:
    """Returns the column of times, or "".

    Its times may be unreadable: a text column is not ignored if its name, its first value or most
    of its values say that it holds times, because without them the order of the rows is unknown.
    """
    names = [name for name in columns.names if name not in chosen]
    # Texts that are dates come before numbers such as a year, and days before months.
    texts = [n for n in names if columns.is_text(n) or columns.is_time(n)]
    by_name = [n for n in names if _bare(n) in _TIME_NAMES]
    called_so = [n for n in texts if _bare(n) in MOMENT_NAMES]
    times_of = {name: times for name in called_so or texts
                if (times := columns.times(name)) is not None}
    if len(times_of) > 1:
        return max(times_of, key=lambda name: len(np.unique(times_of[name])))
    readable = itertools.chain(
        times_of, (n for n in texts + by_name if columns.times(n) is not None))
    wrong = (n for n in by_name + texts if not ignore_times and (
        columns.begins_with_time(n) or columns.is_mostly_dates(n)
        or (_bare(n) in MOMENT_NAMES and columns.is_text(n))))
    return next(itertools.chain(readable, wrong), "")


def _bare(name: str) -> str:
    """Returns the name of a column without what programs put around it, such as <DATE>."""
    return name.strip("<> ").lower()


def _find_series(
    columns: Columns, free: Sequence[str], time: str, times: np.ndarray | None, options: Options
) -> str:
    """Returns the column that tells series apart; "" for a single series."""
    free = [n for n in free if n.lower() not in _PARTS_OF_TIME and not columns.other_kind(n)]
    # An id that is another one in each row names the row.
    by_name = [n for n in free if n.lower() in _SERIES_NAMES and not columns.is_empty(n)
               and len(columns.categories(n)[1]) < len(columns)]
    repeated = times is not None and len(np.unique(times)) < len(times)
    if by_name and (repeated or columns.is_text(by_name[0])):
        return by_name[0]
    if times is None or not repeated or options.ignore_times:
        return ""
    texts = [n for n in free if columns.is_text(n)]
    separating = [n for n in texts if _separates(columns, n, time, options.zone)]
    if separating:
        return min(separating, key=lambda n: len(columns.categories(n)[1]))
    others = [n for n in free if n not in texts and not columns.is_empty(n)
              and n.lower() not in _ROW_NAMES and _separates(columns, n, time, options.zone)]
    others = [n for n in others if len(columns.categories(n)[1]) < len(times) // 2
              and not _has_fractions(columns.categories(n)[1])]
    values, counts = np.unique(times, return_counts=True)
    repeated_time = values[counts > 1][0]
    row = int(np.flatnonzero(times == repeated_time)[1])
    hint = times_lib.hint_of_repeated(times, *(
        f"Is the column {name!r} the series? Give --series {name}" for name in others[:1]))
    raise UsageError(
        f"{columns.name!r}, row {row + columns.first_row}: expected each time once, got "
        f"{times_lib.as_text(repeated_time)} again. {hint}.")


def _has_fractions(texts: Sequence[str]) -> bool:
    return any(csv_tables.is_number(text) and float(text) % 1 for text in texts)


def _separates(columns: Columns, name: str, time: str, zone: str) -> bool:
    (codes, _), times = columns.categories(name), columns.times(time, zone, name)
    assert times is not None
    _, numbers = np.unique(times, return_inverse=True)
    pairs = codes.astype(np.int64) * (numbers.max() + 1) + numbers
    return len(np.unique(pairs)) == len(pairs)


def _why_ignored(columns: Columns, name: str, has_time: bool) -> str:
    """Returns why a column is no target; "" if it is one."""
    if columns.other_kind(name):
        return columns.other_kind(name)
    if columns.is_empty(name):
        return "empty"
    if columns.is_text(name) and not columns.is_boolean(name):
        row, text = columns.no_number(name)
        return f"text, such as {short_repr(text, 40)} in row {row + columns.first_row}"
    if columns.is_time(name):
        return "times"
    if name.lower() in _LABEL_NAMES:
        return "labels"
    if has_time and name.lower() in _PARTS_OF_TIME:
        return "part of the time"
    numbers = columns.numbers(name)
    if not has_time and _bare(name) in MOMENT_NAMES and (numbers % 1).any():
        return "fractions, which are not read as times: the rows are taken in their order"
    if name.lower() in _ROW_NAMES and len(numbers) > 1 and (np.diff(numbers) > 0).all():
        return "number of the row"
    return ""

