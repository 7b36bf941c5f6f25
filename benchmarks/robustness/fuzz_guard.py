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
# Events; which of their arguments are paths that change, and where an open directory stands that
# such a path may be relative to.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.mkdir": ((0, 2),), "os.rmdir": ((0, 1),), "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)), "os.link": ((0, 2), (1, 3)), "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),), "os.chmod": ((0, 2),), "os.chown": ((0, 3),),
    "os.utime": ((0, 3),), "os.setxattr": ((0, None),), "os.removexattr": ((0, None),)}
_NEVER = {
    "pickle.find_class": "a pickle was loaded", "subprocess.Popen": "a process was started",
    "os.system": "a shell was started", "os.exec": "a program was started",
    "os.posix_spawn": "a process was started", "os.fork": "the process was forked",
    "socket.connect": "a connection was made", "urllib.Request": "the network was asked"}


class Guard:
    """Writes down what is done outside the folders where it may be done, and prevents it."""

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] | None = None
        self._named: tuple[str, ...] = ()
        self._seen: list[str] = []
        sys.addaudithook(self._audit)

    @contextlib.contextmanager
    def watching(
        self, allowed: Sequence[Path], named: Sequence[str] = ()
    ) -> Iterator[list[str]]:
        """Inside, nothing may be written but below `allowed`; gives the list of what was.

        What is below `named`, which was asked for, is prevented too, but not written down.
        """
        self._seen = []
        self._named = tuple(os.path.realpath(path) for path in named)
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
            for path, directory in _CHANGES[event]:
                self._check(event, arguments[path],
                            -1 if directory is None else arguments[directory])

    def _check(self, event: str, path: Any, directory: int = -1) -> None:
        if isinstance(path, int) or path is None or self._allowed is None:
            return
        allowed, self._allowed = self._allowed, None  # what is asked here is not audited
        try:
            beside = os.readlink(f"/proc/self/fd/{directory}") if directory >= 0 else ""
            real = os.path.realpath(os.path.join(beside, os.fsdecode(path)))
            inside = _is_below(real, allowed) or real in ("/dev/null", "/dev/zero", "/dev/full")
        finally:
            self._allowed = allowed
        if not inside:
            if not _is_below(real, self._named):
                self._seen.append(f"{event} of {real!r}")
            raise PermissionError(1, "outside of the fuzzer's folder", str(real))


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


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
