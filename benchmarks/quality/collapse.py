# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures what helps sequence autoencoders whose decoders ignore the latent.

    python -m benchmarks.quality.collapse run --corpus FILE --log-dir DIR [--frames 16]
        [--rows none,free-bits] [--seeds 0]
    python -m benchmarks.quality.collapse table [--results DIR]

The data are those of `benchmarks.quality.autoencoders`. The base is a VAE with the whole weight on
the KL and a decoder that sees all past observations; each other row changes one thing. Of `reset`,
the encoder is that of an autoencoder without a prior, trained for as many updates before.
`conductor` is for long phrases (16 bars are `--frames 128` of Nottingham), beside `weight`.
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import vaeseq
from benchmarks.quality.autoencoders import (
    Data,
    add_arguments,
    add_results,
    as_json,
    data_of,
    mean,
    measure_all,
    train_model,
)
from benchmarks.report import markdown_table, provenance, results_in
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
_BITS = 1.0  # free bits of each dimension

ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("base", {}),
    "dropout": ("`seqae_decoder_dropout=0.3`", {"seqae_decoder_dropout": 0.3}),
    "weight": ("`kl_weight=0.3`", {"kl_weight": 0.3}),
    "free-bits": (f"`free_bits_per=dimension,free_bits={_BITS:g}`",
                  {"free_bits_per": "dimension", "free_bits": _BITS}),
    "conductor": ("`kl_weight=0.3,seqae_conductor=8`", {"kl_weight": 0.3, "seqae_conductor": 8}),
    "lagging": ("`seqae_encoder_updates=10`", {"seqae_encoder_updates": 10}),
    "reset": ("`--init-from`, `seqae_reset_decoder=true`, free bits as above",
              {"seqae_reset_decoder": True, "free_bits_per": "dimension", "free_bits": _BITS}),
}


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, _RESULTS)
    parser.add_argument("--rows", type=arguments.some_of(ROWS), default=list(ROWS), metavar="A,B",
                        help="rows to measure (default: all)")
    parser.set_defaults(num_steps=1000, test_size=1000, importance_samples=50)


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    add_results(parser, _RESULTS)


def _run(options: argparse.Namespace) -> None:
    data = data_of(options)
    measure_all(options, data, options.rows,
                lambda name, seed: _measure(name, seed, data, options),
                lambda name: {"settings": _settings(name, options)})
    _table(options)


def _settings(name: str, options: argparse.Namespace) -> dict[str, Any]:
    return {**_BASE, "latent_size": options.latent_size, "rnn_hidden_sizes": (options.units,),
            **ROWS[name][1]}


def _measure(name: str, seed: int, data: Data, options: argparse.Namespace) -> dict[str, Any]:
    settings = _settings(name, options)
    log_dir = options.log_dir / f"{data.name}-{name}-{seed}"
    model = data.make(settings, log_dir, seed)
    if name == "reset" and not model.step:
        _take_encoder(model, settings, data, seed, options)
    seconds = train_model(model, log_dir, data, options.num_steps)
    test = data.splits[2]
    coder = Autoencoder(model.gen_core, batch_size=256)
    return {
        "data": data.name, "row": name, "seed": seed, "settings": settings,
        "updates": options.num_steps, "step": model.step, "train_seconds": seconds,
        "sequences": list(map(len, data.splits)), **provenance(_MODULE),
        "report": as_json(measures.report(coder, test, seed=seed)),
        "iw_nats": coder.log_likelihood(
            test, num_samples=options.importance_samples, seed=seed).nats_per_step}


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
    rows = results_in(options.results)
    header = ("data", "changed", "seeds", "nats", "nats of the mean", "of another mean", "KL",
              "MI", "active units", "accuracy", "edits")
    table = []
    for data in sorted({row["data"] for row in rows}):
        for name, (label, _) in ROWS.items():
            group = [row for row in rows if (row["data"], row["row"]) == (data, name)]
            if group:
                table.append((data, label, len(group), *_cells(group)))
    print(markdown_table(header, table))


def _cells(group: list[dict[str, Any]]) -> list[str]:
    """Returns means over the seeds."""
    reports = [row["report"] for row in group]
    return [
        mean(row["iw_nats"] for row in group),
        *(mean(report[key] for report in reports)
          for key in ("nats_per_step", "shuffled_nats_per_step")),
        *(mean((report["information"][key] for report in reports), 2)
          for key in ("kl", "mutual_information")),
        mean((report["active_units"] for report in reports), 0),
        *(mean(report[key] for report in reports) for key in ("accuracy", "edit_distance"))]


program = Program(f"python -m {_MODULE}", "Measures what helps against collapse.", (
    Command("run", "train and measure, and print the table", _run_arguments, _run),
    Command("table", "print the table of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
