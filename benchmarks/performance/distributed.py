# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures training on two workers of this machine, and estimates it on several machines.

    python -m benchmarks.performance.distributed run [--bandwidth 1.25e9]
        [--latency 50e-6] [--out FILE.json]

Times one worker, then two, each on a core of its own, over the loopback interface. Each worker
takes `batch` rows, so two workers do twice the work. Prints one JSON line for each row, then two
tables.

    step_1, step_2     seconds of an update of one worker, and of two
    exchanged          bytes that pass the loopback interface in a step, by the kernel's count;
                       a ring all-reduce among n workers sends 2(n-1) times the gradient in total
    gradient           bytes that a step sums over the workers
    hop                half the seconds of an all-reduce of two numbers between two workers: the
                       cost of a message in TensorFlow and the kernel, whatever its size

A step of n workers, each on a machine of its own, is estimated as

    step_1 + 2 * 2(n-1) * (hop + latency) + 2(n-1)/n * gradient / bandwidth

for two all-reduces in a step (the gradients; whether a worker was asked to stop), each of 2(n-1)
sequential messages, and a network of `bandwidth` bytes per second in each direction. The efficiency
is step_1 over the estimate. The estimate assumes no overlap of computation and communication, as
there is none. More than two workers were not measured.
"""
from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import socket
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.performance import new_process, seconds_of
from benchmarks.performance.speed import ROWS as SPEED_ROWS
from benchmarks.performance.speed import Row, make_setup
from benchmarks.report import markdown_table, provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.fields import Range

ROWS = {name: SPEED_ROWS[name] for name in ("rnn-256", "rnn-512", "srnn")}
_WORKERS = (2, 8, 64)
_ALL_REDUCES = 2
_WARM_UP = 3


class Timing(NamedTuple):
    """Seconds of each step and of each small all-reduce of a worker; bytes of the gradient."""

    seconds: list[float]
    all_reduces: list[float]
    gradient: int


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="rows of the table (default: all)")
    add("--steps", type=arguments.whole(1, 10_000), default=30, metavar="N",
        help="timed steps in a round")
    add("--rounds", type=arguments.whole(1, 100), default=3, metavar="N",
        help="rounds, in which one worker and two alternate")
    add("--bandwidth", type=arguments.real(Range(1.0, 1e15)), default=1.25e9, metavar="BYTES",
        help="bytes per second of the estimated network, in each direction")
    add("--latency", type=arguments.real(Range(0.0, 10.0)), default=50e-6, metavar="SECONDS",
        help="one-way latency of the estimated network")
    add("--out", type=arguments.output_file, metavar="FILE", help="write the rows as JSON")


def _run(options: argparse.Namespace) -> None:
    results = []
    for name in options.rows:
        results.append({"row": name, **_measure(ROWS[name], options)})
        print(json.dumps(results[-1]), flush=True)
    print("\n" + _table(results) + "\n\n" + _estimates_table(results))
    if options.out:
        result = {**provenance("benchmarks.performance.distributed"), "rows": results}
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _measure(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """Times one worker and two, alternating, and computes the estimates."""
    with _workers(1) as one, _workers(2) as two:
        for workers in (one, two):
            _time_all(workers, row, 0)  # compiles
        alone, both, exchanged = [], [], []
        for _ in range(options.rounds):
            alone += _time_all(one, row, options.steps)[:1]
            before = _loopback_bytes()
            both += _time_all(two, row, options.steps)[:1]
            exchanged.append((_loopback_bytes() - before) / options.steps)
        before = _loopback_bytes()  # of small all-reduces and heartbeats, which are subtracted
        _time_all(two, row, 0, all_reduces=options.steps)
        background = (_loopback_bytes() - before) / options.steps
    step_1, step_2 = (statistics.median(s for timing in side for s in timing.seconds)
                      for side in (alone, both))
    hop = statistics.median(s for timing in both for s in timing.all_reduces) / 2
    measured = {
        **row._asdict(), "step_1": step_1, "step_2": step_2, "hop": hop,
        "gradient": both[0].gradient, "exchanged": statistics.median(exchanged) - background,
        "bandwidth": options.bandwidth, "latency": options.latency}
    return {**measured, "estimates": {n: _estimate(n, measured) for n in _WORKERS}}


def _estimate(n: int, measured: dict[str, Any]) -> float:
    """Returns the seconds of a step of `n` workers, by the formula above."""
    messages = _ALL_REDUCES * 2 * (n - 1) * (measured["hop"] + measured["latency"])
    return (measured["step_1"] + messages
            + 2 * (n - 1) / n * measured["gradient"] / measured["bandwidth"])


@contextlib.contextmanager
def _workers(count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Yields executors of one process each, on a core each, which form a cluster."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = ["{}:{}".format(*each.getsockname()) for each in sockets]
    workers = [new_process(_configure, addresses, index) for index in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:  # all at once: TensorFlow's workers leave a cluster together
            worker.shutdown(wait=False)
        for worker in workers:
            worker.shutdown()


def _configure(addresses: list[str], index: int) -> None:
    """Pins a worker process to a core and sets its TF_CONFIG."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})
    os.environ["TF_CONFIG"] = json.dumps({
        "cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def _time_all(
    workers: list[ProcessPoolExecutor], row: Row, steps: int, all_reduces: int | None = None
) -> list[Timing]:
    """Times `steps` steps, and as many small all-reduces by default, in all workers at once."""
    repeats = steps if all_reduces is None else all_reduces
    futures = [worker.submit(_time, row, len(workers), steps, repeats) for worker in workers]
    return [future.result() for future in futures]


def _time(row: Row, num_workers: int, steps: int, all_reduces: int) -> Timing:
    step, all_reduce, gradient = _compiled(row, num_workers)
    return Timing([seconds_of(step) for _ in range(steps)],
                  [seconds_of(all_reduce) for _ in range(all_reduces)], gradient)


@functools.cache
def _compiled(
    row: Row, num_workers: int
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """Returns a step as the training loop takes it, a small all-reduce, bytes of the gradient."""
    from vaeseq.train import distribute

    from . import models
    strategy = distribute.start("multi-worker", {}, seconds=300) if num_workers > 1 else (
        distribute.SINGLE_PROCESS)
    setup = make_setup(row._replace(batch=row.batch * num_workers))
    ops = models.train_ops(setup, strategy=strategy)
    state = strategy.local_rows(ops.initial_state(row.batch * num_workers))
    gradient = sum(w.shape.num_elements() * w.dtype.size for w in ops.variables_to_train)

    def all_reduce() -> object:
        return strategy.any_worker(False, False)

    def step() -> object:
        return ops(setup.batch, state), all_reduce()

    for _ in range(_WARM_UP):
        step()
        all_reduce()
    return step, all_reduce, gradient


def _loopback_bytes() -> int:
    """Returns the number of bytes that the loopback interface has received."""
    return int(Path("/sys/class/net/lo/statistics/rx_bytes").read_text())


def _table(results: list[dict]) -> str:
    return markdown_table(
        ("training", "one worker, ms", "two workers, ms", "gradient, kB", "exchanged, kB",
         "hop, ms"),
        [(_label(r), f"{1e3 * r['step_1']:.1f}", f"{1e3 * r['step_2']:.1f}",
          f"{r['gradient'] / 1e3:.0f}", f"{r['exchanged'] / 1e3:.0f}", f"{1e3 * r['hop']:.2f}")
         for r in results])


def _estimates_table(results: list[dict]) -> str:
    network = (f"estimate: {results[0]['bandwidth']:.3g} bytes/s, "
               f"{1e6 * results[0]['latency']:.0f} us")
    return markdown_table(
        (network, *(f"{n} workers" for n in _WORKERS)),
        [(_label(r), *(f"{1e3 * seconds:.1f} ms, {100 * r['step_1'] / seconds:.0f} %"
                       for seconds in r["estimates"].values())) for r in results])


def _label(result: dict) -> str:
    row = Row(*(result[field] for field in Row._fields))
    return f"{row.label}, batch {row.batch} per worker, {row.steps} steps"


program = Program(
    "python -m benchmarks.performance.distributed", "Measures the cost of more workers.", (
    Command("run", "time one worker and two", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
