# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Arrays in memory, or mapped from temporary files where a table is larger than memory should hold.

The files lie in the user's cache folder and have no name: they go when the process ends, however it
does. The system drops their pages from memory when it needs room.
"""
from __future__ import annotations

import contextlib
import math
import mmap
import tempfile
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np

from vaeseq.runs.cache_folder import cache_folder

_BLOCK = 1 << 20  # numbers that are written at once


class Pile:
    """An array `[N, ...]` that is made of parts, one after the other."""

    def __init__(self, in_file: bool):
        """Creates an empty pile; `in_file` maps its array from a file, unless it is of objects."""
        self._in_file = in_file
        self._file: BinaryIO | None = None
        self._parts: list[np.ndarray] = []

    def add(self, part: np.ndarray) -> None:
        """Adds elements at the end."""
        if self._in_file and part.dtype != object and part.size:
            self._file = self._file or _file()
            self._file.write(np.ascontiguousarray(part).view(np.uint8).data)
            part = part[:0].copy()  # the type and the sizes; a view would keep the elements
        self._parts.append(part)

    def close(self) -> None:
        """Closes the file; arrays that were mapped from it stay."""
        if self._file is not None:
            self._file.close()

    @property
    def kinds(self) -> set[str]:
        """The different kinds of the parts (`np.dtype.kind`)."""
        return {part.dtype.kind for part in self._parts}

    def array(self) -> np.ndarray:
        """Returns all elements; to change some of a mapped array changes the file."""
        if self._file is None:
            return np.concatenate(self._parts) if len(self._parts) > 1 else self._parts[0]
        self._file.flush()
        empty = np.concatenate(self._parts)
        pages = mmap.mmap(self._file.fileno(), 0)
        return np.frombuffer(pages, empty.dtype).reshape([-1, *empty.shape[1:]])


def joined(parts: Iterable[np.ndarray], in_file: bool) -> np.ndarray:
    """Returns the parts as one array, mapped from a file with `in_file`."""
    with contextlib.closing(Pile(in_file)) as pile:
        for part in parts:
            pile.add(part)
        return pile.array()


def missing(shape: Sequence[int], in_file: bool) -> np.ndarray:
    """Returns an array of NaN, float64, mapped from a file with `in_file`."""
    if not in_file or not math.prod(shape):
        return np.full(shape, np.nan)
    rows = max(1, _BLOCK // math.prod(shape[1:]))
    # Written, not only mapped: a full disk is then an error, not the end of the process.
    return joined((np.full([min(rows, shape[0] - first), *shape[1:]], np.nan)
                   for first in range(0, shape[0], rows)), in_file=True)


def _file() -> BinaryIO:
    folder = cache_folder("series")
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
