# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The texts of a run, and their record in its log directory.

    LOG_DIR/corpus.json   paths, checksums and the held-out fraction
"""
from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli import encodings
from vaeseq.cli.arguments import UsageError
from vaeseq.data import sizes
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from .corpus import BOUNDARIES, Corpus, open_corpus, split_at
from .encoded import Encoded
from .tokens import DAMAGED, Tokens

FILE = "corpus.json"
_MOST_CHARACTERS = 1 << 30  # of that file: names of millions of texts
_LONGEST_PATH = 1000  # characters of a path in a message


@dataclasses.dataclass(frozen=True)
class Description:
    """The contents of `corpus.json`."""

    # Path of the training text, or a list of paths and patterns; None for the embedded prose
    train_corpus: str | list[str] | None
    train_checksum: int  # of all its symbols, the held-out ones included
    valid_corpus: str | list[str] | None  # the same of a separate validation text, if any
    valid_checksum: int | None  # of its symbols
    valid_fraction: float  # the held-out fraction of the training text; 0 with a separate text
    encoding: str | None = None  # of the files, if it was given
    file_boundaries: str = "start"  # what stands between files; see `open_corpus`

    @property
    def names(self) -> list[str]:
        """Names of all files and patterns."""
        return [name for names in (self.train_corpus, self.valid_corpus)
                for name in ([names] if isinstance(names, str) else names or [])]

    @property
    def train_text(self) -> str:
        """A clause for messages: "is trained on ..."."""
        return f"is trained on {_describe(self.train_corpus, self.train_checksum)}"

    @property
    def valid_text(self) -> str:
        """A clause for messages: "is validated on ..."."""
        if self.valid_corpus is None:
            return f"is validated on the last {self.valid_fraction:g} of its text"
        return f"is validated on {_describe(self.valid_corpus, self.valid_checksum)}"

    @classmethod
    def load(cls, log_dir: LogDir) -> Description:
        """Reads `corpus.json`; raises ValueError where it is missing or damaged."""
        try:
            description = cls(**json.loads(log_dir.read(FILE, _MOST_CHARACTERS)))
        except (ValueError, RecursionError, TypeError):
            description = None
        if description is None or not description._is_valid():
            raise ValueError(
                f"{str(log_dir.path / FILE)!r}: expected a JSON object that records the training "
                f"texts. {DAMAGED}")
        return description

    def _is_valid(self) -> bool:
        return (all(_are_names(names) for names in (self.train_corpus, self.valid_corpus))
                and type(self.train_checksum) is int
                and (self.valid_checksum is None or type(self.valid_checksum) is int)
                and type(self.valid_fraction) in (int, float) and 0 <= self.valid_fraction < 1
                and (self.encoding is None or (
                    isinstance(self.encoding, str) and bool(encodings.python_name(self.encoding))))
                and self.file_boundaries in BOUNDARIES)

    def save(self, log_dir: LogDir) -> None:
        """Writes `corpus.json` into a log directory."""
        log_dir.write(FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


class Texts(NamedTuple):
    """The texts of a run."""

    train: Sequence[np.ndarray]  # symbols to train on, each text `[N]`
    valid: Sequence[np.ndarray]  # symbols to validate on, each text `[M]`; there may be none
    description: Description  # of both

    @property
    def train_size(self) -> int:
        """Number of symbols to train on."""
        return sum(map(len, self.train))

    @property
    def valid_size(self) -> int:
        """Number of symbols to validate on."""
        return sum(map(len, self.valid))


def read_texts(
    train: Corpus, valid: Corpus | None, valid_fraction: float, tokens: Tokens
) -> Texts:
    """Reads the texts of a training run.

    Args:
      train: the training text.
      valid: a separate validation text, if any.
      valid_fraction: the fraction of the training text that is held out without one.
      tokens: maps text to symbols.

    Raises:
      OSError: a file cannot be read.
      ValueError: a text is empty or has another encoding; see `read_file`.
    """
    both = set(train.files) & set(valid.files if valid else ())
    if both:
        raise UsageError(f"--valid-corpus: {short_repr(str(min(both)))} is among the training "
                         "texts, too. Leave it out of one of them.")
    encoded = train.encode(tokens)
    size = len(encoded.symbols)
    description = Description(
        _recorded(train), encoded.checksum, None, None, valid_fraction, train.encoding,
        train.boundaries)
    if valid is None:
        cut = split_at(size, valid_fraction)
        if not cut:
            raise UsageError(f"--valid-fraction: expected less, got {valid_fraction:g}, which "
                             f"leaves nothing of {size:,} {tokens.name} to train on.")
        return Texts(encoded.parts(0, cut), encoded.parts(cut, size), description)
    other = valid.encode(tokens)
    if not len(other.symbols):
        raise UsageError(f"{short_repr(valid.name)}: expected text to validate on, got none.")
    return Texts(
        encoded.parts(0, size), other.parts(0, len(other.symbols)), dataclasses.replace(
            description, valid_corpus=_recorded(valid), valid_checksum=other.checksum,
            valid_fraction=0.0))


def check_same(log_dir: LogDir, description: Description) -> None:
    """Raises UsageError where the run in `log_dir` has other training or validation texts."""
    saved = Description.load(log_dir)
    if saved.train_checksum != description.train_checksum:
        ours, theirs = saved.train_text, description.train_text
    elif (saved.valid_checksum, saved.valid_fraction) != (
            description.valid_checksum, description.valid_fraction):
        ours, theirs = saved.valid_text, description.valid_text
    elif saved.file_boundaries != description.file_boundaries:
        ours, theirs = (f"has --file-boundaries {one.file_boundaries}"
                        for one in (saved, description))
    else:
        return
    raise UsageError(
        f"{str(log_dir.path)!r} holds a run that {ours}, but one that {theirs} was requested. "
        "Give the same texts again, or another --log-dir.")


class HeldOut(NamedTuple):
    """The validation text of a run."""

    corpus: Corpus  # the text; of a part of a text, only where symbols are characters
    encoded: Encoded  # its symbols
    files: tuple[Path, ...]  # that it is read from


def held_out(log_dir: LogDir, tokens: Tokens) -> HeldOut:
    """Returns the validation text of a run.

    Raises:
      UsageError: a file is missing or has changed, or the run held nothing out.
    """
    saved = Description.load(log_dir)
    if saved.valid_corpus is None:
        names, expected = saved.train_corpus, saved.train_checksum
    else:
        names, expected = saved.valid_corpus, saved.valid_checksum or 0
    try:
        corpus = open_corpus(names, saved.encoding, saved.file_boundaries)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"the run was validated on {_names(names)}, which cannot be read any more "
                         f"({error}). Name a text with --eval-corpus.") from None
    encoded = corpus.encode(tokens)
    if encoded.checksum != expected:
        raise UsageError(f"{short_repr(corpus.name, _LONGEST_PATH)} has changed since the run "
                         "began, so its held-out part is unknown. Name a text with --eval-corpus.")
    if saved.valid_corpus is not None:
        return HeldOut(corpus, encoded, corpus.files)
    if not saved.valid_fraction:
        raise UsageError("the run held out no text to score. Name one with --eval-corpus.")
    size = len(encoded.symbols)
    start = split_at(size, saved.valid_fraction)
    parts = encoded.parts(start, size)
    end = dataclasses.replace(corpus.part(start, size), name=f"{corpus.name} (the held-out end)")
    return HeldOut(end, encoded._replace(
        symbols=parts.values, sizes=sizes(parts)), corpus.files)


def training_text(log_dir: LogDir, tokens: Tokens) -> Encoded:
    """Returns what a run was trained on, without what it held out.

    Raises:
      UsageError: a file is missing or has changed.
    """
    saved = Description.load(log_dir)
    try:
        corpus = open_corpus(saved.train_corpus, saved.encoding, saved.file_boundaries)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"the run was trained on {_names(saved.train_corpus)}, which cannot be "
                         f"read any more ({error}).") from None
    encoded = corpus.encode(tokens)
    if encoded.checksum != saved.train_checksum:
        raise UsageError(f"{short_repr(corpus.name, _LONGEST_PATH)} has changed since the run "
                         "began, so what it was trained on is unknown.")
    size = split_at(len(encoded.symbols), saved.valid_fraction)
    parts = encoded.parts(0, size)
    return encoded._replace(symbols=parts.values, sizes=sizes(parts))


def _describe(names: str | list[str] | None, number: int | None) -> str:
    return f"{_names(names)} (checksum {number})"


def _names(names: str | list[str] | None) -> str:
    if names is None:
        return "Python's language reference"
    if isinstance(names, str):
        return short_repr(names, _LONGEST_PATH)
    return f"{short_repr(names[0], _LONGEST_PATH)} and {len(names) - 1} more"


def _are_names(value: Any) -> bool:
    return value is None or isinstance(value, str) or (
        isinstance(value, list) and bool(value)
        and all(isinstance(name, str) for name in value))


def _recorded(corpus: Corpus) -> str | list[str] | None:
    if not corpus.names:
        return None
    return corpus.names[0] if len(corpus.names) == 1 else list(corpus.names)
