# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reads files of text in chunks: encodings, byte order marks, compression, and what is no text."""
from __future__ import annotations

import codecs
import functools
import gzip
import io
import itertools
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from vaeseq.cli import encodings
from vaeseq.fields import short_repr

_CHUNK_BYTES = 1 << 22
_COMPRESSED_BYTES = 1 << 16  # of an xz file, read at once
_XZ = b"\xfd7zXZ\0"


class EmptyFileError(ValueError):
    """A file has no content."""


def read_file(
    path: str | os.PathLike[str], encoding: str | None = None,
    advance: Callable[[int], None] = lambda num_bytes: None,
) -> Iterator[str]:
    """Yields the text of a file in chunks, without a byte order mark, with "\\n" after each line.

    Files of gzip and xz are decompressed. Line ends of Windows and of old Macs are read as one
    line break, as Python reads them.

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
        with open(path, "rb") as raw:
            chunks = _decompressed(raw)
            first = b""
            while len(first) < encodings.SAMPLE_BYTES and (chunk := next(chunks, None)) is not None:
                first += chunk
            head = first[:encodings.SAMPLE_BYTES]
            if not head:
                raise EmptyFileError(f"{name}: expected text, got an empty file.")
            kind = encodings.kind_of_binary(head)
            if kind:
                raise ValueError(f"{name}: expected text, got {kind}. Extract its text first, or "
                                 "give another file.")
            mark, detected = encodings.marked(head)
            if encoding is None and not detected and (
                    encodings.without_mark(head) or encodings.is_binary(head)):
                raise ValueError(f"{name}: expected UTF-8 text. {_advice(head)}")
            if encoding and detected and codecs.lookup(encoding).name not in (
                    detected, f"{detected}-sig", detected[:-3]):  # utf-16 has both byte orders
                raise ValueError(f"{name}: expected {encoding.upper()} text, got the byte order "
                                 f"mark of {detected.upper()}. {_without(encoding)}")
            chunks = itertools.chain([first[len(mark):]], chunks)
            if encoding and not detected and encodings.has_single_bytes(encoding):
                chunks = _refusing_utf_8(chunks, encoding, name)
            for text in _decode(chunks, detected or encoding or "utf-8", name, len(mark)):
                advance(raw.tell() - bytes_read)
                bytes_read = raw.tell()
                yield text
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{name}: the compressed file is damaged, or one of several pieces of a "
                         f"file, which `cat` joins ({error}).") from None


def _decompressed(raw: BinaryIO) -> Iterator[bytes]:
    """Returns the content of a file in chunks, decompressed."""
    magic = raw.read(len(_XZ))
    raw.seek(0)
    if magic == _XZ:
        return _of_xz(raw)
    file = gzip.GzipFile(fileobj=raw) if magic.startswith(b"\x1f\x8b") else raw
    return iter(functools.partial(file.read, _CHUNK_BYTES), b"")


def _of_xz(raw: BinaryIO) -> Iterator[bytes]:
    """Yields the content of all streams of an xz file; `lzma.open` ends at padding after one."""
    content = raw.read(_COMPRESSED_BYTES)
    while content:
        stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        while not stream.eof:
            yield stream.decompress(content, _CHUNK_BYTES)
            content = raw.read(_COMPRESSED_BYTES) if stream.needs_input else b""
            if stream.needs_input and not content:
                raise EOFError("it ends within a stream")
        content, padding = stream.unused_data or raw.read(_COMPRESSED_BYTES), 0
        while content.startswith(b"\0"):
            stripped = content.lstrip(b"\0")
            padding += len(content) - len(stripped)
            content = stripped or raw.read(_COMPRESSED_BYTES)
        if padding % 4:
            raise lzma.LZMAError(f"{padding:,} bytes of padding, which is no multiple of 4")


def _refusing_utf_8(chunks: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Yields chunks, and raises ValueError after the last if they are UTF-8 and not ASCII alone.

    An encoding with single bytes reads nearly all of them, those of UTF-8 as other letters.
    """
    decoder, is_utf_8, is_ascii = codecs.getincrementaldecoder("utf-8")(), True, True
    for chunk in itertools.chain(filter(None, chunks), [b""]):
        is_ascii = is_ascii and chunk.isascii()
        if is_utf_8:
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                is_utf_8 = False
        yield chunk
    if is_utf_8 and not is_ascii:
        raise ValueError(f"{name}: expected {encoding.upper()} text, got UTF-8. "
                         f"{_without(encoding)}")


def _decode(chunks: Iterator[bytes], encoding: str, name: str, position: int) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), True)
    is_marked = position > 0
    before = b""  # the end of the chunk before
    for chunk in itertools.chain(filter(None, chunks), [b""]):
        pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            start = error.start - pending  # in this chunk
            sample = encodings.around(before + chunk, len(before) + start)
            raise ValueError(
                f"{name}: expected {encoding.upper()} text, got byte "
                f"0x{error.object[error.start]:02x} at offset {position + start}. "
                f"{_advice(sample, encoding, is_marked)}") from None
        except UnicodeError as error:  # UTF-16 or UTF-32 without a byte order mark
            raise ValueError(f"{name}: expected {encoding.upper()} text ({error}). "
                             f"{_advice(encodings.around(chunk, 0), encoding)}") from None
        position += len(chunk)
        before = chunk[-encodings.SAMPLE_BYTES:]
        yield text


def _advice(sample: bytes, encoding: str = "utf-8", is_marked: bool = False) -> str:
    """Returns what text that cannot be read in an encoding probably is, and what to do.

    What a byte order mark says is not doubted.
    """
    likely = encoding if is_marked else encodings.probable(sample)
    if not likely:
        return "It is probably a binary file. Give a text."
    if codecs.lookup(likely).name == codecs.lookup(encoding).name:
        return (f"The rest is {likely}: correct it there, or leave out what is not with "
                f"{encodings.conversion(likely, '-c ')}.")
    if likely == "utf-8":
        return f"It is UTF-8. {_without(encoding)}"
    excerpt = short_repr(encodings.excerpt(sample, likely))
    return (f"Its encoding is probably {likely}, in which it reads {excerpt}: give --encoding "
            f"{likely}, or, where other files are UTF-8, convert this one with "
            f"{encodings.conversion(likely)}. If it reads wrong, name another.")


def _without(encoding: str) -> str:
    """Returns what to do about a file that has not the encoding of the option."""
    return ("Leave out --encoding, and convert files that need it to UTF-8 with "
            f"{encodings.conversion(encoding)}.")
