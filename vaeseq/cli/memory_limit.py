# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Caps RLIMIT_DATA, so that exceeding memory raises MemoryError instead of invoking the OOM killer.

Linux kills a process that takes more memory than there is, without a message. With the cap its
allocation fails, and the program can say that a smaller model needs less.
"""
from __future__ import annotations

import contextlib
import os
import re
import resource
from collections.abc import Iterator

# TensorFlow aborts where it lacks memory to start and to compile; a small model takes half of this.
_LEAST = 2 << 30
_GPUS = ("/dev/nvidiactl", "/dev/kfd")  # GPU drivers map more memory than they use


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Caps the memory of the process at its present use plus the available memory.

    Changes nothing where a cap is lower already or would be too low for TensorFlow, on systems
    other than Linux, and with a GPU.
    """
    available, used = _available(), _bytes("/proc/self/status", "VmData")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    cap = available + used
    if not available or not used or cap < _LEAST or any(map(os.path.exists, _GPUS)) or (
            soft != resource.RLIM_INFINITY and soft <= cap):
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (cap, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _available() -> int:
    """Returns the available bytes of the machine or the container; 0 if unknown."""
    free = _bytes("/proc/meminfo", "MemAvailable")
    try:
        limit, used = (int(_read(f"/sys/fs/cgroup/memory.{name}")) for name in ("max", "current"))
    except ValueError:  # "max" for no limit, or no such file
        return free
    # The kernel takes back the pages of files that were read.
    cached = re.findall(r"^(?:in)?active_file (\d+)$", _read("/sys/fs/cgroup/memory.stat"), re.M)
    return min(free, max(0, limit - used + sum(map(int, cached))))


def _bytes(path: str, name: str) -> int:
    """Returns the value of a line "name: value kB" in bytes; 0 if there is none."""
    match = re.search(rf"^{name}:\s+(\d+) kB", _read(path), re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
