# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The files that names name.

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
from vaeseq.fields import shown

_SUFFIXES = (".mid", ".midi", ".kar")
_SPLIT = re.compile(r"(.+\.npz):([a-z_]+)", re.DOTALL)


class Source(NamedTuple):
    """A file to read.

    Attributes:
      path: where it is.
      split: of an archive; "" for a MIDI file.
    """

    path: str
    split: str


class Skipped(NamedTuple):
    """A file that was left out.

    Attributes:
      name: as it was found.
      reason: why.
    """

    name: str
    reason: str


def find(names: Sequence[str]) -> tuple[list[Source], list[Skipped]]:
    """The files that names name, each once, and the folders that cannot be read.

    Raises:
      UsageError: a name names nothing.
    """
    skipped: list[Skipped] = []
    found: dict[tuple[str, str], Source] = {}
    for name in names:
        for source in _named(name, skipped):
            found.setdefault((os.path.realpath(source.path), source.split), source)
    return list(found.values()), skipped


def _named(name: str, skipped: list[Skipped]) -> Iterator[Source]:
    split = _SPLIT.fullmatch(name)
    if split and not os.path.lexists(name):
        yield Source(*split.groups())
    elif os.path.isdir(name):
        yield from _searched(name, skipped)
    elif os.path.lexists(name):
        yield Source(name, "")
    elif glob.has_magic(name):
        yield from _matching(name, skipped)
    else:
        raise UsageError(f"no such file or folder: {shown(name)}")


def _matching(pattern: str, skipped: list[Skipped]) -> Iterator[Source]:
    paths = sorted(glob.iglob(pattern, recursive=True))
    if not paths:
        raise UsageError(f"{shown(pattern)}: expected a pattern that matches files, but none does")
    for path in paths:
        if not os.path.isdir(path):
            yield Source(path, "")
        elif "**" not in pattern:  # that pattern matches what the folders hold too
            yield from _searched(path, skipped)


def _searched(folder: str, skipped: list[Skipped]) -> Iterator[Source]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), error.strerror or "it cannot be read"))

    for where, folders, files in os.walk(folder, onerror=unreadable):
        folders.sort()
        yield from (Source(os.path.join(where, file), "") for file in sorted(files)
                    if file.lower().endswith(_SUFFIXES))
