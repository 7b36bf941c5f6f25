# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures the time from `vaeseq-text generate` to the first characters of a trained model.

    python -m benchmarks.performance.first_character run --log-dir DIR [--length 300] [--rounds 5]

Each round runs in new processes, one for each way of running the sampler, in turn: compiled by XLA,
and as a graph alone (`vaeseq.without_xla`), which the program takes for short samples. Prints
medians, wall time and, less noisy on a shared machine, CPU time:

    import   Python, TensorFlow and the program's modules
    restore  from the log directory to the weights
    first    tracing, compiling and drawing the first 128 characters
    rest     the other characters of the sample
"""
from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.report import markdown_table
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_MODULE = "benchmarks.performance.first_character"
WAYS = ("xla", "graph")
_SHARES = ("import", "restore", "first", "rest")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=Path, required=True, metavar="DIR", help="of a trained model of text")
    add("--length", type=arguments.whole(1, 1 << 24), default=300, metavar="N",
        help="characters of the sample")
    add("--rounds", type=arguments.whole(1, 100), default=5, metavar="N",
        help="processes of each way")


def _run(options: argparse.Namespace) -> None:
    runs: dict[str, list[dict[str, list[float]]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, "-c", f"from {_MODULE} import stages; stages()", way,
                       str(options.log_dir), str(options.length), str(time.time())]
            ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True,
                                   env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
            runs[way].append(json.loads(ended.stdout))
            print(json.dumps({"way": way, **runs[way][-1]}), flush=True)
    lines = []
    for way in WAYS:
        for number, kind in enumerate(("wall", "CPU")):
            seconds = [[one[share][number] for share in _SHARES] for one in runs[way]]
            medians = [*map(statistics.median, zip(*seconds)),
                       statistics.median(sum(shares[:3]) for shares in seconds)]
            lines.append([way, kind, *(f"{median:.2f}" for median in medians)])
    print(markdown_table(["way", "seconds", *_SHARES, "to the first"], lines))


def stages() -> None:
    """Runs the shares in this process; prints a JSON line of [wall, CPU] seconds of each."""
    way, log_dir, length, start = sys.argv[1:]
    marks = [(float(start), 0.0)]

    def mark() -> None:
        marks.append((time.time(), time.process_time()))

    import vaeseq
    from examples.text.commands import generate  # noqa: F401  (all that the command imports)
    from examples.text.model import TextModel
    mark()
    with vaeseq.without_xla() if way == "graph" else contextlib.nullcontext():
        model = TextModel.load(log_dir)
        mark()
        chunks = model.sampler.stream(length=int(length))
        next(chunks)
        mark()
        for _ in chunks:
            pass
        mark()
    shares = [[after - before for before, after in zip(*pair)]
              for pair in zip(marks, marks[1:])]
    print(json.dumps(dict(zip(_SHARES, shares))))


program = Program(
    f"python -m {_MODULE}", "Measures the time to the first characters of a sample.", (
        Command("run", "measure the shares", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
