# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How fast training and sampling are, as a ratio to a peer and as a share of the matrix rate.

    python -m benchmarks.performance.speed run [--peers PEER.py --peer-python PYTHON] [--rounds 5]

Each row runs in a process of its own. With a peer (a script that takes `train --model rnn --hidden
512 --batch 32 --steps 64 --runs N` and prints a JSON line with `seconds_per_step`) the two sides
take turns, round by round, and medians are compared: a machine that others use is only comparable
with itself. One JSON line a row, then the table:

    seconds, peer_seconds  medians: of an update, or of sampling `steps` steps; the peer of the row
                           in bfloat16 is our own float32
    ratio                  theirs / ours
    share_of_matrix_rate   operations of the products of the model as written down, counted from
                           the weights (three products a weight and step in training, one in
                           sampling), over the rate of one large fp32 product measured in the same
                           process; products that are saved (`vaeseq.nn.scan.lookup`) count as done
    peak_memory_bytes      of our process
"""
from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

from .speed_rows import ROWS, Row

_WARM_UP = 3
_PAUSE = 0.3  # seconds in which the other side's threads come to rest


class Timed(NamedTuple):
    """What our process answers: seconds of each run, matrix rate, operations of a run, memory."""

    seconds: list[float]
    matrix_rate: float
    operations: float
    peak_memory_bytes: int


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="which rows (default: all)")
    add("--peers", type=arguments.readable_file, metavar="FILE", help="the peer's script")
    add("--peer-python", default=sys.executable, metavar="PROGRAM", help="what runs it")
    add("--rounds", type=arguments.whole(1, 1000), default=5, metavar="N", help="turns a side")
    add("--runs", type=arguments.whole(1, 1000), default=10, metavar="N", help="runs a turn")
    add("--shards", type=arguments.whole(1, 64), metavar="N",
        help="parts of a batch side by side (default: one a core)")


def _run(options: argparse.Namespace) -> None:
    results = []
    for name in options.rows:
        results.append(_measure(name, ROWS[name], options))
        print(json.dumps(results[-1]), flush=True)
    print()
    print(_table(results))


def _measure(name: str, row: Row, options: argparse.Namespace) -> dict:
    mine, peer, rates = [], [], []
    low = row.precision != "float32"  # its peer is our own float32
    with _served(row, options) as ours, (
            _served(row._replace(precision="float32"), options) if low
            else contextlib.nullcontext()) as own:
        for _ in range(options.rounds):
            mine.append(ours())
            rates.append(mine[-1].matrix_rate)
            time.sleep(_PAUSE)
            if own is not None:
                timed = own()
                peer.append(statistics.median(timed.seconds))
                rates[-1] = timed.matrix_rate  # of all cores: products in bfloat16 have one each
            elif options.peers:
                peer.append(_peer_seconds(row, options))
            time.sleep(_PAUSE)
    seconds = statistics.median(s for timed in mine for s in timed.seconds)
    rate = statistics.median(rates)
    return {
        "row": name, **row._asdict(), "threads": os.cpu_count(), "seconds": seconds,
        "peer_seconds": statistics.median(peer) if peer else None,
        "ratio": statistics.median(peer) / seconds if peer else None,
        "matrix_gflops": rate / 1e9,
        "share_of_matrix_rate": mine[0].operations / seconds / rate,
        "sequence_steps_per_second": row.batch * row.steps / seconds,
        "peak_memory_bytes": mine[-1].peak_memory_bytes}


@contextlib.contextmanager
def _served(row: Row, options: argparse.Namespace) -> Iterator[Callable[[], Timed]]:
    """Our side in a process of its own: what is called for `runs` runs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, row, options.shards))
    process.start()

    def timed() -> Timed:
        ours.send(options.runs)
        return ours.recv()

    try:
        yield timed
        ours.send(0)
    finally:
        process.join(10)
        process.kill()


def _peer_seconds(row: Row, options: argparse.Namespace) -> float:
    """The peer's median seconds of one run."""
    sizes = ["--hidden", row.hidden, "--batch", row.batch, "--steps", row.steps]
    if row.work == "train":
        sizes += ["--model", row.model]
    if row.latent:
        sizes += ["--latent", row.latent]
    done = subprocess.run(
        [options.peer_python, options.peers, row.work, *map(str, sizes), "--runs",
         str(options.runs)], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise arguments.UsageError(f"{str(options.peers)!r} failed: {last}")
    return float(json.loads(done.stdout)["seconds_per_step"])


def _serve(
    connection: multiprocessing.connection.Connection, row: Row, shards: int | None
) -> None:
    """Our side: for each number received, runs that often and answers with `Timed`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from . import speed_models
    run, operations = speed_models.make(row, shards)
    run()
    while runs := connection.recv():
        for _ in range(_WARM_UP):  # in each turn, as the peer does: its process begins anew
            run()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send(Timed(
            [_seconds(run) for _ in range(runs)], speed_models.matrix_rate(), operations, memory))


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _table(results: list[dict]) -> str:
    lines = ["| work | ours, ms | peer, ms | ratio | share of matrix rate | memory |",
             "| --- | --- | --- | --- | --- | --- |"]
    for r in results:
        sizes = f"{r['model'].upper()} {r['hidden']}" + (f"/{r['latent']}" if r["latent"] else "")
        if r["precision"] != "float32":
            sizes += f" in {r['precision']} (peer: ours in float32)"
        peer = "" if r["peer_seconds"] is None else f"{1e3 * r['peer_seconds']:.1f}"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        lines.append(
            f"| {r['work']}, {sizes}, batch {r['batch']}, {r['steps']} steps | "
            f"{1e3 * r['seconds']:.1f} | {peer} | {ratio} | "
            f"{100 * r['share_of_matrix_rate']:.0f} % | "
            f"{r['peak_memory_bytes'] / 2**20:.0f} MiB |")
    return "\n".join(lines)


program = Program("python -m benchmarks.performance.speed", "Speed, measured.", (
    Command("run", "time training and sampling", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
