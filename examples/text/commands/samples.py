# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text evaluate --samples: measures what a trained model writes."""
from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import samples
from vaeseq.evaluate.samples import Comparison, Row
from vaeseq.runs.progress import Progress

from ..data.corpus import open_corpus
from ..data.sources import held_out, training_text
from ..model import TextModel
from ..output import plots

_BATCH = 32  # samples drawn at once
_LINES = 256  # lines drawn at once
_MOST_COUNTED = 1 << 22  # symbols of training and of held-out text that are counted
_SHOWN = (
    ("forward_nats", "forward", "{:.4f}"), ("latest_forward_nats", "latest", "{:.4f}"),
    ("reverse_nats", "reverse", "{:.4f}"), ("distinct", "distinct", "{:.4f}"),
    ("repetition", "repeated", "{:.4f}"), ("longest_copy", "copy", "{:.0f}"),
    ("most_copied", "max copy", "{:d}"), ("bleu", "BLEU-4", "{:.2f}"),
    ("self_bleu", "self-BLEU", "{:.2f}"), ("line_length", "line", "{:.1f}"),
    ("line_length_stddev", "sd", "{:.1f}"))


def run(model: TextModel, args: argparse.Namespace) -> None:
    """Draws samples, and prints and draws their metrics beside those of real text."""
    if args.plot and importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install vaeseq[plot].")
    tokens = model.vocabulary
    if args.eval_corpus:
        real = open_corpus(args.eval_corpus, args.encoding).encode(tokens)
    else:
        real = held_out(model.log_dir, tokens).encoded
    train = training_text(model.log_dir, tokens)
    length = min(samples.LENGTHS[-1], len(real.symbols))
    drawn = _draw(model, args.samples, length, args.seed)
    with Progress("measure", total=2 * len(samples.LENGTHS), unit="row",
                  is_brief=True) as progress:
        try:
            compared = samples.compare(
                drawn, [train.symbols[:_MOST_COUNTED]], [real.symbols[:_MOST_COUNTED]],
                len(tokens), decode=tokens.decode, seed=args.seed,
                advance=lambda: progress.advance(1, 1))
        except ValueError as error:
            raise UsageError(f"--samples: {error}") from None
    if args.plot:
        plots.draw(compared, args.plot, model.unit)
    if args.json:
        print(json.dumps({
            "num_samples": args.samples, "seed": args.seed, "tokens": tokens.name,
            **{name: [row._asdict() for row in rows]
               for name, rows in compared._asdict().items()}}, allow_nan=False))
    else:
        _print_table(compared, model.unit)


def _draw(model: TextModel, count: int, length: int, seed: int) -> list[np.ndarray]:
    """Draws texts of `length` symbols; of a model of lines, lines one after the other."""
    if model.hparams.unit == "text":
        drawn: list[np.ndarray] = []
        with Progress("draw", total=count, unit="sample") as progress:
            for first in range(0, count, _BATCH):
                rows = min(_BATCH, count - first)
                drawn += model.generate(
                    num_samples=rows, length=length, seed=seed + (first << 31))
                progress.advance(rows, rows)
        return drawn
    lines: list[np.ndarray] = []
    size, rounds = 0, 0
    with Progress("draw", total=count * length, unit=model.unit) as progress:
        while size < count * length:
            lines += model.generate(
                num_samples=_LINES, length=length, seed=seed + (rounds << 31))
            more = sum(map(len, lines)) - size
            progress.advance(min(more, count * length - size), more)
            size, rounds = size + more, rounds + 1
    joined = np.concatenate(lines)
    return [joined[start * length:(start + 1) * length] for start in range(count)]


def _print_table(compared: Comparison, unit: str) -> None:
    head = "".join(f"{title:>10}" for _, title, _ in _SHOWN)
    print(f"{'length':>7} {'':8}{head}")
    for drawn, real in zip(*compared):
        for name, row in (("samples", drawn), ("real", real)):
            print(f"{row.length:7,} {name:8}{''.join(_cells(row))}")
    print(f"Forward, latest and reverse: nats per {unit} under n-gram models; reverse of real text "
          "is that of as much training text.")


def _cells(row: Row) -> Sequence[str]:
    values = row._asdict()
    return [f"{'-' if values[name] is None else form.format(values[name]):>10}"
            for name, _, form in _SHOWN]
