# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What results and tables of all benchmarks share."""
from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import sys
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.version import __version__


def provenance(module: str) -> dict[str, Any]:
    """Returns the running command of `module`, the date, the machine and the versions.

    Paths in the command that begin with "/" or "." are reduced to their last names.
    """
    return {
        "command": shlex.join(["python", "-m", module, *map(_without_folders, sys.argv[1:])]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB, "
                   f"{platform.system()}",
        "python": platform.python_version(), "vaeseq": __version__}


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def results_in(folder: Path) -> list[dict[str, Any]]:
    """Returns the results of a folder; raises UsageError if there are none."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not rows:
        raise UsageError(
            f"--results: expected results in {str(folder)!r}, found none. Run them first.")
    return rows


def existing_result(path: Path, **expected: Any) -> dict[str, Any] | None:
    """Returns the result in a file, or None without the file.

    Raises UsageError if a value of the result is not the expected one.
    """
    if not path.is_file():
        return None
    row = json.loads(path.read_text())
    require(path, row, expected)
    return row


def require(path: Path, measured: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises UsageError if a value of the result in `path` is not the expected one."""
    as_saved = json.loads(json.dumps(expected))  # tuples become lists
    if differing := [name for name, value in as_saved.items() if measured.get(name) != value]:
        raise UsageError(
            f"{str(path)!r}: expected a result of the present recipe, data and options, got one "
            f"with other {', '.join(differing)}. Remove it to measure again, or give another "
            "folder.")


def checksum(arrays: Iterable[np.ndarray]) -> str:
    """Returns a checksum of the values of arrays, in their order."""
    total = 0
    for array in arrays:
        total = zlib.crc32(array.tobytes(), total)
    return f"{total:08x}"


class Sessions:
    """Adds the seconds of its `with` block to those of earlier sessions, which a file holds.

    An interrupted session counts, too.

    Attributes:
      seconds: of all sessions, after the block.
    """

    def __init__(self, log_dir: Path):
        """Creates the clock of the run in `log_dir`."""
        self._path = log_dir / "seconds.json"
        self.seconds = 0.0

    def __enter__(self) -> Sessions:
        self._start = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        earlier = json.loads(self._path.read_text()) if self._path.is_file() else 0.0
        self.seconds = earlier + time.monotonic() - self._start
        if self._path.parent.is_dir():  # training may have failed before it made one
            self._path.write_text(json.dumps(self.seconds))


def _without_folders(word: str) -> str:
    """Reduces a path, alone or after "=", to its last name."""
    path_alone = word.startswith(("/", "."))
    name, equals, path = ("", "", word) if path_alone else word.partition("=")
    last = os.path.basename(path.rstrip("/")) if path.startswith(("/", ".")) else ""
    return name + equals + (last or path)


def _processor() -> str:
    info = _read("/proc/cpuinfo")
    match = re.search(r"model name\s*: (.*)", info)
    name = match[1] if match else platform.processor() or platform.machine()
    return f"{name} with AVX-512" if "avx512f" in info else name


def _memory() -> str:
    match = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    return f"{int(match[1]) / (1 << 20):.0f}" if match else "?"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return ""
