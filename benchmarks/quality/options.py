# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures what averaged weights and beam search give, on a text.

    python -m benchmarks.quality.options run --corpus TEXT --out-dir DIR [--seeds 0,1]

A small LSTM is trained with and without an average of its weights, at two schedules of the learning
rate. The first nine tenths of the text train, the last tenth is scored once, in nats per character.
The model of the first row and seed then continues 20 places of the last tenth by 30 characters:
with the most likely characters that beams of several sizes find, with samples, and as the text goes
on. Results are JSON files in DIR.
"""
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import provenance
from examples.text.data import Vocabulary
from examples.text.hparams import TextHParams
from examples.text.model import TextModel
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program
from vaeseq.train.trainer import Periods

RATES = {"cosine": "learning_rate_schedule=cosine", "constant": "learning_rate_schedule=constant"}
AVERAGES = ("0", "0.99", "0.999")
BEAMS = (1, 4, 16, 64)
_HPARAMS = "rnn_hidden_sizes=[128],batch_size=32,sequence_size=64"
_PLACES, _PRIME, _LENGTH = 20, 200, 30


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--corpus", type=arguments.readable_file, required=True, metavar="FILE",
        help="text to train on")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the results")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0", metavar="N,N",
        help="one training run each")
    add("--num-steps", type=arguments.whole(1, 1_000_000), default=1500, metavar="N",
        help="updates")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    text = options.corpus.read_text(encoding="utf-8")
    vocabulary = Vocabulary("".join(sorted(set(text))), oov_buckets=1)
    symbols = vocabulary.encode(text)
    split = len(symbols) * 9 // 10
    for seed in options.seeds:
        for schedule, rate in RATES.items():
            for average in AVERAGES:
                name = f"{schedule}-{average}-{seed}"
                hparams = TextHParams().parse(f"{_HPARAMS},{rate},weight_average={average}")
                model = TextModel(hparams, vocabulary, options.out_dir / f"{name}-run", seed=seed)
                start = time.perf_counter()
                model.train([symbols[:split]], num_steps=options.num_steps,
                            periods=Periods(valid=options.num_steps))
                seconds = time.perf_counter() - start
                score, _ = model.score_text(symbols[split:])
                _save(options.out_dir / f"{name}.json", {
                    "schedule": schedule, "weight_average": float(average), "seed": seed,
                    "nats_per_character": score.nats_per_step, "seconds": seconds,
                    "num_steps": options.num_steps})
                if (schedule, average, seed) == ("cosine", "0", options.seeds[0]):
                    _save(options.out_dir / "beams.json", _continuations(model, symbols[split:]))


def _continuations(model: TextModel, text: np.ndarray) -> dict[str, Any]:
    """Returns the mean log-probabilities of continuations of places in a text, in nats."""
    log_probs: dict[str, list[float]] = {}
    for place in np.linspace(0, len(text) - _PRIME - _LENGTH, _PLACES).astype(int):
        prime, true = np.split(text[place:place + _PRIME + _LENGTH], [_PRIME])
        continuations = {"the text": true, "a sample": model.generate(
            length=_LENGTH, prime=prime, seed=int(place))[0]}
        for name, continuation in continuations.items():
            _, surprises = model.score_text(np.concatenate([prime, continuation]))
            log_probs.setdefault(name, []).append(-float(surprises[_PRIME:].sum()))
        for size in BEAMS:
            best = model.most_likely(length=_LENGTH, beam_size=size, prime=prime)[0]
            log_probs.setdefault(f"beam of {size}", []).append(best.log_prob)
    return {"length": _LENGTH, "places": _PLACES,
            "log_prob": {name: float(np.mean(values)) for name, values in log_probs.items()}}


def _save(path: Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(
        {**result, **provenance("benchmarks.quality.options")}, indent=1) + "\n")
    print(json.dumps(result), flush=True)


program = Program("python -m benchmarks.quality.options", "Measures options on a text.", (
    Command("run", "train with and without averaged weights; search with beams", _run_arguments,
            _run),))

if __name__ == "__main__":
    program.main()
