# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Where and when a result was made."""
from __future__ import annotations

import datetime
import os
import platform
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from vaeseq.version import __version__


def circumstances(module: str) -> dict[str, Any]:
    """The command of `module` that is running, the day, the machine and the versions."""
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB, "
                   f"{platform.system()}",
        "python": platform.python_version(), "vaeseq": __version__}


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    return found[1] if found else platform.processor() or platform.machine()


def _memory() -> str:
    found = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    return f"{int(found[1]) / (1 << 20):.0f}" if found else "?"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return ""
