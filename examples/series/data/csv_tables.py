# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""CSV files as the world writes them, read as columns of text.

The delimiter is found (`,` `;` `|` or a tab) or named by a first line `sep=;`, and lines before the
names that are empty or begin with # are skipped. A byte order mark tells UTF-16 and UTF-32; other
files are UTF-8. Numbers are rewritten without a unit (% or a currency), separators of thousands and
decimal commas, where the values of the column or of another column leave no doubt. `NA` and the
like are missing values, but not in columns of words, where it may be the code of Namibia. A column
of dates and one of clock times or hours are joined. Rows at the end without any value are left out.
"""
from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from vaeseq.cli import encodings
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import counted
from vaeseq.fields import short_repr

_MISSING = ["NA", "N/A", "n/a", "na", "n.a.", "N.A.", "#N/A", "#NA", "<NA>", "NaN", "nan",
            "NAN", "-nan", "NaT", "null", "NULL", "None", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?",
            "#NUM!", "#NULL!", "?", "-", "--", ".", "..", ":"]
_LONGEST_LINE = 1 << 20
_CHUNK_BYTES = 1 << 22
_SEPARATOR = r'"?[Ss][Ee][Pp]=([,;|\t])"?\s*'  # a first line for Excel, which no table shows
_DATE = r"^\s*(\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](\d{4}|\d\d)|[12]\d{7})\s*$"
_CLOCK = (r"^\s*(\d\d?:\d\d(:\d\d)?(\.\d+)?( ?[AaPp][Mm])?|([01]?\d|2[0-3])\.[0-5]\d\.[0-5]\d)\s*$")
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
BOOLEAN = r"(?i)^\s*(true|false)\s*$"
_DECIMAL_COMMAS = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?([eE][+-]?\d+)?\s*$"
_SURELY_DECIMAL = r"(\d{4}|^\s*[+-]?0|\..*),|,\d{0,2}\s*$|,\d{4}|,.*[eE]"
_THOUSANDS = r"^\s*[+-]?\d{1,3}(,\d{3})*(\.\d*)?\s*$"
_SURELY_THOUSANDS = r",\d{3}[.,]"
_WHOLE_THOUSANDS = r"^\s*[+-]?\d{1,3}(,\d{3})*\s*$"
_DOTTED_THOUSANDS = r"^\s*[+-]?\d{1,3}(\.\d{3})*\s*$"
_SPACED = r"^\s*[+-]?\d{1,3}([ \x{a0}\x{202f}'\x{2019}]\d{3})*([.,]\d+)?\s*$"
_SPACES = r"[ \x{a0}\x{202f}'\x{2019}]"
_MINUS = "\u2212"
_UNIT = r"^\s*[+-]?\s*([$\u20ac\u00a3\u00a5])|([%$\u20ac\u00a3\u00a5])\s*$"
_DOTTED_CLOCK = r"^\s*\d+\.\d+\.\d+"
_HOUR = r"^\s*([01]?\d|2[0-3])\s*$"
_CLOCK_NAMES = ("time", "hour", "clock", "zeit", "uhr", "heure", "hora", "ora")
HOUR_NAMES = ("hour", "hr", "stunde", "heure", "hora", "ora")  # of whole numbers


def read(path: Path) -> tuple[pa.Table, int]:
    """Returns the columns of a CSV file, of type string, and the number of its first row of values.

    Raises:
      UsageError: the file is empty, has no names of columns, or the same name twice.
      UnicodeDecodeError, pa.ArrowInvalid, csv.Error, EOFError: it is no CSV file, or damaged.
    """
    form = _form(path)
    with pa.input_stream(str(path), "gzip" if is_compressed(path) else None) as stream:
        table = pa.csv.read_csv(stream, form.read, form.parse, form.convert)
    _check_last_row(path, form, table)
    table = table.slice(0, _num_until_empty(table))
    return _Plain(table, form)(table), form.read.skip_rows + 1


def read_parts(path: Path, part_bytes: int) -> Iterator[tuple[pa.Table, int, int]]:
    """Yields the rows of a CSV file in parts of about `part_bytes`, as `read` returns the whole.

    With each come the number of its first row, and how many bytes of the file have been read.
    """
    form = _form(path)
    form.read.block_size = part_bytes
    row = form.read.skip_rows + 1
    plain = None
    with contextlib.ExitStack() as files:
        raw = stream = files.enter_context(pa.OSFile(str(path)))
        if is_compressed(path):
            stream = files.enter_context(pa.CompressedInputStream(raw, "gzip"))
        empty: list[pa.Table] = []  # rows that are left out unless others follow
        for batch in files.enter_context(
                pa.csv.open_csv(stream, form.read, form.parse, form.convert)):
            read, first = pa.Table.from_batches([batch]), row
            table = pa.concat_tables([*empty, read])
            size = _num_until_empty(table)
            empty = [table.slice(size)]
            if size:
                table = table.slice(0, size)
                plain = plain or _Plain(table, form)
                row += size
                yield plain(table), first, raw.tell()
        if plain:
            _check_last_row(path, form, read)


def _num_until_empty(table: pa.Table) -> int:
    """Returns the number of rows without the empty ones at the end, as spreadsheets write them."""
    if table.num_columns == 1:  # where empty lines are texts
        have_value = [pc.fill_null(pc.not_equal(table.column(0), ""), True)]
    else:
        have_value = [pc.is_valid(column) for column in table.columns]
    return max(int(np.flatnonzero(column.to_numpy())[-1]) + 1 if pc.any(column).as_py() else 0
               for column in have_value)


def is_compressed(path: Path) -> bool:
    """Returns whether the content of a file is compressed by gzip, whatever its name is."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


class _Form(NamedTuple):
    """How a file is written."""

    read: pa.csv.ReadOptions
    parse: pa.csv.ParseOptions
    convert: pa.csv.ConvertOptions


def _form(path: Path) -> _Form:
    with _opened(path) as file:
        head = file.read(encodings.SAMPLE_BYTES)
    _, marked = encodings.marked(head)
    if not marked and encodings.without_mark(head):
        raise UsageError(f"{str(path)!r}: expected a table in UTF-8. {what_it_is(path)}")
    # These two skip the mark.
    encoding = marked[:6] if marked.startswith(("utf-16", "utf-32")) else "utf-8-sig"
    with _opened(path) as content, io.TextIOWrapper(content, encoding, newline="") as file:
        lines = [file.readline(_LONGEST_LINE)]
        separator = re.fullmatch(_SEPARATOR, lines[0])
        while lines[-1] and (lines[-1].startswith("#") or not lines[-1].strip()
                             or (separator and len(lines) == 1)):
            lines.append(file.readline(_LONGEST_LINE))
        # Names in quotation marks may have several lines.
        following = io.StringIO(file.read(_LONGEST_LINE), newline="").readlines()
    if not lines[-1].strip():
        raise UsageError(f"{str(path)!r}: expected a table with a line of column names, got an "
                         "empty file.")
    table_lines = [lines[-1], *following]
    delimiter = separator[1] if separator else _delimiter(table_lines)
    names, num_lines = _cells(table_lines, delimiter)
    skip_rows = len(lines) - 1 + num_lines
    comments = [line for line in lines if line.startswith("#")]
    if all(map(_is_value, names)) and comments:  # the last comment may be the names
        skip_rows, (names, _) = len(lines) - 1, _cells([comments[-1].lstrip("# ")], delimiter)
    if all(map(_is_value, names)) and following:
        raise UsageError(f"{str(path)!r}: expected a first line of column names, got "
                         f"{short_repr(lines[-1].strip())}.")
    names = [re.sub(r"\s*[\r\n]\s*", " ", name.strip()) for name in names]
    names = [name if name or not place else f"unnamed: {place}"
             for place, name in enumerate(names)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{str(path)!r}: expected columns of different names, got {twice!r} "
                         "twice.")
    return _Form(
        pa.csv.ReadOptions(column_names=names, skip_rows=skip_rows, encoding=encoding),
        # In a single column, an empty line is a missing value.
        pa.csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=len(names) > 1,
                            newlines_in_values=_has_quotes(path)),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True,
            # In a single column, `read` first drops the empty lines at the end.
            null_values=["", " "][len(names) == 1:]))


def _delimiter(lines: list[str]) -> str:
    """Returns the delimiter of a table; prefers one that gives the first row a cell per name."""
    def key(delimiter: str) -> tuple[bool, int]:
        names, num_lines = _cells(lines, delimiter)
        values, _ = _cells(lines[num_lines:], delimiter)
        return len(names) == len(values) > 1, len(names)

    return max("\t;|,", key=key)  # commas are in names and numbers, too


def _cells(lines: list[str], delimiter: str) -> tuple[list[str], int]:
    """Returns the cells of the first row, and how many lines it has."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        return next(reader, []), reader.line_num
    except csv.Error:  # a quotation mark that nothing ends is one of the text
        return next(csv.reader(lines[:1], delimiter=delimiter), []), 1


def _has_quotes(path: Path) -> bool:
    """Returns whether values may be quoted, so that a row may have several lines."""
    if is_compressed(path):
        return True
    with open(path, "rb") as file:
        return any(b'"' in chunk for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""))


def _check_last_row(path: Path, form: _Form, table: pa.Table) -> None:
    """Raises UsageError if the last row ends within a quoted value, which swallows all lines."""
    last = table.slice(max(0, len(table) - 1)).to_pylist()
    if any("\n" in value for row in last for value in row.values() if value):
        check_quotes(path, form)


def check_quotes(path: Path, form: _Form | None = None) -> None:
    """Raises UsageError where a quoted value is never closed."""
    form = form or _form(path)
    line = form.read.skip_rows + 1
    with _opened(path) as content, io.TextIOWrapper(
            content, form.read.encoding, newline="") as file:
        reader = csv.reader(itertools.islice(file, form.read.skip_rows, None),
                            delimiter=form.parse.delimiter, strict=True)
        try:
            for _ in reader:
                line = form.read.skip_rows + reader.line_num + 1
        except csv.Error as error:
            if "unexpected end" not in str(error) and "field limit" not in str(error):
                return
            raise UsageError(
                f"{str(path)!r}, line {line}: expected a quotation mark that ends the value, got "
                "none until the end of the file. Write two for one within a value.") from None


class _Writing(NamedTuple):
    """How the values of a column are written."""

    is_plain: bool  # numbers as `float` reads them, or texts
    unit: str = ""  # what stands before or behind each number
    commas: str = ""  # "decimal", "thousands", or "" for none
    dots: str = ""  # "thousands" where commas are no part of the numbers and dots are


class _Plain:
    """Writes missing values as null, numbers as `float` reads them, and times in one column.

    The first rows of a file decide, so that all parts of it are read alike.
    """

    def __init__(self, table: pa.Table, form: _Form):
        self._words = {name for name in table.column_names if _are_words(table[name])}
        table = self._with_nulls(table)
        writings = {name: _writing(table[name], form.parse.delimiter)
                    for name in table.column_names}
        # A file with decimal commas in one column has them in all.
        if any(one.commas == "decimal" for one in writings.values()):
            writings = {name: _with_decimal_commas(table[name], one)
                        for name, one in writings.items()}
        self._writings = writings
        self._times = _date_and_clock(table)

    def __call__(self, table: pa.Table) -> pa.Table:
        table = self._with_nulls(table)
        columns = {name: _rewritten(table[name], writing)
                   for name, writing in self._writings.items()}
        if table.num_columns == 1:
            columns = {name: pc.if_else(pc.equal(column, ""), None, column)
                       for name, column in columns.items()}
        if self._times is not None:
            columns[self._times[0]] = _joined(*(table[name] for name in self._times))
            if self._times[1].lower() not in HOUR_NAMES:
                del columns[self._times[1]]
        return pa.table(columns)

    def _with_nulls(self, table: pa.Table) -> pa.Table:
        return pa.table({name: table[name] if name in self._words else _with_nulls(table[name])
                         for name in table.column_names})


def _date_and_clock(table: pa.Table) -> tuple[str, str] | None:
    """Returns the columns of dates and of clock times or hours that are one time; None if none are.

    A clock that its name does not call so may be a duration: it shows one time, or several a day.
    """
    def has_clock_name(name: str) -> bool:
        return any(word in name.lower() for word in _CLOCK_NAMES)

    clocks = [name for name in table.column_names if _all(table[name], _CLOCK) and (
        has_clock_name(name) or not _any(table[name], _DOTTED_CLOCK))]
    hours = [name for name in table.column_names if not clocks and name.lower() in HOUR_NAMES
             and _all(table[name], _HOUR)]
    dates = [name for name in table.column_names
             if name not in clocks and _all(table[name], _DATE)]
    if not len(dates) == len(clocks + hours) == 1:
        return None
    date, clock = dates[0], *clocks, *hours
    num_dates, num_clocks, num_times = (pc.count_distinct(column).as_py() for column in (
        table[date], table[clock], _joined(table[date], table[clock])))
    is_clock = num_times > num_dates or num_clocks == 1 or (clocks and has_clock_name(clock))
    return (date, clock) if is_clock else None


def _joined(date: pa.ChunkedArray, clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns dates and clock times, which may be whole hours, as texts of both."""
    date, clock = pc.utf8_trim_whitespace(date), pc.utf8_trim_whitespace(clock)
    clock = pc.replace_substring_regex(clock, r"^(\d+)\.(\d+)\.(\d+)$", r"\1:\2:\3")
    clock = pc.replace_substring_regex(clock, r"^\d+$", r"\0:00")
    return pc.binary_join_element_wise(date, clock, " ")


def is_missing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return not text.strip() or text in _MISSING


def is_number(text: str) -> bool:
    """Whether `float` reads a text, without underscores and digits of other scripts."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.strip().isascii()


def what_it_is(path: Path) -> str:
    """Returns what a file that is not UTF-8 probably is, and what to do, for messages."""
    sample = _wrong_part(path)
    encoding = encodings.probable(sample)
    if not encoding:
        with _opened(path) as file:
            kind = encodings.kind_of_binary(file.read(encodings.SAMPLE_BYTES))
        return f"It is {kind}: save its table as CSV." if kind else "It is probably a binary file."
    if encoding == "utf-8":
        return ("Most of it is UTF-8: leave out what is not with "
                f"{encodings.conversion(encoding, '-c ')}.")
    return (f"Its encoding is probably {encoding}, in which it reads "
            f"{short_repr(encodings.excerpt(sample, encoding))}: convert the file with "
            f"{encodings.conversion(encoding)}.")


def _wrong_part(path: Path) -> bytes:
    """Returns what is around the first byte of a file that is not UTF-8, or else its beginning."""
    with _opened(path) as file:
        # Whole lines, but not all of a file without any.
        for content in iter(lambda: file.read(_CHUNK_BYTES) + file.readline(_LONGEST_LINE), b""):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                return encodings.around(content, error.start)
        file.seek(0)
        return file.read(encodings.SAMPLE_BYTES)


def uneven_row(path: Path) -> str:
    """Returns which row has more or fewer values than there are columns, and what to do, or ""."""
    form = _form(path)
    count = len(form.read.column_names)
    with contextlib.suppress(csv.Error, UnicodeDecodeError), _opened(path) as content, (
            io.TextIOWrapper(content, form.read.encoding, newline="")) as file:
        reader = csv.reader(itertools.islice(file, form.read.skip_rows, None),
                            delimiter=form.parse.delimiter)
        for row in reader:
            if row and len(row) != count:
                hint = ("Is the file cut off there? Complete the row, or remove it"
                        if len(row) < count else "Give each column a name, and quote values that "
                        f"hold a {form.parse.delimiter!r}")
                line = form.read.skip_rows + reader.line_num
                return (f"Line {line} has {counted(len(row), 'value')} for "
                        f"{counted(count, 'column')}: "
                        f"{short_repr(form.parse.delimiter.join(row))}. {hint}.")
    return ""


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, (gzip.open if is_compressed(path) else open)(path, "rb"))


def _is_value(text: str) -> bool:
    return is_number(text) or re.match(_DATE, text.partition(" ")[0]) is not None


def _with_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(column, pa.array(_MISSING)), None, column)


def _are_words(column: pa.ChunkedArray) -> bool:
    """Whether a column holds words, such as codes of countries, and no number, time or boolean."""
    present = _with_nulls(column)
    return len(pc.drop_null(present)) > 0 and not _any(present, r"\d") and not _all(
        present, BOOLEAN)


def _writing(column: pa.ChunkedArray, delimiter: str) -> _Writing:
    present = pc.drop_null(column)
    with contextlib.suppress(pa.ArrowInvalid):
        pc.cast(present, pa.float64())
        return _Writing(is_plain=True)
    first = present[0].as_py()
    if not re.search(r"\d", first) and first:
        return _Writing(is_plain=True)
    match = re.search(_UNIT, first)
    unit = match[1] or match[2] if match else ""
    if not pc.all(pc.match_substring(present, unit)).as_py():
        unit = ""
    bare = _bare(column, unit)
    # With a currency 1.000 may be a thousand: only decimal commas in another column decide.
    is_in_doubt = bool(unit) and _are_dots_between_thousands(bare)
    return _Writing(is_in_doubt, unit, _commas(bare, delimiter))


def _with_decimal_commas(column: pa.ChunkedArray, writing: _Writing) -> _Writing:
    """Returns how a column is written in a file with decimal commas in another column."""
    bare = _bare(column, writing.unit)
    if _are_dots_between_thousands(bare):
        return _Writing(False, writing.unit, dots="thousands")
    if not writing.is_plain and _all(bare, _DECIMAL_COMMAS) and _any(bare, ","):
        return writing._replace(commas="decimal")
    return writing


def _bare(column: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """Returns numbers without a unit, with a plain minus, and without spaces between thousands."""
    plain = pc.replace_substring(column, _MINUS, "-")
    if unit:
        plain = pc.utf8_trim_whitespace(pc.replace_substring(plain, unit, "", max_replacements=1))
    if _any(plain, _SPACES) and _all(plain, _SPACED):
        plain = pc.replace_substring_regex(plain, _SPACES, "")
    return plain


def _commas(column: pa.ChunkedArray, delimiter: str) -> str:
    """Returns what commas of a column of numbers are: "decimal", "thousands", or "" in doubt."""
    has_comma = pc.match_substring(pc.drop_null(column), ",")
    # One decimal comma among whole numbers is rather a mistake.
    if (pc.mean(has_comma).as_py() or 0) > 0.5 and _all(column, _DECIMAL_COMMAS) and _any(
            column, _SURELY_DECIMAL):
        return "decimal"
    if pc.any(has_comma).as_py() and _all(column, _THOUSANDS) and (
            _any(column, _SURELY_THOUSANDS)
            # Programs that write decimal commas hardly delimit by commas, and then write as many
            # decimals everywhere.
            or (delimiter == "," and _all(column, _WHOLE_THOUSANDS)
                and not pc.all(has_comma).as_py())):
        return "thousands"
    return ""


def _are_dots_between_thousands(column: pa.ChunkedArray) -> bool:
    """Whether numbers may be whole ones, such as 1.000, with dots between thousands."""
    return _all(column, _DOTTED_THOUSANDS) and _any(column, r"[1-9]\d*\.") and not _any(
        column, r"^\s*[+-]?0\d*\.")


def _rewritten(column: pa.ChunkedArray, writing: _Writing) -> pa.ChunkedArray:
    """Returns the numbers of a column as `float` reads them; another column as it is."""
    if writing.is_plain:
        return column
    plain = _bare(column, writing.unit)
    if writing.commas == "decimal" and _all(plain, _DECIMAL_COMMAS):
        plain = pc.replace_substring(pc.replace_substring(plain, ".", ""), ",", ".")
    elif writing.commas == "thousands" and _all(plain, _THOUSANDS):
        plain = pc.replace_substring(plain, ",", "")
    elif writing.dots and _all(plain, _DOTTED_THOUSANDS):
        plain = pc.replace_substring(plain, ".", "")
    return plain if _all(plain, _NUMBER) else column


def _all(column: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all values match, and there is one; most columns are told by their first values."""
    present = pc.drop_null(column)
    return len(present) > 0 and all(
        pc.all(pc.match_substring_regex(part, pattern)).as_py()
        for part in (present.slice(0, 1000), present))


def _any(column: pa.ChunkedArray, pattern: str) -> bool:
    """Whether a value matches; most columns are told by their first values."""
    present = pc.drop_null(column)
    return any(pc.any(pc.match_substring_regex(part, pattern)).as_py()
               for part in (present.slice(0, 1000), present))
