# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Maps characters to symbols, the integers that a model of text reads and writes."""
from __future__ import annotations

import collections
import json
from collections.abc import Iterable

import numpy as np

from ..hparams import MOST_BUCKETS

_CODE_POINTS = 0x110000
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # decodes a symbol outside the vocabulary


class FewCharactersError(ValueError):
    """A text has fewer than two different characters."""


class Vocabulary:
    """The symbols of a model: its characters, then buckets for all other characters.

    A character is a Unicode code point. A character outside the vocabulary always maps to the
    same out-of-vocabulary bucket.

    Attributes:
      characters: the characters in the order of their symbols.
      oov_buckets: number of symbols for out-of-vocabulary characters.
    """

    def __init__(self, characters: str, oov_buckets: int):
        """Creates the vocabulary.

        Args:
          characters: distinct characters, at least one.
          oov_buckets: 1 to `MOST_BUCKETS`.

        Raises:
          ValueError: a character is repeated or half a surrogate pair, or a number is out of range.
        """
        repeated = [c for c, count in collections.Counter(characters).items() if count > 1]
        surrogates = [c for c in characters if 0xD800 <= ord(c) < 0xE000]
        if not characters or repeated or surrogates or not 1 <= oov_buckets <= MOST_BUCKETS:
            raise ValueError(
                "expected a vocabulary of at least one character, each once and none of them half "
                f"a surrogate pair, and 1 to {MOST_BUCKETS} buckets for other characters; got "
                f"{len(characters)} characters"
                + (f" with {repeated[0]!r} repeated" if repeated else "")
                + (f" with {surrogates[0]!r}" if surrogates else "")
                + f" and oov_buckets={oov_buckets}.")
        self.characters = characters
        self.oov_buckets = oov_buckets
        self._symbols = self._symbol_of_code_point()

    @classmethod
    def of(cls, texts: Iterable[str], size: int, oov_buckets: int) -> Vocabulary:
        """Returns the `size` most frequent characters of texts, ordered by code point.

        Raises:
          FewCharactersError: the texts hold fewer than two different characters.
        """
        counts = np.zeros(_CODE_POINTS, np.int64)
        for text in texts:
            codes, occurrences = np.unique(_code_points(text), return_counts=True)
            counts[codes] += occurrences
        distinct = np.count_nonzero(counts)
        if distinct < 2:
            raise FewCharactersError(
                "expected a text with at least two different characters to learn from, got "
                f"{distinct}.")
        frequent = np.argsort(-counts, kind="stable")[:min(size, distinct)]
        return cls("".join(map(chr, np.sort(frequent))), oov_buckets)

    @classmethod
    def from_json(cls, text: str, source: str) -> Vocabulary:
        """Parses the output of `to_json`; raises ValueError, naming `source`."""
        try:
            values = json.loads(text)
            characters, oov_buckets = values["characters"], values["oov_buckets"]
            if not isinstance(characters, str) or type(oov_buckets) is not int:
                raise TypeError
            return cls(characters, oov_buckets)
        except (KeyError, TypeError, RecursionError, json.JSONDecodeError):
            raise ValueError(
                f"{source}: expected a JSON object with the string \"characters\" and the number "
                "\"oov_buckets\". The log directory is damaged; train in a new one.") from None
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def to_json(self) -> str:
        """Returns a JSON object in ASCII: editors cannot change its characters."""
        return json.dumps(
            {"characters": self.characters, "oov_buckets": self.oov_buckets}) + "\n"

    def __len__(self) -> int:
        return len(self.characters) + self.oov_buckets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and (
            (self.characters, self.oov_buckets) == (other.characters, other.oov_buckets))

    def __hash__(self) -> int:
        return hash((self.characters, self.oov_buckets))

    @property
    def dtype(self) -> type:
        """The smallest integer type that holds every symbol."""
        return np.uint8 if len(self) <= 1 << 8 else np.uint16 if len(self) <= 1 << 16 else np.int32

    def encode(self, text: str) -> np.ndarray:
        """Returns the symbols of a text of N characters, `[N]`."""
        return self._symbols[_code_points(text)]

    def decode(self, symbols: np.ndarray) -> str:
        """Returns the text of symbols `[N]`, with U+FFFD for out-of-vocabulary symbols."""
        size = len(self.characters)
        return "".join(
            self.characters[s] if s < size else UNKNOWN for s in np.asarray(symbols))

    def unknown(self, text: str) -> list[str]:
        """Returns the distinct characters of a text that the vocabulary lacks, sorted."""
        return sorted(set(text) - set(self.characters))

    def _symbol_of_code_point(self) -> np.ndarray:
        size = len(self.characters)
        table: np.ndarray = np.full(_CODE_POINTS, size, self.dtype)
        if self.oov_buckets > 1:
            # Knuth's multiplicative hash: the same on every machine.
            hashes = np.arange(_CODE_POINTS) * 2654435761 % (1 << 32)
            table[:] = size + hashes % self.oov_buckets
        table[_code_points(self.characters)] = np.arange(size)
        return table


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
