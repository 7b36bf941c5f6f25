# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The files of a corpus, which the command line names by files, folders and patterns."""
from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterable
from pathlib import Path

from vaeseq.cli import arguments
from vaeseq.fields import short_repr


def matches(text: str) -> list[Path]:
    """Returns the files that one argument names, sorted as by `corpus_files`.

    Args:
      text: a file; a folder, which stands for all files in it and its subfolders whose names do not
        begin with a dot; or a pattern (`*`, `?`, `[...]`, and `**` for any folders).

    Raises:
      argparse.ArgumentTypeError: no file has this name, or one cannot be read.
    """
    if os.path.isdir(text):
        paths = _files_in(text)
        if not paths:
            raise argparse.ArgumentTypeError(
                f"expected a folder with files of text; {short_repr(text)} has none")
    elif glob.has_magic(text) and not os.path.lexists(text):
        names = glob.glob(text, recursive=True)
        paths = [path for name in names for path in (
            _files_in(name) if os.path.isdir(name) else [name] if os.path.isfile(name) else [])]
        if not paths:
            raise argparse.ArgumentTypeError(f"no file matches the pattern {short_repr(text)}")
    else:
        return [arguments.readable_file(text)]
    return _sorted(map(arguments.readable_file, paths))


def corpus_files(texts: Iterable[str]) -> list[Path]:
    """Returns the files that arguments name, each once, sorted by path.

    The order is that of the absolute paths, folder by folder, each name compared by its bytes. So
    it depends neither on the locale, nor on the file system, nor on the order of the arguments. Of
    several links to a file, the first counts.

    Raises:
      argparse.ArgumentTypeError: an argument names no file, or a file cannot be read.
    """
    return _sorted({path for text in texts for path in matches(text)})


def _sorted(paths: Iterable[Path]) -> list[Path]:
    ordered = sorted(paths, key=lambda path: os.fsencode(os.path.abspath(path)).split(b"/"))
    unique: dict[str, Path] = {}
    for path in ordered:
        unique.setdefault(os.path.realpath(path), path)
    return list(unique.values())


def _files_in(folder: str) -> list[str]:
    def stop(error: OSError) -> None:
        raise argparse.ArgumentTypeError(f"{error.strerror}: {short_repr(str(error.filename))}")

    paths, visited = [], set()
    for parent, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        place = os.path.realpath(parent)
        if place in visited:  # by another link, which may lead in a circle
            folders.clear()
            continue
        visited.add(place)
        # In one order, as the first link to a folder counts.
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=os.fsencode)
        paths += [os.path.join(parent, name) for name in names if not name.startswith(".")]
    return [path for path in paths if os.path.isfile(path)]


def argument(text: str) -> str:
    """Returns an argument that names files; for `add_argument(type=...)`."""
    matches(text)
    return text
