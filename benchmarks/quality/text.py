# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compares models of text: nats per character, time, memory.

    python -m benchmarks.quality.text run --corpus TEXT --out-dir DIR --log-dir RUNS
        [--rows lstm,mingru] [--peers benchmarks/peers/torch_text.py --peer-python PYTHON]
    python -m benchmarks.quality.text costs --corpus TEXT --out-dir DIR [--rows lstm,mingru]
    python -m benchmarks.quality.text table --out-dir DIR

`run` trains each row by `vaeseq-text train` in a new process and scores its best checkpoint on all
held-out text, the last tenth; validation scores a sample of it. The seconds of its learning curve
count from the start of the command, with imports, compilation, validation and checkpoints. A peer's
script prints its own learning curve, without the time of validation.

`costs` measures an update, a sample of 500 characters and peak memory, in a new process for each
row. It needs no trained run, so it can be repeated alone when the machine is idle. `table` prints
the table and draws the plot DIR/quality.png. If results have costs, the plot shows these alone, and
its seconds are updates times the processor time of one. Each row is a JSON file in DIR, so rows can
be added later.
"""
from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.performance import new_process, peak_memory, seconds_of
from benchmarks.report import markdown_table, provenance
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_MODULE = "benchmarks.quality.text"


class Row(NamedTuple):
    """A model of this library: hyperparameters, updates, updates between validations."""

    label: str
    hparams: str
    num_steps: int
    valid_every: int


_LARGE = "rnn_hidden_sizes=[512],batch_size=64,dropout=0.3"
_AVERAGED = "weight_average=0.999,weight_decay=0.1"
_TRANSFORMER = "cell=transformer,learning_rate=0.003,learning_rate_final=0,warmup_steps=50"
_WIDE = ("rnn_hidden_sizes=[128,128,128],sequence_size=128,learning_rate=0.003,"
         "learning_rate_final=0,warmup_steps=50")
ROWS = {
    "lstm": Row("LSTM 256 (default)", "", 5000, 250),
    "large": Row("LSTM 512", _LARGE, 2000, 100),
    "bfloat16": Row("LSTM 512 in bfloat16", f"{_LARGE},precision=bfloat16", 2000, 100),
    "mingru": Row(
        "minGRU 4 x 152", "cell=mingru,rnn_hidden_sizes=[152,152,152,152],learning_rate=0.007,"
        f"{_AVERAGED}", 5000, 250),
    "transformer": Row(
        "transformer 2 x 128", f"{_TRANSFORMER},rnn_hidden_sizes=[128,128],{_AVERAGED}", 5000, 250),
    "mamba": Row(
        "Mamba 3 x 128", f"cell=mamba,rnn_hidden_sizes=[128,128,128],{_AVERAGED}", 2500, 250),
    "maskdiff": Row(
        "MASKDIFF 3 x 128", f"vae_type=MASKDIFF,{_WIDE},log_prob_samples=4", 4000, 400),
    "autoregressive": Row(
        "transformer 3 x 128, windows of 128", f"cell=transformer,{_WIDE}", 4000, 400),
    "srnn": Row(
        "SRNN, LSTM 256", "vae_type=SRNN,learning_rate=0.003,log_prob_samples=1", 3000, 300),
    "srnn-transformer": Row(
        "SRNN, transformer 2 x 128", f"vae_type=SRNN,{_TRANSFORMER},rnn_hidden_sizes=[128,128],"
        "log_prob_samples=1", 3000, 300),
    "vrnn": Row(
        "VRNN, LSTM 256", "vae_type=VRNN,learning_rate=0.003,log_prob_samples=1", 3000, 300),
}
_PROGRAM = "from examples.text.cli import main; main()"
_SAMPLE_LENGTH = 500  # characters
_BOUND_SAMPLES = 4  # of the latents or masks, in the final score

PEERS = {"char-rnn": "char-rnn (PyTorch)", "nanogpt": "nanoGPT, CPU recipe (PyTorch)"}


def _common_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text to train on")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the results")
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="models of this library (default: all)")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _common_arguments(parser)
    add = parser.add_argument
    add("--log-dir", type=Path, required=True, metavar="DIR", help="folder of the runs")
    add("--seed", type=arguments.seed, default=0, metavar="N", help="of each run")
    add("--scale-steps", type=float, default=1.0, metavar="X",
        help="multiplies the number of updates of each row")
    add("--valid-steps", type=arguments.whole(1, 1 << 30), default=1 << 16, metavar="N",
        help="held-out characters that each validation scores")
    peers.add_arguments(parser)
    add("--max-seconds", type=float, default=300.0, metavar="S",
        help="limit of the training of each peer")


def _costs_arguments(parser: argparse.ArgumentParser) -> None:
    _common_arguments(parser)
    parser.add_argument(
        "--updates", type=arguments.whole(1, 10_000), default=20, metavar="N",
        help="updates to measure, after the first, which compiles")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out-dir", type=arguments.directory, required=True, metavar="DIR",
        help="folder of the results")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    for name in options.rows:
        _save(options.out_dir, name, ROWS[name].label, **_ours(name, ROWS[name], options),
              seed=options.seed)
    for name, label in PEERS.items() if options.peers else ():
        _save(options.out_dir, name, label, curve=_peer(name, options))
    _draw(_results(options.out_dir), options.out_dir)


def _ours(name: str, row: Row, options: argparse.Namespace) -> dict[str, Any]:
    """Trains and scores a row; returns its curve of [seconds, nats], their steps, the score."""
    log_dir = options.log_dir / name
    if log_dir.exists():
        raise arguments.UsageError(
            f"--log-dir: expected no run in {str(log_dir)!r}, as the curve has the seconds of "
            "one session. Remove it first.")
    num_steps, valid_every = (
        max(1, round(steps * options.scale_steps)) for steps in (row.num_steps, row.valid_every))
    command = [sys.executable, "-c", _PROGRAM, "train", "--log-dir", str(log_dir),
               "--train-corpus", str(options.corpus), "--num-steps", str(num_steps),
               "--valid-every", str(valid_every), "--valid-steps", str(options.valid_steps),
               "--seed", str(options.seed)]
    if row.hparams:
        command += ["--hparams", row.hparams]
    curve: list[tuple[float, float]] = []
    steps: list[int] = []
    # A file, as the process would wait for a reader of a full pipe
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        running = True
        while running:
            running = process.poll() is None
            seconds = time.perf_counter() - start
            for step, nats in _validations(log_dir / "metrics.jsonl")[len(curve):]:
                curve.append((seconds, nats))
                steps.append(step)
            time.sleep(0.2)
        if process.returncode:
            stderr.seek(0)
            raise arguments.UsageError(f"{name}: {stderr.read().strip()[-300:]}")
    scored = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "evaluate", "--log-dir", str(log_dir), "--json",
         "--num-samples", str(_BOUND_SAMPLES)], stdout=subprocess.PIPE, check=True, text=True)
    score = json.loads(scored.stdout)
    return {"hparams": row.hparams, "updates": num_steps, "curve": curve, "steps": steps,
            "score": {key: score[key] for key in (
                "nats_per_character", "bound", "num_samples", "standard_error", "characters")}}


def _validations(path: Path) -> list[tuple[int, float]]:
    """Returns the step and the nats of each validation so far."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines(True) if line[-1] == "\n"]
    return [(line["step"], line["valid_nats_per_step"]) for line in lines
            if "valid_nats_per_step" in line]


def _peer(name: str, options: argparse.Namespace) -> list[tuple[float, float]]:
    lines = peers.run(options, name, options.corpus, "--max-seconds", options.max_seconds)
    return [(line["seconds"], line["nats_per_char"]) for line in lines]


def _costs(options: argparse.Namespace) -> None:
    for name in options.rows:
        path = options.out_dir / f"{name}.json"
        if not path.is_file():
            raise arguments.UsageError(
                f"--rows {name}: expected its result in {str(options.out_dir)!r}, found none. "
                "Run it first.")
        with new_process() as process:
            measured = process.submit(
                measure_costs, ROWS[name].hparams, options.corpus, options.updates).result()
        result = {**json.loads(path.read_text()), "costs": {**measured, **provenance(_MODULE)}}
        path.write_text(json.dumps(result) + "\n")
        print(json.dumps({"row": name, **measured}), flush=True)
    _table(options)


def measure_costs(overrides: str, corpus: Path, updates: int) -> dict[str, float | int]:
    """Returns what a model of text costs, measured in this process.

    Args:
      overrides: hyperparameters, in the syntax of `--hparams`.
      corpus: text to train on.
      updates: number of updates, after the first.

    Returns:
      Medians of an update's wall and processor time, and wall time of the first update, which
      compiles; wall time of a sample of 500 characters, compiled; all in seconds. Peak resident
      memory of training, compilation included, in MiB; the number of weights.
    """
    from examples.text.data import Vocabulary
    from examples.text.hparams import TextHParams
    from examples.text.model import TextModel
    from vaeseq.train.trainer import Callback

    marks: list[tuple[float, float]] = []

    class Clock(Callback):
        """Notes wall and processor time after each update."""

        def on_step(self, step: int, metrics: Any) -> None:
            marks.append((time.perf_counter(), time.process_time()))

    text = corpus.read_text("utf-8")
    vocabulary = Vocabulary.of([text], 4096, 1)
    with tempfile.TemporaryDirectory() as log_dir:
        model = TextModel(TextHParams().parse(overrides), vocabulary, log_dir)
        start = time.perf_counter()
        model.train([vocabulary.encode(text)], num_steps=updates + 1, callbacks=[Clock()])
        peak = peak_memory()
        model.generate(length=_SAMPLE_LENGTH)  # compiles
        sample_seconds = seconds_of(lambda: model.generate(length=_SAMPLE_LENGTH, seed=1))
        weights = sum(
            variable.shape.num_elements() for variable in model.gen_core.trainable_variables)
    wall, processor = (
        [after - before for before, after in zip(times, times[1:])] for times in zip(*marks))
    return {"update_seconds": statistics.median(wall),
            "update_processor_seconds": statistics.median(processor),
            "first_update_seconds": marks[0][0] - start,
            "sample_seconds": sample_seconds,
            "memory_mib": round(peak / 2**20), "weights": weights}


def _save(out_dir: Path, name: str, label: str, **values: Any) -> None:
    result = {"row": name, "label": label, **values, **provenance(_MODULE)}
    (out_dir / f"{name}.json").write_text(json.dumps(result) + "\n")
    curve = values["curve"]
    print(json.dumps({"row": name, "best": min(nats for _, nats in curve),
                      "seconds": curve[-1][0], **values.get("score", {})}), flush=True)


def _results(out_dir: Path) -> list[dict[str, Any]]:
    results = [json.loads(path.read_text()) for path in sorted(out_dir.glob("*.json"))]
    order = [*ROWS, *PEERS]
    return sorted(results, key=lambda result: (
        order.index(result["row"]) if result["row"] in order else len(order)))


def _table(options: argparse.Namespace) -> None:
    results = [result for result in _results(options.out_dir) if "score" in result]
    if not results:
        raise arguments.UsageError(
            f"--out-dir: expected scores in {str(options.out_dir)!r}, found none. Run them first.")
    print(table(results))
    _draw(_results(options.out_dir), options.out_dir)


def table(results: list[dict[str, Any]]) -> str:
    """Returns the table of scores and costs, without costs that were not measured."""
    return markdown_table(
        ["model", "weights", "nats per character", "updates", "training: s, core-s",
         "500 characters: s", "peak memory"], map(_cells, results))


def _cells(result: dict[str, Any]) -> list[str]:
    score, updates = result["score"], result["updates"]
    nats = f"{score['nats_per_character']:.3f}"
    if score["bound"] != "exact":
        nats = f"≤ {nats} ± {score['standard_error']:.3f}"
    cells = [result["label"], "", nats, f"{updates:,}", "", "", ""]
    if costs := result.get("costs"):
        cells[1] = f"{costs['weights'] / 1e6:.2f} M"
        cells[4] = (f"{updates * costs['update_seconds']:.0f}, "
                    f"{updates * costs['update_processor_seconds']:.0f}")
        cells[5] = f"{costs['sample_seconds']:.2f}"
        cells[6] = f"{costs['memory_mib'] / 1024:.2f} GiB"
    return cells


def _draw(results: list[dict[str, Any]], out_dir: Path) -> None:
    """Draws the curves and, of results with costs alone if any, nats and time of a sample."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = [result for result in results if "costs" in result] or results
    has_costs = "costs" in results[0]
    figure, panels = pyplot.subplots(
        1, 1 + has_costs, figsize=(8 + 3 * has_costs, 4.5), squeeze=False, layout="constrained")
    curves = panels[0, 0]
    for result in results:
        seconds, nats = zip(*result["curve"])
        if has_costs:
            update = result["costs"]["update_processor_seconds"]
            seconds = tuple(step * update for step in result["steps"])
        style = "--" if result["row"] in PEERS else "-"
        (line,) = curves.plot(seconds, nats, style, marker=".", label=result["label"])
        if has_costs:
            panels[0, 1].plot(result["costs"]["sample_seconds"],
                              result["score"]["nats_per_character"], "o", color=line.get_color())
    longest = 300 if not has_costs else None
    curves.set(xlabel="processor seconds of training" if has_costs
               else "seconds since the start of the command", xlim=(0, longest),
               ylabel="held-out nats per character", ylim=(1.4, 3.0 if has_costs else 2.0))
    curves.grid(alpha=0.3)
    curves.legend()
    if has_costs:
        panels[0, 1].set(xscale="log", xlabel="seconds to generate 500 characters",
                         ylabel="held-out nats per character, final")
        panels[0, 1].grid(alpha=0.3)
    figure.savefig(out_dir / "quality.png", dpi=120)


program = Program(f"python -m {_MODULE}", "Compares models of text.", (
    Command("run", "train and score models, and draw their curves", _run_arguments, _run),
    Command("costs", "measure time and memory alone", _costs_arguments, _costs),
    Command("table", "print the table and draw the plot", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
