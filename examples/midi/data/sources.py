# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a run is trained and validated on, and how its log directory tells that later.

    LOG_DIR/music.json   the names given, the checksums, and how much was held out
"""
from __future__ import annotations

import dataclasses
import json
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.runs.log_dir import LogDir

from . import chorales, loading
from .loading import Collection, Piece
from .piano_roll import Grid

_FILE = "music.json"
_SHORTEST = 2  # frames that can be cut into two pieces
Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Description:
    """What `music.json` holds.

    Attributes:
      train_files: the names given; none for the chorales.
      train_checksum: of all their rolls, those held out too.
      valid_files: the names of music of its own to validate on; none where there was none.
      valid_checksum: of its rolls; 0 where there was none.
      valid_fraction: how much of the training music is held out; 0 where none.
    """

    train_files: list[str]
    train_checksum: int
    valid_files: list[str]
    valid_checksum: int
    valid_fraction: float

    @classmethod
    def load(cls, log_dir: LogDir) -> Description:
        """What `save` wrote; raises ValueError where it is missing or damaged."""
        try:
            description = cls(**json.loads(log_dir.read(_FILE, 1 << 24)))
            for field in dataclasses.fields(cls):
                _check(getattr(description, field.name), field.name)
        except (ValueError, RecursionError, TypeError):
            raise ValueError(
                f"{str(log_dir.path / _FILE)!r}: expected a JSON object that says what the run is "
                "trained on. The log directory is damaged; begin anew in another.") from None
        return description

    def save(self, log_dir: LogDir) -> None:
        """Writes it into a log directory."""
        log_dir.write(_FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


class Music(NamedTuple):
    """What a run trains and validates on.

    Attributes:
      train: pieces.
      valid: pieces, perhaps none.
      description: of both.
    """

    train: list[Piece]
    valid: list[Piece]
    description: Description


def read(
    train_files: Sequence[str], valid_files: Sequence[str], valid_fraction: float, grid: Grid,
    log: Log,
) -> Music:
    """The music of a training run; raises as `loading.load`.

    Args:
      train_files: names, or none for the chorales.
      valid_files: names, or none to hold some of the training music out.
      valid_fraction: how much then.
      grid: what frames are.
      log: is told what was loaded.
    """
    valid_files = list(valid_files)
    if not train_files and not valid_files:
        valid_files = [f"{chorales.archive()}:valid"]
    train = load(train_files or [f"{chorales.archive()}:train"], grid, log, "to train on")
    names = [_absolute(name) for name in train_files]
    if valid_files:
        valid = load(valid_files, grid, log, "to validate on")
        return Music(train.pieces, valid.pieces, Description(
            names, checksum(train.rolls), [_absolute(name) for name in valid_files],
            checksum(valid.rolls), 0.0))
    kept, held_out = split(train.pieces, valid_fraction)
    return Music(kept, held_out, Description(
        names, checksum(train.rolls), [], 0, valid_fraction))


def load(names: Sequence[str], grid: Grid, log: Log, purpose: str) -> Collection:
    """Loads names, and says what was found."""
    collection = loading.load(names, grid)
    log(f"Music {purpose}: {collection.summary()}")
    return collection


def split(pieces: list[Piece], fraction: float) -> tuple[list[Piece], list[Piece]]:
    """Some pieces, spread evenly, held out; of a single piece its end."""
    if not fraction:
        return pieces, []
    if len(pieces) > 1:
        count = min(len(pieces) - 1, max(1, round(len(pieces) * fraction)))
        chosen = {int((number + 0.5) * len(pieces) / count) for number in range(count)}
        return ([piece for number, piece in enumerate(pieces) if number not in chosen],
                [piece for number, piece in enumerate(pieces) if number in chosen])
    (piece,) = pieces
    if len(piece.roll) < _SHORTEST:
        return pieces, []
    cut = min(len(piece.roll) - 1, max(1, int(len(piece.roll) * (1 - fraction))))
    return ([piece._replace(roll=piece.roll[:cut])],
            [Piece(f"{piece.name} (the held-out end)", piece.roll[cut:])])


def check_same(log_dir: LogDir, given: Description) -> None:
    """Raises UsageError where the run in `log_dir` is trained or validated on something else."""
    saved = Description.load(log_dir)
    for kind, same in {
        "trained": saved.train_checksum == given.train_checksum,
        "validated": (saved.valid_checksum, saved.valid_fraction)
        == (given.valid_checksum, given.valid_fraction),
    }.items():
        if not same:
            raise UsageError(
                f"{str(log_dir.path)!r} holds a run that is {kind} on other music than the one "
                "given now. Give the same files again, or another --log-dir.")


def again(log_dir: LogDir, grid: Grid, log: Log) -> Music:
    """The music of a run, as it was when the run began.

    Raises:
      UsageError: it is not there any more, or has changed.
    """
    saved = Description.load(log_dir)
    music = read(saved.train_files, saved.valid_files, saved.valid_fraction, grid, log)
    if music.description != saved:
        raise UsageError(
            f"{str(log_dir.path)!r}: the music of this run has changed since it began. Put back "
            "what it was trained on.")
    return music


def held_out(log_dir: LogDir, grid: Grid, log: Log) -> list[Piece]:
    """The music that the run was validated on.

    Raises:
      UsageError: it is not there any more, has changed, or there was none.
    """
    saved = Description.load(log_dir)
    if not saved.valid_files and not saved.valid_fraction:
        raise UsageError("the run held no music out to score. Name some with --eval-files.")
    names = saved.valid_files or saved.train_files or [f"{chorales.archive()}:train"]
    found = load(names, grid, log, "of the run")
    expected = saved.valid_checksum if saved.valid_files else saved.train_checksum
    if checksum(found.rolls) != expected:
        raise UsageError(
            f"{', '.join(shown(name) for name in names[:3])}: the music has changed since the run "
            "began, so what was held out is not known. Name some with --eval-files.")
    return found.pieces if saved.valid_files else split(found.pieces, saved.valid_fraction)[1]


def checksum(rolls: Sequence[np.ndarray]) -> int:
    """Tells one collection from another."""
    value = 0
    for roll in rolls:
        value = zlib.crc32(np.packbits(roll, axis=1).tobytes(), value)
        value = zlib.crc32(str(roll.shape).encode(), value)
    return value


def _check(value: Any, name: str) -> None:
    """Raises TypeError where a value of the file is of another kind than it should be."""
    if name.endswith("files"):
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    elif name.endswith("checksum"):
        good = type(value) is int
    else:
        good = type(value) in (int, float) and 0 <= value < 1
    if not good:
        raise TypeError(name)


def _absolute(name: str) -> str:
    return os.path.abspath(name)
