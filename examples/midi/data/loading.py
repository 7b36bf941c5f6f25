# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Piano rolls of many files: read in parallel, summed up, the bad ones named."""
from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.runs.progress import Progress

from . import archives, cache, midi_reader, piano_roll
from .files import Skipped, Source, find
from .midi_reader import BadMidi, Notes
from .piano_roll import Grid

MOST_BYTES = 1 << 29  # of all rolls together
_FEW = 16  # files that are read sooner than worker processes are started
_ARCHIVE_GRID = Grid(lowest=archives.LOWEST, highest=archives.LOWEST + archives.NOTES - 1)
_MOST_NAMED = 20  # skipped files told one by one


class Piece(NamedTuple):
    """A roll and where it is from.

    Attributes:
      name: of the file, or the archive, its split and the number in it.
      roll: uint8 `[T, P]`, with onsets `[T, 2 P]`.
    """

    name: str
    roll: np.ndarray


class Collection(NamedTuple):
    """What was loaded.

    Attributes:
      pieces: in the order of their names' mention; those in folders by name.
      skipped: what was left out.
      files: how many files the pieces are from.
      seconds: of music, as it is played at the grid's pace.
      notes: how many were struck.
    """

    pieces: list[Piece]
    skipped: list[Skipped]
    files: int
    seconds: float
    notes: int

    @property
    def rolls(self) -> list[np.ndarray]:
        """Of all pieces."""
        return [piece.roll for piece in self.pieces]

    def summary(self) -> str:
        """In words: how much there is, and what was skipped and why."""
        head = (f"{_count(self.files, 'file')}, {_count(len(self.pieces), 'piece')}, "
                f"{self.seconds / 60:,.1f} minutes, {self.notes:,} notes")
        if not self.skipped:
            return head
        lines = [f"  {shown(name, 200)}: {reason}" for name, reason in self.skipped[:_MOST_NAMED]]
        more = len(self.skipped) - _MOST_NAMED
        lines += [f"  and {more:,} more"] if more > 0 else []
        return "\n".join([f"{head}; {_count(len(self.skipped), 'file')} skipped:", *lines])


def load(names: Sequence[str], grid: Grid, *, jobs: int | None = None) -> Collection:
    """Loads all that names name.

    Args:
      names: see `finding`.
      grid: what frames and columns are.
      jobs: worker processes; by default one a core.

    Raises:
      UsageError: a name names nothing, or nothing is left.
    """
    sources, skipped = find(names)
    loading = _Loading(grid, skipped)
    for source, got in _read(sources, jobs or os.cpu_count() or 1):
        loading.take(source, got)
    collection = loading.collection()
    if not collection.pieces:
        raise UsageError(f"{', '.join(shown(name) for name in names[:5])}: expected music, found "
                         f"none.{_reasons(skipped)}")
    return collection


class _Loading:
    """Makes rolls of what was read, as long as there is room."""

    def __init__(self, grid: Grid, skipped: list[Skipped]) -> None:
        self._grid = grid
        self._skipped = skipped
        self._pieces: list[Piece] = []
        self._files = self._notes = self._bytes = 0

    def take(self, source: Source, got: Notes | list[np.ndarray] | str) -> None:
        """Adds the pieces of a source, or names it among the skipped."""
        name = f"{source.path}:{source.split}" if source.split else source.path
        if isinstance(got, str):
            self._skipped.append(Skipped(name, got))
        elif isinstance(got, Notes):
            self._add([(name, piano_roll.from_notes(got, self._grid))], name, _kind(got, self._grid))
        else:
            self._add([(f"{name}[{number}]", piano_roll.with_grid(roll, _ARCHIVE_GRID, self._grid))
                       for number, roll in enumerate(got)], name, "it holds no piece")

    def _add(self, new: list[tuple[str, np.ndarray]], name: str, without: str) -> None:
        size = sum(roll.nbytes for _, roll in new)
        if not any(roll.any() for _, roll in new):
            self._skipped.append(Skipped(name, without))
        elif self._bytes + size > MOST_BYTES:
            self._skipped.append(Skipped(name, "no room: piano rolls take at most "
                                               f"{MOST_BYTES >> 20} MiB; lower the rate"))
        else:
            self._files += 1
            self._bytes += size
            self._notes += sum(int(piano_roll.struck(roll, self._grid).sum()) for _, roll in new)
            self._pieces += [Piece(*one) for one in new]

    def collection(self) -> Collection:
        """All there is."""
        frames = sum(len(piece.roll) for piece in self._pieces)
        return Collection(self._pieces, self._skipped, self._files,
                          frames * self._grid.frame_seconds, self._notes)


def _kind(read: Notes, grid: Grid) -> str:
    """Why a file has no notes in the grid."""
    if not len(read.pitch):
        return "it holds no notes"
    if read.drum.all() and not grid.drums:
        return "it holds drums only, which are left out"
    return f"it holds no notes from {grid.lowest} to {grid.highest}"


def _read(
    sources: Sequence[Source], jobs: int
) -> Iterator[tuple[Source, Notes | list[np.ndarray] | str]]:
    """What each source holds, in their order: notes, the pieces of an archive, or what is wrong."""
    new = [number for number, source in enumerate(sources)
           if not source.split and not source.path.endswith(".npz")
           and not _is_kept(source.path)]
    with Progress("read", total=len(sources), unit="file") as progress:
        results = iter(_parallel([sources[number].path for number in new], jobs))
        unread = set(new)
        for number, source in enumerate(sources):
            got = next(results) if number in unread else _one(source)
            progress.advance()
            yield source, got


def _one(source: Source) -> Notes | list[np.ndarray] | str:
    if not source.split:
        if source.path.endswith(".npz"):
            return "an archive: say which of its splits, as in PATH.npz:train"
        return read_file(source.path)
    try:
        if not os.path.isfile(source.path):
            return "no such file"
        return archives.load(source.path, [source.split])[source.split]
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        return said.removeprefix(f"{source.path!r}: ").rstrip(".")  # it is named already


def _is_kept(path: str) -> bool:
    """Whether a file's notes are in the cache."""
    content = _content(path)
    return isinstance(content, bytes) and cache.has(content)


def _parallel(paths: list[str], jobs: int) -> Iterable[Notes | str]:
    """`read_file` of each path, in order, in worker processes where there are many."""
    if len(paths) < _FEW or jobs < 2:
        yield from map(read_file, paths)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
            jobs, context, initializer=_leave_stopping_to_the_parent) as pool:
        try:
            yield from pool.map(read_file, paths, chunksize=4)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _leave_stopping_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def read_file(path: str) -> Notes | str:
    """The notes of a MIDI file, from the cache if they are there, or why there are none."""
    content = _content(path)
    if isinstance(content, str):
        return content
    kept = cache.load(content)
    if kept is not None:
        return kept
    try:
        read = midi_reader.read(content)
    except BadMidi as error:
        return str(error)
    cache.save(content, read)
    return read


def _content(path: str) -> bytes | str:
    """A file's bytes, or why there are none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is a folder, a pipe or a device"
        with open(path, "rb") as file:
            return file.read(midi_reader.MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _reasons(skipped: list[Skipped]) -> str:
    told = "; ".join(f"{shown(name)}: {reason}" for name, reason in skipped[:3])
    more = f"; and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return f" {told}{more}." if told else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
