# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How time and memory of a training step grow with its length, its batch and its samples.

    python -m benchmarks.performance.scaling time --output scaling.png
    python -m benchmarks.performance.scaling memory --length 10000 --batch 16

`time` takes one size after another of each axis and prints a JSON line a point, with the median
seconds of an update; the line of an axis has `exponent`, the slope of log seconds over log size:
1 is linear, and less means that small sizes leave the machine idle. `memory` runs an update of each
model in a process of its own and prints that process's peak, compilation included.
"""
from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import pathlib
import resource
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_GIB = 1 << 30


class Size(NamedTuple):
    """What is trained: a model over text, notes, or notes with a masked output layer."""

    model: str = "RNN"
    cell: str = "lstm"
    codec: str = "text"
    hidden: int = 256
    batch: int = 16
    length: int = 64
    samples: int = 1


# The axis, the sizes on it, and what is the same for all of them.
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
    add("--runs", type=arguments.whole(1, 1000), default=5, metavar="N", help="updates a point")
    add("--axes", type=arguments.some_of(AXES, ";"), default=list(AXES), metavar="A;B",
        help="which of them (default: all)")


def _memory_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--length", type=arguments.whole(1, 1 << 20), default=10000, metavar="T", help="steps")
    add("--batch", type=arguments.whole(1, 1 << 12), default=16, metavar="B", help="sequences")
    add("--rows", type=arguments.some_of(MEMORY, ";"), default=list(MEMORY), metavar="A;B",
        help="which models (default: all)")


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
    axis, sizes, same = AXES[name]
    for value in sizes:
        size = same._replace(**{axis: value})
        result = _in_a_process(size, runs)
        yield {"axis": name, "size": value, **result, **size._asdict()}


def exponent(points: list[tuple[float, float]]) -> float:
    """The slope of log seconds over log size, by least squares."""
    xs, ys = zip(*((math.log(size), math.log(seconds)) for size, seconds in points))
    x_mean, y_mean = statistics.fmean(xs), statistics.fmean(ys)
    return (sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys))
            / sum((x - x_mean) ** 2 for x in xs))


def _memory(options: argparse.Namespace) -> None:
    for name in options.rows:
        size = MEMORY[name]._replace(length=options.length, batch=options.batch)
        print(json.dumps({**size._asdict(), **_in_a_process(size, 1)}), flush=True)


def _in_a_process(size: Size, runs: int) -> dict[str, Any]:
    """What `_measure` gives in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, size, runs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise arguments.UsageError(
            f"the process that measures {size} ended without an answer: out of memory, perhaps. "
            "Try smaller sizes.") from None
    finally:
        process.join()


def _answer(connection: Any, size: Size, runs: int) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    connection.send(_measure(size, runs))


def _measure(size: Size, runs: int) -> dict[str, Any]:
    """Seconds of an update and of the first one, and the peak of memory with and without them."""
    ops, batch = _model(size)
    ops.build(batch)
    state = ops.initial_state(size.batch)
    before = _peak_memory()
    seconds = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        ops(batch, state)
        seconds.append(time.perf_counter() - began)
    return {"seconds": statistics.median(seconds[1:]), "first_seconds": round(seconds[0], 1),
            "peak_gib": round(_peak_memory() / _GIB, 2), "before_gib": round(before / _GIB, 2)}


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _model(size: Size) -> tuple[Any, Any]:
    """The training operations and a batch of random observations."""
    import numpy as np
    import tensorflow as tf

    from vaeseq import agent, bounds, data, hparams, seeds, vae
    from vaeseq.codec import decoders, encoders
    from vaeseq.nn import parallel
    from vaeseq.train import TrainOps

    rng = np.random.default_rng(0)
    if size.codec == "text":
        spec = tf.TensorSpec([], tf.int32)
        encoder, decoder = encoders.Embed(65, 64), decoders.Categorical(65, spec)
        observed = rng.integers(0, 65, [size.batch, size.length])
    else:
        spec = tf.TensorSpec([88], tf.float32)
        encoder = encoders.MLPEncoder(spec, (size.hidden,))
        decoder = (decoders.Bernoulli(spec, hidden_sizes=(size.hidden,)) if size.codec == "notes"
                   else decoders.MaskedBernoulli(spec, hidden_sizes=(600,)))
        observed = rng.random([size.batch, size.length, 88]) < 0.05
    sizes = hparams.HParams(
        vae_type=size.model, cell=size.cell, rnn_hidden_sizes=(size.hidden,))
    core = vae.make(sizes, decoder, encoder)
    bound = bounds.make("iwae" if size.samples > 1 else "elbo", size.samples)
    ops = TrainOps(
        agent.EncodeObserved(encoder, spec), core, bound, learning_rate=lambda step: 1e-3,
        num_shards=parallel.default_shards(), seed=seeds.make(0))
    full = np.full([size.batch], size.length, np.int32)
    return ops, data.Batch(observed, full, np.ones([size.batch], bool))


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
    "python -m benchmarks.performance.scaling", "How time and memory grow, measured.", (
    Command("time", "time updates of growing length, batch and samples", _time_arguments, _time),
    Command("memory", "peak memory of an update of long sequences", _memory_arguments, _memory)))

if __name__ == "__main__":
    program.main()
