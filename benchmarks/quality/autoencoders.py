# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compares regularizers of sequence autoencoders, and models of their latents.

    python -m benchmarks.quality.autoencoders run --corpus FILE --log-dir DIR
        [--frames 16] [--regularizers none,kl] [--states prior,mixture] [--seeds 0]
    python -m benchmarks.quality.autoencoders table [--results DIR]

The sequences are the lines of a text, each with its line break, or the phrases of --frames frames
of an archive of piano rolls (.npz). Of the lines that are not empty, the first 90 % train, the next
5 % validate and the last 5 % are scored; an archive has these splits. Every regularizer trains the
same network for the same number of updates; `rnn` is a network without a latent, for comparison.
Then each model of latents is fitted to the latents of the training set, and as many sequences as
the test set has are drawn from it at temperature 1. Results are small files in --results; existing
ones are kept if they are of the same settings, else refused.

Symbols are characters, or whole frames: those of the training set, and one for all others. Forward
and reverse nats are per symbol under n-gram models (`vaeseq.evaluate.samples`) and under an LSTM
(`benchmarks.quality.lstm_judge`). `real` is as many sequences of the data as there are samples: of
the validation set where models of the training set judge them (forward, Frechet), else of the
training set. The Frechet distance is that of the LSTM's features, of samples and test set.
Unevenness is that of paths between test sequences: the largest share of the edits of a path that
one step makes, minus the share of an even step.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality.lstm_judge import LSTMJudge
from benchmarks.report import (
    Sessions,
    existing_result,
    markdown_table,
    provenance,
    results_in,
)
from examples.midi.data import archives
from examples.text.data.corpus import open_corpus
from examples.text.data.vocabulary import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from vaeseq import autoencoder
from vaeseq.autoencoder import Autoencoder, measures
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.codec import decoders, encoders
from vaeseq.encoder import Encoder
from vaeseq.evaluate import samples
from vaeseq.train.trainer import Periods

_MODULE = "benchmarks.quality.autoencoders"
_RESULTS = Path(__file__).parents[1] / "results" / "autoencoders"
_LONGEST = 64  # characters of a line; longer ones are left out
_NUM_PATHS, _POINTS = 20, 7
_MOST_FOR_BLEU = 500
_SETTINGS: dict[str, Any] = {
    "vae_type": "SEQAE", "cell": "gru", "latent_decoder_fc_layers": (), "batch_size": 64,
    "learning_rate": 0.003, "dropout": 0.1, "seqae_decoder_dropout": 0.3}

REGULARIZERS: dict[str, dict[str, Any]] = {
    "none": {"train_bound": "reconstruction", "seqae_posterior": "deterministic"},
    "kl": {"train_bound": "elbo", "kl_weight": 0.3},
    "mmd": {"train_bound": "mmd", "kl_weight": 100.0, "seqae_posterior": "deterministic"},
    "adversarial": {"train_bound": "adversarial", "kl_weight": 10.0,
                    "seqae_posterior": "deterministic"},
    "rnn": {"vae_type": "RNN"},
}
STATES = ("prior", *autoencoder.STATE_MODELS)


class Data(NamedTuple):
    """Sequences, and how to model them."""

    name: str  # of the data
    # Training, validation and test sequences
    splits: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]
    # From settings, log directory and seed to a model
    make: Callable[[dict[str, Any], Path, int], vaeseq.Model]
    longest: int  # steps of the longest sequence that is drawn
    # From sequences to their symbols, each `[N]`
    symbols: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    num_symbols: int  # V
    order: int  # of n-gram models
    # From symbols to text, for BLEU; None where there is none
    decode: Callable[[np.ndarray], str] | None


class Phrases(vaeseq.Model):
    """A model of the frames of piano rolls."""

    observation_spec = tf.TensorSpec([archives.NOTES], tf.float32)

    def make_encoder(self) -> Encoder:
        return encoders.MLPEncoder(self.observation_spec, (64,))

    def make_decoder(self) -> decoders.MaskedBernoulli:
        return decoders.MaskedBernoulli(self.observation_spec, (64,), initial_logits=-3.0)


def _lines(path: Path) -> Data:
    text = "".join(open_corpus(path).chunks())
    lines = [f"{line}\n" for line in text.split("\n") if 0 < len(line) < _LONGEST]
    first, second = int(0.9 * len(lines)), int(0.95 * len(lines))
    vocabulary = Vocabulary.of(lines[:first], 4096, 1)
    train, valid, test = ([vocabulary.encode(line) for line in part] for part in (
        lines[:first], lines[first:second], lines[second:]))

    def make(settings: dict[str, Any], log_dir: Path, seed: int) -> TextModel:
        hparams = TextHParams().replace(unit="line", sequence_size=_LONGEST, **settings)
        return TextModel(hparams, vocabulary, log_dir, seed=seed)

    return Data(path.stem, (train, valid, test), make, 2 * _LONGEST, list, len(vocabulary), 5,
                vocabulary.decode)


def _phrases(path: Path, size: int) -> Data:
    """Returns the whole phrases of `size` frames of an archive."""
    pieces = archives.load(path)
    train, valid, test = (
        [roll[start:start + size] for roll in pieces[split]
         for start in range(0, len(roll) - size + 1, size)] for split in archives.SPLITS)
    frames = samples.FrameSymbols(train)

    def make(settings: dict[str, Any], log_dir: Path, seed: int) -> Phrases:
        hparams = vaeseq.HParams().replace(sequence_size=size, **settings)
        return Phrases(hparams, log_dir, seed=seed)

    return Data(path.stem, (train, valid, test), make, size,
                lambda sequences: [frames.encode(sequence) for sequence in sequences],
                len(frames), 3, None)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser, _RESULTS)
    add = parser.add_argument
    add("--regularizers", type=arguments.some_of(REGULARIZERS), default=list(REGULARIZERS),
        metavar="A,B", help="regularizers to train with (default: all)")
    add("--states", type=arguments.some_of(STATES), default=list(STATES), metavar="A,B",
        help="models of the latents (default: all)")
    add("--judge-steps", type=arguments.whole(1, 10**7), default=300, metavar="N",
        help="updates of each LSTM that is trained on samples")


def add_arguments(parser: argparse.ArgumentParser, results: Path) -> None:
    """Adds the options of the data, the networks and their training; `results` is a default."""
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text whose lines are the sequences, or archive of piano rolls (.npz)")
    add("--frames", type=arguments.whole(2, 1 << 12), default=16, metavar="N",
        help="frames of a phrase of an archive")
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs, which a repeated command resumes")
    add("--results", type=arguments.new_directory, default=results, metavar="DIR",
        help="folder of the results")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0", metavar="N,N",
        help="seeds of the runs")
    add("--num-steps", type=arguments.whole(1, 10**7), default=2000, metavar="N",
        help="updates of each run")
    add("--test-size", type=arguments.whole(2, 10**6), default=10**6, metavar="N",
        help="sequences of the test set to score, evenly spread (default: all)")
    add("--units", type=arguments.whole(1, 1 << 14), default=128, metavar="N",
        help="units of each recurrent layer")
    add("--latent-size", type=arguments.whole(1, 1 << 12), default=32, metavar="N",
        help="size of the latent")
    add("--importance-samples", type=arguments.whole(2, 10**4), default=100, metavar="N",
        help="samples of the importance-weighted likelihood")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    add_results(parser, _RESULTS)


def add_results(parser: argparse.ArgumentParser, default: Path) -> None:
    """Adds the option of `results`."""
    parser.add_argument("--results", type=arguments.directory, default=default, metavar="DIR",
                        help="folder of the results")


def data_of(options: argparse.Namespace) -> Data:
    """Returns the data of the options, with as many test sequences as they ask for."""
    data = (_phrases(options.corpus, options.frames) if options.corpus.suffix == ".npz"
            else _lines(options.corpus))
    train, valid, test = data.splits
    return data._replace(splits=(train, valid, evenly_spread(test, options.test_size)))


def evenly_spread(items: Sequence[Any], size: int) -> list[Any]:
    """Returns `size` of the items, the first included; all of them if there are no more."""
    size = min(size, len(items))
    return [items[number * len(items) // size] for number in range(size)]


def measure_all(
    options: argparse.Namespace, data: Data, names: Sequence[str],
    measure: Callable[[str, int], dict[str, Any]], expected: Callable[[str], dict[str, Any]],
) -> None:
    """Measures each row with each seed, and writes a file of what has none yet.

    Raises UsageError if an existing result has not the values that are expected of its row.
    """
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in names:
            path = options.results / f"{data.name}-{name}-{seed}.json"
            if existing_result(path, **expected(name)) is None:
                path.write_text(json.dumps(measure(name, seed), indent=1) + "\n")
            print(f"{path.stem}: measured", flush=True)


def _run(options: argparse.Namespace) -> None:
    data = data_of(options)
    judges = _Judges(data, options)
    real = judges.figures_of_data()
    measure_all(
        options, data, options.regularizers,
        lambda name, seed: {**_measure(name, seed, data, judges, options), "real": real},
        lambda name: {"settings": _settings(name, options), "updates": options.num_steps})
    _table(options)


class _Judges:
    """Scores samples under models of real data, and test data under models of samples."""

    def __init__(self, data: Data, options: argparse.Namespace):
        train, _, test = data.splits
        self._data = data
        self._test = data.symbols(test)
        self._counted = samples.NGram(data.symbols(train), data.num_symbols, data.order)
        longest = max(map(len, test))
        self._fixed, self._fitted = (LSTMJudge(
            data.num_symbols, longest, num_steps=times * options.judge_steps) for times in (4, 1))
        self._fixed.fit(data.symbols(train))
        self._features = self._fixed.features(self._test)

    def figures_of_data(self) -> dict[str, float | None]:
        """Returns what the figures of samples can reach: those of the data themselves.

        The judges of samples are fitted to the training set, so that they judge the validation set.
        """
        of_train, held_out = (
            self.figures(evenly_spread(split, len(self._test))) for split in self._data.splits[:2])
        by_judges = ("forward_nats", "lstm_forward_nats", "frechet")
        return {**of_train, **{name: held_out[name] for name in by_judges}}

    def figures(self, generated: Sequence[np.ndarray]) -> dict[str, float | None]:
        """Returns the figures of samples."""
        data = self._data
        generated = [sample for sample in data.symbols(generated) if len(sample)]
        texts = list(map(data.decode, generated[:_MOST_FOR_BLEU])) if data.decode else []
        self._fitted.fit(generated)
        return {
            "forward_nats": self._counted.nats_per_symbol(generated),
            "reverse_nats": samples.NGram(
                generated, data.num_symbols, data.order).nats_per_symbol(self._test),
            "lstm_forward_nats": self._fixed.nats_per_symbol(generated),
            "lstm_reverse_nats": self._fitted.nats_per_symbol(self._test),
            "frechet": samples.frechet_distance(self._fixed.features(generated), self._features),
            "distinct": samples.distinct(generated, 4),
            "self_bleu": samples.self_bleu(texts, 3) if texts and samples.has_bleu() else None,
            "length": float(np.mean(list(map(len, generated))))}


def _settings(name: str, options: argparse.Namespace) -> dict[str, Any]:
    return {**_SETTINGS, "latent_size": options.latent_size, "rnn_hidden_sizes": (options.units,),
            **REGULARIZERS[name]}


def _measure(
    name: str, seed: int, data: Data, judges: _Judges, options: argparse.Namespace
) -> dict[str, Any]:
    train, _, test = data.splits
    settings = _settings(name, options)
    log_dir = options.log_dir / f"{data.name}-{name}-{seed}"
    model = data.make(settings, log_dir, seed)
    seconds = train_model(model, log_dir, data, options.num_steps)
    row: dict[str, Any] = {
        "data": data.name, "regularizer": name, "seed": seed, "settings": settings,
        "updates": options.num_steps, "step": model.step, "train_seconds": seconds,
        "sequences": list(map(len, data.splits)), **provenance(_MODULE)}
    if name == "rnn":
        row["iw_nats"] = {"rnn": model.evaluate(test).nats_per_step}
        generated = model.generate(num_samples=len(test), length=data.longest, seed=seed)
        row["samples"] = {"rnn": judges.figures(generated)}
        return row
    coder = Autoencoder(model.gen_core, batch_size=256)
    report = measures.report(coder, test, seed=seed)
    row["report"] = as_json(report)
    row["unevenness"] = _unevenness(coder, data, seed)
    encoded = coder.encode(train)
    row["samples"], row["iw_nats"] = {}, {}
    for kind in options.states:
        states = None
        if kind != "prior":
            states = autoencoder.make(kind, seed=seed)
            states.fit(*encoded)
        generated = coder.sample(len(test), length=data.longest, states=states, seed=seed)
        row["samples"][kind] = judges.figures(generated)
        if coder.has_density and (states is None or states.has_density):
            row["iw_nats"][kind] = coder.log_likelihood(
                test, states, num_samples=options.importance_samples, seed=seed).nats_per_step
        print(json.dumps({"regularizer": name, "seed": seed, "states": kind,
                          **row["samples"][kind]}), flush=True)
    return row


def as_json(report: measures.Report) -> dict[str, Any]:
    """Returns a report as a JSON object."""
    return {**report._asdict(), "is_collapsed": report.is_collapsed,
            "information": report.information and report.information._asdict()}


def train_model(model: vaeseq.Model, log_dir: Path, data: Data, num_steps: int) -> float:
    """Trains a model, which then has its best weights; returns the seconds of all sessions."""
    train, valid, _ = data.splits
    with Sessions(log_dir) as sessions:
        model.train(train, num_steps=num_steps, valid=valid,
                    periods=Periods(valid=max(1, num_steps // 4)))
    return sessions.seconds


def _unevenness(coder: Autoencoder, data: Data, seed: int) -> float:
    """Returns the mean unevenness of paths between test sequences, 0 to 1."""
    test = data.splits[2]
    pairs = np.random.default_rng(seed).permutation(len(test))[:2 * _NUM_PATHS].reshape([-1, 2])
    means = coder.encode([test[number] for pair in pairs for number in pair]).mean
    points = np.concatenate([autoencoder.spherical(means[row], means[row + 1], _POINTS)
                             for row in range(0, len(means), 2)])
    decoded = coder.decode_greedily(points, length=data.longest, seed=seed)
    frames = samples.FrameSymbols(decoded)
    results = []
    for first in range(0, len(decoded), _POINTS):
        path = [frames.encode(one) for one in decoded[first:first + _POINTS]]
        edits = [measures.edit_distance(*pair) for pair in zip(path, path[1:])]
        if sum(edits):
            results.append(max(edits) / sum(edits) - 1 / (_POINTS - 1))
    return float(np.mean(results)) if results else float("nan")


def _table(options: argparse.Namespace) -> None:
    rows = results_in(options.results)
    for name in sorted({row["data"] for row in rows}):
        by_regularizer = [
            [row for row in rows if (row["data"], row["regularizer"]) == (name, regularizer)]
            for regularizer in REGULARIZERS]
        groups = [group for group in by_regularizer if group]
        seeds = sorted({row["seed"] for group in groups for row in group})
        print(f"### {name}\n\nMeans over seeds {', '.join(map(str, seeds))}.\n")
        print(_encoder_table([group for group in groups if "report" in group[0]]))
        print()
        print(_sample_table(groups))
        print()


def mean(values: Iterable[float | None], digits: int = 3) -> str:
    """Returns the mean of a figure over seeds; "" where a seed lacks it."""
    values = list(values)
    return "" if None in values else f"{np.mean(np.array(values, np.float64)):.{digits}f}"


def _encoder_table(groups: list[list[dict[str, Any]]]) -> str:
    """Returns the table of encoders and decoders, without models of latents."""
    header = ("regularizer", "nats of the mean", "of another mean", "accuracy", "edits",
              "active units", "MI (cap)", "KL(q(z), p)", "MMD", "unevenness")
    lines = []
    for rows in groups:
        reports = [row["report"] for row in rows]
        information = [report["information"] or {} for report in reports]
        mutual, cap, aggregate_kl = (
            mean((one.get(key) for one in information), 2)
            for key in ("mutual_information", "cap", "aggregate_kl"))
        lines.append((
            rows[0]["regularizer"],
            *(mean(report[key] for report in reports) for key in (
                "nats_per_step", "shuffled_nats_per_step", "accuracy", "edit_distance")),
            mean((report["active_units"] for report in reports), 0),
            mutual and f"{mutual} ({cap})", aggregate_kl,
            mean(report["mmd"] for report in reports), mean(row["unevenness"] for row in rows)))
    return markdown_table(header, lines)


def _sample_table(groups: list[list[dict[str, Any]]]) -> str:
    """Returns the table of samples, one row for each regularizer and model of latents."""
    header = ("regularizer", "latents", "nats", "forward", "reverse", "LSTM forward",
              "LSTM reverse", "Frechet", "distinct-4", "self-BLEU-3", "length")
    lines = [("", "real", "", *_sample_cells([groups[0][0]["real"]]))]
    for rows in groups:
        for kind in rows[0]["samples"]:
            measured = [row for row in rows if kind in row["samples"]]
            lines.append((
                "" if kind == "rnn" else rows[0]["regularizer"], kind,
                mean(row["iw_nats"].get(kind) for row in measured),
                *_sample_cells([row["samples"][kind] for row in measured])))
    return markdown_table(header, lines)


def _sample_cells(figures: list[dict[str, float | None]]) -> list[str]:
    digits = {"forward_nats": 3, "reverse_nats": 3, "lstm_forward_nats": 3, "lstm_reverse_nats": 3,
              "frechet": 3, "distinct": 3, "self_bleu": 1, "length": 1}
    return [mean((one.get(key) for one in figures), places) for key, places in digits.items()]


program = Program(f"python -m {_MODULE}", "Compares sequence autoencoders.", (
    Command("run", "train, sample and measure, and print the tables", _run_arguments, _run),
    Command("table", "print the tables of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
