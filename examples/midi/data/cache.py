# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A cache of the notes of MIDI files, in the user's cache folder, keyed by content.

Renamed and copied files are found; edited files are parsed again. Errors in reading or writing the
cache are ignored.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from vaeseq.runs.cache_folder import cache_folder

from .midi_reader import Notes

_VERSION = 6  # raise it when the parser changes


def folder() -> Path:
    """Returns the cache folder of the program."""
    return cache_folder("midi")


def load(content: bytes) -> Notes | None:
    """Returns the cached notes of a file with this content, or None."""
    try:
        with open(_path(content), "rb") as file, np.load(file, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in Notes._fields}
            notes = Notes(**{**fields, "repairs": tuple(fields["repairs"].tolist())})
    except Exception:  # NumPy and zipfile raise many types for a damaged file
        return None
    count = len(notes.pitch)
    valid = (notes.seconds.shape == notes.beats.shape == (count, 3)
             and notes.velocity.shape == notes.drum.shape == (count,)
             and notes.program.shape == notes.voice.shape == (count,) and notes.end.shape == (2,))
    return notes if valid else None


def save(content: bytes, notes: Notes) -> None:
    """Caches the notes of a file with this content."""
    with contextlib.suppress(OSError):
        path = _path(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                np.savez(file, **notes._asdict())
                file.close()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise


def _path(content: bytes) -> Path:
    return folder() / f"{hashlib.sha256(content).hexdigest()[:40]}-{_VERSION}.npz"


def has(content: bytes) -> bool:
    """Returns whether notes of a file with this content are cached; they may be damaged."""
    return _path(content).is_file()
