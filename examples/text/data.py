# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Text as sequences of symbols.

A symbol is a character (a Unicode code point) of the vocabulary, or one of a few that stand for all
others. Files are read in pieces, so that memory holds one small integer a character and no more.
"""
from __future__ import annotations

import codecs
import collections
import dataclasses
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from .hparams import MOST_BUCKETS

_PIECE = 1 << 22  # bytes read at once
_CODE_POINTS = 0x110000
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # how a symbol outside the vocabulary is written


class FewCharactersError(ValueError):
    """A text has not two different characters."""


class Vocabulary:
    """The symbols of a model: characters, then those that stand for characters unknown.

    Attributes:
      characters: the known ones, in the order of their symbols.
      oov_buckets: how many symbols there are for the rest; a character always goes to the same.
    """

    def __init__(self, characters: str, oov_buckets: int):
        """Args: characters: each once. oov_buckets: 1 to `MOST_BUCKETS`."""
        repeated = [c for c, count in collections.Counter(characters).items() if count > 1]
        unwritable = [c for c in characters if 0xD800 <= ord(c) < 0xE000]
        if not characters or repeated or unwritable or not 1 <= oov_buckets <= MOST_BUCKETS:
            raise ValueError(
                "expected a vocabulary of at least one character, each once and none of them half "
                f"a surrogate pair, and 1 to {MOST_BUCKETS} buckets for those outside it; got "
                f"{len(characters)} characters"
                + (f" with {repeated[0]!r} repeated" if repeated else "")
                + (f" with {unwritable[0]!r}" if unwritable else "")
                + f" and oov_buckets={oov_buckets}.")
        self.characters = characters
        self.oov_buckets = oov_buckets
        self._table = self._make_table()

    @classmethod
    def of(cls, texts: Iterable[str], most: int, oov_buckets: int) -> Vocabulary:
        """The `most` frequent characters of texts; ties and order by code point.

        Raises:
          FewCharactersError: the texts hold fewer than two different characters.
        """
        counts = np.zeros(_CODE_POINTS, np.int64)
        for text in texts:
            codes, times = np.unique(_code_points(text), return_counts=True)
            counts[codes] += times
        ranked = np.argsort(-counts, kind="stable")[:most]
        kept = np.sort(ranked[counts[ranked] > 0])
        if np.count_nonzero(counts) < 2:
            raise FewCharactersError(
                "expected a text with at least two different characters to learn from, got "
                f"{np.count_nonzero(counts)}.")
        return cls("".join(map(chr, kept)), oov_buckets)

    @classmethod
    def from_json(cls, text: str, source: str) -> Vocabulary:
        """Reads what `to_json` wrote; raises ValueError, naming `source`."""
        try:
            values = json.loads(text)
            characters, oov_buckets = values["characters"], values["oov_buckets"]
            if not isinstance(characters, str) or type(oov_buckets) is not int:
                raise TypeError
            return cls(characters, oov_buckets)
        except (KeyError, TypeError, RecursionError, json.JSONDecodeError):
            raise ValueError(
                f"{source}: expected a JSON object with the string \"characters\" and the number "
                "\"oov_buckets\". The log directory is damaged; begin anew in another.") from None
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None

    def to_json(self) -> str:
        """One JSON object; every character outside ASCII is escaped, so it survives editors."""
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
        """The smallest type that holds a symbol."""
        return np.uint8 if len(self) <= 1 << 8 else np.uint16 if len(self) <= 1 << 16 else np.int32

    def encode(self, text: str) -> np.ndarray:
        """The symbols of a text, `[N]`."""
        return self._table[_code_points(text)]

    def decode(self, symbols: np.ndarray) -> str:
        """The text of symbols `[N]`; unknown ones are written as U+FFFD."""
        known = self.characters
        return "".join(known[s] if s < len(known) else UNKNOWN for s in np.asarray(symbols))

    def unknown(self, text: str) -> list[str]:
        """The characters of a text that the vocabulary lacks, each once."""
        return sorted(set(text) - set(self.characters))

    def _make_table(self) -> np.ndarray:
        known = len(self.characters)
        table: np.ndarray = np.full(_CODE_POINTS, known, self.dtype)
        if self.oov_buckets > 1:
            everything = np.arange(_CODE_POINTS)
            # Knuth's multiplicative hash: the same on every machine.
            table[:] = known + (everything * 2654435761 % (1 << 32)) % self.oov_buckets
        table[_code_points(self.characters)] = np.arange(known)
        return table


def read(path: str | os.PathLike[str]) -> Iterator[str]:
    """The text of a UTF-8 file, piece by piece, without a byte order mark.

    Raises:
      OSError: it cannot be read.
      ValueError: it is empty or not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, begun = 0, False
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            text = _decoded(decoder, piece, path, position)
            yield text if begun else text.removeprefix(_BYTE_ORDER_MARK)
            begun = begun or bool(text)
            position += len(piece)
        if not position:
            raise ValueError(f"{os.fspath(path)!r}: expected UTF-8 text, got an empty file.")
        yield _decoded(decoder, b"", path, position, final=True)


def _decoded(
    decoder: codecs.IncrementalDecoder, piece: bytes, path: str | os.PathLike[str],
    position: int, final: bool = False,
) -> str:
    pending = len(decoder.getstate()[0])
    try:
        return decoder.decode(piece, final)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"{os.fspath(path)!r}: expected UTF-8 text, got byte 0x{byte:02x} at offset "
            f"{position - pending + error.start}. Convert the file, with `iconv -t utf-8` say, or "
            "give another.") from None


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text that can be read again and again, piece by piece.

    Attributes:
      name: how it is called in tables and messages.
      pieces: reads it; may raise as `read`.
    """

    name: str
    pieces: Callable[[], Iterator[str]]

    def symbols(self, vocabulary: Vocabulary) -> np.ndarray:
        """The whole text as symbols `[N]`; raises as `pieces`."""
        return np.concatenate([vocabulary.encode(piece) for piece in self.pieces()])

    def size(self) -> int:
        """How many characters it has."""
        return sum(len(piece) for piece in self.pieces())

    def part(self, start: int, stop: int) -> Corpus:
        """Its characters from `start` to `stop`."""
        def pieces() -> Iterator[str]:
            position = 0
            for piece in self.pieces():
                yield piece[max(0, start - position):max(0, stop - position)]
                position += len(piece)

        return Corpus(self.name, pieces)

    def split(self, last: float) -> tuple[Corpus, Corpus]:
        """The beginning, and the fraction `last` at the end."""
        size = self.size()
        cut = split_at(size, last)
        return self.part(0, cut), self.part(cut, size)


def split_at(size: int, last: float) -> int:
    """Where the fraction `last` at the end of `size` characters begins."""
    return int(size * (1 - last))


def from_file(path: str | os.PathLike[str]) -> Corpus:
    """The text of a file."""
    return Corpus(os.fspath(path), lambda: read(path))


def embedded_prose() -> Corpus:
    """English prose that every Python carries: the topics of its language reference."""
    from pydoc_data.topics import topics  # half a megabyte that few commands need
    text = "\n".join(topics[key] for key in sorted(topics))
    return Corpus("Python's language reference", lambda: iter([text]))


def contiguous(symbols: np.ndarray, most: int) -> Sequence[np.ndarray]:
    """A text cut in up to `most` equal parts, the last one shorter, to be scored side by side."""
    size = -(-len(symbols) // most)
    return [symbols[start:start + size] for start in range(0, len(symbols), size)]


def checksum(symbols: np.ndarray) -> int:
    """Tells one training text from another."""
    return zlib.crc32(symbols.tobytes())


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
