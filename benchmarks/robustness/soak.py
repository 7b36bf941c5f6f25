# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A long training run watched: memory, file handles, compilations, and the cost of a step.

    python -m benchmarks.robustness.soak run text=CORPUS.txt midi=ARCHIVE.npz:train --minutes 60
    python -m benchmarks.robustness.soak watch text CORPUS.txt --minutes 60

`run` watches each program in a process of its own, one after another, prints what `watch` prints (a
JSON line from time to time) and then a table with a verdict; the exit status is 1 where a figure
passes its limit. What the limits are of:

    memory    slope of the resident memory after the warm-up, least squares, MiB an hour. Growth of
              less than 16 MiB in all is not told from the steps in which memory is taken.
    traces    functions traced, and so compiled, in the second half; there may be none.
    handles   open file handles, the least of the last third less the least of the first: what is
              open only while something is saved does not count.
    slowing   processor seconds of a step, the last third's over the first third's: other programs
              on the machine hardly change it, as they would wall time.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.fields import Range

from .driven import DRIVEN, ROOT

_LINES = 240  # in a run
_WARM_UP = 0.2  # share of the run that is left out of slopes
_LEAST_GROWTH = 16.0  # MiB
_MOST_SLOWING = 1.25
_MEBIBYTE = 1 << 20


class Seen(NamedTuple):
    """What one line says.

    Attributes:
      seconds: since training began.
      steps: updates made.
      cpu_seconds: of the process, all threads.
      memory: resident, MiB.
      handles: open file descriptors.
      threads: of the process.
      traces: functions that were traced, counted again for each new shape.
    """

    seconds: float
    steps: int
    cpu_seconds: float
    memory: float
    handles: int
    threads: int
    traces: int


class Verdict(NamedTuple):
    """Figures of a whole run, and what is wrong with them ("" where nothing is)."""

    memory_slope: float
    memory_growth: float
    late_traces: int
    more_handles: int
    slowing: float
    steps: int
    minutes: float
    wrong: str


class Counts:
    """Updates and traces, counted as they happen."""

    def __init__(self) -> None:
        self.steps = 0
        self.traces = 0


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="PROGRAM=DATA",
                        help=f"programs ({', '.join(DRIVEN)}) and what they train on")
    _add_length(parser)
    parser.add_argument("--most-growth", type=arguments.real(Range(0, 1e6)), default=32.0,
                        metavar="MIB", help="memory slope that is allowed, MiB an hour")


def _watch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", choices=tuple(DRIVEN))
    parser.add_argument("data", metavar="DATA", help="what to train on")
    _add_length(parser)


def _add_length(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--minutes", type=arguments.minutes, default=60.0, metavar="M", help="of each program")
    add("--throttle", type=arguments.real(Range(0, 60)), default=0.0, metavar="S",
        help="seconds of rest after each step, to leave the machine to others")
    add("--hparams", default="", metavar="KEY=VALUE,...", help="other than the program's own")


def _run(options: argparse.Namespace) -> None:
    runs = [_named(run) for run in options.runs]
    verdicts = []
    for name, data in runs:
        seen = _watched(name, data, options)
        verdicts.append((name, judge(seen, options.most_growth)))
        print(json.dumps({"program": name, **verdicts[-1][1]._asdict()}), flush=True)
    print()
    print(_table(verdicts, options.most_growth))
    if any(verdict.wrong for _, verdict in verdicts):
        raise SystemExit(1)


def _named(run: str) -> tuple[str, str]:
    name, equals, data = run.partition("=")
    if name not in DRIVEN or not equals:
        raise arguments.UsageError(
            f"expected PROGRAM=DATA with one of {', '.join(DRIVEN)}; got {run!r}.")
    return name, data


def _watched(name: str, data: str, options: argparse.Namespace) -> list[Seen]:
    """Runs `watch` in a process of its own; its lines are passed on."""
    words = ["watch", name, data, "--minutes", str(options.minutes), "--throttle",
             str(options.throttle), f"--hparams={options.hparams}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.robustness.soak", *words], cwd=ROOT,
                               stdout=subprocess.PIPE, text=True)
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        values = json.loads(line)
        seen.append(Seen(*[values[field] for field in Seen._fields]))
    if process.wait() or len(seen) < 6:
        raise arguments.UsageError(
            f"{name}: expected a run of {options.minutes:g} minutes, it ended with status "
            f"{process.returncode} after {len(seen)} lines.")
    return seen


def _watch(options: argparse.Namespace) -> None:
    counts = Counts()
    _count(counts, options.throttle)
    driven = DRIVEN[options.program]
    told = sys.stdout
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        words = driven.train(
            Path(folder) / "log", options.data, options.hparams, "--num-steps", str(10**9),
            "--max-minutes", str(options.minutes))
        with _told_meanwhile(options, counts, told):
            status = driven.program.run(words)
    if status:
        raise SystemExit(status)


def _count(counts: Counts, throttle: float) -> None:
    """Counts, from now on, each tracing of a `tf.function` and each update."""
    import tensorflow as tf
    make = tf.function

    def function(traced: Callable[..., Any], **options: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            counts.traces += 1  # the Python code runs when it is traced, and only then
            return traced(*args, **kwargs)
        return make(counted, **options)

    tf.function = function
    from vaeseq.train.ops import TrainOps
    update = TrainOps.__call__

    def step(self: TrainOps, *args: Any) -> Any:
        result = update(self, *args)
        counts.steps += 1
        time.sleep(throttle)
        return result

    TrainOps.__call__ = step  # type: ignore[method-assign]


@contextlib.contextmanager
def _told_meanwhile(options: argparse.Namespace, counts: Counts, told: TextIO):
    """Prints a line from time to time, in a thread, once training has begun."""
    ended = threading.Event()
    every = 60 * options.minutes / _LINES

    def tell() -> None:
        while not counts.steps and not ended.wait(0.1):
            pass
        began = time.monotonic()
        while not ended.wait(every):
            line = {"program": options.program, **_look(counts, began)._asdict()}
            print(json.dumps(line), file=told, flush=True)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _look(counts: Counts, began: float) -> Seen:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Seen(
        round(time.monotonic() - began, 1), counts.steps, round(time.process_time(), 2),
        round(pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE, 2),
        len(os.listdir("/proc/self/fd")), threading.active_count(), counts.traces)


def judge(seen: list[Seen], most_growth: float) -> Verdict:
    """The figures of a run, and which of them pass their limits.

    Args:
      seen: its lines, at least 6.
      most_growth: memory slope that is allowed, MiB an hour.
    """
    warm = seen[math.ceil(_WARM_UP * len(seen)):]
    third = len(warm) // 3
    hours = np.array([line.seconds for line in warm]) / 3600
    slope = float(np.polyfit(hours, [line.memory for line in warm], 1)[0])
    growth = slope * float(hours[-1] - hours[0])
    late = seen[-1].traces - seen[len(seen) // 2].traces
    handles = min(line.handles for line in warm[-third:]) - min(
        line.handles for line in warm[:third])
    slowing = _cost(warm[-third - 1:]) / _cost(warm[:third + 1])
    wrong = [name for name, is_wrong in (
        ("memory", slope > most_growth and growth > _LEAST_GROWTH), ("traces", late > 0),
        ("handles", handles > 0), ("slowing", slowing > _MOST_SLOWING)) if is_wrong]
    return Verdict(round(slope, 2), round(growth, 2), late, handles, round(slowing, 3),
                   seen[-1].steps, round(seen[-1].seconds / 60, 1), ", ".join(wrong))


def _cost(lines: list[Seen]) -> float:
    """Processor seconds of a step: games are played in between, so of all steps together."""
    first, last = lines[0], lines[-1]
    return (last.cpu_seconds - first.cpu_seconds) / max(1, last.steps - first.steps)


def _table(verdicts: list[tuple[str, Verdict]], most_growth: float) -> str:
    lines = [f"| program | minutes | steps | memory, MiB an hour (at most {most_growth:g}) | "
             f"late traces (0) | more handles (0) | slowing (at most {_MOST_SLOWING:g}) | "
             "verdict |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    lines += [f"| {name} | {v.minutes:g} | {v.steps:,} | {v.memory_slope:+.1f} | {v.late_traces} | "
              f"{v.more_handles:+d} | {v.slowing:.2f} | {v.wrong or 'flat'} |"
              for name, v in verdicts]
    return "\n".join(lines)


program = Program("python -m benchmarks.robustness.soak", "Long runs, watched.", (
    Command("run", "watch programs train, and judge", _run_arguments, _run),
    Command("watch", "watch one program in this process", _watch_arguments, _watch)))

if __name__ == "__main__":
    program.main()
