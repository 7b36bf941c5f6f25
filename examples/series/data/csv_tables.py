# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""CSV files as the world writes them, read as columns of text.

The delimiter is found (`,` `;` `|` or a tab) or named by a first line `sep=;`, and lines before the
names that begin with # are skipped. A byte order mark tells UTF-16 and UTF-32; other files are
UTF-8. Decimal commas and commas between thousands are replaced where the column leaves no doubt,
and a column of dates beside one of clock times becomes one column.
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

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from vaeseq.cli import encodings
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import counted
from vaeseq.fields import short_repr

_NULLS = ["", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "#N/A", "?", "-",
          "."]
_LONGEST_LINE = 1 << 20
_SAMPLE_BYTES = 1 << 14
_SEPARATOR = r'"?[Ss][Ee][Pp]=([,;|\t])"?\s*'  # a first line for Excel, which no table shows
_DATE = r"^\s*(\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4}|[12]\d{7})\s*$"
_CLOCK = r"^\s*\d\d?:\d\d(:\d\d)?(\.\d+)?( ?[AaPp][Mm])?\s*$"
_DECIMAL_COMMAS = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?\s*$"
_SURELY_DECIMAL = r"(\d{4}|^\s*[+-]?0|\..*),|,\d{0,2}\s*$|,\d{4}"
_THOUSANDS = r"^\s*[+-]?\d{1,3}(,\d{3})*(\.\d*)?\s*$"
_SURELY_THOUSANDS = r",\d{3}[.,]"


def read(path: Path) -> tuple[pa.Table, int]:
    """Returns the columns of a CSV file, of type string, and the number of its first row of values.

    Raises:
      UsageError: the file is empty, has no names of columns, or the same name twice.
      UnicodeDecodeError, pa.ArrowInvalid, csv.Error, EOFError: it is no CSV file, or damaged.
    """
    form = _form(path)
    with pa.input_stream(str(path), "gzip" if is_compressed(path) else None) as stream:
        table = pa.csv.read_csv(stream, form.read, form.parse, form.convert)
    return _Plain(table)(table), form.read.skip_rows + 1


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
        for batch in files.enter_context(
                pa.csv.open_csv(stream, form.read, form.parse, form.convert)):
            table, first = pa.Table.from_batches([batch]), row
            plain = plain or _Plain(table)
            row += len(table)
            yield plain(table), first, raw.tell()


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
        _, marked = encodings.marked(file.read(4))
    # These two skip the mark.
    encoding = marked[:6] if marked.startswith(("utf-16", "utf-32")) else "utf-8-sig"
    with _opened(path) as content, io.TextIOWrapper(content, encoding, newline="") as file:
        lines = [file.readline(_LONGEST_LINE)]
        named = re.fullmatch(_SEPARATOR, lines[0])
        while lines[-1].startswith("#") or (named and len(lines) == 1):
            lines.append(file.readline(_LONGEST_LINE))
        has_more = bool(file.readline(_LONGEST_LINE))
    if not lines[-1].strip():
        raise UsageError(f"{str(path)!r}: expected a table with a line of column names, got an "
                         "empty file.")
    delimiter = named[1] if named else max(",;\t|", key=lines[-1].count)
    names = next(csv.reader([lines[-1]], delimiter=delimiter))
    if all(map(_is_value, names)) and len(lines) > 1:  # the last comment may be the names
        del lines[-1]
        names = next(csv.reader([lines[-1].lstrip("# ")], delimiter=delimiter))
    if all(map(_is_value, names)) and has_more:
        raise UsageError(f"{str(path)!r}: expected a first line of column names, got "
                         f"{short_repr(lines[-1].strip())}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{str(path)!r}: expected columns of different names, got {twice!r} "
                         "twice.")
    return _Form(
        pa.csv.ReadOptions(column_names=names, skip_rows=len(lines), encoding=encoding),
        pa.csv.ParseOptions(delimiter=delimiter),
        pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True,
            null_values=_NULLS))


class _Plain:
    """Writes numbers without commas between their digits, and times in one column.

    The first rows of a file decide, so that all parts of it are read alike.
    """

    def __init__(self, table: pa.Table):
        self._commas = {name: _commas(table[name]) for name in table.column_names}
        dates, clocks = ([name for name in table.column_names if _all(table[name], pattern)]
                         for pattern in (_DATE, _CLOCK))
        self._times = (dates[0], clocks[0]) if len(dates) == len(clocks) == 1 else None

    def __call__(self, table: pa.Table) -> pa.Table:
        columns = {name: _without_commas(table[name], commas)
                   for name, commas in self._commas.items()}
        if self._times is not None:
            date, clock = (pc.utf8_trim_whitespace(columns[name]) for name in self._times)
            columns[self._times[0]] = pc.binary_join_element_wise(date, clock, " ")
            del columns[self._times[1]]
        return pa.table(columns)


def is_number(text: str) -> bool:
    """Whether `float` reads a text, without underscores."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def what_it_is(path: Path) -> str:
    """Returns what a file that is not UTF-8 probably is, and what to do, for messages."""
    with _opened(path) as file:
        encoding = encodings.probable(file.read(_SAMPLE_BYTES))
    if not encoding:
        return "It is probably a binary file."
    if encoding == "utf-8":
        return ("Most of it is UTF-8: leave out what is not with "
                f"{encodings.conversion(encoding, '-c ')}.")
    return (f"Its encoding is probably {encoding}: convert the file with "
            f"{encodings.conversion(encoding)}.")


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


def _commas(column: pa.ChunkedArray) -> str:
    """Returns what commas of a column of numbers are: "decimal", "thousands", or "" in doubt."""
    has_comma = pc.match_substring(pc.drop_null(column), ",")
    # One decimal comma among whole numbers is rather a mistake.
    if (pc.mean(has_comma).as_py() or 0) > 0.5 and _all(column, _DECIMAL_COMMAS) and _any(
            column, _SURELY_DECIMAL):
        return "decimal"
    if pc.any(has_comma).as_py() and _all(column, _THOUSANDS) and _any(column, _SURELY_THOUSANDS):
        return "thousands"
    return ""


def _without_commas(column: pa.ChunkedArray, commas: str) -> pa.ChunkedArray:
    if commas == "decimal" and _all(column, _DECIMAL_COMMAS):
        return pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    if commas == "thousands" and _all(column, _THOUSANDS):
        return pc.replace_substring(column, ",", "")
    return column


def _all(column: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all values match, and there is one; most columns are told by their first values."""
    present = pc.drop_null(column)
    return len(present) > 0 and all(
        pc.all(pc.match_substring_regex(part, pattern)).as_py()
        for part in (present.slice(0, 1000), present))


def _any(column: pa.ChunkedArray, pattern: str) -> bool:
    return pc.any(pc.match_substring_regex(pc.drop_null(column), pattern)).as_py() or False
