# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the commands of vaeseq-text do (imports TensorFlow; `cli` does not)."""
from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from vaeseq.cli import options as run_options
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import export as export_lib
from vaeseq.evaluate.likelihood import Score
from vaeseq.fields import shown
from vaeseq.runs import warm_start
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.trainer import Periods

from . import fine_tuning, page, texts
from .data import Corpus, FewCharactersError, Vocabulary
from .hparams import TextHParams
from .model import PROGRAM, TextModel, saved_vocabulary

_SIDE_BY_SIDE = 64  # samples drawn at once
_MOST_BUFFERED = 1 << 26  # characters of samples held while the first is printed
_SEED_BITS = 31  # of --seed; what is above tells one group of samples from another


class _Row(NamedTuple):
    """Of the table of scores: a text's name, its score, its characters outside the vocabulary."""

    name: str
    score: Score
    unknown: int


def train(options: argparse.Namespace) -> None:
    """vaeseq-text train."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    source = warm_start.resolve_source(log_dir, options.init_from)
    if log_dir.exists:
        hparams = run_options.resolve_hparams(log_dir, TextHParams, options.hparams)
        seed = log_dir.seed() if options.seed is None else options.seed
        vocabulary = saved_vocabulary(log_dir)
        if options.vocab_corpus:
            _check_vocabulary(log_dir, hparams, options.vocab_corpus)
    else:
        seed = options.seed or 0
        hparams, vocabulary = _first(options, source)
    read = texts.read(
        options.train_corpus, options.valid_corpus, options.valid_fraction, vocabulary)
    if log_dir.exists:
        texts.check_same(log_dir, read.description)
    strategy = run_options.start(
        options, hparams, seed, data=read.description.train_checksum, size=len(read.train))
    model = TextModel(hparams, vocabulary, options.log_dir, seed=seed, trained_on=read.description)
    name = program.one_line(texts.corpus_of(options.train_corpus).name)
    try:
        model.data_set([read.train])  # too little text is told before a directory is made
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if source is not None:
        fine_tuning.begin(model, source, read.train, strategy)
    run_options.print_start(strategy, f"Training on {name}: {len(read.train):,} characters, "
                    f"{len(vocabulary.characters)} different ones; validating on "
                    f"{len(read.valid):,}.")
    with program.stop_on_signal() as should_stop:
        trained = model.train(
            [read.train], num_steps=options.num_steps,
            valid=[read.valid] if len(read.valid) else [],
            max_minutes=options.max_minutes or math.inf,
            periods=Periods(valid=options.valid_every), should_stop=should_stop, strategy=strategy)
    if strategy.is_chief:
        run_options.print_end(trained, options.log_dir, PROGRAM, model.unit)


def evaluate(options: argparse.Namespace) -> None:
    """vaeseq-text evaluate."""
    model = _trained(options)
    corpora = [texts.corpus_of(path) for path in options.eval_corpus or ()]
    if not corpora:
        corpora = [texts.held_out(model.log_dir, model.vocabulary)]
    if options.per_character and len(corpora) > 1:
        raise UsageError(
            f"--per-character colours one text; expected one --eval-corpus, got {len(corpora)}.")
    for corpus in corpora:  # what cannot be read is told before the first is scored
        if not corpus.size():
            raise UsageError(f"{shown(corpus.name)}: expected text to score, got none.")
    rows = []
    for corpus in corpora:
        symbols = corpus.symbols(model.vocabulary)
        score, surprises = model.score_text(
            symbols, bound=options.bound, num_samples=options.num_samples, seed=options.seed)
        unknown = int(np.count_nonzero(symbols >= len(model.vocabulary.characters)))
        rows.append(_Row(corpus.name, score, unknown))
        if options.per_character:
            with open(options.per_character, "w", encoding="utf-8") as file:
                file.writelines(
                    page.render(program.one_line(corpus.name), corpus.pieces(), surprises))
        if options.json:
            named = {"corpus": corpus.name} if len(corpora) > 1 else {}
            print(json.dumps({**named, **score.as_dict()}, allow_nan=False), flush=True)
    if not options.json:
        _print_scores(rows)


def generate(options: argparse.Namespace) -> None:
    """vaeseq-text generate."""
    # VAE-Seq said how long a sample is with the hyperparameter of the training windows.
    length = options.length or options.hparams.pop("sequence_size", None) or 1000
    model = _trained(options)
    unknown = model.vocabulary.unknown(options.prime)
    if unknown:
        raise UsageError(
            "--prime: expected characters of the model's vocabulary, got "
            f"{', '.join(map(shown, unknown[:5]))}. It knows "
            f"{shown(model.vocabulary.characters, 200)}.")
    with _output(options.output) as file:
        for number in range(0, options.num_samples, _side_by_side(length)):
            count = min(_side_by_side(length), options.num_samples - number)
            _write_samples(model, options, file, number, count, length)


def _write_samples(
    model: TextModel, options: argparse.Namespace, file: TextIO, first: int, count: int,
    length: int,
) -> None:
    """Draws `count` samples at once; the first is written as it is drawn, then the others."""
    prime = model.vocabulary.encode(options.prime) if options.prime else None
    rest: list[list[str]] = [[] for _ in range(count - 1)]
    _begin_sample(options, file, first)
    for chunk in model.stream(
            num_samples=count, length=length, prime=prime, temperature=options.temperature,
            seed=options.seed + (first << _SEED_BITS)):
        file.write(model.vocabulary.decode(chunk.observed[0]))
        file.flush()
        for parts, row in zip(rest, chunk.observed[1:]):
            parts.append(model.vocabulary.decode(row))
    file.write("\n")
    for number, parts in enumerate(rest, first + 1):
        _begin_sample(options, file, number)
        file.write("".join(parts) + "\n")


def _begin_sample(options: argparse.Namespace, file: TextIO, number: int) -> None:
    if options.num_samples > 1:
        file.write(f"--- sample {number + 1} of {options.num_samples} ---\n")
    file.write(options.prime)


def _side_by_side(length: int) -> int:
    return max(1, min(_SIDE_BY_SIDE, _MOST_BUFFERED // length))


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with open(path, "w", encoding="utf-8") as file:
            yield file


def export(options: argparse.Namespace) -> None:
    """vaeseq-text export."""
    export_lib.check_free(options.output)  # told before anything is loaded
    model = _trained(options)
    export_lib.save(
        model.gen_core, model.evaluator(options.bound, options.num_samples).bound, options.output,
        rows=options.rows, window=options.window, jit_compile=not options.no_xla,
        check=model.expect_symbols, files={"vocabulary.json": model.vocabulary.to_json()},
        description=export_lib.about(PROGRAM, model.step, model.unit, model.hparams))
    run_options.print_exported(options.output, model.step)


def _first(options: argparse.Namespace, source: Path | None) -> tuple[TextHParams, Vocabulary]:
    """The hyperparameters and the vocabulary of a new run; by default those of `source`, if any."""
    if source is None:
        hparams = TextHParams().replace(**options.hparams)
        corpus = texts.corpus_of(options.vocab_corpus or options.train_corpus)
        return hparams, _vocabulary(corpus, hparams)
    with warm_start.as_init_from_error():
        other = LogDir(source, PROGRAM)
        hparams = other.hparams(TextHParams).replace(**options.hparams)
        characters = saved_vocabulary(other).characters
    if options.vocab_corpus:
        return hparams, _vocabulary(texts.corpus_of(options.vocab_corpus), hparams)
    return hparams, Vocabulary(characters, hparams.oov_buckets)


def _vocabulary(corpus: Corpus, hparams: TextHParams) -> Vocabulary:
    try:
        return Vocabulary.of(corpus.pieces(), hparams.vocab_size, hparams.oov_buckets)
    except FewCharactersError as error:
        raise UsageError(f"{shown(corpus.name)}: {error}") from None


def _trained(options: argparse.Namespace) -> TextModel:
    """The model in --log-dir, checked against what else was given."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    overrides = {k: v for k, v in options.hparams.items() if k != "sequence_size"}
    hparams = run_options.resolve_hparams(log_dir, TextHParams, overrides)
    if options.vocab_corpus:
        _check_vocabulary(log_dir, hparams, options.vocab_corpus)
    return TextModel.load(options.log_dir)


def _check_vocabulary(log_dir: LogDir, hparams: TextHParams, path: Path) -> None:
    saved, given = saved_vocabulary(log_dir), _vocabulary(texts.corpus_of(path), hparams)
    if saved != given:
        raise UsageError(
            f"{shown(str(path))} has another vocabulary than the run in {str(log_dir.path)!r}: "
            f"{len(given.characters)} characters against {len(saved.characters)}; only in the "
            f"text {shown(''.join(saved.unknown(given.characters)))}, only in the run "
            f"{shown(''.join(given.unknown(saved.characters)))}. Leave it out: the run has one.")


def _print_scores(rows: list[_Row]) -> None:
    """A table, the most probable text first."""
    print(f"{'nats/char':>10} {'bits/char':>10} {'perplexity':>11} {'characters':>11}  text")
    for row in sorted(rows, key=lambda row: row.score.nats_per_step):
        score = row.score
        print(f"{score.nats_per_step:10.4f} {score.bits_per_step:10.4f} {score.perplexity:11.3f} "
              f"{score.steps:11,}  {program.one_line(row.name)}{_note(row)}")


def _note(row: _Row) -> str:
    """What else there is to know of a figure: how it is bounded, what was not known."""
    notes = run_options.bound_notes(row.score, "char")
    if row.unknown:
        notes.append(f"{row.unknown:,} characters outside the vocabulary")
    return f"  ({'; '.join(notes)})" if notes else ""
