# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Loads a trained model for a command, and checks it against the command's options."""
from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError, check_outputs
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from ..data import Corpus, tokenization
from ..data.corpus import open_corpus
from ..data.sources import FILE, Description
from ..files import matches
from ..hparams import TextHParams
from ..model import PROGRAM, TextModel, saved_vocabulary


def load_model(args: argparse.Namespace) -> TextModel:
    """Restores the model in `args.log_dir`.

    Raises:
      ValueError: other options contradict it.
      UsageError: an output would replace a text that the model was trained on.
    """
    log_dir = LogDir(args.log_dir, PROGRAM)
    overrides = {k: v for k, v in args.hparams.items() if k != "sequence_size"}
    hparams = options.resolve_hparams(log_dir, TextHParams, overrides)
    if args.vocab_corpus:
        boundaries = Description.load(log_dir).file_boundaries
        check_vocabulary(
            log_dir, hparams, open_corpus(args.vocab_corpus, args.encoding, boundaries))
    check_outputs(args, lambda: _files(log_dir))
    return TextModel.load(args.log_dir, **overrides)


def _files(log_dir: LogDir) -> list[Path]:
    """Returns the texts of a run that still exist."""
    if not (log_dir.path / FILE).exists():
        return []
    paths = []
    for name in Description.load(log_dir).names:
        with contextlib.suppress(argparse.ArgumentTypeError):  # it is gone
            paths += matches(name)
    return paths


def check_vocabulary(log_dir: LogDir, hparams: TextHParams, corpus: Corpus) -> None:
    """Raises UsageError where a text has another vocabulary than the run."""
    ours = saved_vocabulary(log_dir)
    theirs = tokenization.build(ours.name, corpus, hparams)
    if ours == theirs:
        return
    strings, other_strings = (
        {content.decode(errors="replace") for content in tokens.contents() if content}
        for tokens in (ours, theirs))
    raise UsageError(
        f"{short_repr(corpus.name)} has another vocabulary than the run in "
        f"{str(log_dir.path)!r}: {len(other_strings):,} {ours.name} instead of {len(strings):,}; "
        f"only in the text {_listed(other_strings - strings)}, only in the run "
        f"{_listed(strings - other_strings)}. Omit it: the run has a vocabulary.")


def _listed(strings: set[str]) -> str:
    separator = " " if any(len(string) > 1 for string in strings) else ""
    return short_repr(separator.join(sorted(strings)))
