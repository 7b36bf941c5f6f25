# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures training and sampling: the ratio to a peer, and the share of the matrix rate.

    python -m benchmarks.performance.speed run [--peers PEER.py --peer-python PYTHON] [--rounds 5]

Each row runs in a process of its own. With a peer (a script that takes `train --model rnn --hidden
512 --batch 32 --steps 64 --runs N` and prints a JSON line with `seconds_per_step`; that of the
transformer is `benchmarks/peers/torch_transformer.py`) the two sides alternate, round by round, and
their medians are compared, because the load of a shared machine changes. Prints one JSON line for
each row, then the table:

    seconds, peer_seconds  medians: of an update, or of sampling `steps` steps; the peer of the row
                           in bfloat16 is this library in float32
    ratio                  peer_seconds / seconds
    share_of_matrix_rate   operations of the model's matrix products, counted from the weights
                           (three products for each weight and step in training, one in sampling),
                           over the rate of one large fp32 product measured in the same process;
                           products that `vaeseq.nn.scan.lookup` avoids count as done
    peak_memory_bytes      of our process
"""
from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import peers
from benchmarks.performance import new_process, peak_memory, seconds_of
from benchmarks.report import markdown_table
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_WARM_UP = 3
_PAUSE = 0.3  # seconds in which the threads of the other side come to rest


class Row(NamedTuple):
    """A row of the table: what is timed, and its sizes."""

    work: str
    model: str
    hidden: int
    latent: int
    batch: int
    steps: int
    precision: str = "float32"

    @property
    def label(self) -> str:
        """The model with its sizes: "SRNN 256/64"."""
        return f"{self.model.upper()} {self.hidden}" + (f"/{self.latent}" if self.latent else "")


ROWS = {
    "rnn-512": Row("train", "rnn", 512, 0, 32, 64),
    "rnn-256": Row("train", "rnn", 256, 0, 32, 64),
    "srnn": Row("train", "srnn", 256, 64, 16, 100),
    "vrnn": Row("train", "vrnn", 256, 64, 16, 100),
    "bfloat16": Row("train", "rnn", 512, 0, 64, 64, "bfloat16"),
    "sample-1": Row("generate", "rnn", 512, 0, 1, 500),
    "sample-64": Row("generate", "rnn", 512, 0, 64, 500),
    "transformer": Row("train", "transformer", 128, 0, 32, 64),
    "sample-transformer": Row("generate", "transformer", 128, 0, 1, 500),
}


class Timing(NamedTuple):
    """Seconds of each run, operations per second, operations of a run, peak memory in bytes."""

    seconds: list[float]
    matrix_rate: float
    operations: float
    peak_memory_bytes: int


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="rows of the table (default: all)")
    peers.add_arguments(parser)
    add("--rounds", type=arguments.whole(1, 1000), default=5, metavar="N",
        help="rounds, in which the two sides alternate")
    add("--runs", type=arguments.whole(1, 1000), default=10, metavar="N",
        help="runs of each side in a round")
    add("--shards", type=arguments.whole(1, 64), metavar="N",
        help="parts of a batch that run in parallel (default: one per core)")


def _run(options: argparse.Namespace) -> None:
    results = []
    for name in options.rows:
        results.append(_measure(name, ROWS[name], options))
        print(json.dumps(results[-1]), flush=True)
    print()
    print(_table(results))


def _measure(name: str, row: Row, options: argparse.Namespace) -> dict:
    timings, peer_seconds, rates = [], [], []
    in_float32 = row._replace(precision="float32")
    with new_process() as process, (
            new_process() if row != in_float32 else contextlib.nullcontext()) as reference:
        for _ in range(options.rounds):
            timings.append(process.submit(_time, row, options.shards, options.runs).result())
            rates.append(timings[-1].matrix_rate)
            time.sleep(_PAUSE)
            if reference is not None:
                timing = reference.submit(
                    _time, in_float32, options.shards, options.runs).result()
                peer_seconds.append(statistics.median(timing.seconds))
                rates[-1] = timing.matrix_rate  # of all cores; in bfloat16, a product has one
            elif options.peers:
                peer_seconds.append(_peer_seconds(row, options))
            time.sleep(_PAUSE)
    seconds = statistics.median(s for timing in timings for s in timing.seconds)
    rate = statistics.median(rates)
    peer = statistics.median(peer_seconds) if peer_seconds else None
    return {
        "row": name, **row._asdict(), "threads": os.cpu_count(), "seconds": seconds,
        "peer_seconds": peer, "ratio": peer and peer / seconds, "matrix_gflops": rate / 1e9,
        "share_of_matrix_rate": timings[0].operations / seconds / rate,
        "sequence_steps_per_second": row.batch * row.steps / seconds,
        "peak_memory_bytes": timings[-1].peak_memory_bytes}


def _peer_seconds(row: Row, options: argparse.Namespace) -> float:
    sizes: list[object] = ["--hidden", row.hidden, "--batch", row.batch, "--steps", row.steps]
    if row.work == "train" or row.model == "transformer":
        sizes += ["--model", row.model]
    if row.latent:
        sizes += ["--latent", row.latent]
    (result,) = peers.run(options, row.work, *sizes, "--runs", options.runs)
    return float(result["seconds_per_step"])


def _time(row: Row, shards: int | None, runs: int) -> Timing:
    """Times a row in this process, which compiles it only once."""
    run, operations = compiled(row, shards)
    for _ in range(_WARM_UP):  # in each round, as the peer does in its new process
        run()
    memory = peak_memory()
    return Timing([seconds_of(run) for _ in range(runs)], matrix_rate(), operations, memory)


@functools.cache
def compiled(row: Row, shards: int | None) -> tuple[Callable[[], object], float]:
    """Returns an update or a sampling, compiled, and the operations of its matrix products."""
    from vaeseq.nn import parallel

    from . import models
    parallel.prepare(shards or "auto", row.precision)
    setup = make_setup(row)
    ops = models.train_ops(
        setup, num_shards=shards or parallel.default_shards(), precision=row.precision)
    products = sum(
        2 * row.batch * row.steps * weight.shape.num_elements()
        for weight in ops.variables_to_train
        if weight.shape.rank == 2 and "embeddings" not in weight.name)
    if row.work == "generate":
        run, operations = models.sampler(setup), products
    else:
        state = ops.initial_state(row.batch)
        run, operations = (lambda: ops(setup.batch, state)), 3 * products
    run()
    return run, operations


def make_setup(row: Row):
    """Returns the `models.Setup` of a row."""
    from vaeseq.hparams import HParams

    from . import models
    if row.model == "transformer":
        hparams = HParams(vae_type="RNN", cell="transformer", rnn_hidden_sizes=(row.hidden,) * 3)
    else:
        hparams = HParams(
            vae_type=row.model.upper(), rnn_hidden_sizes=(row.hidden,), latent_size=row.latent,
            latent_decoder_fc_layers=(row.hidden,))
    return models.make(
        hparams, "notes" if row.latent else "text", row.batch, row.steps,
        encoder_layers=(row.hidden, row.hidden) if row.model == "vrnn" else ())


def matrix_rate(size: int = 2048) -> float:
    """Returns the operations per second of one large fp32 product."""
    import tensorflow as tf
    x = tf.random.stateless_normal([size, size], [1, 2])
    return 2 * size**3 / min(seconds_of(lambda: tf.matmul(x, x).numpy()) for _ in range(5))


def _table(results: list[dict]) -> str:
    rows = []
    for r in results:
        row = Row(*(r[field] for field in Row._fields))
        precision = "" if row.precision == "float32" else (
            f" in {row.precision} (peer: ours in float32)")
        rows.append((
            f"{row.work}, {row.label}{precision}, batch {row.batch}, {row.steps} steps",
            f"{1e3 * r['seconds']:.1f}",
            "" if r["peer_seconds"] is None else f"{1e3 * r['peer_seconds']:.1f}",
            "" if r["ratio"] is None else f"{r['ratio']:.2f}",
            f"{100 * r['share_of_matrix_rate']:.0f} %",
            f"{r['peak_memory_bytes'] / 2**20:.0f} MiB"))
    return markdown_table(
        ("work", "ours, ms", "peer, ms", "ratio", "share of matrix rate", "memory"), rows)


program = Program("python -m benchmarks.performance.speed", "Measures speed.", (
    Command("run", "time training and sampling", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
