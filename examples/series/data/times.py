# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Times of observations, and the step between them.

Times are NumPy `datetime64[us]`, without a zone or in UTC, or int64 numbers. A `Step` maps them to
consecutive whole numbers and back, so that the rest of the program counts steps.
"""
from __future__ import annotations

import collections
import dataclasses
import datetime
import itertools
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60 * _SECOND, 3600 * _SECOND, 86400 * _SECOND
_FIXED = {"s": _SECOND, "min": _MINUTE, "h": _HOUR, "D": _DAY, "W": 7 * _DAY}
_MONTHS = {"MS": 1, "QS": 3, "YS": 12}
# Of times as text: the first that all of them are whole numbers of
_UNITS: tuple[tuple[Literal["m", "s", "ms", "us"], int], ...] = (
    ("m", _MINUTE), ("s", _SECOND), ("ms", 1000), ("us", 1))
# Formats beside ISO 8601; one must read all times of a column. `%y` comes before `%Y`, which also
# reads two digits.
_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y-%m", "%Y/%m/%d", "%Y.%m.%d", "%Y/%m", "%m/%Y", "%YM%m",
            "%Y %b", "%b %Y", "%Y %B", "%B %Y", "%b-%y", "%b-%Y", "%d %b %Y", "%d %B %Y",
            "%d-%b-%y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%B %d, %Y")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ZONED = r"(:\d\d[.\d]*|T\d{4,6}) ?(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$"
_PLAINER = (  # what Arrow does not read, and what it does
    (r" ?(UTC|GMT)$", "Z"), (r"(:\d\d),(\d+)$", r"\1.\2"), (r"(\.\d{6})\d+", r"\1"),
    (r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)", r"\1-\2-\3T\4:\5"), (r"(T\d\d:\d\d)(\d\d)", r"\1:\2"))
_PERIODS = re.compile(r"(?P<year>\d{4}) ?-?(Q(?P<quarter>[1-4])|W(?P<week>\d\d))"
                      r"|Q(?P<quarter_first>[1-4])[ -]?(?P<year_last>\d{4})")
# The bounds of year, month, day, hour, minute and second in a number such as 202012312359.
_BOUNDS = ((1900, 2199), (1, 12), (1, 31), (0, 23), (0, 59), (0, 59))
_FIRST_YEAR = 1000
_MOST_UNITS = 10**6  # of a step
_WEEKS = 53
_LAST_SHORT_YEAR = 2040  # of two digits: 40 is 2040, and 41 is 1941
_FEW = 1000  # values that tell the kind of all
_FISCAL = re.compile(r"(\d\d)(\d\d)/(\d\d)")
_NEAR_MONTH = 0.02  # months that a decimal year may be off
_NUMBERS = re.compile(r"[1-9]\d*")  # without leading zeros
_NUMERIC_DATE = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)(?!\d)")
# What means to be a date, in the calendar or not, also behind a weekday
_LIKE_DATE = re.compile(r"\s*([^\W\d_]+\.?,? )?(\d{4}([/.-])\d\d?\3\d\d?"
                        r"|\d\d?([/.-])\d\d?\4(\d{4}|\d\d))(?![^\sT])")
_HORIZONS = {"s": 60, "min": 48, "h": 48, "D": 30, "B": 30, "W": 8, "MS": 12, "QS": 8, "YS": 6}
_SEASONS = {"s": 60, "D": 7, "B": 5, "W": 52, "MS": 12, "QS": 4}


@dataclasses.dataclass(frozen=True)
class Step:
    """The time between consecutive observations."""

    # "s", "min", "h", "D", "W", "B" (weekdays), "MS", "QS", "YS" (months, quarters, years), "int"
    # (numbers) or "row" (no time column)
    unit: str
    count: int = 1  # how many units a step has
    phase: int = 0  # the time of step 0: microseconds, a month's number, or a number
    day: int = 1  # of the month, for months; 0 for the last day
    zone: str = ""  # of the clock, an IANA name, if times are in UTC; "" if they have no zone

    @property
    def name(self) -> str:
        """The step as `--freq` takes it: "30min", "D"."""
        return f"{self.count if self.count > 1 else ''}{self.unit}"

    @property
    def horizon(self) -> int:
        """The default number of steps to forecast: that of GIFT-Eval, or of the M4 competition."""
        return _HORIZONS.get(self.unit, 24)

    @property
    def season(self) -> int:
        """The default number of steps of a season."""
        if self.unit in ("min", "h") and not _DAY % (self.count * _FIXED[self.unit]):
            return _DAY // (self.count * _FIXED[self.unit])
        return _SEASONS.get(self.unit, 1) if self.count == 1 else 1

    @property
    def is_of_dates(self) -> bool:
        """Whether steps are dates, whatever moments of UTC they begin at."""
        return self.unit in ("D", "W", "B", *_MONTHS)

    @property
    def is_of_moments(self) -> bool:
        """Whether steps are shorter than a day."""
        return self.unit in ("s", "min", "h")

    def index(self, times: np.ndarray) -> np.ndarray:
        """Returns the numbers of the steps at `times`, `[N]`, -1 << 62 between two steps."""
        if self.unit in _MONTHS:
            months = times.astype("datetime64[M]").astype(np.int64) - self.phase
            return _exact(months, self.count * _MONTHS[self.unit])
        if self.unit == "B":
            days = times.astype("datetime64[D]")
            return np.where(np.is_busday(days), np.busday_count("1970-01-01", days), _NO_STEP)
        size = self.count * _FIXED.get(self.unit, 1)
        return _exact(times.astype(np.int64) - self.phase, size)

    def time(self, index: np.ndarray) -> np.ndarray:
        """Returns the times of steps; the inverse of `index`."""
        index = np.asarray(index, np.int64)
        if self.unit in _MONTHS:
            months = (index * self.count * _MONTHS[self.unit] + self.phase).astype(
                "datetime64[M]")
            if self.day == 0:
                return ((months + 1).astype("datetime64[D]") - 1).astype("datetime64[us]")
            last = (months + 1).astype("datetime64[D]") - 1
            days = np.minimum(months.astype("datetime64[D]") + (self.day - 1), last)
            return days.astype("datetime64[us]")
        if self.unit == "B":
            return np.busday_offset("1970-01-01", index, "forward").astype("datetime64[us]")
        numbers = index * self.count * _FIXED.get(self.unit, 1) + self.phase
        return numbers if self.unit in ("int", "row") else numbers.astype("datetime64[us]")

    def clock(self, index: np.ndarray) -> np.ndarray:
        """Returns what the clock shows at steps: their times in the zone."""
        times = self.time(index)
        return times if self.zone in ("", "UTC") else to_clock(times, self.zone)

    def format(self, index: np.ndarray) -> list[str]:
        """Returns the times of steps as text: dates where all of them are at midnight.

        Times in a zone have their offset from UTC.
        """
        times = self.clock(index)
        if times.dtype.kind != "M":
            return [str(number) for number in times.tolist()]
        whole = self.unit in ("D", "W", "B", *_MONTHS) and not np.any(
            times.astype(np.int64) % _DAY)
        if whole:
            return np.datetime_as_string(times, unit="D").tolist()
        unit = next(unit for unit, size in _UNITS if not np.any(times.astype(np.int64) % size))
        texts = np.datetime_as_string(times, unit=unit).tolist()
        if not self.zone:
            return texts
        minutes = (times - self.time(index)).astype(np.int64) // _MINUTE
        return [text + _offset(each) for text, each in zip(texts, minutes.tolist())]


def as_text(time: np.datetime64 | np.int64) -> str:
    """Returns a time, or a number, for messages."""
    return re.sub(r"(T00:00:00)?\.0+$", "", str(time))


def _offset(minutes: int) -> str:
    """Returns the offset of a clock from UTC as ISO 8601 writes it."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}" if minutes else "Z"


_NO_STEP = -(1 << 62)


def _exact(distance: np.ndarray, size: int) -> np.ndarray:
    quotient, rest = np.divmod(distance, size)
    return np.where(rest == 0, quotient, _NO_STEP)


def read_step(text: str, times: np.ndarray) -> Step:
    """Returns the step that `--freq` names, with the phase of the first time.

    Raises:
      UsageError: it is no step, or the times are numbers.
    """
    match = re.fullmatch(r"(\d{0,7})(s|min|h|D|W|B|MS|ME|QS|YS)", text)
    if not match or times.dtype.kind != "M" or (match[2] == "B" and match[1]) or not (
            1 <= int(match[1] or 1) <= _MOST_UNITS):
        raise UsageError(f"--freq: expected auto, none or a step such as 30min, h, D, B, W, MS, QS "
                         f"or YS, of 1 to {_MOST_UNITS:,} units, for a column of dates; got "
                         f"{short_repr(text)}.")
    unit, count = match[2].replace("ME", "MS"), int(match[1] or 1)
    if unit in _MONTHS:
        step = _month_step(times, count * _MONTHS[unit])
        return dataclasses.replace(step, day=0) if match[2] == "ME" else step
    phase = 0 if unit == "B" else int(times[0].astype(np.int64) % (count * _FIXED[unit]))
    return Step(unit, count, phase)


def infer_step(times: Sequence[np.ndarray], name: str) -> Step:
    """Finds the step of the sorted times of each series, `[N]`, which have no duplicates.

    Raises:
      UsageError: the times, of column `name`, have no common step.
    """
    changes = np.concatenate([np.diff(t).astype(np.int64) for t in times])
    if not len(changes):
        raise UsageError(f"column {name!r}: expected at least two times in a series, to see the "
                         "step between them, got one. Give --freq.")
    merged = np.concatenate(times)
    if merged.dtype.kind != "M":
        (size, _), *_ = collections.Counter(changes.tolist()).most_common(1)
        step = Step("int", size, int(merged[0] % size))
    elif changes.min() >= 28 * _DAY and (months := _months(merged)):
        step = _month_step(merged, months)
    else:
        (size, _), *_ = collections.Counter(changes.tolist()).most_common(1)
        unit = next(unit for unit in ("W", "D", "h", "min", "s", "us") if unit == "us" or not (
            size % _FIXED[unit]))
        if unit == "us":
            raise UsageError(f"column {name!r}: expected steps of whole seconds, got "
                             f"{size / _SECOND:g} s. --freq none numbers the rows instead.")
        days = merged.astype("datetime64[D]")
        if unit == "D" and size == _DAY and len(merged) >= 10 and np.is_busday(days).all() and (
                changes == 3 * _DAY).any():
            step = Step("B")
        else:
            step = Step(unit, int(size // _FIXED[unit]), int(merged[0].astype(np.int64) % size))
    _check_regular(step, times, changes, name)
    return step


def _check_regular(
    step: Step, times: Sequence[np.ndarray], changes: np.ndarray, name: str
) -> None:
    for series in times:
        outside = np.flatnonzero(step.index(series) == _NO_STEP)
        if len(outside):
            common = collections.Counter(changes.tolist()).most_common(2)
            words = " and ".join(
                f"{_duration(size) if step.unit != 'int' else size} ({number} times)"
                for size, number in common)
            raise UsageError(
                f"column {name!r}: expected times a constant step apart; the commonest steps are "
                f"{words}, and {series[outside[0]]} is the first that does not fit. Give --freq, "
                "or --freq none to number the rows.")


def _months(times: np.ndarray) -> int:
    """Returns the months of a step, 0 if the days of the month do not fit.

    They are one day of the month, or its last day where it is shorter.
    """
    days = times.astype("datetime64[D]")
    of_month = (days - times.astype("datetime64[M]").astype("datetime64[D]")).astype(int)
    ends = (days + 1).astype("datetime64[M]") != days.astype("datetime64[M]")
    if not (ends | (of_month == of_month.max())).all():
        return 0
    change = np.diff(np.unique(times.astype("datetime64[M]").astype(np.int64)))
    return int(np.gcd.reduce(change)) if len(change) else 1


def _month_step(times: np.ndarray, months: int) -> Step:
    days = times.astype("datetime64[D]")
    first = times.astype("datetime64[M]")
    ends = ((days + 1).astype("datetime64[M]") != first).all()
    unit = next(unit for unit in ("YS", "QS", "MS") if not months % _MONTHS[unit])
    day = 0 if ends else int((days - first.astype("datetime64[D]")).astype(int).max()) + 1
    phase = int(first[0].astype(np.int64) % months)
    return Step(unit, months // _MONTHS[unit], phase, day)


def _duration(microseconds: int) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if microseconds % unit == 0:
            return f"{microseconds // unit} {name}"
    return f"{microseconds / _SECOND:g} s"


def parse_numbers(numbers: np.ndarray, *, is_week: bool = False) -> np.ndarray | None:
    """Reads numbers as times, `datetime64[us] [N]`, or int64 where they count steps.

    19580329, 195803 and 195803291200 are dates, 1958 is a year, 1958.25 the fourth month of one,
    and large numbers are seconds, milliseconds or microseconds since 1970. With `is_week` 195803 is
    the third week.

    Returns None if all look like dates and some are not in the calendar, or if they are fractions
    of another kind.
    """
    if (numbers % 1).any():
        return _parse_fractions(numbers)
    whole = numbers.astype(np.int64)
    if ((whole >= 1500) & (whole <= 2200)).all():
        return (whole - 1970).astype("datetime64[Y]").astype("datetime64[us]")
    if is_week and look_like_dates([whole // 100]) and (whole % 100 <= _WEEKS).all():
        return _weeks((whole // 100).tolist(), (whole % 100).tolist())
    for digits in (8, 6, 10, 12, 14):
        parts = [whole // 10 ** (digits - 4)]
        parts += [whole // 10 ** (digits - end) % 100 for end in range(6, digits + 1, 2)]
        if look_like_dates(parts, 1000 if digits == 8 else _BOUNDS[0][0],
                           2999 if digits == 8 else _BOUNDS[0][1]):
            return of_parts(parts)
    for scale in (1, 1000, _SECOND):
        if ((whole >= 10**9 * scale) & (whole < 4 * 10**9 * scale)).all():
            return (whole * (_SECOND // scale)).astype("datetime64[us]")
    return whole


def look_like_dates(
    parts: Sequence[np.ndarray], first_year: int = _BOUNDS[0][0], last_year: int = _BOUNDS[0][1],
) -> bool:
    """Returns whether whole numbers, year, month and so on, each `[N]`, have the size of such."""
    bounds = ((first_year, last_year), *_BOUNDS[1:])
    return all(((part >= low) & (part <= high)).all() for part, (low, high) in zip(parts, bounds))


def of_parts(parts: Sequence[np.ndarray]) -> np.ndarray | None:
    """Returns times, `datetime64[us] [N]`, by year, month and what follows, each `[N]`.

    Returns None if some are not in the calendar.
    """
    year, month, day, *clock = [*parts, *[np.ones_like(parts[0])] * (3 - len(parts))]
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates = first.astype("datetime64[D]") + (day - 1)
    if not (dates.astype("datetime64[M]") == first).all():
        return None
    return dates.astype("datetime64[us]") + sum(
        part * size for part, size in zip(clock, (_HOUR, _MINUTE, _SECOND)))


def _parse_fractions(numbers: np.ndarray) -> np.ndarray | None:
    if ((numbers >= 10**9) & (numbers < 4 * 10**9)).all():
        return np.round(numbers * _SECOND).astype(np.int64).view("datetime64[us]")
    months = np.round((numbers - 1970) * 12)
    if ((numbers >= 1700) & (numbers < 2100)).all() and (
            abs((numbers - 1970) * 12 - months) < _NEAR_MONTH).all():
        return months.astype(np.int64).astype("datetime64[M]").astype("datetime64[us]")
    return None


def parse_text(
    values: pa.ChunkedArray, where: str, first_row: int, by_clock: bool = False
) -> np.ndarray | None:
    """Reads texts without nulls as times, `datetime64[us] [N]`; times with an offset become UTC.

    Returns None if the texts are not of one known format. Messages name the column by `where`, and
    count rows from `first_row`. With `by_clock` times are what a clock shows, without the offset.

    Raises:
      UsageError: some have a zone and others none, or day and month cannot be told apart.
    """
    values = pc.utf8_trim_whitespace(values)
    for pattern, plainer in _PLAINER:
        if any(re.search(pattern, text) for text in values[:_FEW].to_pylist()):
            values = pc.replace_substring_regex(values, pattern, plainer)
    first = values[0].as_py()
    zoned = pc.match_substring_regex(values, _ZONED)
    number = pc.sum(zoned).as_py() or 0
    if 0 < number < len(values):
        row = pc.index(zoned, not zoned[0].as_py()).as_py()
        raise UsageError(
            f"{where}: expected all times with a zone or none, got {first!r} and, in row "
            f"{first_row + row}, {values[row].as_py()!r}. Write all of them in one way.")
    if number and by_clock:
        return parse_text(
            pc.replace_substring_regex(values, _ZONED, r"\1"), where, first_row)
    if number or re.match(r"\d{4}-\d\d-\d\d", first):
        try:
            kind = pa.timestamp("us", "UTC") if number else pa.timestamp("us")
            return _as_numpy(pc.cast(values, kind))
        except pa.ArrowInvalid:
            if number:
                return None
    if _PERIODS.fullmatch(first):
        return _periods(values)
    if _NUMERIC_DATE.match(first):
        return _numeric_dates(values, where)
    fiscal = [_FISCAL.fullmatch(text) for text in values[:_FEW].to_pylist()]
    if all(match and int(match[3]) == (int(match[2]) + 1) % 100 for match in fiscal):
        return None  # 1999/00 is no month
    for date, clock in itertools.product(_FORMATS, _CLOCKS):
        if _strptime(values[:1], date + clock).null_count:
            continue  # a fraction of the time that all values take
        parsed = _strptime(values, date + clock)
        if not parsed.null_count and _exist(values, parsed, date):
            return _of_this_century(_as_numpy(parsed)) if "%y" in date else _as_numpy(parsed)
    return None


def _of_this_century(times: np.ndarray) -> np.ndarray:
    """Returns the times of years of two digits, which `strptime` puts between 1969 and 2068."""
    months = times.astype("datetime64[M]")
    late = months >= np.datetime64(str(_LAST_SHORT_YEAR + 1), "M")
    earlier = (months - 1200).astype("datetime64[us]") + (times - months)
    return np.where(late, earlier, times)


def _strptime(values: pa.ChunkedArray, form: str) -> pa.ChunkedArray:
    """Returns the times of texts, null where they are not written so, or in the year 24, say."""
    parsed = pc.strptime(values, format=form, unit="us", error_is_null=True)
    return pc.if_else(pc.less(pc.year(parsed), _FIRST_YEAR), None, parsed)


def are_alike(text: str, other: str) -> bool:
    """Returns whether two texts are times of one format."""
    try:
        return parse_text(pa.chunked_array([[text, other]]), "", 0) is not None
    except UsageError:  # of one format, and two dates alone cannot tell day and month apart
        return True


def is_name_of_time(text: str) -> bool:
    """Returns whether the name of a column is a year from 1900 to 2199, a month or a date."""
    if re.fullmatch(r"\d+", text):
        numbers = np.array([float(text)])
        return len(text) in (4, 6, 8) and float(text[:4]) >= _BOUNDS[0][0] and (
            (times := parse_numbers(numbers)) is not None and times.dtype.kind == "M")
    return are_alike(text, text)


def _exist(values: pa.ChunkedArray, parsed: pa.ChunkedArray, date: str) -> bool:
    """Returns whether all dates are in the calendar: `strptime` reads February 30 as March 2."""
    is_early = pc.less_equal(pc.day(parsed), 3)
    texts = pc.filter(values, is_early).to_pylist()
    dates = pc.strftime(pc.filter(parsed, is_early), format=date).to_pylist()
    return all(_NUMBERS.findall(text)[:len(numbers)] == numbers for text, numbers in zip(
        texts, map(_NUMBERS.findall, dates)))


def _periods(values: pa.ChunkedArray) -> np.ndarray | None:
    """Reads quarters, such as 2020Q3 and Q3 2020, and ISO weeks, such as 2020-W40."""
    matches = [match for match in map(_PERIODS.fullmatch, values.to_pylist()) if match]
    years = [int(match["year"] or match["year_last"]) for match in matches]
    if len(matches) < len(values) or len({bool(match["week"]) for match in matches}) > 1:
        return None
    if matches[0]["week"]:
        return _weeks(years, [int(match["week"]) for match in matches])
    quarters = [int(match["quarter"] or match["quarter_first"]) for match in matches]
    return np.array([datetime.date(year, 3 * quarter - 2, 1)
                     for year, quarter in zip(years, quarters)], "datetime64[us]")


def _weeks(years: Sequence[int], weeks: Sequence[int]) -> np.ndarray | None:
    """Returns the Mondays of ISO weeks; None if a year has no such week."""
    try:
        return np.array([datetime.date.fromisocalendar(year, week, 1)
                         for year, week in zip(years, weeks)], "datetime64[us]")
    except ValueError:
        return None


def _numeric_dates(values: pa.ChunkedArray, where: str) -> np.ndarray | None:
    """Reads 31/12/2020, 12/31/2020, 31.12.20 and 20-12-31, if the numbers tell the order."""
    first = values[0].as_py()
    _, separator, _, year = _NUMERIC_DATE.match(first).groups()  # type: ignore[union-attr]
    year = "%Y" if len(year) == 4 else "%y"
    orders = {"day first": ("%d", "%m", year), "month first": ("%m", "%d", year)}
    if (separator, year) == ("-", "%y"):  # as in ISO 8601 of 1988
        orders["year first"] = ("%y", "%m", "%d")
    starts = {}
    for order, parts in orders.items():
        date = separator.join(parts)
        for clock in _CLOCKS:
            parsed = _strptime(values, date + clock)
            if not parsed.null_count and _exist(values, parsed, date):
                times = _as_numpy(parsed)
                starts[order] = times if year == "%Y" else _of_this_century(times)
    read = list(starts.values())
    if not all(np.array_equal(read[0], times) for times in read[1:]):
        raise UsageError(
            f"{where}: expected dates whose day and month can be told apart, got {first!r}, which "
            f"may be {' or '.join(starts)}, as in all rows. Write them as 2020-12-31.")
    return read[0] if read else None


def is_like_date(text: str) -> bool:
    """Returns whether a text means to be a date of numbers, which need not be in the calendar."""
    return _LIKE_DATE.match(text) is not None


def is_zoned(text: str) -> bool:
    """Returns whether a time as text has an offset from UTC."""
    return re.search(_ZONED, text.strip()) is not None


def is_one_time_of_day(times: np.ndarray) -> bool:
    """Returns whether times `[N]`, a `datetime64`, are all at the same time of the day."""
    of_day = times.astype(np.int64) % _DAY
    return bool((of_day == of_day[:1]).all())


def since_epoch(numbers: np.ndarray, times: np.ndarray) -> bool:
    """Returns whether numbers `[N]` that were read as times `[N]` count from 1970 on."""
    return any(np.array_equal(np.round(numbers * scale), times.astype(np.int64))
               for scale in (1.0, 1e3, 1e6))


def to_clock(times: np.ndarray, zone: str) -> np.ndarray:
    """Returns what a clock in a zone, an IANA name or an offset, shows at times in UTC, `[N]`.

    Raises:
      UsageError: the zone is unknown.
    """
    zoned = pc.cast(pa.array(times.astype(np.int64)), pa.timestamp("us", zone))
    try:
        local = pc.local_timestamp(zoned)
    except pa.ArrowInvalid:
        raise _unknown_zone(zone) from None
    return pc.cast(local, pa.int64()).to_numpy().view("datetime64[us]")


def _unknown_zone(zone: str) -> UsageError:
    return UsageError(f"--zone: expected a time zone such as Europe/Berlin or America/New_York, "
                      f"got {short_repr(zone)}.")


def local_to_utc(
    times: np.ndarray, series: np.ndarray, zone: str, where: str, first_row: int
) -> np.ndarray:
    """Returns local times `[N]` of a zone, an IANA name, as UTC, `datetime64[us] [N]`.

    Where a zone's clock is set back, an hour of local times occurs twice. Of two equal times of one
    series, as `series` `[N]` names them, the first row is the earlier one, or the later one in a
    series whose rows run from new to old. Messages name the column by `where`, and count rows from
    `first_row`.

    Raises:
      UsageError: the zone is unknown, or a time is in an hour that is skipped.
    """
    local = pa.array(times.astype("datetime64[us]"))

    def utc(ambiguous: str, nonexistent: str) -> np.ndarray:
        zoned = pc.assume_timezone(local, zone, ambiguous=ambiguous, nonexistent=nonexistent)
        return pc.cast(zoned, pa.int64()).to_numpy().view("datetime64[us]")

    try:
        early, late = utc("earliest", "earliest"), utc("latest", "earliest")
        skipped = np.flatnonzero(early != utc("earliest", "latest"))
    except pa.ArrowInvalid:
        raise _unknown_zone(zone) from None
    if len(skipped):
        raise UsageError(
            f"{where}: expected local times of {zone}, got {as_text(times[skipped[0]])} in row "
            f"{first_row + int(skipped[0])}, which daylight saving time skips. Is the zone another "
            "one, or are the times in UTC?")
    twice = np.flatnonzero(early != late)
    if not len(twice):
        return early
    falls = _fall(times, series)[twice]
    occurred: set[tuple[str, np.datetime64]] = set()
    result = early.copy()
    for row in [*twice[~falls].tolist(), *twice[falls][::-1].tolist()]:
        key = str(series[row]), times[row]
        if key in occurred:
            result[row] = late[row]
        occurred.add(key)
    return result


def _fall(times: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Returns whether most times of each row's series are before those of the row above."""
    _, codes = np.unique(series, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    codes_in_order = codes[order]
    signs = np.sign(np.diff(times[order]).astype(np.int64)) * (np.diff(codes_in_order) == 0)
    return (np.bincount(codes_in_order[1:], signs, codes.max() + 1) < 0)[codes]


def hint_of_repeated(
    times: np.ndarray, otherwise: str = "If several series share the file, give --series COLUMN; "
    "otherwise remove or average the rows",
) -> str:
    """Returns what to do about times `[N]` that repeat, `otherwise` where no clock repeats them."""
    if _is_clock_change(times):
        return ("Does daylight saving time end there? Give the zone of local times, such as --zone "
                "Europe/Berlin, or write times with their offset")
    return otherwise


def _is_clock_change(times: np.ndarray) -> bool:
    """Returns whether repeated times `[N]` of one series look like an hour that a clock repeats."""
    if times.dtype.kind != "M":
        return False
    values, counts = np.unique(times, return_counts=True)
    if len(np.unique(values.astype("datetime64[us]").astype(np.int64) % _DAY)) < 2:
        return False  # times of day that are all the same, as of dates, repeat no hour
    repeated = values[counts > 1].astype("datetime64[us]")
    days = np.unique(repeated.astype("datetime64[D]"))
    years = 1 + np.ptp(values).astype("timedelta64[D]").astype(int) // 300
    hours = repeated.astype(np.int64) // _HOUR % 24
    return bool(len(days)) and counts.max() == 2 and len(days) <= years and all(
        len(np.unique(hours[repeated.astype("datetime64[D]") == day])) == 1 for day in days)


def _as_numpy(values: pa.ChunkedArray) -> np.ndarray:
    numbers = pc.cast(values, pa.int64()).to_numpy()
    return numbers.astype(np.int64).view("datetime64[us]") if len(numbers) else np.array(
        [], "datetime64[us]")
