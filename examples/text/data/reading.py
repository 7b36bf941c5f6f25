# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reads files of text in chunks: encodings, byte order marks, compression, and what is no text."""
from __future__ import annotations

import codecs
import contextlib
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from vaeseq.cli import encodings

_CHUNK_BYTES = 1 << 22
_SAMPLE_BYTES = 1 << 14  # of a file, from which its encoding is guessed
_BINARY_KINDS = (  # offset and content of the bytes that begin such files
    (0, b"PK\x03\x04", "a ZIP archive (or an office or EPUB document)"),
    (0, b"%PDF-", "a PDF document"), (0, b"\xd0\xcf\x11\xe0", "an old office document"),
    (0, b"\x89PNG", "a PNG image"), (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"), (0, b"GIF89a", "a GIF image"),
    (257, b"ustar", "a tar archive"), (4, b"1AY&SY", "a bzip2 file"),
    (0, b"\x1f\x8b", "a file compressed twice"), (0, b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (0, b"7z\xbc\xaf", "a 7z archive"), (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\0", "a database"), (0, b"MThd\0", "a MIDI file"))


class EmptyFileError(ValueError):
    """A file has no content."""


def read_file(
    path: str | os.PathLike[str], encoding: str | None = None,
    advance: Callable[[int], None] = lambda num_bytes: None,
) -> Iterator[str]:
    """Yields the text of a file in chunks, without a byte order mark.

    Files of gzip and xz are decompressed.

    Args:
      path: of the file.
      encoding: its encoding; by default UTF-8, or UTF-16 and UTF-32 with a byte order mark.
      advance: called for each chunk with the number of bytes read from the file.

    Raises:
      OSError: the file cannot be read.
      EmptyFileError: it is empty.
      ValueError: it is damaged, binary, or has another encoding.
    """
    name, bytes_read = repr(os.fspath(path)), 0
    try:
        with open(path, "rb") as raw, _decompressed(raw) as file:
            head = file.read(_SAMPLE_BYTES)
            if not head:
                raise EmptyFileError(f"{name}: expected text, got an empty file.")
            for offset, magic, kind in _BINARY_KINDS:
                if head.startswith(magic, offset):
                    raise ValueError(f"{name}: expected text, got {kind}. Extract its text first, "
                                     "or give another file.")
            mark, detected = encodings.marked(head)
            if encoding is None and not detected and encodings.utf_16_without_mark(head):
                raise ValueError(f"{name}: expected UTF-8 text. {_advice(head)}")
            if encoding and detected and codecs.lookup(encoding).name not in (
                    detected, f"{detected}-sig", detected[:-3]):  # utf-16 has both byte orders
                raise ValueError(f"{name}: expected {encoding.upper()} text, got the byte order "
                                 f"mark of {detected.upper()}. Leave out --encoding.")
            file.seek(len(mark))
            for text in _decode(file, detected or encoding or "utf-8", name, len(mark)):
                advance(raw.tell() - bytes_read)
                bytes_read = raw.tell()
                yield text
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{name}: the compressed file is damaged, or one of several pieces of a "
                         f"file, which `cat` joins ({error}).") from None


def _decompressed(raw: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    """Returns the content of a file, decompressed."""
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic == b"\xfd7zXZ\0":
        return cast(BinaryIO, lzma.LZMAFile(raw))
    return contextlib.nullcontext(raw)


def _decode(file: BinaryIO, encoding: str, name: str, position: int) -> Iterator[str]:
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
                f"{position - pending + error.start}. "
                f"{_advice(_sample(error.object, error.start))}") from None
        except UnicodeError as error:  # UTF-16 or UTF-32 without a byte order mark
            raise ValueError(f"{name}: expected {encoding.upper()} text ({error}). "
                             f"{_advice(_sample(chunk, 0))}") from None
        position += len(chunk)
        yield text


def _sample(content: bytes, place: int) -> bytes:
    """Returns what is around a place, from the beginning of a line if it does not begin there."""
    start = max(0, place - _SAMPLE_BYTES // 2)
    if start:
        start += content[start:place].find(b"\n") + 1
    return content[start:start + _SAMPLE_BYTES]


def _advice(sample: bytes) -> str:
    """Returns what a part of a file of another encoding probably is, and what to do."""
    with contextlib.suppress(UnicodeDecodeError):
        if "\0" not in codecs.getincrementaldecoder("utf-8")().decode(sample):
            return "It is UTF-8: leave out --encoding."
    encoding = encodings.probable(sample)
    if not encoding:
        return "It is probably a binary file. Give a text."
    return (f"Its encoding is probably {encoding}: give --encoding {encoding}, or convert the file "
            f"with {encodings.conversion(encoding)}.")
