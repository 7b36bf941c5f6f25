# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Texts that are read in chunks: memory holds one small integer per character."""
from __future__ import annotations

import codecs
import dataclasses
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

import numpy as np

from .vocabulary import Vocabulary

_CHUNK_BYTES = 1 << 22
_SAMPLE_BYTES = 1 << 14  # the beginning of a file, from which its encoding is guessed
_MARKS = (  # byte order marks; that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_COMMON_ENCODINGS = ["cp1252", "cp1250", "cp1251", "koi8_r", "gb18030", "big5", "shift_jis",
                     "euc_jp", "euc_kr"]
_BINARY_KINDS = {
    b"PK\x03\x04": "a ZIP archive (or an office or EPUB document)", b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"GIF8": "a GIF image",
    b"BZh": "a bzip2 file", b"\x28\xb5\x2f\xfd": "a Zstandard file", b"7z\xbc\xaf": "a 7z archive",
    b"\x7fELF": "a program", b"SQLite": "a database", b"MThd": "a MIDI file"}


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


def read_file(path: str | os.PathLike[str], encoding: str | None = None) -> Iterator[str]:
    """Yields the text of a file in chunks, without a byte order mark.

    Files of gzip and xz are decompressed.

    Args:
      path: of the file.
      encoding: its encoding; by default UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is empty, damaged, or has another encoding.
    """
    name = repr(os.fspath(path))
    try:
        with _open(path) as file:
            head = file.read(_SAMPLE_BYTES)
            if not head:
                raise ValueError(f"{name}: expected text, got an empty file.")
            mark, detected = next((item for item in _MARKS if head.startswith(item[0])), (b"", ""))
            if encoding is None and not detected and _utf_16_without_mark(head):
                raise ValueError(f"{name}: expected UTF-8 text. {_advice(head)}")
            file.seek(len(mark))
            yield from _decode(file, encoding or detected or "utf-8", name, len(mark), head)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{name}: the compressed file is damaged ({error}).") from None


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file for reading, decompressed."""
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.open(path))
    return cast(BinaryIO, lzma.open(path)) if magic == b"\xfd7zXZ\0" else open(path, "rb")


def _decode(
    file: BinaryIO, encoding: str, name: str, position: int, head: bytes
) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    chunk = b"?"
    while chunk:
        chunk = file.read(_CHUNK_BYTES)
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(
                f"{name}: expected {encoding.upper()} text, got byte 0x{byte:02x} at offset "
                f"{position - pending + error.start}. {_advice(head)}") from None
        position += len(chunk)
        yield text


def _advice(head: bytes) -> str:
    """Returns what the first bytes of a file that is not UTF-8 probably are, and what to do."""
    for magic, kind in _BINARY_KINDS.items():
        if head.startswith(magic):
            return f"It is {kind}. Extract its text first, or give another file."
    encoding = _utf_16_without_mark(head)
    if not encoding and b"\0" not in head:
        from charset_normalizer import from_bytes
        whole_lines = head.rpartition(b"\n")[0] or head  # a sample may end within a character
        matches = from_bytes(whole_lines, cp_isolation=_COMMON_ENCODINGS)
        best = matches.best()
        # Short texts fit several encodings of one family equally well.
        equal = [name for match in matches if best and (match.chaos, match.coherence) == (
            best.chaos, best.coherence) for name in match.could_be_from_charset]
        encoding = "cp1252" if "cp1252" in equal else best.encoding if best else ""
    if not encoding:
        return "It is probably a binary file. Give a text."
    return (f"Its encoding is probably {encoding}: give --encoding {encoding}, or convert the file "
            f"with `iconv -f {encoding.replace('_', '-')} -t utf-8`.")


def _utf_16_without_mark(head: bytes) -> str:
    """Returns the UTF-16 encoding of text that is mostly ASCII, from its zero bytes; "" if none."""
    zeros = np.frombuffer(head, np.uint8) == 0
    even, odd = np.mean(zeros[::2]), np.mean(zeros[1::2]) if len(zeros) > 1 else 0.0
    if max(even, odd) < 0.5 or min(even, odd) > 0.1:
        return ""
    return "utf_16_le" if odd > even else "utf_16_be"


def open_corpus(path: str | os.PathLike[str] | None, encoding: str | None = None) -> Corpus:
    """Returns the text of a file; without a path, Python's language reference in English."""
    if path is None:
        return embedded_prose()
    return Corpus(os.fspath(path), lambda: read_file(path, encoding))


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
