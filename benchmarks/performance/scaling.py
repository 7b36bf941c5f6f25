# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures how time and memory of a training step grow with length, batch and samples.

    python -m benchmarks.performance.scaling time --output scaling.png
    python -m benchmarks.performance.scaling memory --length 10000 --batch 16

`time` steps through the sizes on each axis and prints a JSON line for each, with the median seconds
of an update. The line of an axis has `exponent`, the slope of log seconds over log size: 1 is
linear; below 1, small sizes leave the machine idle. `memory` runs an update of each model in a
process of its own and prints the peak memory of that process, compilation included.
"""
from __future__ import annotations

import argparse
import concurrent.futures
import json
import pathlib
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.performance import new_process, peak_memory, seconds_of
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_GIB = 1 << 30


class Size(NamedTuple):
    """A model of text, notes, or notes with a masked output layer, and the size of a batch."""

    model: str = "RNN"
    cell: str = "lstm"
    codec: str = "text"
    hidden: int = 256
    batch: int = 16
    length: int = 64
    samples: int = 1


# The axis, the sizes on it, and the other sizes, which are fixed.
AXES: dict[str, tuple[str, tuple[int, ...], Size]] = {
    "length, RNN": ("length", (64, 256, 1024, 4096, 16384), Size(hidden=128, batch=2)),
    "length, RNN, minGRU": (
        "length", (64, 256, 1024, 4096, 16384), Size(cell="mingru", hidden=128, batch=2)),
    "length, SRNN": ("length", (64, 256, 1024, 4096), Size("SRNN", hidden=128, batch=2)),
    "batch, RNN": ("batch", (8, 16, 32, 64, 128), Size(hidden=128)),
    "batch, SRNN": ("batch", (8, 16, 32, 64, 128), Size("SRNN", hidden=128)),
    "samples, SRNN": ("samples", (1, 2, 4, 8, 16), Size("SRNN", hidden=128)),
}
MEMORY = {
    f"{model} {cell} {codec}": Size(model, cell, codec)
    for codec in ("text", "notes", "masked")
    for model, cell in (("RNN", "lstm"), ("SRNN", "lstm"), ("VRNN", "lstm"), ("RNN", "mingru"))}


def _time_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--output", type=arguments.output_file, required=True, metavar="FILE.png", help="the plot")
    add("--runs", type=arguments.whole(1, 1000), default=5, metavar="N",
        help="updates of each size")
    add("--axes", type=arguments.some_of(AXES, ";"), default=list(AXES), metavar="A;B",
        help="axes of the plot (default: all)")


def _memory_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--length", type=arguments.whole(1, 1 << 20), default=10000, metavar="T", help="steps")
    add("--batch", type=arguments.whole(1, 1 << 12), default=16, metavar="B", help="sequences")
    add("--rows", type=arguments.some_of(MEMORY, ";"), default=list(MEMORY), metavar="A;B",
        help="models to measure (default: all)")


def _time(options: argparse.Namespace) -> None:
    measured = {}
    for name in options.axes:
        points = []
        for point in _points(name, options.runs):
            print(json.dumps(point), flush=True)
            points.append((point["size"], point["seconds"]))
        measured[name] = points
        print(json.dumps({"axis": name, "exponent": round(exponent(points), 3)}), flush=True)
    _plot(measured, options.output)


def _points(name: str, runs: int) -> Iterator[dict[str, Any]]:
    axis, sizes, fixed = AXES[name]
    for value in sizes:
        size = fixed._replace(**{axis: value})
        result = _in_a_process(size, runs)
        yield {"axis": name, "size": value, **result, **size._asdict()}


def exponent(points: list[tuple[float, float]]) -> float:
    """Returns the least-squares slope of log seconds over log size."""
    return float(np.polyfit(*np.log(points).T, 1)[0])


def _memory(options: argparse.Namespace) -> None:
    for name in options.rows:
        size = MEMORY[name]._replace(length=options.length, batch=options.batch)
        print(json.dumps({**size._asdict(), **_in_a_process(size, 1)}), flush=True)


def _in_a_process(size: Size, runs: int) -> dict[str, Any]:
    """Returns the result of `_measure` in a new process."""
    try:
        with new_process() as process:
            return process.submit(_measure, size, runs).result()
    except concurrent.futures.BrokenExecutor:
        raise arguments.UsageError(
            f"the process that measures {size} was killed, possibly out of memory. "
            "Try smaller sizes.") from None


def _measure(size: Size, runs: int) -> dict[str, Any]:
    """Returns seconds of an update and of the first one, and peak memory after and before them."""
    from vaeseq import bounds
    from vaeseq.hparams import HParams
    from vaeseq.nn import parallel

    from . import models
    hparams = HParams(vae_type=size.model, cell=size.cell, rnn_hidden_sizes=(size.hidden,))
    setup = models.make(
        hparams, size.codec, size.batch, size.length, encoder_layers=(size.hidden,))
    ops = models.train_ops(
        setup, bound=bounds.make("iwae" if size.samples > 1 else "elbo", size.samples),
        num_shards=parallel.default_shards())
    state = ops.initial_state(size.batch)
    before = peak_memory()
    seconds = [seconds_of(lambda: ops(setup.batch, state)) for _ in range(runs + 1)]
    return {"seconds": statistics.median(seconds[1:]), "first_seconds": round(seconds[0], 1),
            "peak_gib": round(peak_memory() / _GIB, 2), "before_gib": round(before / _GIB, 2)}


def _plot(measured: dict[str, list[tuple[float, float]]], output: pathlib.Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    axes = ("length", "batch", "samples")
    figure, plots = plt.subplots(1, len(axes), figsize=(13, 4.2))
    for plot, axis in zip(plots, axes):
        for name, points in measured.items():
            if AXES[name][0] == axis:
                sizes, seconds = zip(*points)
                label = f"{name.partition(', ')[2]}: size^{exponent(points):.2f}"
                (line,) = plot.loglog(sizes, seconds, "o-", base=2, label=label)
                linear = [seconds[-1] * size / sizes[-1] for size in sizes]
                plot.loglog(sizes, linear, ":", base=2, color=line.get_color())
        plot.set_xlabel(axis)
        plot.set_ylabel("seconds of an update")
        plot.grid(alpha=0.3)
        if plot.lines:
            plot.legend(fontsize=8)
    figure.suptitle("Training time against size (dotted: linear through the largest)")
    figure.tight_layout()
    figure.savefig(output, dpi=110)


program = Program(
    "python -m benchmarks.performance.scaling", "Measures how time and memory grow.", (
    Command("time", "time updates of increasing length, batch and samples", _time_arguments, _time),
    Command("memory", "measure the peak memory of an update of long sequences",
            _memory_arguments, _memory)))

if __name__ == "__main__":
    program.main()
