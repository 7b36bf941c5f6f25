# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a run is trained and validated on, and how its log directory tells that later.

    LOG_DIR/corpus.json   the paths, the checksums, and how much was held out
"""
from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.runs.log_dir import LogDir

from .data import Corpus, Vocabulary, checksum, embedded_prose, from_file, split_at

_FILE = "corpus.json"
_LONGEST = 1000  # characters of a path shown


@dataclasses.dataclass(frozen=True)
class Description:
    """What `corpus.json` holds.

    Attributes:
      train_corpus: path of the text; None for the prose that Python carries.
      train_checksum: of all its symbols, those held out too.
      valid_corpus: path of a text of its own to validate on, if there was one.
      valid_checksum: of its symbols.
      valid_fraction: how much of the training text is held out; 0 where there was one.
    """

    train_corpus: str | None
    train_checksum: int
    valid_corpus: str | None
    valid_checksum: int | None
    valid_fraction: float

    @property
    def train_text(self) -> str:
        """In words: "is trained on ..."."""
        return f"is trained on {_named(self.train_corpus, self.train_checksum)}"

    @property
    def valid_text(self) -> str:
        """In words: "is validated on ..."."""
        if self.valid_corpus is None:
            return f"is validated on the last {self.valid_fraction:g} of its text"
        return f"is validated on {_named(self.valid_corpus, self.valid_checksum)}"

    @classmethod
    def load(cls, log_dir: LogDir) -> Description:
        """What `save` wrote; raises ValueError where it is missing or damaged."""
        try:
            description = cls(**json.loads(log_dir.read(_FILE)))
            for name, kinds in _KINDS.items():
                value = getattr(description, name)
                if not isinstance(value, kinds) or isinstance(value, bool):
                    raise TypeError
            if not 0 <= description.valid_fraction < 1:
                raise TypeError
        except (ValueError, RecursionError, TypeError):
            raise ValueError(
                f"{str(log_dir.path / _FILE)!r}: expected a JSON object that says what the run is "
                "trained on. The log directory is damaged; begin anew in another.") from None
        return description

    def save(self, log_dir: LogDir) -> None:
        """Writes it into a log directory."""
        log_dir.write(_FILE, json.dumps(dataclasses.asdict(self), indent=2) + "\n")


_KINDS: dict[str, Any] = {
    "train_corpus": (str, type(None)), "train_checksum": int, "valid_corpus": (str, type(None)),
    "valid_checksum": (int, type(None)), "valid_fraction": (int, float)}


class Texts(NamedTuple):
    """What a run trains and validates on.

    Attributes:
      train: symbols `[N]`.
      valid: symbols `[N]`, perhaps none.
      description: of both.
    """

    train: np.ndarray
    valid: np.ndarray
    description: Description


def corpus_of(path: str | os.PathLike[str] | None) -> Corpus:
    """The text of a file; without one, the prose that every Python carries."""
    return embedded_prose() if path is None else from_file(path)


def read(
    train_corpus: Path | None, valid_corpus: Path | None, valid_fraction: float,
    vocabulary: Vocabulary,
) -> Texts:
    """The texts of a training run; raises as `Corpus.symbols`, and where there is no text."""
    symbols = corpus_of(train_corpus).symbols(vocabulary)
    if valid_corpus is None:
        cut = split_at(len(symbols), valid_fraction)
        return Texts(symbols[:cut], symbols[cut:], Description(
            _absolute(train_corpus), checksum(symbols), None, None, valid_fraction))
    valid = from_file(valid_corpus).symbols(vocabulary)
    if not len(valid):
        raise UsageError(f"{shown(str(valid_corpus))}: expected text to validate on, got none.")
    return Texts(symbols, valid, Description(
        _absolute(train_corpus), checksum(symbols), _absolute(valid_corpus), checksum(valid), 0.0))


def check_same(log_dir: LogDir, given: Description) -> None:
    """Raises UsageError where the run in `log_dir` is trained or validated on something else."""
    saved = Description.load(log_dir)
    pairs = [(saved.train_text, given.train_text)] * (
        saved.train_checksum != given.train_checksum)
    pairs += [(saved.valid_text, given.valid_text)] * (
        (saved.valid_checksum, saved.valid_fraction)
        != (given.valid_checksum, given.valid_fraction))
    for ours, theirs in pairs:
        raise UsageError(
            f"{str(log_dir.path)!r} holds a run that {ours}; now it is asked for one that {theirs}."
            " Give the same texts again, or another --log-dir.")


def held_out(log_dir: LogDir, vocabulary: Vocabulary) -> Corpus:
    """The text that the run was validated on.

    Raises:
      UsageError: it is not there any more, has changed, or there was none.
    """
    saved = Description.load(log_dir)
    path, expected = (saved.train_corpus, saved.train_checksum) if saved.valid_corpus is None else (
        saved.valid_corpus, saved.valid_checksum)
    if path and not Path(path).is_file():
        raise UsageError(f"the run was validated on {shown(path, _LONGEST)}, which is not there "
                         "any more. Name a text with --eval-corpus.")
    corpus = corpus_of(path)
    if checksum(corpus.symbols(vocabulary)) != expected:
        raise UsageError(f"{shown(corpus.name, _LONGEST)} has changed since the run began, so what "
                         "was held out is not known. Name a text with --eval-corpus.")
    if saved.valid_corpus is not None:
        return corpus
    if not saved.valid_fraction:
        raise UsageError("the run held no text out to score. Name one with --eval-corpus.")
    _, end = corpus.split(saved.valid_fraction)
    return dataclasses.replace(end, name=f"{corpus.name} (the held-out end)")


def _named(path: str | None, number: int | None) -> str:
    name = "the prose that Python carries" if path is None else shown(path, _LONGEST)
    return f"{name} (checksum {number})"


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
