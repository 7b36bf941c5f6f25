# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Polyphonic music: test nats per frame beside the published figures.

    python -m benchmarks.polyphonic run ARCHIVE.npz --log-dir DIR [--models rnn,srnn] [--seeds 0,1]
    python -m benchmarks.polyphonic convert IN.mat OUT.npz

`run` trains and scores each model with each seed and prints one JSON line for each, then the table.
Figures are pooled: the sum over all frames of the split divided by their number, every frame
scored, the first too, each piece whole from its own beginning. The state of the best validation
score is scored on the test split, once. Interrupted, the same command goes on where it stopped.
"""
from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.midi import archives
from vaeseq import arguments
from vaeseq.cli import Command, Program


class Recipe(NamedTuple):
    """A row of the table.

    Attributes:
      overrides: hyperparameters, as after `--hparams`.
      steps: updates.
      bound: that is reported.
      samples: of it.
      published: beside it.
    """

    overrides: str
    steps: int
    bound: str
    samples: int
    published: str


# What a row does not name.
_BASE = "decoder=bernoulli,dropout=0.0,weight_decay=0.0"
_COMMON = "batch_size=16,sequence_size=160,learning_rate_final=0.01"
_LATENT = (
    f"{_COMMON},rnn_hidden_sizes=[256],latent_decoder_fc_layers=[256],latent_size=64,"
    "obs_encoder_fc_layers=[256],obs_decoder_fc_hidden_layers=[256],learning_rate=0.001,"
    "divergence_strength_start=0.2,divergence_strength_half=300")

RECIPES = {
    "rnn": Recipe(
        f"{_COMMON},vae_type=RNN,rnn_hidden_sizes=[256],learning_rate=0.003,dropout=0.4,"
        "weight_decay=0.02", 5000, "elbo", 1, "8.71 RNN, 8.45 LSTM, 8.10 TCN"),
    "srnn": Recipe(
        f"{_LATENT},vae_type=SRNN,dropout=0.2", 5000, "iwae", 128,
        "6.80 Pyro DMM (bound); 6.39 DMM (importance-sampled)"),
    "vrnn-elbo": Recipe(
        f"{_LATENT},vae_type=VRNN,dropout=0.2", 4000, "fivo", 128, "8.63 VRNN"),
    "vrnn-iwae": Recipe(
        f"{_LATENT},vae_type=VRNN,dropout=0.2,train_bound=iwae,train_samples=16", 3000, "fivo",
        128, "7.41 VRNN"),
    "vrnn-fivo": Recipe(
        f"{_LATENT},vae_type=VRNN,dropout=0.2,train_bound=fivo,train_samples=16", 3000, "fivo",
        128, "6.72 VRNN"),
    "rnn-masked": Recipe(
        f"{_COMMON},vae_type=RNN,rnn_hidden_sizes=[320],decoder=masked,masked_hidden_size=880,"
        "learning_rate=0.002,dropout=0.4,weight_decay=0.02", 12000, "elbo", 1,
        "5.19 RNN-NADE"),
    "srnn-masked": Recipe(
        f"{_LATENT},vae_type=SRNN,rnn_hidden_sizes=[320],decoder=masked,masked_hidden_size=880,"
        "dropout=0.4,weight_decay=0.02,free_bits=0.1", 8000, "iwae", 128, "5.12 DMM-Aug-NADE"),
}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("archive", type=arguments.readable_file, help="piano rolls (.npz)")
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="where runs are kept, so that they can go on")
    add("--models", default=",".join(RECIPES), metavar="A,B", help="rows of the table")
    add("--seeds", default="0,1,2", metavar="N,N", help="one run each")
    add("--max-minutes", type=arguments.minutes, default=30.0, metavar="M",
        help="of training, for one run")
    add("--scale-steps", type=float, default=1.0, metavar="X",
        help="multiplies every number of updates, for a trial")


def _convert_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=arguments.readable_file, help="MATLAB file of pieces")
    parser.add_argument("output", type=arguments.output_file, help="archive to write (.npz)")


def _run(options: argparse.Namespace) -> None:
    names = options.models.split(",")
    for name in names:
        if name not in RECIPES:
            raise arguments.UsageError(
                f"--models: expected some of {', '.join(RECIPES)}; got {name!r}.")
    seeds = [arguments.seed(seed) for seed in options.seeds.split(",")]
    pieces = archives.load(options.archive)
    rows = []
    for name in names:
        for seed in seeds:
            rows.append(_row(name, seed, pieces, options))
            print(json.dumps(rows[-1]), flush=True)
    print()
    print(_table(rows))


def _row(name: str, seed: int, pieces: dict, options: argparse.Namespace) -> dict:
    """The result of one run, made unless it is there."""
    log_dir = options.log_dir / f"{name}-{seed}"
    result = log_dir / "result.json"
    if result.is_file():
        return json.loads(result.read_text())
    row = _train_and_score(name, seed, pieces, options, log_dir)
    result.write_text(json.dumps(row) + "\n")
    return row


def _train_and_score(
    name: str, seed: int, pieces: dict, options: argparse.Namespace, log_dir: Path
) -> dict:
    from examples.midi.hparams import MidiHParams
    from examples.midi.model import MidiModel
    from examples.midi.observations import means
    from examples.midi.statistics import statistics_of
    from vaeseq.trainer import Periods
    recipe = RECIPES[name]
    hparams = MidiHParams().parse(_BASE).parse(recipe.overrides)
    model = MidiModel(hparams, log_dir, mean=means(pieces["train"], hparams), seed=seed)
    began = time.monotonic()
    trained = model.train(
        pieces["train"], num_steps=max(1, round(recipe.steps * options.scale_steps)),
        valid=pieces["valid"], max_minutes=options.max_minutes, periods=Periods(valid=100))
    train_seconds = time.monotonic() - began
    best_step = model.restore()
    test = model.evaluate(pieces["test"], bound=recipe.bound, num_samples=recipe.samples,
                          batch_size=8, window=160)
    samples = model.compose(num_samples=64, length=64, seed=seed)
    return {
        "model": name, "seed": seed, "split": "test", **test.as_dict(),
        "divergence": test.divergence, "active_units": test.active_units,
        "valid_nats_per_step": trained.best, "best_step": best_step, "step": trained.step,
        "train_seconds": round(train_seconds),
        "hparams": {d.name: d.theirs for d in MidiHParams().diff(hparams)},
        "free_running": statistics_of(samples), "training_set": statistics_of(pieces["train"]),
        "command": shlex.join(["python", "-m", "benchmarks.polyphonic", *sys.argv[1:]])}


def _table(rows: list[dict]) -> str:
    """Markdown: the median over seeds beside the published figures."""
    lines = ["| model | test nats per frame, median (seeds) | bound | best step | training | "
             "published |", "| --- | --- | --- | --- | --- | --- |"]
    for name in dict.fromkeys(row["model"] for row in rows):
        runs = [row for row in rows if row["model"] == name]
        figures = [row["nats_per_step"] for row in runs]
        bound = runs[0]["bound"] + (
            f", {runs[0]['num_samples']} samples" if runs[0]["bound"] != "exact" else "")
        seeds = ", ".join(f"{figure:.2f}" for figure in figures)
        lines.append(
            f"| {name} | {statistics.median(figures):.2f} ({seeds}) | {bound} | "
            f"{statistics.median(row['best_step'] for row in runs):.0f} | "
            f"{statistics.median(row['train_seconds'] for row in runs) / 60:.0f} min | "
            f"{RECIPES[name].published} |")
    return "\n".join(lines)


def _convert(options: argparse.Namespace) -> None:
    """Reads the files traindata, validdata and testdata, as the published sets have them."""
    from scipy import io
    try:
        source = io.loadmat(options.source, squeeze_me=True)
    except (ValueError, TypeError, NotImplementedError, OSError) as error:
        raise arguments.UsageError(
            f"{str(options.source)!r}: expected a MATLAB file; {error}") from None
    pieces = {}
    for split in archives.SPLITS:
        key = f"{split}data"
        if key not in source:
            raise arguments.UsageError(
                f"{str(options.source)!r}: expected a variable {key!r}, one cell a piece; found "
                f"{', '.join(k for k in source if not k.startswith('__')) or 'none'}.")
        pieces[split] = [np.atleast_2d(piece).astype(np.uint8) for piece in source[key]]
    archives.save(options.output, pieces)
    archives.load(options.output)


program = Program("python -m benchmarks.polyphonic", "Polyphonic music, measured.", (
    Command("run", "train and score models, and print the table", _run_arguments, _run),
    Command("convert", "make an archive from a published MATLAB file", _convert_arguments,
            _convert),
))

if __name__ == "__main__":
    program.main()
