# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Finds the files that command-line names stand for.

A name is a file, a folder (searched for MIDI files), a pattern such as `music/**/*.mid`, or a split
of an archive of piano rolls, `PATH.npz:train`.
"""
from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
_SPLIT = re.compile(r"(.+\.npz):([a-z_]+)", re.DOTALL)


class Source(NamedTuple):
    """A file to read."""

    path: str  # path of the file
    split: str  # split of an archive; "" for a MIDI file


class Skipped(NamedTuple):
    """A file that was not loaded."""

    name: str  # the path, with the split of an archive
    reason: str  # why it was not loaded


def find(names: Sequence[str]) -> tuple[list[Source], list[Skipped]]:
    """Returns the files for `names`, each once, and the folders that cannot be read.

    Raises:
      UsageError: a name matches nothing.
    """
    skipped: list[Skipped] = []
    sources: dict[tuple[str, str], Source] = {}
    for name in names:
        for source in _expand(name, skipped):
            sources.setdefault((os.path.realpath(source.path), source.split), source)
    return list(sources.values()), skipped


def _expand(name: str, skipped: list[Skipped]) -> Iterator[Source]:
    split = _SPLIT.fullmatch(name)
    if split and not os.path.lexists(name):
        yield Source(*split.groups())
    elif os.path.isdir(name):
        yield from _search(name, skipped)
    elif os.path.lexists(name):
        yield Source(name, "")
    elif glob.has_magic(name):
        yield from _match(name, skipped)
    else:
        raise UsageError(f"no such file or folder: {short_repr(name)}")


def _match(pattern: str, skipped: list[Skipped]) -> Iterator[Source]:
    paths = sorted(glob.iglob(pattern, recursive=True))
    if not paths:
        raise UsageError(
            f"{short_repr(pattern)}: expected a pattern that matches files, but none does")
    for path in paths:
        if not os.path.isdir(path):
            yield Source(path, "")
        elif "**" not in pattern:  # "**" matches the files in folders, too
            yield from _search(path, skipped)


def _search(folder: str, skipped: list[Skipped]) -> Iterator[Source]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), error.strerror or "it cannot be read"))

    for where, folders, files in os.walk(folder, onerror=unreadable):
        folders.sort()
        yield from (Source(os.path.join(where, file), "") for file in sorted(files)
                    if file.lower().endswith(_SUFFIXES))
