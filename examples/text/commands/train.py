# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text train: begins or resumes a training run."""
from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.runs import warm_start
from vaeseq.runs.log_dir import LogDir
from vaeseq.train import distribute
from vaeseq.train.trainer import Periods
from vaeseq.tuning import settings

from ..data import Corpus, Tokens, Vocabulary, sharing, tokenization
from ..data.corpus import open_corpus
from ..data.sources import Description, check_same, read_texts
from ..hparams import TextHParams
from ..model import PROGRAM, TextModel, saved_vocabulary
from ..warm_start import initialize_from
from .loading import check_vocabulary

_SMALL_BATCH = 4  # smaller batches and windows are not chosen automatically
_SMALL_WINDOW = 8


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    log_dir = LogDir(args.log_dir, PROGRAM)
    if settings.exists(log_dir):
        raise UsageError(f"{str(log_dir.path)!r} holds a tuned model. Resume with "
                         f"`{PROGRAM} tune`, or give another --log-dir.")
    source = warm_start.resolve_source(log_dir, args.init_from)
    is_new = not log_dir.exists
    if log_dir.exists:
        hparams = options.resolve_hparams(log_dir, TextHParams, args.hparams)
        vocabulary = saved_vocabulary(log_dir)
        if args.tokens not in (None, vocabulary.name):
            raise UsageError(
                f"{str(log_dir.path)!r} holds a run with --tokens {vocabulary.name}, but --tokens "
                f"{args.tokens} was given. Omit it, or give another --log-dir.")
        boundaries = args.file_boundaries or Description.load(log_dir).file_boundaries
        if args.vocab_corpus:
            check_vocabulary(
                log_dir, hparams, open_corpus(args.vocab_corpus, args.encoding, boundaries))
    else:
        boundaries = args.file_boundaries or "start"
    seed = options.resolve_seed(log_dir, args.seed)
    train = open_corpus(args.train_corpus, args.encoding, boundaries)
    valid = args.valid_corpus and open_corpus(args.valid_corpus, args.encoding, boundaries)
    cluster = distribute.cluster_of(args.strategy)
    with sharing.session(cluster, 60 * args.wait_minutes) as (received, send):
        if not log_dir.exists:
            hparams, vocabulary = _new_run(args, source, train, received.vocabulary)
        texts = received.texts or read_texts(train, valid, args.valid_fraction, vocabulary)
        if log_dir.exists:
            check_same(log_dir, texts.description)
        else:
            hparams = _fit_to_text(hparams, args.hparams, texts.train_size, vocabulary.unit)
        send(texts, vocabulary, hparams)
    strategy = options.start(
        args, hparams, seed, data=texts.description.train_checksum, size=texts.train_size)
    model = TextModel(hparams, vocabulary, args.log_dir, seed=seed, trained_on=texts.description)
    name = program.one_line(train.name)
    try:
        model.data_set(texts.train)  # reports too short a text before making a directory
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if source is not None:
        initialize_from(source, model, strategy)
    if is_new and strategy.is_chief:
        if args.vocab_corpus or args.init_from:
            origin = "--vocab-corpus" if args.vocab_corpus else "--init-from"
            _print_unknown(texts.train, vocabulary, "text", f" of {origin}")
        if args.valid_corpus:
            _print_unknown(texts.valid, vocabulary, "validation text")
    options.print_start(
        strategy, f"Training on {name}: {program.counted(texts.train_size, model.unit)}, "
        f"{vocabulary.summary()}; validating on {texts.valid_size:,}.")
    with program.stop_on_signal() as should_stop:
        result = model.train(
            texts.train, num_steps=args.num_steps, valid=texts.valid, valid_steps=args.valid_steps,
            max_minutes=args.max_minutes or math.inf, periods=Periods(valid=args.valid_every),
            should_stop=should_stop, strategy=strategy)
    if strategy.is_chief:
        options.print_end(result, args, PROGRAM, model.unit)


def _print_unknown(
    texts: Sequence[np.ndarray], vocabulary: Tokens, kind: str, origin: str = ""
) -> None:
    """Prints how much of texts, each `[N]`, is outside the vocabulary, if any is."""
    size = sum(map(len, texts))
    unknown = sum(map(vocabulary.num_unknown, texts))
    if unknown:
        share = f"{100 * unknown / size:.2g} %" if unknown < size else "All"
        print(f"{share} of the {kind}, {unknown:,} of {size:,} characters, is outside the "
              f"vocabulary{origin}, so the model cannot tell them apart. --vocab-corpus FILE makes "
              "a vocabulary of the characters of a text.")


def _fit_to_text(
    hparams: TextHParams, overrides: dict[str, Any], size: int, unit: str = "character"
) -> TextHParams:
    """Halves the batch, then the BPTT window, until a text of `size` symbols fills a batch.

    Keeps the values in `overrides`, which the user chose.
    """
    batch_size, sequence_size = hparams.batch_size, hparams.sequence_size
    while batch_size * sequence_size > size:
        if batch_size > _SMALL_BATCH and "batch_size" not in overrides:
            batch_size //= 2
        elif sequence_size > _SMALL_WINDOW and "sequence_size" not in overrides:
            sequence_size //= 2
        else:
            break
    is_other = (batch_size, sequence_size) != (hparams.batch_size, hparams.sequence_size)
    if is_other and batch_size * sequence_size <= size:  # otherwise it is refused
        print(f"The text has only {program.counted(size, unit)}: training with "
              f"batch_size={batch_size} (not {hparams.batch_size}) and "
              f"sequence_size={sequence_size} (not {hparams.sequence_size}). --hparams sets other "
              "values.")
    return hparams.replace(batch_size=batch_size, sequence_size=sequence_size)


def _new_run(
    args: argparse.Namespace, source: Path | None, train: Corpus, vocabulary: Tokens | None
) -> tuple[TextHParams, Tokens]:
    """Returns the hyperparameters and vocabulary of a new run, by default those of `source`.

    A `vocabulary` that is given, from the chief, needs no text.
    """
    hparams, name = TextHParams().replace(**args.hparams), args.tokens or "characters"
    if source is not None:
        other = LogDir(source, PROGRAM)
        hparams = warm_start.source_hparams(other, TextHParams).replace(**args.hparams)
        with warm_start.as_init_from_error():
            others = saved_vocabulary(other)
        if vocabulary is None and not args.vocab_corpus and args.tokens in (None, others.name):
            if isinstance(others, Vocabulary):
                others = Vocabulary(others.characters, hparams.oov_buckets)
            return hparams, others
        name = args.tokens or others.name
    if vocabulary is not None:
        return hparams, vocabulary
    corpus = (open_corpus(args.vocab_corpus, args.encoding, train.boundaries)
              if args.vocab_corpus else train)
    return hparams, tokenization.build(name, corpus, hparams)
