# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a command does to the rest of the machine, seen while it runs.

Python tells its audit hooks of every file that is opened, moved or removed, of every process that
is started, of every name that a pickle asks for. What libraries in C++ write is found by comparing
the folder before and after.
"""
from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events, and which of their arguments are paths that change.
_CHANGES = {
    "os.mkdir": (0,), "os.rmdir": (0,), "os.remove": (0,), "os.rename": (0, 1), "os.link": (0, 1),
    "os.symlink": (1,), "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
    "os.setxattr": (0,), "os.removexattr": (0,)}
_NEVER = {
    "pickle.find_class": "a pickle was loaded", "subprocess.Popen": "a process was started",
    "os.system": "a shell was started", "os.exec": "a program was started",
    "os.posix_spawn": "a process was started", "os.fork": "the process was forked",
    "socket.connect": "a connection was made", "urllib.Request": "the network was asked"}


class Guard:
    """Writes down what is done outside the folders where it may be done, and prevents it."""

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] | None = None
        self._seen: list[str] = []
        sys.addaudithook(self._audit)

    @contextlib.contextmanager
    def watching(self, allowed: Sequence[Path]) -> Iterator[list[str]]:
        """Inside, nothing may be written but below `allowed`; gives the list of what was."""
        self._seen = []
        self._allowed = tuple(os.path.realpath(path) for path in allowed)
        try:
            yield self._seen
        finally:
            self._allowed = None

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._allowed is None:
            return
        if event in _NEVER:
            self._seen.append(f"{_NEVER[event]} ({str(arguments)[:200]})")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            self._check(event, arguments[0])
        elif event in _CHANGES:
            for position in _CHANGES[event]:
                self._check(event, arguments[position])

    def _check(self, event: str, path: Any) -> None:
        if isinstance(path, int) or path is None or self._allowed is None:
            return
        allowed, self._allowed = self._allowed, None  # what is asked here is not audited
        try:
            real = os.path.realpath(os.fsdecode(path))
            inside = any(real == root or real.startswith(root + os.sep) for root in allowed)
            inside = inside or real in ("/dev/null", "/dev/zero", "/dev/full")
        finally:
            self._allowed = allowed
        if not inside:
            self._seen.append(f"{event} of {real!r}")
            raise PermissionError(1, "outside of the fuzzer's folder", str(real))


def contents(folder: Path, *, without: Sequence[Path] = ()) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything in a folder, links not followed."""
    found = {}
    left_out = {os.fspath(path) for path in without}
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(where, name) not in left_out]
        for name in [*folders, *files]:
            path = os.path.join(where, name)
            if path not in left_out:
                status = os.lstat(path)
                is_file = os.path.isfile(path) and not os.path.islink(path)
                found[path] = (status.st_size, status.st_mtime_ns) if is_file else (0, 0)
    return found
