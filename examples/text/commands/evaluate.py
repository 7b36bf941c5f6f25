# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text evaluate: scores texts under a trained model."""
from __future__ import annotations

import argparse
import json
from typing import NamedTuple

import numpy as np

from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate.likelihood import Score
from vaeseq.fields import short_repr

from ..data.corpus import open_corpus
from ..data.sources import held_out
from ..output import page
from .loading import load_model


class _Row(NamedTuple):
    """A text's name, its score, and its number of out-of-vocabulary characters."""

    name: str
    score: Score
    unknown: int


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    corpora = [open_corpus(path, args.encoding) for path in args.eval_corpus or ()]
    if not corpora:
        corpora = [held_out(model.log_dir, model.vocabulary)]
    if args.per_character and len(corpora) > 1:
        raise UsageError(
            f"--per-character colours one text; expected one --eval-corpus, got {len(corpora)}.")
    for corpus in corpora:  # reports an unreadable text before scoring the first
        if not corpus.size():
            raise UsageError(f"{short_repr(corpus.name)}: expected text to score, got none.")
    rows = []
    for corpus in corpora:
        symbols = corpus.symbols(model.vocabulary)
        score, surprises = model.score_text(
            symbols, bound=args.bound, num_samples=args.num_samples, seed=args.seed)
        unknown = int(np.count_nonzero(symbols >= len(model.vocabulary.characters)))
        rows.append(_Row(corpus.name, score, unknown))
        if args.per_character:
            with open(args.per_character, "w", encoding="utf-8") as file:
                file.writelines(
                    page.render(program.one_line(corpus.name), corpus.chunks(), surprises))
        if args.json:
            name = {"corpus": corpus.name} if len(corpora) > 1 else {}
            print(json.dumps({**name, **score.as_dict()}, allow_nan=False), flush=True)
    if not args.json:
        _print_table(rows)


def _print_table(rows: list[_Row]) -> None:
    """Prints the scores, the most probable text first."""
    print(f"{'nats/char':>10} {'bits/char':>10} {'perplexity':>11} {'characters':>11}  text")
    for row in sorted(rows, key=lambda row: row.score.nats_per_step):
        score = row.score
        notes = options.bound_notes(score, "char")
        if row.unknown:
            notes.append(f"{row.unknown:,} characters outside the vocabulary")
        print(f"{score.nats_per_step:10.4f} {score.bits_per_step:10.4f} {score.perplexity:11.3f} "
              f"{score.steps:11,}  {program.one_line(row.name)}"
              + (f"  ({'; '.join(notes)})" if notes else ""))
