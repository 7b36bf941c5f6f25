# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The interface between text and symbols, the integers that a model of text reads and writes."""
from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator

import numpy as np

MOST_SYMBOLS = 1 << 20
_COUNTED_AT_ONCE = 1 << 22
DAMAGED = "The log directory is damaged; train in a new one."


class Decoder(abc.ABC):
    """Decodes symbols that arrive in pieces."""

    @abc.abstractmethod
    def decode(self, symbols: np.ndarray, *, final: bool = False) -> str:
        """Returns the text of symbols `[N]`, without a last character that is not complete.

        Args:
          symbols: the next symbols.
          final: whether they are the last; an incomplete character becomes U+FFFD.
        """


class Tokens(abc.ABC):
    """Maps text to symbols and back."""

    name: str  # the value of `--tokens`
    unit: str  # singular name of what a symbol stands for
    is_lossless: bool  # whether every text can be decoded from its symbols

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of symbols V."""

    @property
    def dtype(self) -> type:
        """The smallest integer type that holds every symbol."""
        return np.uint8 if len(self) <= 1 << 8 else np.uint16 if len(self) <= 1 << 16 else np.int32

    @abc.abstractmethod
    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """Yields the symbols of a text, which comes in strings of any length.

        The concatenated symbols do not depend on where the strings end.
        """

    def encode(self, text: str) -> np.ndarray:
        """Returns the symbols of a text, `[N]`."""
        return np.concatenate([np.zeros([0], self.dtype), *self.encode_chunks([text])])

    @abc.abstractmethod
    def decoder(self) -> Decoder:
        """Returns a decoder at the beginning of a text."""

    def decode(self, symbols: np.ndarray) -> str:
        """Returns the text of symbols `[N]`; U+FFFD stands for what is no text."""
        return self.decoder().decode(np.asarray(symbols), final=True)

    @abc.abstractmethod
    def num_characters(self, symbols: np.ndarray) -> int:
        """Returns the number of characters that begin in symbols `[N]`."""

    @abc.abstractmethod
    def num_unknown(self, symbols: np.ndarray) -> int:
        """Returns the number of symbols `[N]` that stand for characters outside the vocabulary."""

    def counts(self, symbols: np.ndarray) -> np.ndarray:
        """Returns how often each symbol occurs in symbols `[N]`, `[V]`; they may be on disk."""
        counts = np.zeros([len(self)], np.int64)
        for start in range(0, len(symbols), _COUNTED_AT_ONCE):
            counts += np.bincount(symbols[start:start + _COUNTED_AT_ONCE], minlength=len(self))
        return counts

    @abc.abstractmethod
    def unknown(self, text: str) -> list[str]:
        """Returns the distinct characters of a text that cannot be told from others, sorted."""

    @abc.abstractmethod
    def initial_logits(self) -> np.ndarray:
        """Returns the logits of the symbols in an untrained model, `[V]`."""

    @abc.abstractmethod
    def contents(self) -> list[bytes | None]:
        """Returns the text of each symbol in UTF-8; None where symbols share characters."""

    @abc.abstractmethod
    def summary(self) -> str:
        """Returns a clause for messages, such as "29 different characters"."""

    @abc.abstractmethod
    def to_json(self) -> str:
        """Returns a JSON object in ASCII."""
