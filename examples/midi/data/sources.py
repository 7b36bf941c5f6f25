# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The music that a run is trained and validated on, and its record in the log directory.

    LOG_DIR/music.json   the names of the files, the checksums, and the held-out fraction
"""
from __future__ import annotations

import dataclasses
import json
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError, absolute
from vaeseq.cli.program import counted
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from . import archives, chorales, files, loading
from .loading import Collection, Piece
from .parts import DRUMS, SILENT
from .piano_roll import Grid

DEFAULT_RATE = 2.0  # frames per second of an archive that does not say
FILE = "music.json"
_MOST_CHARACTERS = 1 << 30  # of that file: names of millions of files
Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Description:
    """The content of `music.json`."""

    train_files: list[str]  # names of the training music; none for the chorales
    train_checksum: int  # checksum of its rolls, held-out ones included
    valid_files: list[str]  # names of separate validation music; none for the chorales
    valid_checksum: int  # checksum of its rolls; 0 without any
    valid_fraction: float  # fraction of the training music that is held out; 0 for none

    @classmethod
    def load(cls, log_dir: LogDir) -> Description:
        """Reads what `save` wrote; raises ValueError where it is missing or damaged."""
        try:
            description = cls(**json.loads(log_dir.read(FILE, _MOST_CHARACTERS)))
            for field in dataclasses.fields(cls):
                _check(getattr(description, field.name), field.name)
        except (ValueError, RecursionError, TypeError):
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that says what the run is "
                "trained on. The log directory is damaged; start again in another.") from None
        names = description.valid_files
        if not description.train_files and all(map(chorales.is_validation, names)):
            # Earlier versions recorded where the cache had the archive.
            return dataclasses.replace(description, valid_files=[])
        return description

    def save(self, log_dir: LogDir) -> None:
        """Writes the description into a log directory."""
        log_dir.write(FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


class Music(NamedTuple):
    """The music of a run."""

    train: list[Piece]  # pieces to train on
    valid: list[Piece]  # pieces to validate on; may be empty
    description: Description  # the record of both


def read(
    train_files: Sequence[str], valid_files: Sequence[str], valid_fraction: float, grid: Grid,
    log: Log,
) -> Music:
    """Loads the music of a training run, and calls `log` with a summary.

    Without `train_files` these are the chorales. Without `valid_files` the fraction
    `valid_fraction` of the pieces is held out.

    Raises:
      UsageError: a name matches nothing, or none of the files holds music.
    """
    train = load(train_files or [f"{chorales.archive()}:train"], grid, log, "to train on")
    names = [absolute(name) for name in train_files]
    if valid_files or not train_files:
        valid = load(valid_files or [f"{chorales.archive()}:valid"], grid, log, "to validate on")
        return Music(train.pieces, valid.pieces, Description(
            names, checksum(train.rolls), [absolute(name) for name in valid_files],
            checksum(valid.rolls), 0.0))
    rest, held = split(train.pieces, valid_fraction, grid)
    rest = _without_copies(rest, held, log)
    return Music(rest, held, Description(
        names, checksum(train.rolls), [], 0, valid_fraction))


def clock(train_files: Sequence[str], log: Log) -> dict[str, float]:
    """Returns hyperparameters of a new run on archives: how long their frames are.

    Of several archives, the first decides; with any MIDI file among the names, or where the archive
    cannot be read, there are none. An archive that does not say has DEFAULT_RATE, which is logged.
    """
    sources, _ = files.find(train_files)
    if train_files and not (sources and all(source.split for source in sources)):
        return {}
    try:
        path = sources[0].path if train_files else chorales.archive()
        clock = archives.load_clock(path)
    except (OSError, ValueError):  # loading says why
        return {}
    if not clock.is_known:
        log(f"{short_repr(os.fspath(path))} does not say how long a frame is (rate or grid): taken "
            f"as rate={DEFAULT_RATE:g}. For another, give --hparams rate=N or --grid N.")
        return {"rate": DEFAULT_RATE}
    return {key: value for key, value in clock._asdict().items() if value}


def load(names: Sequence[str], grid: Grid, log: Log, purpose: str) -> Collection:
    """Loads files, and logs a summary of them."""
    collection = loading.load(names, grid)
    log(f"Music {purpose}: {collection.summary()}")
    return collection


def programs(pieces: Sequence[Piece], parts: int) -> tuple[int, ...]:
    """Returns the commonest program of each of several parts; 0 for one that is always silent.

    Of one part it is DRUMS, if there is nothing else in any piece, and otherwise none.
    """
    if parts == 1:
        return (DRUMS,) if all(piece.programs == (DRUMS,) for piece in pieces) else ()
    return tuple(
        int(np.bincount([program for piece in pieces for program in piece.programs[part:part + 1]
                         if program != SILENT] or [0]).argmax()) for part in range(parts))


def split(
    pieces: list[Piece], fraction: float, grid: Grid
) -> tuple[list[Piece], list[Piece]]:
    """Returns pieces to train on and held-out ones, evenly spread; of a single piece, its end.

    The end of a piece begins with a bar, if that leaves something of it.
    """
    if not fraction:
        return pieces, []
    if len(pieces) > 1:
        count = min(len(pieces) - 1, max(1, round(len(pieces) * fraction)))
        held = {int((number + 0.5) * len(pieces) / count) for number in range(count)}
        return ([piece for number, piece in enumerate(pieces) if number not in held],
                [piece for number, piece in enumerate(pieces) if number in held])
    (piece,) = pieces
    if len(piece.roll) < 2:
        return pieces, []
    cut = min(len(piece.roll) - 1, max(1, int(len(piece.roll) * (1 - fraction))))
    bar = -(-cut // grid.bar) * grid.bar
    cut = bar if bar < len(piece.roll) else cut
    return ([piece._replace(roll=piece.roll[:cut])],
            [Piece(f"{piece.name} (the held-out end)", piece.roll[cut:])])


def _without_copies(pieces: list[Piece], held: list[Piece], log: Log) -> list[Piece]:
    """Returns the pieces to train on that are no copies of held-out ones."""
    contents = {piece.roll.tobytes() for piece in held}
    rest = [piece for piece in pieces if piece.roll.tobytes() not in contents]
    if not rest:  # all pieces are the same
        return pieces
    if len(rest) < len(pieces):
        log(f"{counted(len(pieces) - len(rest), 'piece')} to train on left out, as held-out ones "
            "are the same.")
    return rest


def check_same(log_dir: LogDir, description: Description) -> None:
    """Raises UsageError where the run in `log_dir` is trained or validated on other music."""
    saved = Description.load(log_dir)
    for kind, same in {
        "trained": saved.train_checksum == description.train_checksum,
        "validated": (saved.valid_checksum, saved.valid_fraction)
        == (description.valid_checksum, description.valid_fraction),
    }.items():
        if not same:
            raise UsageError(
                f"{str(log_dir.path)!r} holds a run that is {kind} on other music than the one "
                "given now. Give the same files again, or another --log-dir.")


def reload(log_dir: LogDir, grid: Grid, log: Log) -> Music:
    """Loads the music of a run again.

    Raises:
      UsageError: the music is missing or has changed since the run began.
    """
    saved = Description.load(log_dir)
    music = read(saved.train_files, saved.valid_files, saved.valid_fraction, grid, log)
    if music.description != saved:
        raise UsageError(
            f"{str(log_dir.path)!r}: the music of this run has changed since it began. Restore "
            "the files that it was trained on.")
    return music


def held_out(log_dir: LogDir, grid: Grid, log: Log) -> list[Piece]:
    """Loads the music that a run was validated on.

    Raises:
      UsageError: the music is missing or has changed, or the run has none.
    """
    saved = Description.load(log_dir)
    if saved.train_files and not saved.valid_files and not saved.valid_fraction:
        raise UsageError("the run held no music out to score. Name some with --eval-files.")
    names = saved.valid_files or saved.train_files or [f"{chorales.archive()}:valid"]
    collection = load(names, grid, log, "of the run")
    expected = saved.train_checksum if saved.valid_fraction else saved.valid_checksum
    if checksum(collection.rolls) != expected:
        raise UsageError(
            f"{', '.join(short_repr(name) for name in names[:3])}: the music has changed since "
            "the run "
            "began, so what was held out is not known. Name some with --eval-files.")
    if not saved.valid_fraction:
        return collection.pieces
    return split(collection.pieces, saved.valid_fraction, grid)[1]


def checksum(rolls: Sequence[np.ndarray]) -> int:
    """Returns a checksum of rolls and their shapes."""
    value = 0
    for roll in rolls:
        value = zlib.crc32(np.packbits(roll, axis=1).tobytes(), value)
        if roll.max(initial=0) > 1:
            value = zlib.crc32(roll[roll > 0].tobytes(), value)
        value = zlib.crc32(str(roll.shape).encode(), value)
    return value


def _check(value: Any, name: str) -> None:
    """Raises TypeError where a value of the file has the wrong type."""
    if name.endswith("files"):
        valid = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif name.endswith("checksum"):
        valid = type(value) is int
    else:
        valid = type(value) in (int, float) and 0 <= value < 1
    if not valid:
        raise TypeError(name)
