# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How much memory a process may take, so that too much is an error and not the end.

Where a machine has no memory left, Linux ends a process without a word. Where the process has a
limit, the allocation fails, and the program can say that a smaller model needs less.
"""
from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator

_GPUS = ("/dev/nvidiactl", "/dev/kfd")  # their drivers map more than they use


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Inside, no more memory can be taken than there is; a limit that is set already stays.

    Nothing is changed where it is not known how much there is (other systems than Linux), or where
    there is a GPU.
    """
    available, taken = _available(), _kilobytes("/proc/self/status", "VmData")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = available + taken
    if not available or not taken or any(map(os.path.exists, _GPUS)) or (
            before[0] != resource.RLIM_INFINITY and before[0] <= wanted):
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _available() -> int:
    """Bytes that are free on the machine, or in the container; 0 where that is not known."""
    free = _kilobytes("/proc/meminfo", "MemAvailable")
    try:
        most, used = (int(_read(f"/sys/fs/cgroup/memory.{name}")) for name in ("max", "current"))
    except ValueError:  # there is no limit, or no such file
        return free
    return min(free, max(0, most - used))


def _kilobytes(path: str, name: str) -> int:
    """A figure of a file of `name: number kB` lines, in bytes; 0 where it is not there."""
    found = re.search(rf"^{name}:\s+(\d+) kB", _read(path), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
