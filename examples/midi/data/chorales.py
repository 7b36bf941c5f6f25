# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bach's chorales from the corpus that music21 carries, as an archive of piano rolls.

A frame is a sixteenth note. Of every ten pieces the ninth is in the split "valid" and the tenth in
"test". The archive is made once, in half a minute, and kept in the user's cache folder.
"""
from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.progress import Progress

from . import archives, cache

CLOCK = archives.Clock(grid=16)
_FRAMES_PER_BEAT = CLOCK.grid // 4
_NAME = "bach_chorales-2.npz"
_VALID = re.compile(r"bach_chorales-\d+\.npz:valid")


def archive() -> Path:
    """Returns the path of the archive; makes it at the first call.

    Raises:
      UsageError: there is none yet, and music21 is not installed, or it cannot be written.
    """
    path = cache.folder() / _NAME
    if path.is_file():
        return path
    if importlib.util.find_spec("music21") is None:
        raise UsageError(
            "no files were named, and the Bach chorales come with music21, which is not installed. "
            "Name files with --train-files, or `pip install 'vaeseq[chorales]'`.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        directory = tempfile.TemporaryDirectory(dir=path.parent)
    except OSError as error:
        raise UsageError(
            f"the chorales are kept in {str(path.parent)!r}, which cannot be written "
            f"({error.strerror}). XDG_CACHE_HOME=DIR sets another cache folder.") from None
    with directory as name:
        splits: dict[str, list[np.ndarray]] = {"train": [], "valid": [], "test": []}
        for number, roll in enumerate(_rolls()):
            splits[{8: "valid", 9: "test"}.get(number % 10, "train")].append(roll)
        archives.save(Path(name) / _NAME, splits, CLOCK)
        os.replace(Path(name) / _NAME, path)
    return path


def is_validation(name: str) -> bool:
    """Whether a name is that of the archive's split "valid", of any version and in any folder."""
    return _VALID.fullmatch(os.path.basename(name)) is not None


def _rolls() -> list[np.ndarray]:
    """Returns the distinct pieces, uint8 `[frames, 88]`, in the order of Riemenschneider's list."""
    from music21 import corpus
    # The list of 371 has some pieces more than once.
    names = list(dict.fromkeys(corpus.chorales.Iterator(returnType="filename")))
    rolls: dict[bytes, np.ndarray] = {}
    with Progress("read the chorales", total=len(names), unit="piece",
                  counted="pieces") as progress:
        for name in names:
            roll = _roll(corpus.parse(name))
            if roll is not None:
                rolls.setdefault(roll.tobytes(), roll)
            progress.advance()
    return list(rolls.values())


def _roll(score: Any) -> np.ndarray | None:
    """Returns the roll of a score; None where it has fewer than four parts or no notes."""
    if len(score.parts) < 4:
        return None
    events = [(_frame(note.offset), _frame(note.offset + note.quarterLength), pitch.midi)
              for note in score.flatten().notes for pitch in note.pitches]
    events = [event for event in events if 0 <= event[2] - archives.LOWEST < archives.NOTES]
    roll = np.zeros([max((end for _, end, _ in events), default=0), archives.NOTES], np.uint8)
    for start, end, pitch in events:
        roll[start:max(end, start + 1), pitch - archives.LOWEST] = 1
    return roll if len(roll) else None


def _frame(beats: Any) -> int:
    return int(np.floor(float(beats) * _FRAMES_PER_BEAT + 0.5))
