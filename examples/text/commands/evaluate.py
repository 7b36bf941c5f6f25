# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text evaluate: scores texts under a trained model."""
from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vaeseq.cli import arguments, options, program, sample_report
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate.likelihood import Score
from vaeseq.fields import short_repr

from ..data import Corpus, Tokens
from ..data.corpus import open_corpus
from ..data.reading import EmptyFileError
from ..data.sources import HeldOut, held_out
from ..files import matches
from ..output import page
from . import samples
from .loading import load_model


class _Row(NamedTuple):
    """The score of one text."""

    name: str  # of the text
    score: Score  # in symbols
    characters: int  # number of characters
    unknown: int  # number of out-of-vocabulary characters

    @property
    def nats_per_character(self) -> float:
        return -self.score.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / math.log(2)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    sample_report.check_options(args, "per_character")
    model = load_model(args)
    if args.samples:
        samples.run(model, args)
        return
    tokens = model.vocabulary
    corpora = [corpus for name in args.eval_corpus or ()
               for corpus in _texts_of(name, args.encoding)]
    if args.per_character and len(corpora) > 1:
        raise UsageError(
            f"--per-character colours one text; expected one --eval-corpus, got {len(corpora)}.")
    texts = ((HeldOut(corpus, corpus.encode(tokens), corpus.files) for corpus in corpora)
             if corpora else [held_out(model.log_dir, tokens)])
    rows = []
    for corpus, encoded, files in texts:
        if args.per_character:
            arguments.check_output("--per-character", args.per_character, files)
        symbols = encoded.symbols
        score, surprises = model.score_text(
            encoded.parts(0, len(symbols)), bound=args.bound, num_samples=args.num_samples,
            seed=args.seed)
        row = _Row(corpus.name, score, tokens.num_characters(symbols), tokens.num_unknown(symbols))
        rows.append(row)
        if args.per_character:
            with open(args.per_character, "w", encoding="utf-8") as file:
                file.writelines(page.render(
                    program.one_line(corpus.name), _spans(corpus, tokens, symbols, surprises),
                    row.characters, row.nats_per_character))
        if args.json:
            name = {"corpus": corpus.name} if len(corpora) > 1 else {}
            print(json.dumps({
                **name, **score.as_dict(), "tokens": tokens.name, "characters": row.characters,
                "nats_per_character": row.nats_per_character,
                "bits_per_character": row.bits_per_character,
                "unknown_characters": row.unknown}, allow_nan=False), flush=True)
    if not args.json:
        _print_table(rows, tokens)


def _texts_of(name: str, encoding: str | None) -> list[Corpus]:
    """Returns the text of each file that a name stands for, without the empty ones of several.

    Reports an unreadable text before the first is scored.

    Raises:
      OSError: a file cannot be read.
      ValueError: there is no text, or it has another encoding; see `read_file`.
    """
    corpora = [open_corpus(path, encoding) for path in matches(name)]
    texts = []
    for corpus in corpora:
        try:
            if corpus.size():
                texts.append(corpus)
        except EmptyFileError:
            if len(corpora) == 1:
                raise
    if not texts:
        raise UsageError(f"{short_repr(name)}: expected text to score, got none.")
    return texts


def _spans(
    corpus: Corpus, tokens: Tokens, symbols: np.ndarray, surprises: np.ndarray
) -> Iterator[tuple[str, float]]:
    """Yields the shortest pieces of a text that are whole symbols, with the nats of each."""
    if not tokens.is_lossless:
        yield from zip((c for chunk in corpus.chunks() for c in chunk), surprises, strict=True)
        return
    decoder, nats = tokens.decoder(), 0.0
    for place in range(len(symbols)):
        nats += float(surprises[place])
        text = decoder.decode(symbols[place:place + 1], final=place + 1 == len(symbols))
        if text:
            yield text, nats
            nats = 0.0


def _print_table(rows: list[_Row], tokens: Tokens) -> None:
    """Prints the scores, the most probable text first."""
    has_tokens = tokens.unit != "character"
    head = f"{'nats/char':>10} {'bits/char':>10} "
    if has_tokens:
        head += f"{f'nats/{tokens.unit}':>11} {'perplexity':>11} {f'{tokens.unit}s':>11} "
    else:
        head += f"{'perplexity':>11} "
    print(f"{head}{'characters':>11}  text")
    for row in sorted(rows, key=lambda row: row.nats_per_character):
        score = row.score
        notes = options.bound_notes(score, "char" if tokens.unit == "character" else tokens.unit)
        if row.unknown:
            notes.append(f"{row.unknown:,} characters outside the vocabulary")
        line = f"{row.nats_per_character:10.4f} {row.bits_per_character:10.4f} "
        if has_tokens:
            line += f"{score.nats_per_step:11.4f} {score.perplexity:11.3f} {score.steps:11,} "
        else:
            line += f"{score.perplexity:11.3f} "
        print(f"{line}{row.characters:11,}  {program.one_line(row.name)}"
              + (f"  ({'; '.join(notes)})" if notes else ""))
