# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tables as they are read: CSV (also compressed by gzip), Parquet, NPZ and sound, never unpickled.

Columns of a CSV file stay text until their role is known, so that an error can name the file, the
row, the column and the value.
"""
from __future__ import annotations

import csv
import dataclasses
import functools
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import soundfile

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr, suggestion
from vaeseq.runs.progress import Progress

from . import csv_tables
from . import times as times_lib

_LARGEST_WHOLE = 1 << 53  # float64 holds every whole number up to it
MOST_AT_ONCE = 1 << 26  # bytes of a file that is not read in parts
PART_BYTES = 1 << 24
PART_ROWS = 1 << 20
_PARQUET, _PARQUET_MAGIC = (".parquet", ".pq"), b"PAR1"
_MEGABYTE = 1_000_000
# Columns of these names hold moments, not parts of them.
MOMENT_NAMES = {"time", "date", "datetime", "timestamp", "ds", "ts", "time_hour"}
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
           "october", "november", "december")
_SOUNDS = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3")
_SOUND_BLOCK = 1 << 16  # samples that are read at once
FRAME = 80  # samples of a row of sound: 10 ms at 8 kHz
_TRUE = pa.array(["true"])
_BLOCK = 1000  # rows that are searched at once
_MOSTLY = 0.9  # share of numbers in a column of numbers with unreadable values in it


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of one file."""

    name: str  # of the file, for messages
    table: pa.Table  # the columns; those of a CSV file are text
    first_row: int = 0  # the number of the first row in messages
    sample_rate: int = 0  # of sound, samples per second; 0 for tables
    # Yields the rows after these, of a file that is read in parts
    following: Callable[[], Iterator[Columns]] | None = None

    def parts(self) -> Iterator[Columns]:
        """Yields all rows in parts that memory holds; most files are one part."""
        yield self
        if self.following is not None:
            yield from self.following()

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the file's order."""
        return self.table.column_names

    def __len__(self) -> int:
        return self.table.num_rows

    def require(self, name: str, option: str) -> None:
        """Raises UsageError where there is no column `name`, which `option` gave."""
        if name not in self.names:
            raise UsageError(
                f"{option}: expected a column of {self.name!r}, got {short_repr(name)}."
                f"{suggestion(name, self.names)} Its columns: "
                f"{', '.join(map(str, self.names[:30]))}.")

    def where(self, name: str, row: int | None = None) -> str:
        """Returns the place of a value for messages."""
        place = "" if row is None else f"row {row + self.first_row}, "
        return f"{self.name!r}, {place}column {name!r}"

    def holds_text(self, name: str) -> bool:
        """Whether a column is stored as text, as all columns of a CSV file are."""
        return _holds_text(self.table[name])

    def is_text(self, name: str) -> bool:
        """Whether a column holds texts that are not numbers."""
        column = self.table[name]
        if not _holds_text(column):
            return False
        values = pc.drop_null(column)
        if not len(values):
            return False
        sample = values.slice(0, 1000).to_pylist()
        return sum(map(csv_tables.is_number, sample)) < _MOSTLY * len(sample)

    def is_boolean(self, name: str) -> bool:
        """Whether a column holds true and false as texts, which are 1 and 0 as numbers."""
        column = self.table[name]
        if not _holds_text(column) or column.null_count == len(column):
            return False
        present = pc.drop_null(column)
        return all(
            pc.all(pc.match_substring_regex(part, csv_tables.BOOLEAN)).as_py()
            for part in (present.slice(0, 1), present))

    def is_time(self, name: str) -> bool:
        """Whether a column holds times, as Parquet stores them."""
        return _is_time(self.table[name])

    def other_kind(self, name: str) -> str:
        """Returns the type of a column that holds neither numbers, texts nor times, else ""."""
        kind = self.table[name].type
        is_number = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or (
            pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))
        return "" if is_number or _holds_text(self.table[name]) or self.is_time(name) else str(kind)

    def no_number(self, name: str) -> tuple[int, str]:
        """Returns the row, from 0, and the text of the first value of a column that is no number.

        Raises:
          StopIteration: there is none.
        """
        column = self.table[name]
        return next((start + row, text) for start in range(0, len(column), _BLOCK)
                    for row, text in enumerate(column.slice(start, _BLOCK).to_pylist())
                    if text is not None and not csv_tables.is_number(text))

    def is_empty(self, name: str) -> bool:
        """Whether a column has no value at all."""
        column = self.table[name]
        if _holds_text(column):
            return column.null_count == len(column)
        return not np.isfinite(self.numbers(name)).any() if not _is_time(column) else False

    def texts(self, name: str) -> np.ndarray:
        """Returns a column as texts, "" for missing ones, an array of objects `[N]`.

        They are without spaces around them, which a table does not show.

        Raises:
          UsageError: values are neither numbers, texts nor times.
        """
        return np.asarray(self._trimmed(name).to_pylist(), object)

    def categories(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Returns a column as numbers of texts (`texts`), int32 `[N]`, and these texts."""
        encoded = self._trimmed(name).combine_chunks().dictionary_encode()
        return encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist()

    def _trimmed(self, name: str) -> pa.ChunkedArray:
        column = self.table[name]
        if not _holds_text(column):
            if self.other_kind(name):
                raise UsageError(f"{self.where(name)}: expected texts or numbers, got values of "
                                 f"type {self.other_kind(name)}. Choose another column.")
            column = pc.cast(column, pa.string())
        return pc.utf8_trim_whitespace(pc.fill_null(column, ""))

    def numbers(self, name: str) -> np.ndarray:
        """Returns a column as numbers, float64 `[N]`, NaN for missing ones.

        Raises:
          UsageError: a value is no number, is infinite, or is a whole number that float64 rounds.
        """
        column = self.table[name]
        kind = "times" if _is_time(column) else self.other_kind(name)
        if kind:
            raise UsageError(f"{self.where(name)}: expected numbers, got {kind}. Choose another "
                             "column.")
        if self.is_boolean(name):
            numbers = pc.cast(pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), _TRUE),
                              pa.float64())
            numbers = pc.if_else(pc.is_valid(column), numbers, None)
        elif _holds_text(column):
            try:
                numbers = pc.cast(pc.utf8_trim_whitespace(column), pa.float64())
            except pa.ArrowInvalid:
                row, text = self.no_number(name)
                hint = " Is the comma a decimal one? Write 1234.5." if "," in text else ""
                raise UsageError(f"{self.where(name, row)}: expected a number, got "
                                 f"{short_repr(text)}.{hint}") from None
        else:
            numbers = pc.cast(column, pa.float64(), safe=False)
        array = pc.fill_null(numbers, np.nan).to_numpy().astype(np.float64)
        if np.isinf(array).any():
            row = int(np.flatnonzero(np.isinf(array))[0])
            raise UsageError(f"{self.where(name, row)}: expected a finite number, got "
                             f"{array[row]}. Leave missing values empty.")
        large = np.abs(np.nan_to_num(array)) > _LARGEST_WHOLE
        if large.any():
            row = int(np.flatnonzero(large)[0])
            raise UsageError(
                f"{self.where(name, row)}: expected numbers up to 2^53, above which whole numbers "
                f"are rounded, got {array[row]:g}. Divide the column by a power of ten.")
        return array

    def times(
        self, name: str, zone: str = "", series: str = "", *, by_clock: bool = False,
        of_numbers: bool = False,
    ) -> np.ndarray | None:
        """Returns a column as times (`data.times`); None where it cannot be read as times.

        Args:
          name: of the column.
          zone: an IANA name, of times without an offset, which become UTC; "" if they are left as
            they are. Of two equal times of a series, where daylight saving time ends, the first
            row is the earlier one, and in a series from new to old the later one.
          series: the column that tells series apart; "" for a single series.
          by_clock: whether times remain, or become, what a clock shows in `zone`, or where it is
            "", in the offset of each of them. Otherwise those with an offset become UTC.
          of_numbers: whether whole numbers are times as they are, not years or dates.

        Raises:
          UsageError: a time is missing, zones are mixed, day and month cannot be told apart, or a
            local time does not exist.
        """
        times = self._times(name, of_numbers=of_numbers)
        if times is None or times.dtype.kind != "M":
            return times
        if not self.are_moments(name):
            if not zone or by_clock:
                return times
            names = self.texts(series).astype(str) if series else np.zeros(len(times), "U1")
            return times_lib.local_to_utc(times, names, zone, self.where(name), self.first_row)
        if not by_clock:
            return times
        column = self.table[name]
        if zone or _is_time(column):
            return times_lib.to_clock(times, zone or column.type.tz)
        return self._times(name, by_clock=True)

    def _times(
        self, name: str, *, by_clock: bool = False, of_numbers: bool = False
    ) -> np.ndarray | None:
        if name not in self.names:
            raise UsageError(f"{self.name!r}, after row {self.first_row}: expected a date by the "
                             "columns year, month and so on in every row, got none.")
        if self.other_kind(name):
            return None
        column = self.table[name]
        if _is_time(column):
            try:
                values = pc.cast(column, pa.timestamp("us", getattr(column.type, "tz", None)))
            except pa.ArrowInvalid:
                raise UsageError(f"{self.where(name)}: expected dates before the year 294,247, got "
                                 "a later one.") from None
            array = pc.cast(values, pa.int64()).to_numpy()
            self._check_no_missing_time(name, column)
            return array.astype(np.int64).view("datetime64[us]")
        if not self.is_text(name):
            if column.null_count == len(column):
                return None
            moments = _nanoseconds(column)
            if moments is not None:
                return moments
            numbers = self.numbers(name)
            if np.isnan(numbers).any():
                self._check_no_missing_time(name, column)
                return None
            if of_numbers and not (numbers % 1).any():
                return numbers.astype(np.int64)
            parsed = times_lib.parse_numbers(numbers, is_week="week" in name.lower())
            if parsed is None and not (numbers % 1).any():
                raise self.unreadable_time(name)
            return parsed
        present = pc.drop_null(column)
        parsed = times_lib.parse_text(present, self.where(name), self.first_row, by_clock)
        if parsed is not None:
            self._check_no_missing_time(name, column)
        return parsed

    def are_moments(self, name: str) -> bool:
        """Returns whether the times of a column have an offset, or count from a moment in UTC."""
        column = self.table[name]
        if _is_time(column):
            return getattr(column.type, "tz", None) is not None
        if self.is_text(name):
            return times_lib.is_zoned(pc.drop_null(column)[0].as_py())
        times = self._times(name)
        return times is not None and times.dtype.kind == "M" and (
            _nanoseconds(column) is not None or times_lib.since_epoch(self.numbers(name), times))

    def are_dates(self, name: str, zone: str = "") -> bool:
        """Returns whether a clock, of `zone` if there is one, shows one time of day in all rows."""
        times = self.times(name, zone, by_clock=True)
        return times is not None and times.dtype.kind == "M" and times_lib.is_one_time_of_day(times)

    def begins_with_time(self, name: str) -> bool:
        """Returns whether the first value of a column of text is a time."""
        first = pc.drop_null(self.table[name])[:1].to_pylist() if self.is_text(name) else []
        return bool(first) and times_lib.are_alike(first[0], first[0])

    def is_mostly_dates(self, name: str) -> bool:
        """Returns whether most of the first values of a column of text mean to be dates."""
        if not self.is_text(name):
            return False
        sample = pc.drop_null(self.table[name])[:_BLOCK].to_pylist()
        return sum(map(times_lib.is_like_date, sample)) > len(sample) / 2

    def unreadable_time(self, name: str) -> UsageError:
        """Returns the error for a time column that cannot be read."""
        values = pc.drop_null(self.table[name])
        first = values[0].as_py() if len(values) else None
        row = 0
        if first is not None and _holds_text(self.table[name]):
            row, first = next(
                ((row, text) for row, text in enumerate(self.table[name].to_pylist())
                 if text is not None and not times_lib.are_alike(first, text)), (0, first))
        return UsageError(
            f"{self.where(name, row)}: expected times of one format, such as 2020-12-31, "
            f"2020-12-31T23:59:00Z, 2020-12 or 20201231, got {short_repr(first)}. --freq none "
            "numbers the rows instead.")

    def _check_no_missing_time(self, name: str, column: pa.ChunkedArray) -> None:
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise UsageError(f"{self.where(name, row)}: expected a time in every row, got none.")


def read(path: Path, frame: int = FRAME) -> Columns:
    """Reads a table as CSV, Parquet or NPZ, or sound; "FILE.npz:NAME" takes the arrays NAME and
    NAME_lengths.

    Of sound, `frame` samples make a row; those after the last whole row are left out.

    Raises:
      UsageError: it is none of these, is damaged or empty.
      OSError: it cannot be read.
    """
    name = str(path)
    archive, colon, split = name.partition(".npz:")
    if colon or name.lower().endswith(".npz"):
        return _read_npz(Path(f"{archive}.npz") if colon else path, split)
    if name.lower().endswith(_SOUNDS):
        return _read_sound(path, frame)
    parts = functools.partial(_parts, path)
    first = next(parts(), None)
    if first is None:
        raise UsageError(f"{name!r}: expected a table with at least one row, got none.")
    return _checked(dataclasses.replace(
        first, following=lambda: itertools.islice(parts(), 1, None)) if _is_large(path) else first)


def _is_parquet(path: Path) -> bool:
    with open(path, "rb") as file:
        return path.suffix.lower() in _PARQUET or file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _is_large(path: Path) -> bool:
    is_packed = _is_parquet(path) or csv_tables.is_compressed(path)
    compression = 8 if is_packed else 1
    return path.stat().st_size * compression > MOST_AT_ONCE


def _parts(path: Path) -> Iterator[Columns]:
    """Yields the rows of a CSV or Parquet file; large ones in several parts, with progress."""
    name, is_parquet = str(path), _is_parquet(path)
    try:
        if _is_large(path):
            with Progress("read", total=path.stat().st_size // _MEGABYTE, counted="MB", unit="row",
                          is_brief=True) as progress:
                read = _parquet_parts(path) if is_parquet else csv_tables.read_parts(
                    path, PART_BYTES)
                done = 0
                for table, row, position in read:
                    yield Columns(name, _with_plain_types(table), row)
                    progress.advance(position // _MEGABYTE - done, len(table))
                    done = position // _MEGABYTE
        elif is_parquet:
            yield Columns(name, _with_plain_types(pa.parquet.read_table(path)))
        else:
            table, row = csv_tables.read(path)
            yield Columns(name, _with_plain_types(table), row)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, csv.Error, EOFError,
            zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's; a damaged file has no number
        line = str(error).splitlines()[0]
        if "Could not skip initial" in line:  # there is nothing after the names
            raise _empty(name) from None
        if "straddling" in line or " columns, got " in line:  # a value longer than a part, or a row
            csv_tables.check_quotes(path)
        what = csv_tables.uneven_row(path) if " columns, got " in line else (
            csv_tables.what_it_is(path) if "utf" in line.lower() else "")
        what = what or f"{short_repr(line, 200)}."
        raise UsageError(f"{name!r}: expected a table as CSV in UTF-8 (also .gz), Parquet or NPZ. "
                         f"{what}") from None


def _parquet_parts(path: Path) -> Iterator[tuple[pa.Table, int, int]]:
    """Yields parts of a table, the number of the first row, and how many bytes come to here."""
    with pa.parquet.ParquetFile(path) as file:
        row = 0
        for batch in file.iter_batches(PART_ROWS):
            table, first = pa.Table.from_batches([batch]), row
            row += len(table)
            yield table, first, path.stat().st_size * row // file.metadata.num_rows


def of_mapping(columns: Mapping[str, Any], name: str = "the table") -> Columns:
    """Returns the columns of a mapping from names to arrays, such as a pandas DataFrame."""
    arrays = {}
    for column in columns:
        array = np.asarray(columns[column])
        if array.dtype.kind == "M":
            array = array.astype("datetime64[us]")
        arrays[str(column)] = pa.chunked_array([pa.array(array, from_pandas=True)])
    return _checked(Columns(name, _with_plain_types(pa.table(arrays))))


def _with_plain_types(table: pa.Table) -> pa.Table:
    """Decodes dictionaries and views, truncates nanoseconds, and adds a "date" (`_with_dates`)."""
    for place, field in enumerate(table.schema):
        kind, column = field.type, table.column(place)
        if pa.types.is_dictionary(kind):
            column = pc.cast(column, kind.value_type)
        elif pa.types.is_string_view(kind):
            column = pc.cast(column, pa.string())
        elif pa.types.is_timestamp(kind) and kind.unit == "ns":
            column = pc.cast(column, pa.timestamp("us", kind.tz), safe=False)
        else:
            continue
        table = table.set_column(place, field.name, column)
    return _with_dates(table)


def _with_dates(table: pa.Table) -> pa.Table:
    """Adds a column "date" made of year, month, day, hour and minute to a table without times.

    Months are numbers or English names, such as Jan and January.
    """
    columns = Columns("", table)
    names = {str(name).lower(): name for name in reversed(table.column_names)}
    if not names.keys() >= {"year", "month"} or names.keys() & MOMENT_NAMES or any(
            columns.is_time(name) or columns.begins_with_time(name)
            for name in columns.names):
        return table
    present = itertools.takewhile(names.__contains__, ("year", "month", "day", "hour", "minute"))
    try:
        arrays = [
            _months(table[names[part]]) if part == "month" and columns.is_text(names[part])
            else pc.cast(pc.cast(table[names[part]], pa.float64()), pa.int64()) for part in present]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return table
    if not len(table) or any(array.null_count for array in arrays):
        return table
    parts = [array.to_numpy() for array in arrays]
    dates = times_lib.of_parts(parts) if times_lib.look_like_dates(parts) else None
    return table if dates is None else table.append_column("date", pa.chunked_array([dates]))


def _months(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the numbers of months by their names, null for other texts."""
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    full, short = (pc.index_in(lower, pa.array(names)) for names in (
        _MONTHS, [name[:3] for name in _MONTHS]))
    return pc.cast(pc.add(pc.coalesce(full, short), 1), pa.int64())


def _read_npz(path: Path, split: str) -> Columns:
    name = f"{path}:{split}" if split else str(path)
    key = split or "values"
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
            if key not in keys:
                raise UsageError(
                    f"{name!r}: expected an array {key!r}, found {', '.join(keys[:20])}. "
                    "FILE.npz:NAME takes another one.")
            values = archive[key]
            lengths_key = f"{split}_lengths" if split else "lengths"
            lengths = archive[lengths_key] if lengths_key in keys else None
    except Exception as error:  # NumPy and the decompressors raise many types
        if isinstance(error, UsageError) or (isinstance(error, OSError) and error.errno):
            raise
        reason = str(error) or type(error).__name__
        raise UsageError(f"{name!r}: expected an NPZ archive of arrays that memory holds, without "
                         f"pickled objects; {reason.splitlines()[0]}") from None
    for member, array in ((key, values), (lengths_key, lengths)):
        if isinstance(array, bytes):  # what NumPy returns of a member that is no array
            raise UsageError(f"{name!r}: expected an array {member!r}, got another kind of file.")
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2, 3) or not values.size:
        raise UsageError(f"{name!r}: expected numbers [series, time, dimensions] in {key!r}, got "
                         f"{values.dtype} {list(values.shape)}.")
    if lengths is not None and (lengths.dtype.kind not in "fiu" or (lengths % 1).any()):
        raise UsageError(f"{name!r}: expected whole numbers in {lengths_key!r}, got "
                         f"{lengths.dtype} {list(lengths.shape)}.")
    if values.dtype.kind == "f":  # also those of another byte order, and of more bits
        values = values.astype(np.float64)
    return _checked(Columns(name, _long(name, values, lengths)))


def _read_sound(path: Path, frame: int) -> Columns:
    """Reads sound as rows of samples, about in [-1, 1], of the mean of its channels."""
    name = str(path)
    try:
        with open(path, "rb") as raw, soundfile.SoundFile(raw) as file:
            blocks = [block.mean(1) for block in file.blocks(_SOUND_BLOCK, always_2d=True)]
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise UsageError(
            f"{name!r}: expected sound as WAV, FLAC, AIFF, Ogg or MP3; "
            f"{error.error_string} Save it as WAV, for example.") from None
    mono = np.concatenate([*blocks, np.empty(0)])
    rows = len(mono) // frame
    if not rows:
        raise UsageError(f"{name!r}: expected sound of at least {frame} samples, one row, got "
                         f"{len(mono)}.")
    table = _long(name, mono[:rows * frame].reshape(rows, frame), None)
    return Columns(name, table, sample_rate=rate)


def _long(name: str, values: np.ndarray, lengths: np.ndarray | None) -> pa.Table:
    """Returns arrays `[S, T, D]`, `[T, D]` or `[T]`, or concatenated series, as a long table."""
    if values.ndim == 3:
        sizes = np.full(len(values), values.shape[1]) if lengths is None else lengths.reshape(-1)
        if len(sizes) != len(values) or not _are_within(sizes, values.shape[1]):
            raise UsageError(f"{name!r}: expected a length of 0 to {values.shape[1]} for each of "
                             f"{len(values)} series, got {len(sizes)} lengths.")
        values = np.concatenate([row[:size] for row, size in zip(values, sizes)])
    else:
        values = values.reshape(len(values), -1)
        sizes = np.array([len(values)]) if lengths is None else lengths.reshape(-1)
        if not _are_within(sizes, len(values)) or sizes.sum() != len(values):
            raise UsageError(f"{name!r}: expected lengths, none below 0, that add up to "
                             f"{len(values)} rows, got {short_repr(sizes.tolist(), 60)}.")
    sizes = sizes.astype(np.int64)
    columns: dict[str, np.ndarray] = {}
    if len(sizes) > 1:
        columns["series"] = np.repeat([f"{i:07d}" for i in range(len(sizes))], sizes)
    columns["time"] = np.concatenate([np.arange(size) for size in sizes])
    for d in range(values.shape[1]):
        columns[f"value{d}" if values.shape[1] > 1 else "value"] = values[:, d]
    return pa.table({key: pa.chunked_array([pa.array(array, from_pandas=True)])
                     for key, array in columns.items()})


def _nanoseconds(column: pa.ChunkedArray) -> np.ndarray | None:
    """Returns nanoseconds since 1970 as `datetime64[us] [N]`; None for other numbers."""
    try:
        whole = pc.cast(
            pc.utf8_trim_whitespace(column) if _holds_text(column) else column, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    ends = pc.min_max(whole).as_py()
    if whole.null_count or not len(whole) or not 10**18 <= ends["min"] <= ends["max"] < 4 * 10**18:
        return None
    return (whole.to_numpy() // 1000).view("datetime64[us]")


def _are_within(sizes: np.ndarray, most: int) -> bool:
    return bool((sizes >= 0).all() and (sizes <= most).all())


def _checked(columns: Columns) -> Columns:
    if not len(columns):
        raise _empty(columns.name)
    return columns


def _empty(name: str) -> UsageError:
    return UsageError(f"{name!r}: expected a table with at least one row, got none.")


def _holds_text(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_time(column: pa.ChunkedArray) -> bool:
    return pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)
