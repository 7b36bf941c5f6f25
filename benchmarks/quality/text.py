# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures time to quality: nats per character of held-out text against wall time.

    python -m benchmarks.quality.text run --corpus TEXT --out-dir DIR [--rows lstm,parallel]
        [--peers benchmarks/peers/torch_text.py --peer-python PYTHON]

Our rows run `vaeseq-text train` in a new process; seconds count from the start of the command, with
imports, compilation, validation and checkpoints. A peer's script prints its own learning curve,
without the time of validation. Each curve is a JSON file in DIR; the plot DIR/quality.png shows all
curves there, so that rows can be added later.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import peers
from benchmarks.report import provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program


class Row(NamedTuple):
    """A model of this library: hyperparameters, updates, updates between validations."""

    label: str
    hparams: str
    num_steps: int
    valid_every: int


_LARGE = "rnn_hidden_sizes=[512],batch_size=64,dropout=0.3"
ROWS = {
    "lstm": Row("vaeseq, default (LSTM 256)", "", 5000, 250),
    "large": Row("vaeseq, LSTM 512", _LARGE, 2000, 100),
    "bfloat16": Row("vaeseq, LSTM 512 in bfloat16", f"{_LARGE},precision=bfloat16", 2000, 100),
    "parallel": Row("vaeseq, minGRU 256, 256",
                    "cell=mingru,rnn_hidden_sizes=[256,256],residual=true", 5000, 250),
}
_PROGRAM = "from examples.text.cli import main; main()"

PEERS = {"char-rnn": "char-rnn (PyTorch)", "nanogpt": "nanoGPT, CPU recipe (PyTorch)"}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text to train on")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the curves")
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="models of this library (default: all)")
    peers.add_arguments(parser)
    add("--max-seconds", type=float, default=300.0, metavar="S",
        help="limit of the training of each peer")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for name in options.rows:
        row = ROWS[name]
        _save(options.out_dir, name, row.label, _ours(name, row, options))
    for name, label in PEERS.items() if options.peers else ():
        _save(options.out_dir, name, label, _peer(name, options))
    _draw(options.out_dir)


def _ours(name: str, row: Row, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Runs the program and polls its metrics for validations; returns seconds and nats of each."""
    log_dir = options.out_dir / f"{name}-run"
    command = [sys.executable, "-c", _PROGRAM, "train", "--log-dir", str(log_dir),
               "--train-corpus", str(options.corpus), "--num-steps", str(row.num_steps),
               "--valid-every", str(row.valid_every)]
    if row.hparams:
        command += ["--hparams", row.hparams]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    curve: list[tuple[float, float]] = []
    running = True
    while running:
        running = process.poll() is None
        seconds = time.perf_counter() - start
        nats_so_far = _validations(log_dir / "metrics.jsonl")
        curve += [(seconds, nats) for nats in nats_so_far[len(curve):]]
        time.sleep(0.2)
    if process.returncode:
        assert process.stderr is not None
        raise arguments.UsageError(f"{name}: {process.stderr.read().strip()[-300:]}")
    return curve


def _validations(path: Path) -> list[float]:
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines(True) if line[-1] == "\n"]
    return [line["valid_nats_per_step"] for line in lines if "valid_nats_per_step" in line]


def _peer(name: str, options: argparse.Namespace) -> list[tuple[float, float]]:
    lines = peers.run(options, name, options.corpus, "--max-seconds", options.max_seconds)
    return [(line["seconds"], line["nats_per_char"]) for line in lines]


def _save(out_dir: Path, name: str, label: str, curve: list[tuple[float, float]]) -> None:
    result = {"row": name, "label": label, "curve": curve, **provenance(
        "benchmarks.quality.text")}
    (out_dir / f"{name}.json").write_text(json.dumps(result) + "\n")
    best = min(nats for _, nats in curve)
    print(json.dumps({"row": name, "best": best, "seconds": curve[-1][0]}), flush=True)


def _draw(out_dir: Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for path in sorted(out_dir.glob("*.json")):
        result = json.loads(path.read_text())
        seconds, nats = zip(*result["curve"])
        ours = result["row"] in ROWS
        axes.plot(seconds, nats, "-" if ours else "--", marker=".", label=result["label"])
    axes.set(xlabel="seconds since the start of the command", xlim=(0, 300), ylim=(1.4, 2.0),
             ylabel="held-out nats per character")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out_dir / "quality.png", dpi=120)


program = Program("python -m benchmarks.quality.text", "Measures time to quality.", (
    Command("run", "train and compare", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
