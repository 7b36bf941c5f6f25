# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Watches a long training run: memory, open files, compilations, and the cost of a step.

    python -m benchmarks.robustness.soak run text CORPUS.txt --minutes 60
    python -m benchmarks.robustness.soak run midi ARCHIVE.npz:train --minutes 60

Prints a JSON line at regular intervals, then one with the verdict; the exit status is 1 if a figure
exceeds its limit. The figures:

    memory    least-squares slope of the resident memory after the warm-up, MiB per hour. Growth of
              less than 16 MiB in total passes: memory is allocated in steps.
    traces    functions traced, and so compiled, in the second half; the limit is none
    handles   open file descriptors, the minimum of the last third minus that of the first, so that
              files that are open only during a save do not count; the limit is none
    slowing   processor seconds per step, the last third's over the first third's. Other programs
              affect processor time less than wall time.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.fields import Range

from .targets import TARGETS

_LINES = 240  # of a run
_WARM_UP = 0.2  # fraction of the run that slopes leave out
_LEAST_GROWTH = 16.0  # MiB
_MOST_SLOWING = 1.25
_MEBIBYTE = 1 << 20


class Sample(NamedTuple):
    """One line of the output.

    Attributes:
      seconds: since the start of training.
      steps: updates so far.
      cpu_seconds: processor time of all threads.
      memory: resident memory in MiB.
      handles: number of open file descriptors.
      traces: number of traces of functions so far, one for each new shape.
    """

    seconds: float
    steps: int
    cpu_seconds: float
    memory: float
    handles: int
    traces: int


class Verdict(NamedTuple):
    """Figures of a run, and the names of those that exceed their limits."""

    memory_slope: float
    memory_growth: float
    late_traces: int
    more_handles: int
    slowing: float
    steps: int
    minutes: float
    wrong: str


class Counts:
    """Counters of updates and traces."""

    def __init__(self) -> None:
        self.steps = 0
        self.traces = 0


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("program", choices=tuple(TARGETS), help="program to watch")
    add("data", metavar="DATA", help="its training data, or its game")
    add("--minutes", type=arguments.minutes, default=60.0, metavar="M", help="length of the run")
    add("--throttle", type=arguments.real(Range(0, 60)), default=0.0, metavar="S",
        help="seconds of sleep after each step, to leave the machine to others")
    add("--hparams", default="", metavar="KEY=VALUE,...",
        help="hyperparameters other than the program's defaults")
    add("--most-growth", type=arguments.real(Range(0, 1e6)), default=32.0,
        metavar="MIB", help="limit of the memory slope, MiB per hour")


def _run(options: argparse.Namespace) -> None:
    counts = Counts()
    _count(counts, options.throttle)
    target = TARGETS[options.program]
    samples: list[Sample] = []
    stdout = sys.stdout
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        words = target.train(
            Path(folder) / "log", options.data, options.hparams, "--num-steps", str(10**9),
            "--max-minutes", str(options.minutes))
        with _sampling(options, counts, samples, stdout):
            status = target.program.run(words)
    if status:
        raise SystemExit(status)
    if len(samples) < 6:
        raise arguments.UsageError(
            f"expected at least 6 samples in {options.minutes:g} minutes, got {len(samples)}. "
            "Give more --minutes.")
    verdict = judge(samples, options.most_growth)
    print(json.dumps({"program": options.program, **verdict._asdict()}), flush=True)
    if verdict.wrong:
        raise SystemExit(1)


def _count(counts: Counts, throttle: float) -> None:
    """Patches TensorFlow and TrainOps to count each trace of a `tf.function` and each update."""
    import tensorflow as tf
    make = tf.function

    def function(traced: Callable[..., Any], **options: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            counts.traces += 1  # Python code runs during tracing only
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
def _sampling(
    options: argparse.Namespace, counts: Counts, samples: list[Sample], stdout: TextIO
) -> Iterator[None]:
    """Collects and prints samples at regular intervals, in a thread, once training has begun."""
    ended = threading.Event()
    interval = 60 * options.minutes / _LINES

    def collect() -> None:
        while not counts.steps and not ended.wait(0.1):
            pass
        start = time.monotonic()
        while not ended.wait(interval):
            samples.append(_sample(counts, start))
            line = {"program": options.program, **samples[-1]._asdict()}
            print(json.dumps(line), file=stdout, flush=True)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sample(counts: Counts, start: float) -> Sample:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return Sample(
        round(time.monotonic() - start, 1), counts.steps, round(time.process_time(), 2),
        round(pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE, 2),
        len(os.listdir("/proc/self/fd")), counts.traces)


def judge(samples: list[Sample], most_growth: float) -> Verdict:
    """Returns the figures of a run, and which of them exceed their limits.

    Args:
      samples: of the run, at least 6.
      most_growth: limit of the memory slope, MiB per hour.
    """
    warm = samples[math.ceil(_WARM_UP * len(samples)):]
    third = len(warm) // 3
    hours = np.array([line.seconds for line in warm]) / 3600
    slope = float(np.polyfit(hours, [line.memory for line in warm], 1)[0])
    growth = slope * float(hours[-1] - hours[0])
    late = samples[-1].traces - samples[len(samples) // 2].traces
    handles = min(line.handles for line in warm[-third:]) - min(
        line.handles for line in warm[:third])
    slowing = _cost(warm[-third - 1:]) / _cost(warm[:third + 1])
    wrong = [name for name, is_wrong in (
        ("memory", slope > most_growth and growth > _LEAST_GROWTH), ("traces", late > 0),
        ("handles", handles > 0), ("slowing", slowing > _MOST_SLOWING)) if is_wrong]
    return Verdict(round(slope, 2), round(growth, 2), late, handles, round(slowing, 3),
                   samples[-1].steps, round(samples[-1].seconds / 60, 1), ", ".join(wrong))


def _cost(samples: list[Sample]) -> float:
    """Returns processor seconds per step between the first sample and the last."""
    first, last = samples[0], samples[-1]
    return (last.cpu_seconds - first.cpu_seconds) / max(1, last.steps - first.steps)


program = Program("python -m benchmarks.robustness.soak", "Watches long runs.", (
    Command("run", "watch a program train, and judge", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
