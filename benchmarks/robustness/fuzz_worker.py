# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A process of `fuzz` that runs one case after another, and judges each.

It reads a JSON object a line, {"kind", "number", "depth"}, and answers with one. Three depths:

    warm      in this process, with everything that only computes left out: no update is made, no
              score and no sample is drawn. All that reads, checks and writes is real.
    whole     in this process, nothing left out.
    process   in a process of its own, as a person runs it.
"""
from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .driven import DRIVEN, ROOT
from .fuzz_guard import Guard, contents
from .fuzz_kinds import KINDS, Case, Space

READY = "ready\n"
MOST_MEBIBYTES = 2048
_LONGEST_LINE = 4000
_VICTIM = "nothing may change this"
_MOST_SECONDS = 60  # of a process of its own, starting included


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
      status: its exit status.
      err: its stderr.
      out: the beginning of its stdout.
      seconds: of processor time.
      mebibytes: the most that was resident.
      seen: what it did that it may not.
    """

    status: int
    err: str
    out: str
    seconds: float
    mebibytes: float
    seen: list[str]


def work(root: Path, made: Path, seed: int) -> None:
    """Answers until stdin ends; `root` is a folder of this worker's own."""
    answers = os.fdopen(os.dup(1), "w")
    space = Space(root / "case", made, root / "executed", root / "home")
    space.home.mkdir(exist_ok=True)
    os.environ.update(HOME=str(space.home), XDG_CACHE_HOME=str(space.home),
                      MPLCONFIGDIR=str(space.home), TF_CPP_MIN_LOG_LEVEL="3")
    guard = Guard()
    from . import fuzz_warm
    warm = fuzz_warm.Warm(space)
    _bound_memory()
    print(READY, end="", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        said = answer(asked, seed, space, guard, warm)
        print(json.dumps(said), file=answers, flush=True)


def make(kind: str, number: int, seed: int, space: Space) -> Case:
    """A case, made in an empty folder with a file in it that nobody may change."""
    os.chdir("/")
    shutil.rmtree(space.case, ignore_errors=True)
    space.case.mkdir()
    (space.case / "victim").write_text(_VICTIM)
    os.chdir(space.case)
    return KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind), number]), space)


def answer(asked: dict, seed: int, space: Space, guard: Guard, warm: Any) -> dict:
    """Runs a case and judges it.

    Args:
      asked: its "kind", "number" and "depth".
      seed: of all cases.
      space: where it is made.
      guard: what watches this process.
      warm: a `fuzz_warm.Warm`.
    """
    case = make(asked["kind"], asked["number"], seed, space)
    allowed = [space.case if case.anywhere else space.case / "log", space.home]
    before = _outside(space, case)
    if asked["depth"] == "process":
        ended = _in_process_of_its_own(case, space)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the most memory is counted anew
        with warm.warm(asked["depth"] == "warm"), guard.watching(allowed, _named(case)) as seen:
            ended = _in_this_process(case, space, seen)
    found = findings(case, ended)
    if space.mark.exists():
        found.append("a planted payload ran")
        space.mark.rmdir()
    changed = {path for path, _ in before.items() ^ _outside(space, case).items()}
    found += [f"changed {path!r}" for path in sorted(changed)[:3]]
    lines = ended.err.strip().splitlines()
    return {**asked, "program": case.program, "words": case.words, "status": ended.status,
            "seconds": round(ended.seconds, 2), "mebibytes": round(ended.mebibytes),
            "said": lines[-1][:_LONGEST_LINE] if lines else "", "findings": found}


def _named(case: Case) -> list[str]:
    """What a command line asks to be written, and it may be anywhere."""
    if not case.anywhere:
        return []
    return [word for given in case.words for word in (given, given.partition("=")[2]) if word]


def _outside(space: Space, case: Case) -> dict[str, tuple[int, int]]:
    """What a case may not change: all but its log directory."""
    found = contents(space.made)
    if case.anywhere:
        return found
    return {**found, **contents(space.case, without=[space.case / "log"])}


def _in_this_process(case: Case, space: Space, seen: list[str]) -> Ended:
    streams = [open(space.said(name), "w+b") for name in ("out", "err")]  # noqa: SIM115
    kept = [os.dup(1), os.dup(2)]
    python = sys.stdout, sys.stderr
    for stream, number in zip(streams, (1, 2)):
        os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = (
        open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        for number in (1, 2))
    began = time.process_time()
    try:
        status = DRIVEN[case.program].program.run(case.words)
    except BaseException as error:
        status = -1
        seen.append(f"{type(error).__name__} left the program: {error}")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = python
        for descriptor, number in zip(kept, (1, 2)):
            os.dup2(descriptor, number)
            os.close(descriptor)
    out, err = (_text(stream) for stream in streams)
    return Ended(status, err, out, time.process_time() - began, _most_memory(), seen)


def _text(stream: Any) -> str:
    stream.seek(0)
    with stream:
        return stream.read(1 << 20).decode("utf-8", "backslashreplace")


def _most_memory() -> float:
    return _mebibytes("VmHWM")


def _bound_memory() -> None:
    """From now on, allocations fail that would make this process larger than it may be."""
    most = _mebibytes("VmData") + MOST_MEBIBYTES - _mebibytes("VmRSS")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(most * (1 << 20)), hard))


def _mebibytes(name: str) -> float:
    (found,) = re.findall(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(found) / 1024


def _in_process_of_its_own(case: Case, space: Space) -> Ended:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(space.said("out"), "w+b") as out, open(space.said("err"), "w+b") as err:
        process = subprocess.Popen(
            DRIVEN[case.program].command(case.words), stdin=subprocess.DEVNULL, stdout=out,
            stderr=err, env=environment, cwd=space.case)
        seen = []
        until = time.monotonic() + 10 * _MOST_SECONDS
        while process.poll() is None:
            time.sleep(0.05)
            if _cpu_seconds(process.pid) > _MOST_SECONDS or time.monotonic() > until:
                process.kill()
                seen.append(f"it ran for more than {_MOST_SECONDS} s")
                break
        process.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(1 << 20).decode("utf-8", "backslashreplace"))
    return Ended(process.returncode, texts[1], texts[0], 0.0, used.ru_maxrss / 1024, seen)


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _debugged(case: Case) -> bool:
    """Whether a traceback was asked for."""
    return "--debug" in case.words


def findings(case: Case, ended: Ended) -> list[str]:
    """What is wrong with how a command ended."""
    found = list(ended.seen)
    if "Traceback (most recent call last)" in ended.err + ended.out and not _debugged(case):
        found.append("a traceback")
    if ended.mebibytes > MOST_MEBIBYTES:
        found.append(f"{ended.mebibytes:.0f} MiB")
    if ended.status not in (0, 1, 2):
        found.append(f"exit status {ended.status}")
    if ended.status in (1, 2):
        name = DRIVEN[case.program].program.name
        lines = ended.err.strip().splitlines()
        told = [line for line in lines if line.startswith(f"{name}: ")]
        if len(told) != 1 or lines[-1] != told[0]:
            found.append(f"{len(told)} lines tell the error")
        elif len(told[0]) > _LONGEST_LINE:
            found.append(f"a line of {len(told[0])} characters")
        elif not told[0].startswith(f"{name}: error: "):
            found.append("no error is told")
        elif "unexpected " in told[0]:
            found.append("the error was not expected")
    return found
