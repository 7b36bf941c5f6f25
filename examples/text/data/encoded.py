# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Symbols of texts, in memory or mapped from files in the user's cache folder.

    FOLDER/KEY.npy      the symbols, one array
    FOLDER/KEY.json     the sizes of the parts and the checksum of the symbols

A key stands for the contents of the text, so entries never go stale. Of several processes that
need an entry, one computes it and the others wait. Each writes a file of its own and moves it into
place, so they do no harm to each other where the file system has no locks. An entry that is damaged
is written again. Where the folder cannot be written, the symbols stay in memory.
"""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from vaeseq.data import RaggedArray
from vaeseq.runs.cache_folder import cache_folder

_VERSION = 1  # raise it when encodings change
_MOST_RECORD = 1 << 26  # bytes of a record
_READ_BYTES = 1 << 22
_WRITING = "writing-"
_ABANDONED_SECONDS = 3600  # longer than a process is between creating and locking a file

Parts = Callable[[], Iterator[Iterator[np.ndarray]]]


class Encoded(NamedTuple):
    """The symbols of a text."""

    symbols: np.ndarray  # of all parts, one after the other, `[N]`
    sizes: np.ndarray  # number of symbols of each part, `[P]`; none is 0
    checksum: int  # CRC-32 of the symbols and, if there are several, of the sizes of parts

    def parts(self, start: int, stop: int) -> RaggedArray:
        """Returns the symbols from `start` to `stop`, split where a part begins."""
        ends = np.cumsum(self.sizes, dtype=np.int64)
        cuts = np.unique([start, *ends[(ends > start) & (ends < stop)], stop])
        return RaggedArray(self.symbols[start:stop], cuts - start)


class _UnwritableError(Exception):
    """The cache folder cannot be written."""


def folder() -> Path:
    """Returns the cache folder of texts."""
    return cache_folder("text")


def in_memory(parts: Iterable[Iterable[np.ndarray]], dtype: type) -> Encoded:
    """Returns the symbols of the parts of a text; each part comes in arrays `[n]`."""
    content = bytearray()  # grows in place; joining arrays would need twice the memory
    sizes = []
    for part in parts:
        size = 0
        for array in part:
            content += array.tobytes()
            size += len(array)
        sizes.append(size)
    return _encoded(np.frombuffer(content, dtype), sizes, zlib.crc32(content))


def cached(key: str, parts: Parts, dtype: type, *, size: int | None = None) -> Encoded:
    """Returns symbols that the cache holds under a key, or computes them and adds them to it.

    Waits while another process computes them.

    Args:
      key: stands for the symbols; characters of file names.
      parts: yields the parts of a text, each in arrays `[n]`.
      dtype: of the symbols.
      size: number of symbols, if it is known.
    """
    path = folder() / f"{key}-{_VERSION}.npy"
    entry = _load(path, dtype, size)
    if entry is None:
        try:
            with _locked(path):
                entry = _load(path, dtype, size)
                if entry is None:
                    _write(path, parts(), dtype)
                    entry = _load(path, dtype, size)
        except _UnwritableError as error:
            print(f"The encoded text stays in memory, as {str(path.parent)!r} cannot be written: "
                  f"{error}. XDG_CACHE_HOME sets another cache folder.", file=sys.stderr)
    return in_memory(parts(), dtype) if entry is None else entry


def _encoded(symbols: np.ndarray, sizes: list[int], checksum: int) -> Encoded:
    array = np.array([size for size in sizes if size], np.int64)
    if len(array) > 1:
        checksum = zlib.crc32(array.tobytes(), checksum)
    return Encoded(symbols, array, checksum)


def _load(path: Path, dtype: type, size: int | None) -> Encoded | None:
    """Returns the entry of a file; None where it is missing or damaged."""
    try:
        with open(path.with_suffix(".json"), "rb") as file:
            record = json.loads(file.read(_MOST_RECORD))
        sizes, expected = record["sizes"], record["checksum"]
        symbols = np.load(path, mmap_mode="r", allow_pickle=False)
        if not all(type(size) is int and size >= 0 for size in sizes) or (
                symbols.dtype != dtype or symbols.shape != (sum(sizes),)
                or symbols.size != (symbols.size if size is None else size)):
            return None
        checksum = 0
        with open(path, "rb") as file:  # pages that are read, unlike mapped ones, can be dropped
            file.seek(symbols.offset)
            while chunk := file.read(_READ_BYTES):
                checksum = zlib.crc32(chunk, checksum)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, EOFError):
        return None
    return None if checksum != expected else _encoded(np.asarray(symbols), sizes, checksum)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds the lock of an entry; waits while another process writes it."""
    lock = path.with_suffix(".lock")
    with _as_unwritable():
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(lock, "wb")  # noqa: SIM115
    with file:
        with contextlib.suppress(OSError):  # some file systems have no locks
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Waiting for another process, which encodes the same text.", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()  # who opened it before finds the entry


def _write(path: Path, parts: Iterator[Iterator[np.ndarray]], dtype: type) -> None:
    """Writes an entry, the record last; raises _UnwritableError."""
    sizes, checksum = [], 0
    with _temporary(path) as file:
        with _as_unwritable():
            _write_header(file, dtype, 0)
        for part in parts:
            size = 0
            for array in part:
                content = array.tobytes()
                with _as_unwritable():
                    file.write(content)
                checksum = zlib.crc32(content, checksum)
                size += len(array)
            sizes.append(size)
        with _as_unwritable():
            file.seek(0)
            _write_header(file, dtype, sum(sizes))
    with _temporary(path.with_suffix(".json")) as file, _as_unwritable():
        file.write(json.dumps({"sizes": sizes, "checksum": checksum}).encode())


def _write_header(file: IO[bytes], dtype: type, size: int) -> None:
    """Writes the header of an array `[size]`; it has the same length for every size."""
    np.lib.format.write_array_header_1_0(file, {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False,
        "shape": (size,)})


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file that is moved to `path` at the end, or removed after an error."""
    with _as_unwritable():
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_WRITING)
    file = os.fdopen(descriptor, "wb")
    try:
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
        with _as_unwritable():
            file.flush()
            os.replace(name, path)
    finally:
        with contextlib.suppress(OSError):  # on a full disk, closing fails, too
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(name)


def _remove_abandoned(directory: Path) -> None:
    """Removes files of processes that were killed while they wrote them."""
    for path in directory.glob(f"{_WRITING}*"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


@contextlib.contextmanager
def _as_unwritable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _UnwritableError(error.strerror or str(error)) from None
