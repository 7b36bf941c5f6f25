# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures what helps sequence autoencoders whose decoders ignore the latent.

    python -m benchmarks.quality.collapse run --corpus FILE --log-dir DIR [--frames 128]
        [--rows none,free-bits] [--seeds 0]
    python -m benchmarks.quality.collapse table [--results DIR]

The data are those of `benchmarks.quality.autoencoders`. The base is a VAE with the whole weight on
the KL and a decoder that sees all past observations; each other row changes one thing. Of `reset`,
the encoder is that of an autoencoder without a prior, trained for as many updates before. The rows
`flat` and `conductor` are autoencoders without a prior, for long sequences: what one decoder, or
one that a conductor starts anew every --segment steps, keeps of a sequence.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import vaeseq
from benchmarks.quality.autoencoders import Data, lines_of, phrases_of, train_model
from benchmarks.report import markdown_table, provenance
from vaeseq.autoencoder import Autoencoder, measures
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.runs import warm_start
from vaeseq.vae import pretrained

_MODULE = "benchmarks.quality.collapse"
_RESULTS = Path(__file__).parents[1] / "results" / "collapse"
_BASE: dict[str, Any] = {
    "vae_type": "SEQAE", "cell": "gru", "latent_decoder_fc_layers": (), "batch_size": 64,
    "learning_rate": 0.003, "train_bound": "elbo"}
_RECONSTRUCTION = {"train_bound": "reconstruction", "seqae_posterior": "deterministic",
                   "seqae_decoder_dropout": 0.3}
_BITS = 1.0  # free bits of each dimension

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("base", {}),
    "dropout": ("`seqae_decoder_dropout=0.3`", {"seqae_decoder_dropout": 0.3}),
    "weight": ("`kl_weight=0.3`", {"kl_weight": 0.3}),
    "free-bits": (f"`free_bits_per=dimension,free_bits={_BITS:g}`",
                  {"free_bits_per": "dimension", "free_bits": _BITS}),
    "lagging": ("`seqae_encoder_updates=10`", {"seqae_encoder_updates": 10}),
    "reset": ("`--init-from`, `seqae_reset_decoder=true`, free bits as above",
              {"seqae_reset_decoder": True, "free_bits_per": "dimension", "free_bits": _BITS}),
    "flat": ("one decoder", _RECONSTRUCTION),
    "conductor": ("conductor", _RECONSTRUCTION),
}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text whose lines are the sequences, or archive of piano rolls (.npz)")
    add("--frames", type=arguments.whole(2, 1 << 12), default=128, metavar="N",
        help="frames of a phrase of an archive")
    add("--segment", type=arguments.whole(1, 1 << 12), default=16, metavar="N",
        help="steps between two of the conductor")
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs, which a repeated command resumes")
    add("--results", type=arguments.new_directory, default=_RESULTS, metavar="DIR",
        help="folder of the results")
    add("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
        help="rows to measure (default: all)")
    add("--seeds", default="0", metavar="N,N", help="seeds of the runs")
    add("--num-steps", type=arguments.whole(1, 10**7), default=1000, metavar="N",
        help="updates of each run")
    add("--test-size", type=arguments.whole(2, 10**6), default=1000, metavar="N",
        help="sequences of the test set to score, evenly spread")
    add("--units", type=arguments.whole(1, 1 << 14), default=128, metavar="N",
        help="units of each recurrent layer")
    add("--latent-size", type=arguments.whole(1, 1 << 12), default=32, metavar="N",
        help="size of the latent")
    add("--importance-samples", type=arguments.whole(2, 10**4), default=50, metavar="N",
        help="samples of the importance-weighted likelihood")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=arguments.directory, default=_RESULTS, metavar="DIR",
                        help="folder of the results")


def _run(options: argparse.Namespace) -> None:
    options.results.mkdir(parents=True, exist_ok=True)
    data = (phrases_of(options.corpus, options.frames) if options.corpus.suffix == ".npz"
            else lines_of(options.corpus))
    for seed in [arguments.seed(seed) for seed in options.seeds.split(",")]:
        for name in options.rows:
            path = options.results / f"{data.name}-{name}-{seed}.json"
            if not path.is_file():
                path.write_text(json.dumps(_measure(name, seed, data, options), indent=1) + "\n")
            print(f"{path.stem}: measured", flush=True)
    _table(options)


def _measure(name: str, seed: int, data: Data, options: argparse.Namespace) -> dict[str, Any]:
    settings = {**_BASE, "latent_size": options.latent_size,
                "rnn_hidden_sizes": (options.units,), **ROWS[name][1]}
    if name == "conductor":
        settings["seqae_conductor"] = options.segment
    log_dir = options.log_dir / f"{data.name}-{name}-{seed}"
    model = data.make(settings, log_dir, seed)
    if name == "reset" and not model.step:
        _take_encoder(model, settings, data, seed, options)
    seconds = train_model(model, log_dir, data, options.num_steps)
    every = max(1, len(data.splits[2]) // options.test_size)
    test = data.splits[2][::every][:options.test_size]
    coder = Autoencoder(model.gen_core, batch_size=256)
    report = measures.report(coder, test, seed=seed)
    row: dict[str, Any] = {
        "data": data.name, "row": name, "seed": seed, "settings": settings,
        "updates": options.num_steps, "step": model.step,
        "train_seconds": seconds,
        "sequences": [*map(len, data.splits[:2]), len(test)], **provenance(_MODULE),
        "report": {**report._asdict(), "is_collapsed": report.is_collapsed,
                   "information": report.information and report.information._asdict()}}
    if coder.has_density:
        row["iw_nats"] = coder.log_likelihood(
            test, num_samples=options.importance_samples, seed=seed).nats_per_step
    return row


def _take_encoder(model: vaeseq.Model, settings: dict[str, Any], data: Data, seed: int,
                  options: argparse.Namespace) -> None:
    """Trains an autoencoder without a prior, and gives its encoder to `model`."""
    log_dir = options.log_dir / f"{data.name}-reset-source-{seed}"
    source = data.make({**settings, "seqae_reset_decoder": False, "train_bound": "reconstruction"},
                       log_dir, seed)
    train_model(source, log_dir, data, options.num_steps)
    model.build()
    model.origin = warm_start.begin(
        model.log_dir, log_dir, source.step, source.gen_core, model.gen_core,
        values=pretrained.weights(source.gen_core, model.gen_core))


def _table(options: argparse.Namespace) -> None:
    rows = [json.loads(path.read_text()) for path in sorted(options.results.glob("*.json"))]
    if not rows:
        raise arguments.UsageError(
            f"--results: expected results in {str(options.results)!r}, found none. Run them first.")
    header = ("data", "changed", "seeds", "nats", "nats of the mean", "of another mean", "KL",
              "MI", "active units", "accuracy", "edits", "collapsed")
    table = []
    for data in sorted({row["data"] for row in rows}):
        for name, (label, _) in ROWS.items():
            group = [row for row in rows if (row["data"], row["row"]) == (data, name)]
            if group:
                table.append((data, label, len(group), *_cells(group)))
    print(markdown_table(header, table))


def _cells(group: list[dict[str, Any]]) -> list[str]:
    """Returns means over the seeds; "" where there is no density."""
    reports = [row["report"] for row in group]
    information = [report["information"] or {} for report in reports]

    def mean(values: list[Any], digits: int) -> str:
        return "" if None in values else f"{np.mean(np.array(values, np.float64)):.{digits}f}"

    return [
        mean([row.get("iw_nats") for row in group], 3),
        *(mean([report[key] for report in reports], 3)
          for key in ("nats_per_step", "shuffled_nats_per_step")),
        *(mean([one.get(key) for one in information], 2) for key in ("kl", "mutual_information")),
        mean([report["active_units"] for report in reports], 0),
        *(mean([report[key] for report in reports], 3) for key in ("accuracy", "edit_distance")),
        f"{sum(report['is_collapsed'] for report in reports)} of {len(reports)}"]


program = Program(f"python -m {_MODULE}", "Measures what helps against collapse.", (
    Command("run", "train and measure, and print the table", _run_arguments, _run),
    Command("table", "print the table of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
