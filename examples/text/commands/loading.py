# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Loads a trained model for a command, and checks it against the command's options."""
from __future__ import annotations

import argparse

from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from ..data import Corpus, FewCharactersError, Vocabulary
from ..data.corpus import open_corpus
from ..hparams import TextHParams
from ..model import PROGRAM, TextModel, saved_vocabulary


def load_model(args: argparse.Namespace) -> TextModel:
    """Restores the model in `args.log_dir`; raises ValueError where other options contradict it."""
    log_dir = LogDir(args.log_dir, PROGRAM)
    overrides = {k: v for k, v in args.hparams.items() if k != "sequence_size"}
    hparams = options.resolve_hparams(log_dir, TextHParams, overrides)
    if args.vocab_corpus:
        check_vocabulary(log_dir, hparams, open_corpus(args.vocab_corpus, args.encoding))
    return TextModel.load(args.log_dir, **overrides)


def build_vocabulary(corpus: Corpus, hparams: TextHParams) -> Vocabulary:
    """Returns the vocabulary of a text; raises UsageError where it has too few characters."""
    try:
        return Vocabulary.of(corpus.chunks(), hparams.vocab_size, hparams.oov_buckets)
    except FewCharactersError as error:
        raise UsageError(f"{short_repr(corpus.name)}: {error}") from None


def check_vocabulary(log_dir: LogDir, hparams: TextHParams, corpus: Corpus) -> None:
    """Raises UsageError where a text has another vocabulary than the run."""
    ours, theirs = saved_vocabulary(log_dir), build_vocabulary(corpus, hparams)
    if ours != theirs:
        raise UsageError(
            f"{short_repr(corpus.name)} has another vocabulary than the run in "
            f"{str(log_dir.path)!r}: "
            f"{len(theirs.characters)} characters instead of {len(ours.characters)}; only in the "
            f"text {short_repr(''.join(ours.unknown(theirs.characters)))}, only in the run "
            f"{short_repr(''.join(theirs.unknown(ours.characters)))}. Omit it: the run has a "
            "vocabulary.")
