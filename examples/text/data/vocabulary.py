# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tokens that are characters."""
from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ..hparams import MOST_BUCKETS
from .tokens import DAMAGED, Decoder, Tokens

CODE_POINTS = 0x110000
_OOV_LOGIT = -8.0  # initial logit of out-of-vocabulary symbols
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # decodes a symbol outside the vocabulary


class FewCharactersError(ValueError):
    """A text has fewer than two different characters."""


class Vocabulary(Tokens):
    """The symbols of a model: its characters, then buckets for all other characters.

    A character is a Unicode code point. A character outside the vocabulary always maps to the
    same out-of-vocabulary bucket.

    Attributes:
      characters: the characters in the order of their symbols.
      oov_buckets: number of symbols for out-of-vocabulary characters.
    """

    name = "characters"
    unit = "character"
    is_lossless = False

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
        return cls.of_counts(count_characters(texts), size, oov_buckets)

    @classmethod
    def of_counts(
        cls, counts: np.ndarray, size: int, oov_buckets: int, always: str = ""
    ) -> Vocabulary:
        """Returns the `size` most frequent characters, ordered by code point.

        Args:
          counts: of each code point, `[CODE_POINTS]`.
          size: greatest number of characters.
          oov_buckets: number of symbols for out-of-vocabulary characters.
          always: characters that are among them, however rare.

        Raises:
          FewCharactersError: fewer than two characters occur.
        """
        counts = counts.copy()
        counts[code_points(always)] += counts.sum() + 1
        distinct = np.count_nonzero(counts)
        if distinct < 2:
            raise FewCharactersError(
                "expected a text with at least two different characters to learn from, got "
                f"{distinct}.")
        frequent = np.argsort(-counts, kind="stable")[:min(size, distinct)]
        return cls("".join(map(chr, np.sort(frequent))), oov_buckets)

    @classmethod
    def from_json(cls, values: Mapping[str, object], source: str) -> Vocabulary:
        """Reads the object of `to_json`; raises ValueError, naming `source`."""
        try:
            characters, oov_buckets = values["characters"], values["oov_buckets"]
            if not isinstance(characters, str) or type(oov_buckets) is not int:
                raise TypeError
            return cls(characters, oov_buckets)
        except (KeyError, TypeError):
            raise ValueError(
                f"{source}: expected a JSON object with the string \"characters\" and the number "
                f"\"oov_buckets\". {DAMAGED}") from None
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

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        for chunk in chunks:
            yield self._symbols[code_points(chunk)]

    def decoder(self) -> Decoder:
        return _CharacterDecoder(self.characters)

    def num_characters(self, symbols: np.ndarray) -> int:
        return len(symbols)

    def num_unknown(self, symbols: np.ndarray) -> int:
        return int(self.counts(symbols)[len(self.characters):].sum())

    def unknown(self, text: str) -> list[str]:
        return sorted(set(text) - set(self.characters))

    def initial_logits(self) -> np.ndarray:
        logits = np.zeros(len(self))
        logits[len(self.characters):] = _OOV_LOGIT
        return logits

    def contents(self) -> list[bytes | None]:
        return [*(c.encode() for c in self.characters), *[None] * self.oov_buckets]

    def summary(self) -> str:
        return f"{len(self.characters)} of them distinct"

    def _symbol_of_code_point(self) -> np.ndarray:
        size = len(self.characters)
        table: np.ndarray = np.full(CODE_POINTS, size, self.dtype)
        if self.oov_buckets > 1:
            # Knuth's multiplicative hash: the same on every machine.
            hashes = np.arange(CODE_POINTS) * 2654435761 % (1 << 32)
            table[:] = size + hashes % self.oov_buckets
        table[code_points(self.characters)] = np.arange(size)
        return table


class _CharacterDecoder(Decoder):
    def __init__(self, characters: str):
        self._characters = characters

    def decode(self, symbols: np.ndarray, *, final: bool = False) -> str:
        size = len(self._characters)
        return "".join([self._characters[s] if s < size else UNKNOWN for s in symbols])


def code_points(text: str) -> np.ndarray:
    """Returns the code points of a text of N characters, uint32 `[N]`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def count_characters(chunks: Iterable[str]) -> np.ndarray:
    """Returns how often each code point occurs in strings, int64 `[CODE_POINTS]`."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        codes = code_points(chunk)
        size = int(codes.max(initial=0)) + 1
        counts[:size] += np.bincount(codes, minlength=size)
    return counts
