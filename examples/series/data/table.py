# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Series on a regular grid of steps, from columns and their roles."""
from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr, suggestion

from . import csv_tables, mapped
from .columns import Columns
from .roles import Roles
from .times import Step, as_text, hint_of_repeated, infer_step, read_step

_MOST_GAPS = 0.5  # share of steps without a row, above which filling them is probably wrong
_MOST_LEVELS = 100
_MOST_FILLED = 1 << 27  # steps without a row
_BLOCK = 1 << 20  # rows
_UNKNOWN = -1  # the number of a category that training did not have
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")  # a number without leading zeros


class Series(NamedTuple):
    """One series."""

    name: str  # "" for a single one
    start: int  # the number of its first step (`Step.index`)
    values: np.ndarray  # the targets, float64 `[N, D]`, NaN where missing
    # Covariates known ahead, float64 `[N, K]`; categories as numbers of their level, -1 for an
    # unknown one; NaN where missing
    known: np.ndarray
    static: np.ndarray  # properties, float64 `[P]`, likewise
    # False at steps without a row, bool `[N]`; None where each step has one, or this is unknown
    has_row: np.ndarray | None = None

    @property
    def end(self) -> int:
        """The number of the step after the last one."""
        return self.start + len(self.values)


@dataclasses.dataclass(frozen=True)
class Table:
    """Series with one step."""

    series: tuple[Series, ...]  # sorted by name
    step: Step  # the time between their values
    roles: Roles  # of the columns
    levels: Mapping[str, tuple[str, ...]]  # the categories of each covariate that has some
    notes: tuple[str, ...]  # lines about gaps, order and what else a reader should know

    @property
    def num_missing(self) -> int:
        """The number of missing values between the first and the last row of each series."""
        return sum(int(np.isnan(one.values).sum()) for one in self.series)

    def describe(self) -> str:
        """Returns a line with the number of series, steps and missing values."""
        sizes = [len(one.values) for one in self.series]
        longest = max(self.series, key=lambda one: one.end)
        first = self.step.format(np.array([min(one.start for one in self.series)]))[0]
        last = self.step.format(np.array([longest.end - 1]))[0]
        size = f"{min(sizes):,} to {max(sizes):,}" if min(sizes) < max(sizes) else f"{sizes[0]:,}"
        count = f"{len(sizes):,} series of {size}" if len(sizes) > 1 else size
        missing = f", {self.num_missing:,} values missing" if self.num_missing else ""
        return f"{count} steps of {self.step.name} from {first} to {last}{missing}"


def build(
    files: Sequence[Columns], roles: Roles, *, freq: str = "auto", gaps: str = "missing",
    step: Step | None = None, levels: Mapping[str, tuple[str, ...]] | None = None,
    categories: Sequence[str] = (), by_file: bool = False,
) -> Table:
    """Places the rows of tables on a grid of steps.

    Args:
      files: tables with the columns of `roles`. Without a series column, each file is a series,
        by its name if there are several of them; those of one name are parts of one series.
      roles: of the columns.
      freq: "auto", "none" or a step (`times.read_step`).
      gaps: "missing" fills steps without a row with missing values, "split" begins a new series
        after them, "error" refuses them; "auto" is "missing" unless most steps have no row.
      step: of the training data, which later data must have.
      levels: the categories of the training data; by default those found here.
      categories: covariates whose numbers are categories.
      by_file: whether the series of a single file has its name, too.

    Raises:
      UsageError: a time repeats within a series, there is no common step or another one than
        `step`, some times have an offset from UTC and others none, gaps are refused, a column is
        missing, or one of `categories` is no covariate.
    """
    _check_categories(roles, categories)
    notes: list[str] = []
    by_clock = step.is_of_dates if step else bool(roles.time) and all(
        file.are_dates(roles.time, roles.zone) for file in files)
    reading = _Reading(
        by_file or len(files) > 1, by_clock, {*(levels or ()), *categories},
        of_numbers=step is not None and step.unit == "int",
        has_offsets=None if by_clock else _has_offsets(files, roles, step),
        pattern="training" if step else repr(files[0].name))
    rows = _merged(files, roles, notes, reading)
    if step is None:
        step = _step_of(rows, roles, freq)
        if step.is_of_moments and not by_clock:
            zone = roles.zone or ("UTC" if files[0].are_moments(roles.time) else "")
            step = dataclasses.replace(step, zone=zone)
    if levels is None:
        levels = _levels(rows, roles, categories)
    filled = _check_gaps(rows, step, roles, gaps)
    series: list[Series] = []
    left_out = 0
    for name in sorted(rows):
        index = _index(rows[name], step, roles)
        cuts = np.flatnonzero(np.diff(index) > 1) + 1 if gaps == "split" else np.array([], int)
        pieces = np.split(np.arange(len(index)), cuts)
        for number, piece in enumerate(pieces):
            label = f"{name}#{number + 1}" if len(pieces) > 1 else name
            series.append(_on_grid(label, index[piece], piece, rows[name], roles, levels))
            left_out += series[-1].start - int(index[piece[0]])
    if filled and gaps != "split":
        notes.append(f"{filled:,} steps without a row are missing values.")
    if left_out:
        notes.append(f"{left_out:,} steps before the first value of their series are left out.")
    unknown = sum(num_unknown(columns, levels, values) for one in series
                  for columns, values in ((roles.known, one.known), (roles.static, one.static)))
    if unknown:
        notes.append(f"{unknown:,} values of categories are unknown to the model.")
    return Table(tuple(series), step, roles, levels, tuple(notes))


def _has_offsets(files: Sequence[Columns], roles: Roles, step: Step | None) -> bool | None:
    """Returns whether times must have an offset from UTC; None where both kinds are right.

    Without an offset and a zone they are what some clock shows: the moment is not known.
    """
    if not roles.time or roles.zone:
        return None
    if step is not None:
        return bool(step.zone) if step.is_of_moments else None
    return files[0].are_moments(roles.time)


def whole(name: str) -> str:
    """Returns the name of the series that was split at gaps, by that of one of its pieces."""
    return re.sub(r"#\d+$", "", name)


class _Gap(NamedTuple):
    """Steps without a row."""

    steps: int  # their number, and 1
    series: str
    place: int  # the number of the row before, among the sorted ones of the series
    first: str  # the time before
    last: str  # the time after


def _check_gaps(rows: Mapping[str, _Rows], step: Step, roles: Roles, gaps: str) -> int:
    """Returns the number of steps without a row.

    Raises:
      UsageError: they are refused, or too many to be filled.
    """
    filled, total, longest = 0, 0, _Gap(0, "", 0, "", "")
    for name in sorted(rows):
        index = _index(rows[name], step, roles)
        size = int(index[-1] - index[0]) + 1
        filled, total = filled + size - len(index), total + size
        if size > len(index):
            changes = np.diff(index)
            at = int(np.argmax(changes > 1) if gaps == "error" else np.argmax(changes))
            ends = step.format(index[at:at + 2])
            if gaps == "error":
                raise UsageError(
                    f"{_of(name)}: expected a row for each step, got none after {ends[0]}. --gaps "
                    "missing fills gaps with missing values.")
            longest = max(longest, _Gap(int(changes[at]), name, at, *ends))
    is_wrong = gaps == "auto" and filled > _MOST_GAPS * total
    if gaps != "split" and (is_wrong or filled > _MOST_FILLED):
        one = rows[longest.series]
        row = int(one.numbers[longest.place + 1]) + one.file.first_row
        limit, also = ("half", ", or --gaps missing to go on,") if is_wrong else (
            f"{_MOST_FILLED:,}", "")
        raise UsageError(
            f"{filled:,} of {total:,} steps of {step.name} have no row, which is more than "
            f"{limit}; the longest gap is from {longest.first} to {longest.last}, "
            f"{one.file.name!r}, row {row}. Is a time wrong there? Otherwise give the step by "
            f"--freq{also} or --gaps split.")
    return filled


class _Reading(NamedTuple):
    """How the columns of files are read."""

    by_file: bool  # whether series have the names of their files
    by_clock: bool  # whether times are what a clock shows (`Columns.times`)
    texts: set[str]  # covariates that are categories; true and false of others are numbers
    of_numbers: bool  # whether whole numbers are times as they are, not years or dates
    has_offsets: bool | None  # whether times have an offset from UTC; None where they need not
    pattern: str  # what tells so, for messages

    def check_offsets(self, columns: Columns, name: str) -> None:
        """Raises UsageError where times of column `name` have an offset and should not, or not."""
        if self.has_offsets in (None, columns.are_moments(name)):
            return
        which, example = ("with an", "59:00Z") if self.has_offsets else ("without an", "59:00")
        raise UsageError(
            f"{columns.where(name)}: expected times {which} offset from UTC, as in {self.pattern}, "
            f"got {columns.texts(name)[0]}. Write all of them in one way, such as "
            f"2020-12-31T23:{example}.")


class _Rows(NamedTuple):
    """The rows of one series, sorted by time."""

    times: np.ndarray
    values: np.ndarray
    known: list[np.ndarray]
    static: list[np.ndarray]
    numbers: np.ndarray | range  # of the rows in their file
    file: Columns


def _merged(
    files: Sequence[Columns], roles: Roles, notes: list[str], reading: _Reading
) -> dict[str, _Rows]:
    parts: dict[str, list[_Rows]] = {}
    for columns in files:
        for option in ("time", "series", "targets", "known", "static"):
            names = getattr(roles, option)
            for name in (names,) if isinstance(names, str) else names:
                if name:
                    columns.require(name, f"the role {option!r}")
        arrays, labels = _arrays(columns, roles, reading)
        repeated = next((label for label in labels if label in parts), None)
        if not roles.time and repeated is not None:
            other = parts[repeated][0].file.name
            way = "Give --time COLUMN" if roles.series else "Rename one of the files"
            raise UsageError(
                f"{columns.name!r}: expected rows of {_of(repeated)} in one file, as no column has "
                f"times, got some in {other!r}, too. {way}.")
        order = None
        if np.count_nonzero(np.diff(arrays[0])) >= len(labels):  # a series' rows are apart
            order = np.argsort(arrays[0], kind="stable")
            blocks = np.array_split(order, len(order) // _BLOCK + 1)
            arrays = [mapped.joined((array[rows] for rows in blocks), columns.following is not None)
                      for array in arrays]
        codes, all_times, values, *covariates = arrays
        known, static = covariates[:len(roles.known)], covariates[len(roles.known):]
        edges = np.flatnonzero(np.diff(codes)) + 1
        is_sorted = True
        for first, last in itertools.pairwise([0, *edges.tolist(), len(codes)]):
            rows: slice | np.ndarray = slice(first, last)
            numbers: range | np.ndarray = range(first, last)
            times = all_times[rows]
            if (times[1:] < times[:-1]).any():
                is_sorted = False
                rows = numbers = first + np.argsort(times, kind="stable")
            parts.setdefault(labels[codes[first]], []).append(_Rows(
                all_times[rows], values[rows], [c[rows] for c in known], [c[rows] for c in static],
                numbers if order is None else order[rows], columns))
        if not is_sorted:
            notes.append(f"{columns.name!r}: the rows are not in the order of time; sorted.")
    return {name: _joined(name, arrays) for name, arrays in parts.items()}


def _arrays(
    columns: Columns, roles: Roles, reading: _Reading
) -> tuple[list[np.ndarray], list[str]]:
    """Returns the rows of a file in its order.

    Returns:
      The number of each row's series, times, targets `[N, D]`, and each covariate; and the names
      of the series.
    """
    in_file = columns.following is not None
    if in_file and roles.zone and not reading.by_clock and not columns.are_moments(roles.time):
        raise UsageError(f"--zone: expected a smaller table than {columns.name!r}, whose rows are "
                         "read in parts. Write its times with their offset.")
    labels: dict[str, int] = {}
    if not roles.series:
        labels = {Path(columns.name).stem if reading.by_file else "": 0}
    is_text = [(name, columns.holds_text(name) if name in reading.texts else (
        columns.is_text(name) and not columns.is_boolean(name)))
        for name in (*roles.known, *roles.static)]
    with contextlib.ExitStack() as files:
        piles = [files.enter_context(contextlib.closing(mapped.Pile(in_file)))
                 for _ in range(3 + len(is_text))]
        num_rows = 0
        for part in columns.parts():
            codes = np.zeros(len(part), np.int32)
            if roles.series:
                codes, texts = part.categories(roles.series)
                numbers = [labels.setdefault(text, len(labels)) for text in texts]
                codes = np.array(numbers, np.int32)[codes]
            times = np.arange(num_rows, num_rows + len(part))
            if roles.time:
                read = part.times(roles.time, roles.zone, roles.series, by_clock=reading.by_clock,
                                  of_numbers=reading.of_numbers)
                if read is None:
                    raise part.unreadable_time(roles.time)
                if read.dtype.kind == "M":
                    reading.check_offsets(part, roles.time)
                times = read
            num_rows += len(part)
            values = np.empty([len(part), len(roles.targets)])
            for d, name in enumerate(roles.targets):
                values[:, d] = part.numbers(name)
            covariates = [_covariate(part, *each) for each in is_text]
            arrays: list[np.ndarray] = [codes, times, values, *covariates]
            for pile, array in zip(piles, arrays):
                pile.add(array)
        if len(piles[1].kinds) > 1:
            raise UsageError(f"{columns.where(roles.time)}: expected times of one kind.")
        return [pile.array() for pile in piles], list(labels)


def _joined(name: str, parts: list[_Rows]) -> _Rows:
    first = parts[0]
    if len(parts) > 1:
        if len({part.times.dtype for part in parts}) > 1:
            raise UsageError(f"{_of(name)}: expected times of one kind in all files.")
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable")
        first = _Rows(
            times[order], np.concatenate([p.values for p in parts])[order],
            [np.concatenate(c)[order] for c in zip(*(p.known for p in parts))],
            [np.concatenate(c)[order] for c in zip(*(p.static for p in parts))],
            np.concatenate([p.numbers for p in parts])[order], first.file)
    same = np.flatnonzero(first.times[1:] == first.times[:-1])
    if len(same):
        row = int(first.numbers[same[0] + 1]) + first.file.first_row
        raise UsageError(
            f"{first.file.name!r}, row {row}: expected each time once in a series, got "
            f"{as_text(first.times[same[0]])} twice{' in ' + _of(name) if name else ''} "
            f"({len(same):,} such rows). {hint_of_repeated(first.times)}.")
    return first


def _covariate(columns: Columns, name: str, is_text: bool) -> np.ndarray:
    if not is_text:
        return columns.numbers(name)
    codes, texts = columns.categories(name)
    return np.array(["" if csv_tables.is_missing(t) else t for t in texts], object)[codes]


def _step_of(rows: Mapping[str, _Rows], roles: Roles, freq: str) -> Step:
    if not roles.time or freq == "none":
        return Step("row")
    if freq != "auto":
        return read_step(freq, next(iter(rows.values())).times)
    # Of a large table the beginning tells the step; `_index` checks all rows.
    times, num_times = [], 0
    for one in rows.values():
        times.append(one.times[:_BLOCK])
        num_times += len(times[-1])
        if num_times > _BLOCK:
            break
    return infer_step(times, roles.time)


def _index(one: _Rows, step: Step, roles: Roles) -> np.ndarray:
    if step.unit == "row":
        return np.arange(len(one.times))
    if (step.unit == "int") != (one.times.dtype.kind != "M"):
        raise UsageError(f"column {roles.time!r}: expected times as in training, in steps of "
                         f"{step.name}, got {as_text(one.times[0])}.")
    index = step.index(one.times)
    outside = np.flatnonzero(index < -(1 << 61))
    if len(outside):
        row = int(one.numbers[outside[0]]) + one.file.first_row
        raise UsageError(
            f"{one.file.name!r}, row {row}, column {roles.time!r}: expected times in steps of "
            f"{step.name} that continue the first or those of training, got "
            f"{as_text(one.times[outside[0]])}.")
    same = np.flatnonzero(np.diff(index) == 0)
    if len(same):
        raise UsageError(f"{one.file.name!r}: expected one row for each step of {step.name}, got "
                         f"{as_text(one.times[same[0]])} and "
                         f"{as_text(one.times[same[0] + 1])}.")
    return index


def num_unknown(
    names: Sequence[str], levels: Mapping[str, tuple[str, ...]], values: np.ndarray
) -> int:
    """Returns how many categories among covariates `[..., K]` training did not see."""
    return sum(int((values[..., k] == _UNKNOWN).sum())
               for k, name in enumerate(names) if name in levels)


def _check_categories(roles: Roles, categories: Sequence[str]) -> None:
    covariates = *roles.known, *roles.static
    for name in categories:
        if name not in covariates:
            raise UsageError(
                f"--categories: expected columns of --known or --static, {short_repr(name)} is "
                f"none of them.{suggestion(name, covariates)} They are: "
                f"{', '.join(covariates) or 'none'}.")


def _levels(
    rows: Mapping[str, _Rows], roles: Roles, categories: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    levels: dict[str, tuple[str, ...]] = {}
    for position, name in enumerate((*roles.known, *roles.static)):
        arrays = [[*one.known, *one.static][position] for one in rows.values()]
        if arrays[0].dtype == object or name in categories:
            texts = sorted(
                {_level(value) for array in arrays for value in set(array.tolist())} - {""})
            if len(texts) > _MOST_LEVELS:
                raise UsageError(f"column {name!r}: expected at most {_MOST_LEVELS} different "
                                 f"texts in a covariate, got {len(texts):,}.")
            levels[name] = tuple(texts)
    return levels


def _level(value: object) -> str:
    """Returns the category of a value; "1" of 1.0 as a number or a text, and codes as they are."""
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(value).removesuffix(".0")
    match = _WHOLE.fullmatch(str(value))
    return match[1] if match else str(value)


def _numbers_of(levels: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Returns categories `[N]` as numbers of their levels, -1 for an unknown one, NaN for none.

    A category that is no level itself is that of the same number: "7" is 7.0, or the code "007".
    """
    numbers = {"": np.nan, **{level: number for number, level in enumerate(levels)}}
    by_value = {Decimal(level): number for number, level in reversed([*enumerate(levels)])
                if csv_tables.is_number(level)}

    def number_of(value: object) -> float:
        text = _level(value)
        number = numbers.get(str(value), numbers.get(text))
        if number is None and csv_tables.is_number(text):
            number = by_value.get(Decimal(text))
        return _UNKNOWN if number is None else number

    texts = values.tolist()
    number_by_value = {value: number_of(value) for value in set(texts)}  # few, of many rows
    return np.array([number_by_value[value] for value in texts], np.float64)


def _on_grid(
    name: str, index: np.ndarray, rows: np.ndarray, one: _Rows, roles: Roles,
    levels: Mapping[str, tuple[str, ...]],
) -> Series:
    places = index - index[0]
    size = int(places[-1]) + 1

    def numeric(column: str, array: np.ndarray) -> np.ndarray:
        if column not in levels:
            if array.dtype == object:
                raise UsageError(f"column {column!r}: expected numbers as in training, got "
                                 f"{short_repr(array[0])}.")
            return array
        return _numbers_of(levels[column], array)

    in_file = one.file.following is not None
    has_row = None
    if size == len(rows):
        values = one.values[rows[0]:rows[-1] + 1]
    else:
        values = mapped.missing([size, one.values.shape[1]], in_file)
        values[places] = one.values[rows]
        has_row = np.zeros(size, bool)
        has_row[places] = True
    has_value = np.isfinite(values).any(1)
    # Leading rows without a value say nothing.
    lead = int(np.argmax(has_value)) if has_value.any() else 0
    known = mapped.missing([size, len(roles.known)], in_file)
    for k, (column, array) in enumerate(zip(roles.known, one.known)):
        known[places, k] = numeric(column, array[rows])
    static = np.array([_constant(name, column, numeric(column, array))
                       for column, array in zip(roles.static, one.static)], np.float64)
    return Series(name, int(index[0]) + lead, values[lead:], known[lead:], static,
                  None if has_row is None else has_row[lead:])


def _constant(name: str, column: str, array: np.ndarray) -> float:
    finite = array[np.isfinite(array)]
    if len(np.unique(finite)) > 1:
        raise UsageError(f"column {column!r}: expected one value for {_of(name)}, as --static "
                         f"says, got {finite.min():g} and {finite.max():g}. Is it --known?")
    return float(finite[0]) if len(finite) else np.nan


def _of(name: str) -> str:
    return f"series {name!r}" if name else "the series"
