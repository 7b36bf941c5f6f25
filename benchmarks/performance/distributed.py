# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What it costs to train on more than one machine: measured here, worked out for more.

    python -m benchmarks.performance.distributed run [--bandwidth 1.25e9]
        [--latency 50e-6] [--out FILE.json]

One worker, then two, on a core each of this machine, over the loopback interface; each takes
`batch` rows, so two do twice the work. One JSON line a row, then two tables.

    step_1, step_2     seconds of an update of one worker, and of two
    exchanged          bytes that pass the loopback interface in a step, as it counts them itself;
                       a ring all-reduce among n sends 2(n-1) times the gradient, all together
    gradient           bytes of what is added up in a step
    hop                half the seconds of an all-reduce of two numbers between two workers: what
                       TensorFlow and the kernel take for a message, however small

A step of n workers, each on a machine of its own, is worked out as

    step_1 + 2 * 2(n-1) * (hop + latency) + 2(n-1)/n * gradient / bandwidth

for two all-reduces a step (the gradients; whether somebody asked to stop), each of 2(n-1) messages
one after the other, and a network of `bandwidth` bytes a second each way. The efficiency is step_1
over that. Nothing is taken off for gradients that travel while others are still computed: here none
do. No row of more than two workers was measured.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import circumstances
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.fields import Range

from .speed_rows import Row

ROWS = {
    "rnn-256": Row("train", "rnn", 256, 0, 32, 64),
    "rnn-512": Row("train", "rnn", 512, 0, 32, 64),
    "srnn": Row("train", "srnn", 256, 64, 16, 100),
}
_WORKERS = (2, 8, 64)
_ALL_REDUCES = 2
_WARM_UP = 3


class Timed(NamedTuple):
    """What a worker answers: seconds of each step and of each small all-reduce; bytes added up."""

    seconds: list[float]
    small: list[float]
    gradient: int


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="which rows (default: all)")
    add("--steps", type=arguments.whole(1, 10_000), default=30, metavar="N", help="timed, a turn")
    add("--rounds", type=arguments.whole(1, 100), default=3, metavar="N", help="turns a side")
    add("--bandwidth", type=arguments.real(Range(1.0, 1e15)), default=1.25e9, metavar="BYTES",
        help="of the network worked out for, a second and way")
    add("--latency", type=arguments.real(Range(0.0, 10.0)), default=50e-6, metavar="SECONDS",
        help="of that network, one way")
    add("--out", type=arguments.output_file, metavar="FILE", help="write the rows as JSON, too")


def _run(options: argparse.Namespace) -> None:
    results = []
    for name in options.rows:
        results.append({"row": name, **_measured(ROWS[name], options)})
        print(json.dumps(results[-1]), flush=True)
    print()
    print(_measured_table(results))
    print()
    print(_worked_out_table(results))
    if options.out:
        found = {**circumstances("benchmarks.performance.distributed"), "rows": results}
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _measured(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """One worker and two, turn by turn; then what is worked out from them."""
    with _workers(row, 1) as one, _workers(row, 2) as two:
        alone, both, passed = [], [], []
        for _ in range(options.rounds):
            alone.append(_turn(one, options.steps)[0])
            before = _loopback_bytes()
            both.append(_turn(two, options.steps)[0])
            passed.append((_loopback_bytes() - before) / options.steps)
        quiet = _small_bytes(two, options.steps)
    step_1, step_2 = (statistics.median(s for timed in side for s in timed.seconds)
                      for side in (alone, both))
    small = statistics.median(s for timed in both for s in timed.small)
    measured = {
        **row._asdict(), "step_1": step_1, "step_2": step_2, "hop": small / 2,
        "gradient": both[0].gradient, "exchanged": statistics.median(passed) - quiet,
        "bandwidth": options.bandwidth, "latency": options.latency}
    return {**measured, "worked_out": {n: _seconds(n, measured) for n in _WORKERS}}


def _seconds(n: int, measured: dict[str, Any]) -> float:
    """A step of `n` workers, by the formula above."""
    messages = _ALL_REDUCES * 2 * (n - 1) * (measured["hop"] + measured["latency"])
    return (measured["step_1"] + messages
            + 2 * (n - 1) / n * measured["gradient"] / measured["bandwidth"])


@contextlib.contextmanager
def _workers(
    row: Row, count: int
) -> Iterator[list[multiprocessing.connection.Connection]]:
    """Worker processes that wait for a number of steps to take, and the line to each."""
    context = multiprocessing.get_context("spawn")
    ports = _free_ports(count)
    processes, lines = [], []
    for index in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, row, ports, index), daemon=True)
        process.start()
        processes.append(process)
        lines.append(ours)
    try:
        for line in lines:
            line.recv()  # it is ready
        yield lines
        for line in lines:
            line.send(0)
    finally:
        for process in processes:
            process.join(30)
            process.kill()


def _turn(lines: list[multiprocessing.connection.Connection], steps: int) -> list[Timed]:
    for line in lines:
        line.send(steps)
    return [line.recv() for line in lines]


def _small_bytes(lines: list[multiprocessing.connection.Connection], steps: int) -> float:
    """Bytes a step that are none of the gradients': of small all-reduces, and of heartbeats."""
    before = _loopback_bytes()
    for line in lines:
        line.send(-steps)
    for line in lines:
        line.recv()
    return (_loopback_bytes() - before) / steps


def _serve(
    line: multiprocessing.connection.Connection, row: Row, ports: list[int], index: int
) -> None:
    """A worker: for each number received, takes so many steps; a negative one: small sums only."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_CONFIG"] = json.dumps({
        "cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
        "task": {"type": "worker", "index": index}})
    from . import speed_models
    step, small, gradient = speed_models.distributed(row, len(ports))
    for _ in range(_WARM_UP):
        step()
        small()
    line.send("ready")
    while steps := line.recv():
        seconds = [_timed(step) for _ in range(max(steps, 0))]
        line.send(Timed(seconds, [_timed(small) for _ in range(abs(steps))], gradient))


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for door in held:
            door.bind(("127.0.0.1", 0))
        return [door.getsockname()[1] for door in held]


def _loopback_bytes() -> int:
    """What has passed the loopback interface, by the kernel's count."""
    return int(Path("/sys/class/net/lo/statistics/rx_bytes").read_text())


def _measured_table(results: list[dict]) -> str:
    lines = ["| training | one worker, ms | two workers, ms | gradient, kB | exchanged, kB | "
             "hop, ms |", "| --- | --- | --- | --- | --- | --- |"]
    for r in results:
        lines.append(
            f"| {_name(r)} | {1e3 * r['step_1']:.1f} | {1e3 * r['step_2']:.1f} | "
            f"{r['gradient'] / 1e3:.0f} | {r['exchanged'] / 1e3:.0f} | {1e3 * r['hop']:.2f} |")
    return "\n".join(lines)


def _worked_out_table(results: list[dict]) -> str:
    lines = [f"| worked out: {results[0]['bandwidth']:.3g} bytes/s, "
             f"{1e6 * results[0]['latency']:.0f} us | "
             + " | ".join(f"{n} workers" for n in _WORKERS) + " |",
             "| --- |" + " --- |" * len(_WORKERS)]
    for r in results:
        cells = [f"{1e3 * seconds:.1f} ms, {100 * r['step_1'] / seconds:.0f} %"
                 for seconds in r["worked_out"].values()]
        lines.append(f"| {_name(r)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _name(result: dict) -> str:
    sizes = f"{result['hidden']}" + (f"/{result['latent']}" if result["latent"] else "")
    return (f"{result['model'].upper()} {sizes}, batch {result['batch']} a worker, "
            f"{result['steps']} steps")


program = Program(
    "python -m benchmarks.performance.distributed", "The cost of more workers, measured.", (
    Command("run", "time one worker and two", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
