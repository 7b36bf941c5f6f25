# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text evaluate --samples: measures what a trained model writes."""
from __future__ import annotations

import argparse

import numpy as np

from vaeseq.cli import sample_report
from vaeseq.evaluate import samples
from vaeseq.runs.progress import Progress

from ..data.corpus import open_corpus
from ..data.sources import held_out, training_text
from ..model import TextModel

_BATCH = 32  # samples drawn at once
_LINES = 256  # lines drawn at once
_MOST_COUNTED = 1 << 22  # symbols of training and of held-out text that are counted


def run(model: TextModel, args: argparse.Namespace) -> None:
    """Draws samples, and prints and draws their metrics beside those of real text."""
    tokens = model.vocabulary
    if args.eval_corpus:
        real = open_corpus(args.eval_corpus, args.encoding).encode(tokens)
    else:
        real = held_out(model.log_dir, tokens).encoded
    train = training_text(model.log_dir, tokens)
    length = min(samples.LENGTHS[-1], len(real.symbols))
    generated = _draw(model, args.samples, length, args.seed)
    sample_report.report(
        args, generated, [train.symbols[:_MOST_COUNTED]], [real.symbols[:_MOST_COUNTED]],
        len(tokens), unit=model.unit, decode=tokens.decode, labels={"tokens": tokens.name})


def _draw(model: TextModel, count: int, length: int, seed: int) -> list[np.ndarray]:
    """Draws texts of `length` symbols; of a model of lines, lines one after the other."""
    if model.hparams.unit == "text":
        generated: list[np.ndarray] = []
        with Progress("draw", total=count, unit="sample") as progress:
            for first in range(0, count, _BATCH):
                rows = min(_BATCH, count - first)
                generated += model.generate(
                    num_samples=rows, length=length, seed=seed + (first << 31))
                progress.advance(rows, rows)
        return generated
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
