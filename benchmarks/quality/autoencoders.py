# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compares regularizers of sequence autoencoders, and models of their latents, on lines of text.

    python -m benchmarks.quality.autoencoders run --corpus TEXT --log-dir DIR
        [--regularizers none,kl] [--states prior,mixture] [--seeds 0] [--num-steps 4000]
    python -m benchmarks.quality.autoencoders table [--results DIR]

A line is a sequence, with its line break. Of the lines that are not empty, the first 90 % train,
the next 5 % validate and the last 5 % are scored. Every regularizer trains the same network for the
same number of updates; `rnn` is a network without a latent, for comparison. Then each model of
latents is fitted to the latents of the training lines, and as many lines as the test set has are
drawn from it at temperature 1. Results are small files in --results, and existing ones are kept.

Forward and reverse nats are per character under 5-gram models (`vaeseq.evaluate.samples`); their
`real` row takes as many training lines as samples. Unevenness is that of paths between test lines:
the largest share of the edits of a path that one step makes, minus the share of an even step.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import add_seconds, markdown_table, provenance
from examples.text.data.corpus import open_corpus
from examples.text.data.vocabulary import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from vaeseq import autoencoder
from vaeseq.autoencoder import Autoencoder, measures
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.evaluate import samples
from vaeseq.train.trainer import Periods
from vaeseq.truncation import Truncation

_MODULE = "benchmarks.quality.autoencoders"
_RESULTS = Path(__file__).parents[1] / "results" / "autoencoders"
_LONGEST = 64  # characters of a line; longer ones are left out
_ORDER = 5
_NUM_PATHS, _POINTS = 20, 7
_MOST_FOR_BLEU = 500

REGULARIZERS: dict[str, dict[str, Any]] = {
    "none": {"train_bound": "reconstruction", "seqae_posterior": "deterministic"},
    "kl": {"train_bound": "elbo", "kl_weight": 0.3},
    "mmd": {"train_bound": "mmd", "kl_weight": 100.0, "seqae_posterior": "deterministic"},
    "adversarial": {"train_bound": "adversarial", "kl_weight": 10.0,
                    "seqae_posterior": "deterministic"},
    "rnn": {"vae_type": "RNN"},
}
STATES = ("prior", *autoencoder.STATE_MODELS)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text whose lines are the sequences")
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs, which a repeated command resumes")
    add("--results", type=arguments.new_directory, default=_RESULTS, metavar="DIR",
        help="folder of the results")
    add("--regularizers", type=arguments.some_of(REGULARIZERS), default=list(REGULARIZERS),
        metavar="A,B", help="regularizers to train with (default: all)")
    add("--states", type=arguments.some_of(STATES), default=list(STATES), metavar="A,B",
        help="models of the latents (default: all)")
    add("--seeds", default="0", metavar="N,N", help="seeds of the runs")
    add("--num-steps", type=arguments.whole(1, 10**7), default=4000, metavar="N",
        help="updates of each run")
    add("--units", type=arguments.whole(1, 1 << 14), default=256, metavar="N",
        help="units of each recurrent layer")
    add("--latent-size", type=arguments.whole(1, 1 << 12), default=32, metavar="N",
        help="size of the latent")
    add("--importance-samples", type=arguments.whole(2, 10**4), default=100, metavar="N",
        help="samples of the importance-weighted likelihood")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=arguments.directory, default=_RESULTS, metavar="DIR",
                        help="folder of the results")


def _run(options: argparse.Namespace) -> None:
    options.results.mkdir(parents=True, exist_ok=True)
    splits = _split(options.corpus)
    for seed in [arguments.seed(seed) for seed in options.seeds.split(",")]:
        for name in options.regularizers:
            path = options.results / f"{name}-{seed}.json"
            if not path.is_file():
                row = _measure(name, seed, splits, options)
                path.write_text(json.dumps(row, indent=1) + "\n")
            print(f"{path.stem}: measured", flush=True)
    _table(options)


def _split(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Returns the lines to train on, to validate on and to score, with their line breaks."""
    text = "".join(open_corpus(path).chunks())
    lines = [f"{line}\n" for line in text.split("\n") if 0 < len(line) < _LONGEST]
    first, second = int(0.9 * len(lines)), int(0.95 * len(lines))
    return lines[:first], lines[first:second], lines[second:]


def _measure(
    name: str, seed: int, splits: tuple[list[str], ...], options: argparse.Namespace
) -> dict[str, Any]:
    vocabulary = Vocabulary.of(splits[0], 4096, 1)
    train, valid, test = ([vocabulary.encode(line) for line in lines] for lines in splits)
    settings = {
        "vae_type": "SEQAE", "unit": "line", "cell": "gru", "latent_size": options.latent_size,
        "rnn_hidden_sizes": (options.units,), "latent_decoder_fc_layers": (), "batch_size": 64,
        "sequence_size": _LONGEST, "learning_rate": 0.003, "dropout": 0.1, "free_bits": 0.0,
        "seqae_decoder_dropout": 0.3, **REGULARIZERS[name]}
    log_dir = options.log_dir / f"{name}-{seed}"
    model = TextModel(TextHParams().replace(**settings), vocabulary, log_dir, seed=seed)
    start = time.perf_counter()
    model.train(train, num_steps=options.num_steps, valid=valid,
                periods=Periods(valid=max(1, options.num_steps // 4)))
    seconds = add_seconds(log_dir / "seconds.json", time.perf_counter() - start)
    model.restore()
    row: dict[str, Any] = {
        "regularizer": name, "seed": seed, "settings": settings, "updates": options.num_steps,
        "step": model.step, "train_seconds": seconds, "lines": list(map(len, splits)),
        **provenance(_MODULE)}
    real = train[::max(1, len(train) // len(test))][:len(test)]
    counted = samples.NGram(train, len(vocabulary), _ORDER)
    row["real"] = _sample_figures(real, test, counted, vocabulary)
    if name == "rnn":
        row["iw_nats"] = {"rnn": model.evaluate(test).nats_per_step}
        drawn = model.generate(num_samples=len(test), length=2 * _LONGEST, seed=seed)
        row["samples"] = {"rnn": _sample_figures(drawn, test, counted, vocabulary)}
        return row
    coder = Autoencoder(model.gen_core, batch_size=256)
    report = measures.report(coder, test, seed=seed)
    row["report"] = {
        **report._asdict(), "is_collapsed": report.is_collapsed,
        "information": report.information and report.information._asdict()}
    row["unevenness"] = _unevenness(coder, test, seed)
    encoded = coder.encode(train)
    row["samples"], row["iw_nats"] = {}, {}
    for kind in options.states:
        states = None
        if kind != "prior":
            states = autoencoder.make(kind, seed=seed)
            states.fit(*encoded)
        drawn = coder.sample(len(test), length=2 * _LONGEST, states=states, seed=seed)
        row["samples"][kind] = _sample_figures(drawn, test, counted, vocabulary)
        if coder.has_density and (states is None or states.has_density):
            row["iw_nats"][kind] = coder.log_likelihood(
                test, states, num_samples=options.importance_samples, seed=seed).nats_per_step
        print(json.dumps({"regularizer": name, "seed": seed, "states": kind,
                          **row["samples"][kind]}), flush=True)
    return row


def _sample_figures(
    drawn: list[np.ndarray], test: list[np.ndarray], counted: samples.NGram,
    vocabulary: Vocabulary,
) -> dict[str, float | None]:
    drawn = [sample for sample in drawn if len(sample)]
    texts = [vocabulary.decode(sample) for sample in drawn[:_MOST_FOR_BLEU]]
    return {
        "forward_nats": counted.nats_per_symbol(drawn),
        "reverse_nats": samples.NGram(drawn, len(vocabulary), _ORDER).nats_per_symbol(test),
        "distinct": samples.distinct(drawn, 4),
        "self_bleu": samples.self_bleu(texts, 3) if samples.has_bleu() else None,
        "length": float(np.mean(list(map(len, drawn))))}


def _unevenness(coder: Autoencoder, test: list[np.ndarray], seed: int) -> float:
    """Returns the mean unevenness of paths between test lines, 0 to 1."""
    pairs = np.random.default_rng(seed).permutation(len(test))[:2 * _NUM_PATHS].reshape([-1, 2])
    means = coder.encode([test[number] for pair in pairs for number in pair]).mean
    points = np.concatenate([autoencoder.spherical(means[row], means[row + 1], _POINTS)
                             for row in range(0, len(means), 2)])
    decoded = coder.decode(points, length=2 * _LONGEST, truncation=Truncation(top_k=1), seed=seed)
    results = []
    for first in range(0, len(decoded), _POINTS):
        path = decoded[first:first + _POINTS]
        edits = [measures.edit_distance(*pair) for pair in zip(path, path[1:])]
        if sum(edits):
            results.append(max(edits) / sum(edits) - 1 / (_POINTS - 1))
    return float(np.mean(results)) if results else float("nan")


def _table(options: argparse.Namespace) -> None:
    rows = [json.loads(path.read_text()) for path in sorted(options.results.glob("*.json"))]
    if not rows:
        raise arguments.UsageError(
            f"--results: expected results in {str(options.results)!r}, found none. Run them first.")
    rows.sort(key=lambda row: (row["seed"], list(REGULARIZERS).index(row["regularizer"])))
    print(_encoder_table([row for row in rows if "report" in row]))
    print()
    print(_sample_table(rows))


def _encoder_table(rows: list[dict[str, Any]]) -> str:
    """Returns the table of encoders and decoders, without models of latents."""
    header = ("regularizer", "seed", "nats/char of the mean", "of another mean", "accuracy",
              "edits/char", "active units", "MI (cap)", "KL(q(z), p)", "MMD", "unevenness")
    lines = []
    for row in rows:
        report, information = row["report"], row["report"]["information"]
        lines.append((
            row["regularizer"], row["seed"], f"{report['nats_per_step']:.3f}",
            f"{report['shuffled_nats_per_step']:.3f}", f"{report['accuracy']:.3f}",
            f"{report['edit_distance']:.3f}", report["active_units"],
            f"{information['mutual_information']:.2f} ({information['cap']:.2f})"
            if information else "", f"{information['aggregate_kl']:.2f}" if information else "",
            f"{report['mmd']:.3f}", f"{row['unevenness']:.3f}"))
    return markdown_table(header, lines)


def _sample_table(rows: list[dict[str, Any]]) -> str:
    """Returns the table of samples, one row for each regularizer and model of latents."""
    header = ("regularizer", "latents", "seed", "nats/char", "forward", "reverse", "distinct-4",
              "self-BLEU-3", "length")
    lines = []
    for row in rows:
        drawn = row["samples"] if row is not rows[0] else {"real": row["real"], **row["samples"]}
        for kind, figures in drawn.items():
            nats = row["iw_nats"].get(kind)
            bleu = figures["self_bleu"]
            lines.append((
                "" if kind in ("real", "rnn") else row["regularizer"], kind,
                "" if kind == "real" else row["seed"], "" if nats is None else f"{nats:.3f}",
                f"{figures['forward_nats']:.3f}", f"{figures['reverse_nats']:.3f}",
                f"{figures['distinct']:.3f}", "" if bleu is None else f"{bleu:.1f}",
                f"{figures['length']:.1f}"))
    return markdown_table(header, lines)


program = Program(f"python -m {_MODULE}", "Compares sequence autoencoders on lines of text.", (
    Command("run", "train, sample and measure, and print the tables", _run_arguments, _run),
    Command("table", "print the tables of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
