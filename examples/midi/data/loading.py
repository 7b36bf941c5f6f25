# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Loads the piano rolls of many files, in parallel; reports the files that it skips."""
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
from vaeseq.cli.program import counted
from vaeseq.fields import short_repr
from vaeseq.runs.progress import Progress

from . import archives, cache, midi_reader, piano_roll
from .files import Skipped, Source, find
from .midi_reader import BadMidi, Notes
from .piano_roll import Grid

MAX_BYTES = 1 << 29  # of all rolls together
_MIN_FILES_FOR_WORKERS = 16  # fewer are read sooner than worker processes start
_MAX_LISTED = 20  # skipped files, and repaired ones, listed one by one


class _Archive(NamedTuple):
    """Pieces of an archive, and how long their frames are."""

    pieces: list[np.ndarray]
    clock: archives.Clock


# What a file holds, or the reason why it is not read.
_Content = Notes | _Archive | str


class Piece(NamedTuple):
    """A roll and its origin."""

    name: str  # the file, or the archive with the split and the number in it
    roll: np.ndarray  # uint8 `[T, columns]`
    programs: tuple[int, ...] = ()  # of its parts, as of `parts.Parts`


class Repaired(NamedTuple):
    """A file with something wrong that was loaded all the same."""

    name: str  # the path
    repairs: str  # what was wrong, and how it was read


class Collection(NamedTuple):
    """The pieces that were loaded."""

    pieces: list[Piece]  # in the order of the names given; those in folders sorted by name
    skipped: list[Skipped]  # the files that were not loaded
    # The files with something wrong that were loaded all the same, and what it was
    repaired: list[Repaired]
    files: int  # number of files that the pieces are from
    seconds: float  # duration of the pieces, played at the grid's pace
    notes: int  # number of onsets
    outside: str  # that so many notes are outside of the grid's pitches; "" if none is

    @property
    def rolls(self) -> list[np.ndarray]:
        """The rolls of all pieces."""
        return [piece.roll for piece in self.pieces]

    def summary(self) -> str:
        """Returns the amounts in words, and the skipped and repaired files with the reasons."""
        head = (f"{counted(self.files, 'file')}, {counted(len(self.pieces), 'piece')}, "
                f"{self.seconds / 60:,.1f} minutes, {self.notes:,} notes")
        if self.outside:
            head += f"; {self.outside}"
        lines = [head]
        if self.skipped:
            lines = [f"{head}; {counted(len(self.skipped), 'file')} skipped:",
                     *_listed(self.skipped)]
        if self.repaired:
            lines += [f"{counted(len(self.repaired), 'file')} read in spite of errors:",
                      *_listed(self.repaired)]
        return "\n".join(lines)


def load(
    names: Sequence[str], grid: Grid, *, jobs: int | None = None, quiet: bool = False
) -> Collection:
    """Loads the piano rolls of files, folders, patterns and splits of archives (see `files`).

    Reads with `jobs` worker processes, by default one per core; shows progress unless `quiet`.

    Raises:
      UsageError: a name matches nothing, or none of the files holds music.
    """
    sources, skipped = find(names)
    loader = _Loader(grid, skipped)
    for source, content in _read(sources, jobs or os.cpu_count() or 1, quiet):
        loader.add(source, content)
    collection = loader.collection()
    if not collection.pieces:
        raise UsageError(f"{', '.join(short_repr(name) for name in names[:5])}: expected music, "
                         "found "
                         f"none.{_reasons(skipped)}")
    return collection


class _Loader:
    """Makes rolls of notes and archives, up to MAX_BYTES."""

    def __init__(self, grid: Grid, skipped: list[Skipped]) -> None:
        self._grid = grid
        self._skipped = skipped
        self._repaired: list[Repaired] = []
        self._pieces: list[Piece] = []
        self._files = self._notes = self._outside = self._bytes = 0

    def add(self, source: Source, content: _Content) -> None:
        """Adds the pieces of a file, or adds the file to the skipped ones."""
        name = f"{source.path}:{source.split}" if source.split else source.path
        if isinstance(content, str):
            self._skipped.append(Skipped(name, content))
        elif isinstance(content, Notes):
            piece = Piece(name, piano_roll.from_notes(content, self._grid),
                          piano_roll.programs(content, self._grid))
            added = self._add([piece], name, _why_empty(content, self._grid))
            if added:
                self._outside += piano_roll.count_outside(content, self._grid)
            if added and content.repairs:
                self._repaired.append(Repaired(name, "; ".join(content.repairs)))
        elif self._grid.velocity or self._grid.parts > 1:
            self._skipped.append(Skipped(name, "an archive has no velocities and no parts; "
                                               "expected MIDI files for velocity or parts"))
        else:
            self._add([Piece(f"{name}[{number}]", self._of_archive(roll, content.clock))
                       for number, roll in enumerate(content.pieces)], name,
                      f"its pieces hold no notes from {self._grid.lowest} to {self._grid.highest}"
                      if content.pieces else "it holds no piece")

    def _of_archive(self, roll: np.ndarray, clock: archives.Clock) -> np.ndarray:
        """Returns a roll in this grid; frames of unknown duration are frames of the grid."""
        if clock.is_known:
            roll = piano_roll.resample(roll, clock.frames, self._grid)
        self._outside += piano_roll.count_struck_outside(roll, clock.frames, self._grid)
        return piano_roll.with_grid(roll, clock.frames, self._grid)

    def _add(self, new: list[Piece], name: str, why_empty: str) -> bool:
        """Adds pieces and returns True, or adds a skipped file and returns False."""
        size = sum(piece.roll.nbytes for piece in new)
        if not any(piece.roll.any() for piece in new):
            self._skipped.append(Skipped(name, why_empty))
        elif self._bytes + size > MAX_BYTES:
            self._skipped.append(Skipped(name, "no room: piano rolls take at most "
                                               f"{MAX_BYTES >> 20} MiB; lower the rate"))
        else:
            self._files += 1
            self._bytes += size
            self._notes += sum(
                len(piano_roll.played(piece.roll, self._grid).pitch) for piece in new)
            self._pieces += new
            return True
        return False

    def collection(self) -> Collection:
        grid = self._grid
        frames = sum(len(piece.roll) for piece in self._pieces)
        outside = (f"left out {counted(self._outside, 'note')} outside of lowest_note="
                   f"{grid.lowest} and highest_note={grid.highest}" if self._outside else "")
        return Collection(self._pieces, self._skipped, self._repaired, self._files,
                          frames * grid.frame_seconds, self._notes, outside)


def _listed(files: Sequence[Skipped] | Sequence[Repaired]) -> list[str]:
    """Returns lines with the names of the first files, and what is said of each."""
    more = len(files) - _MAX_LISTED
    return [*(f"  {short_repr(name, 200)}: {text}" for name, text in files[:_MAX_LISTED]),
            *([f"  and {more:,} more"] if more > 0 else [])]


def _why_empty(notes: Notes, grid: Grid) -> str:
    """Returns why a file has no notes in the grid."""
    if not len(notes.pitch):
        return "; ".join(["it holds no notes", *notes.repairs])
    if notes.drum.all() and not grid.drums:
        return "it holds drums only, which are left out without drums=true"
    return f"it holds no notes from {grid.lowest} to {grid.highest}"


def _read(
    sources: Sequence[Source], jobs: int, quiet: bool
) -> Iterator[tuple[Source, _Content]]:
    """Yields each source with its content, in their order."""
    uncached = [number for number, source in enumerate(sources)
           if not source.split and not source.path.endswith(".npz")
           and not _is_cached(source.path)]
    with Progress("read", total=len(sources), unit="file", counted="files",
                  hidden=quiet) as progress:
        results = iter(_parallel([sources[number].path for number in uncached], jobs))
        unread = set(uncached)
        for number, source in enumerate(sources):
            content = next(results) if number in unread else _read_source(source)
            progress.advance()
            yield source, content


def _read_source(source: Source) -> _Content:
    if not source.split:
        if source.path.endswith(".npz"):
            return "an archive: say which of its splits, as in PATH.npz:train"
        return read_file(source.path)
    try:
        if not os.path.isfile(source.path):
            return "no such file"
        pieces = archives.load(source.path, [source.split])[source.split]
        return _Archive(pieces, archives.load_clock(source.path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return reason.removeprefix(f"{source.path!r}: ").rstrip(".")


def _is_cached(path: str) -> bool:
    content = _read_bytes(path)
    return isinstance(content, bytes) and cache.has(content)


def _parallel(paths: list[str], jobs: int) -> Iterable[Notes | str]:
    """Yields `read_file` of each path, in order; uses worker processes for many files."""
    if len(paths) < _MIN_FILES_FOR_WORKERS or jobs < 2:
        yield from map(read_file, paths)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
            jobs, context, initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:  # the parent stops the workers
        try:
            yield from pool.map(read_file, paths, chunksize=4)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def read_file(path: str) -> Notes | str:
    """Returns the notes of a MIDI file, cached or parsed, or the reason why there are none."""
    content = _read_bytes(path)
    if isinstance(content, str):
        return content
    notes = cache.load(content)
    if notes is not None:
        return notes
    try:
        notes = midi_reader.read(content)
    except BadMidi as error:
        return str(error)
    cache.save(content, notes)
    return notes


def _read_bytes(path: str) -> bytes | str:
    """Returns the bytes of a file, or the reason why it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is a folder, a pipe or a device"
        with open(path, "rb") as file:
            return file.read(midi_reader.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _reasons(skipped: list[Skipped]) -> str:
    listed = "; ".join(f"{short_repr(name)}: {reason}" for name, reason in skipped[:3])
    more = f"; and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return f" {listed}{more}." if listed else ""
