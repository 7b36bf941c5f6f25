# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The worker processes of `fuzz`: started, asked, watched, and ended where they go too far."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

from . import fuzz_worker
from .driven import ROOT

# Of work, and of waiting; a whole case may compile a model of the default size, and the worker
# itself watches a process of its own.
_MOST_SECONDS = {"warm": 10, "whole": 60, "process": 900}
_POLL = 0.1  # seconds
_CASES_A_WORKER = 1500  # then another one is started: TensorFlow keeps what it compiled


class Asked(NamedTuple):
    """A case to run."""

    kind: str
    number: int
    depth: str


class Workshop(NamedTuple):
    """Where workers work.

    Attributes:
      folder: each makes one of its own in it.
      made: the runs that `prepare` made.
      seed: of all cases.
    """

    folder: Path
    made: Path
    seed: int


class Crew:
    """One worker process after another: a dead one is replaced, and one that has done enough."""

    def __init__(self, shop: Workshop):
        self._shop = shop
        self._worker: subprocess.Popen[str] | None = None
        self._done = 0

    def ask(self, asked: Asked) -> dict[str, Any]:
        """What the worker says of a case."""
        if self._done >= _CASES_A_WORKER:
            self.close()
        if self._worker is None:
            self._worker, self._done = _start(self._shop), 0
        answer = _ask(self._worker, asked)
        self._done += 1
        if answer["dead"]:
            self._worker = None
        return answer

    def close(self) -> None:
        """Ends the worker, if there is one."""
        if self._worker is not None:
            self._worker.communicate()
        self._worker, self._done = None, 0


def _start(shop: Workshop) -> subprocess.Popen[str]:
    root = tempfile.mkdtemp(dir=shop.folder)
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.robustness.fuzz", "work", root, str(shop.made), "--seed",
         str(shop.seed)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    if worker.stdout.readline() != fuzz_worker.READY:
        raise RuntimeError(f"a worker did not start: status {worker.wait()}")
    return worker


def _ask(worker: subprocess.Popen[str], asked: Asked) -> dict[str, Any]:
    """The answer of a worker; where there is none in time, what became of it."""
    assert worker.stdin is not None and worker.stdout is not None
    stop = threading.Event()
    found: list[str] = []
    watch = threading.Thread(target=_watch, args=(worker.pid, asked.depth, stop, found))
    watch.start()
    try:
        worker.stdin.write(json.dumps(asked._asdict()) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
    except BrokenPipeError:
        line = ""
    finally:
        stop.set()
        watch.join()
    if line:
        return {**json.loads(line), "dead": False}
    status = worker.wait()
    return {**asked._asdict(), "status": status, "said": "", "seconds": 0.0, "mebibytes": 0.0,
            "findings": found or [f"the process ended with status {status}"], "dead": True}


def _watch(pid: int, depth: str, stop: threading.Event, found: list[str]) -> None:
    """Ends a worker that works or waits too long, or takes too much memory."""
    began, last, idle = None, -1.0, 0.0
    while not stop.wait(_POLL):
        status = _status(pid)
        if status is None:
            return
        state, cpu, mebibytes = status
        began = cpu if began is None else began
        idle = idle + _POLL if cpu == last and state == "S" else 0.0
        last = cpu
        if mebibytes > 1.2 * fuzz_worker.MOST_MEBIBYTES:
            found.append(f"{mebibytes:.0f} MiB and growing")
        elif cpu - began > _MOST_SECONDS[depth]:
            found.append(f"more than {_MOST_SECONDS[depth]} s of work")
        elif idle > _MOST_SECONDS[depth]:
            found.append(f"more than {_MOST_SECONDS[depth]} s of waiting")
        if found:
            os.kill(pid, 9)
            return


def _status(pid: int) -> tuple[str, float, float] | None:
    """A process's state, processor seconds and resident MiB; None where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    cpu = (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")
    return text[0], cpu, int(text[21]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
