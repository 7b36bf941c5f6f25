# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Texts that are read in chunks: memory holds one small integer per character."""
from __future__ import annotations

import codecs
import dataclasses
import os
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .vocabulary import Vocabulary

_CHUNK_BYTES = 1 << 22
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text that can be read repeatedly, in chunks.

    Attributes:
      name: its name in tables and messages.
      chunks: yields the text in strings of any length; may raise as `read_file`.
    """

    name: str
    chunks: Callable[[], Iterator[str]]

    def symbols(self, vocabulary: Vocabulary) -> np.ndarray:
        """Returns the symbols of the N characters, `[N]`; raises as `chunks`."""
        return np.concatenate([vocabulary.encode(chunk) for chunk in self.chunks()])

    def size(self) -> int:
        """Returns the number of characters; raises as `chunks`."""
        return sum(len(chunk) for chunk in self.chunks())

    def part(self, start: int, stop: int) -> Corpus:
        """Returns the characters from `start` to `stop`."""
        def chunks() -> Iterator[str]:
            position = 0
            for chunk in self.chunks():
                yield chunk[max(0, start - position):max(0, stop - position)]
                position += len(chunk)

        return Corpus(self.name, chunks)


def read_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields the text of a UTF-8 file in chunks, without a byte order mark.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is empty or not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, at_start = 0, True
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            text = _decode(decoder, chunk, path, position)
            yield text.removeprefix(_BYTE_ORDER_MARK) if at_start else text
            at_start = at_start and not text
            position += len(chunk)
        if not position:
            raise ValueError(f"{os.fspath(path)!r}: expected UTF-8 text, got an empty file.")
        yield _decode(decoder, b"", path, position, final=True)


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, path: str | os.PathLike[str],
    position: int, final: bool = False,
) -> str:
    pending = len(decoder.getstate()[0])
    try:
        return decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"{os.fspath(path)!r}: expected UTF-8 text, got byte 0x{byte:02x} at offset "
            f"{position - pending + error.start}. Convert the file, for example with `iconv -t "
            "utf-8`, or give another.") from None


def open_corpus(path: str | os.PathLike[str] | None) -> Corpus:
    """Returns the text of a file; without a path, Python's language reference in English."""
    return embedded_prose() if path is None else Corpus(os.fspath(path), lambda: read_file(path))


def embedded_prose() -> Corpus:
    """Returns the topics of Python's language reference, which every installation has."""
    from pydoc_data.topics import topics  # half a megabyte that few commands need
    text = "\n".join(topics[key] for key in sorted(topics))
    return Corpus("Python's language reference", lambda: iter([text]))


def split_at(size: int, held_out: float) -> int:
    """Returns the index at which the fraction `held_out` at the end of a text begins."""
    return int(size * (1 - held_out))


def split_rows(symbols: np.ndarray, num_rows: int) -> Sequence[np.ndarray]:
    """Splits a text `[N]` in at most `num_rows` contiguous rows; the last may be shorter."""
    size = -(-len(symbols) // num_rows)
    return [symbols[start:start + size] for start in range(0, len(symbols), size)]


def checksum(symbols: np.ndarray) -> int:
    """Returns a CRC-32, to detect a changed text."""
    return zlib.crc32(symbols.tobytes())
