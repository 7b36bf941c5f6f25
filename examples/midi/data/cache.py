# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Notes of files that were read before, kept in the user's cache folder by content.

A file that was renamed or copied is found again, one that was edited is read anew. What cannot be
written or read there is done without.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from .midi_reader import Notes

_VERSION = 1  # of what is kept; a change of how files are read wants another


def folder() -> Path:
    """Where this program keeps what it can make again: in $XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path(os.path.expanduser("~")) / ".cache"
    return base / "vaeseq" / "midi"


def load(content: bytes) -> Notes | None:
    """The notes of a file with this content, if they are there and whole."""
    try:
        with open(_path(content), "rb") as file, np.load(file, allow_pickle=False) as kept:
            notes = Notes(*[kept[name] for name in Notes._fields])
    except Exception:  # NumPy and the unpacker under it raise many kinds for a damaged file
        return None
    count = len(notes.pitch)
    whole = (notes.seconds.shape == notes.beats.shape == (count, 3)
             and notes.drum.shape == (count,) and notes.end.shape == (2,))
    return notes if whole else None


def save(content: bytes, notes: Notes) -> None:
    """Keeps the notes of a file with this content."""
    with contextlib.suppress(OSError):
        path = _path(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as aside:
            try:
                np.savez(aside, **notes._asdict())
                aside.close()
                os.replace(aside.name, path)
            except OSError:
                os.unlink(aside.name)
                raise


def _path(content: bytes) -> Path:
    return folder() / f"{hashlib.sha256(content).hexdigest()[:40]}-{_VERSION}.npz"


def has(content: bytes) -> bool:
    """Whether notes of a file with this content are there, whole or not."""
    return _path(content).is_file()
