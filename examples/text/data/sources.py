# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The texts of a run, and their record in its log directory.

    LOG_DIR/corpus.json   paths, checksums and the held-out fraction
"""
from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from .corpus import Corpus, checksum, open_corpus, split_at
from .vocabulary import Vocabulary

_FILE = "corpus.json"
_LONGEST_PATH = 1000  # characters of a path in a message


@dataclasses.dataclass(frozen=True)
class Description:
    """The contents of `corpus.json`.

    Attributes:
      train_corpus: path of the training text; None for the embedded prose.
      train_checksum: of all its symbols, the held-out ones included.
      valid_corpus: path of a separate validation text, if any.
      valid_checksum: of its symbols.
      valid_fraction: the held-out fraction of the training text; 0 with a separate text.
      encoding: of the files, if it was given.
    """

    train_corpus: str | None
    train_checksum: int
    valid_corpus: str | None
    valid_checksum: int | None
    valid_fraction: float
    encoding: str | None = None

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
            description = cls(**json.loads(log_dir.read(_FILE)))
            for name, kind in typing.get_type_hints(cls).items():
                value = getattr(description, name)
                if not isinstance(value, kind) or isinstance(value, bool):
                    raise TypeError
            if not 0 <= description.valid_fraction < 1:
                raise TypeError
        except (ValueError, RecursionError, TypeError):
            raise ValueError(
                f"{str(log_dir.path / _FILE)!r}: expected a JSON object that records the training "
                "texts. The log directory is damaged; train in a new one.") from None
        return description

    def save(self, log_dir: LogDir) -> None:
        """Writes `corpus.json` into a log directory."""
        log_dir.write(_FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


class Texts(NamedTuple):
    """The texts of a run.

    Attributes:
      train: symbols to train on, `[N]`.
      valid: symbols to validate on, `[M]`; M may be 0.
      description: of both.
    """

    train: np.ndarray
    valid: np.ndarray
    description: Description


def read_texts(
    train_corpus: Path | None, valid_corpus: Path | None, valid_fraction: float,
    vocabulary: Vocabulary, encoding: str | None = None,
) -> Texts:
    """Reads the texts of a training run.

    Raises:
      OSError: a file cannot be read.
      ValueError: a text is empty or has another encoding; see `read_file`.
    """
    symbols = open_corpus(train_corpus, encoding).symbols(vocabulary)
    if valid_corpus is None:
        cut = split_at(len(symbols), valid_fraction)
        return Texts(symbols[:cut], symbols[cut:], Description(
            _absolute(train_corpus), checksum(symbols), None, None, valid_fraction,
            encoding))
    valid = open_corpus(valid_corpus, encoding).symbols(vocabulary)
    if not len(valid):
        raise UsageError(f"{short_repr(str(valid_corpus))}: expected text to validate on, got "
                         "none.")
    return Texts(symbols, valid, Description(
        _absolute(train_corpus), checksum(symbols), _absolute(valid_corpus), checksum(valid), 0.0,
        encoding))


def check_same(log_dir: LogDir, description: Description) -> None:
    """Raises UsageError where the run in `log_dir` has other training or validation texts."""
    saved = Description.load(log_dir)
    if saved.train_checksum != description.train_checksum:
        ours, theirs = saved.train_text, description.train_text
    elif (saved.valid_checksum, saved.valid_fraction) != (
            description.valid_checksum, description.valid_fraction):
        ours, theirs = saved.valid_text, description.valid_text
    else:
        return
    raise UsageError(
        f"{str(log_dir.path)!r} holds a run that {ours}, but one that {theirs} was requested. "
        "Give the same texts again, or another --log-dir.")


def held_out(log_dir: LogDir, vocabulary: Vocabulary) -> Corpus:
    """Returns the validation text of a run.

    Raises:
      UsageError: the file is missing or has changed, or the run held nothing out.
    """
    saved = Description.load(log_dir)
    if saved.valid_corpus is None:
        path, expected = saved.train_corpus, saved.train_checksum
    else:
        path, expected = saved.valid_corpus, saved.valid_checksum or 0
    if path and not Path(path).is_file():
        raise UsageError(f"the run was validated on {short_repr(path, _LONGEST_PATH)}, which no "
                         "longer "
                         "exists. Name a text with --eval-corpus.")
    corpus = open_corpus(path, saved.encoding)
    symbols = corpus.symbols(vocabulary)
    if checksum(symbols) != expected:
        raise UsageError(f"{short_repr(corpus.name, _LONGEST_PATH)} has changed since the run "
                         "began, so "
                         "its held-out part is unknown. Name a text with --eval-corpus.")
    if saved.valid_corpus is not None:
        return corpus
    if not saved.valid_fraction:
        raise UsageError("the run held out no text to score. Name one with --eval-corpus.")
    end = corpus.part(split_at(len(symbols), saved.valid_fraction), len(symbols))
    return dataclasses.replace(end, name=f"{corpus.name} (the held-out end)")


def _describe(path: str | None, number: int | None) -> str:
    name = "Python's language reference" if path is None else short_repr(path, _LONGEST_PATH)
    return f"{name} (checksum {number})"


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
