# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Texts of one or several files, read in chunks and encoded to symbols.

Memory holds the symbols of a small text; those of a large one are mapped from a file in the cache
folder (`encoded`), so that a text may be larger than memory.
"""
from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vaeseq.cli.arguments import absolute
from vaeseq.runs.progress import Progress

from ..files import corpus_files
from . import encoded
from .byte_tokens import count_pieces
from .encoded import Encoded
from .reading import EmptyFileError, read_file
from .tokens import Tokens
from .vocabulary import CODE_POINTS, count_characters

FILE_SEPARATOR = "\x1c"  # ASCII's control character of that name
BOUNDARIES = ("start", "symbol", "none")
_MEGABYTE = 1 << 20
_CACHED_BYTES = 1 << 23  # smaller texts are encoded each time
_MOST_COUNTED = 1 << 27  # bytes; of a larger text, a sample of about this size

Advance = Callable[[int], None]  # counts bytes that were read


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text that can be read repeatedly, in chunks."""

    name: str  # its name in tables and messages
    # Yields parts of the text, each in strings of any length; models start each part from the
    # initial state. It calls its argument with the number of bytes that it read, and may raise as
    # `read_file`.
    parts: Callable[[Advance], Iterator[Iterator[str]]]
    files: tuple[Path, ...] = ()  # that the text is read from
    # Absolute names of files, folders and patterns, which `open_corpus` can open again
    names: tuple[str, ...] = ()
    encoding: str | None = None  # of the files, if it was given
    boundaries: str = "start"  # what stands between files; see `open_corpus`
    states: tuple[tuple[int, int], ...] = ()  # of the files when they were opened; see `_state`

    def chunks(self) -> Iterator[str]:
        """Yields the text in strings of any length; raises as `read_file`."""
        return itertools.chain.from_iterable(self.parts(_ignore))

    def size(self) -> int:
        """Returns the number of characters; raises as `read_file`."""
        return sum(len(chunk) for chunk in self.chunks())

    def part(self, start: int, stop: int) -> Corpus:
        """Returns the characters from `start` to `stop`, as one part."""
        def chunks() -> Iterator[str]:
            position = 0
            for chunk in self.chunks():
                yield chunk[max(0, start - position):max(0, stop - position)]
                position += len(chunk)

        return Corpus(self.name, lambda advance: iter([chunks()]))

    def encode(self, tokens: Tokens) -> Encoded:
        """Returns the symbols; those of a large text are mapped from a file in the cache folder.

        Raises as `read_file`, and ValueError if a file has changed since it was opened: another
        reading, which made the vocabulary or named the file in the cache, saw other text.
        """
        def parts() -> Iterator[Iterator[np.ndarray]]:
            with self._progress("encode") as advance:
                for part in self.parts(advance):
                    yield tokens.encode_chunks(part)
            for path, state in zip(self.files, self.states):
                if _state(path) != state:
                    raise ValueError(f"{os.fspath(path)!r}: expected a file that stays as it is, "
                                     "but it changed while it was read. Copy it, or wait until it "
                                     "is complete.")

        if self._num_bytes() < _CACHED_BYTES:
            return encoded.in_memory(parts(), tokens.dtype)
        vocabulary = hashlib.blake2b(tokens.to_json().encode(), digest_size=8).hexdigest()
        return encoded.cached(f"{self._content}-{vocabulary}", parts, tokens.dtype)

    def count_characters(self) -> np.ndarray:
        """Returns how often each code point occurs, `[CODE_POINTS]`; kept in the cache folder."""
        def counts() -> np.ndarray:
            with self._progress("count characters") as advance:
                return count_characters(itertools.chain.from_iterable(self.parts(advance)))

        if self._num_bytes() < _CACHED_BYTES:
            return counts()
        return encoded.cached(
            f"{self._content}-characters", lambda: iter([iter([counts()])]), np.int64,
            size=CODE_POINTS).symbols

    def count_pieces(self) -> collections.Counter[str]:
        """Returns how often pieces of text occur, in an evenly spread sample of a large text."""
        every = -(-self._num_bytes() // _MOST_COUNTED) or 1
        with self._progress("count words") as advance:
            return count_pieces(
                itertools.islice(part, 0, None, every) for part in self.parts(advance))

    @functools.cached_property
    def _content(self) -> str:
        """The hash of the files' contents and of what else the text depends on."""
        with self._progress("hash") as advance:
            digest = hashlib.sha256(f"{self.encoding} {self.boundaries} newlines".encode())
            for path in self.files:
                digest.update(_hash(path, advance))
        return digest.hexdigest()[:32]

    def _num_bytes(self) -> int:
        return sum(os.stat(path).st_size for path in self.files)

    @contextlib.contextmanager
    def _progress(self, description: str) -> Iterator[Advance]:
        """Shows the progress of one reading of the files."""
        bytes_read = 0
        with Progress(description, total=self._num_bytes() // _MEGABYTE, counted="MB",
                      unit="byte", is_brief=True) as progress:
            def advance(num_bytes: int) -> None:
                nonlocal bytes_read
                megabytes = (bytes_read + num_bytes) // _MEGABYTE - bytes_read // _MEGABYTE
                bytes_read += num_bytes
                progress.advance(megabytes, num_bytes)

            yield advance


def _state(path: Path) -> tuple[int, int]:
    """Returns the size of a file and when it was changed."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _ignore(num_bytes: int) -> None:
    del num_bytes


def _hash(path: Path, advance: Advance) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_MEGABYTE):
            digest.update(chunk)
            advance(len(chunk))
    return digest.digest()


def open_corpus(
    names: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | None,
    encoding: str | None = None, boundaries: str = "start",
) -> Corpus:
    """Returns the text of files.

    Args:
      names: files, folders and patterns, see `files`; or one of them. By default the text is
        Python's language reference in English.
      encoding: of all files; see `read_file`.
      boundaries: what stands between files: "start" makes each file a part of its own, "symbol"
        puts `FILE_SEPARATOR` between files, and "none" joins them. Of several files, empty ones are
        left out.

    Raises:
      argparse.ArgumentTypeError: a name names no file, or a file cannot be read.
    """
    if names is None:
        return embedded_prose()
    if isinstance(names, (str, os.PathLike)):
        names = [names]
    paths = corpus_files([os.fspath(name) for name in names])
    texts = [os.fspath(name) for name in names]
    name = texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} more"
    if len(paths) > 1:
        name += f" ({len(paths):,} files)"

    def parts(advance: Advance) -> Iterator[Iterator[str]]:
        if len(paths) == 1:
            return iter([read_file(paths[0], encoding, advance)])
        contents = (_skipping_empty(read_file(path, encoding, advance)) for path in paths)
        if boundaries == "start":
            return contents
        return iter([_joined(contents, FILE_SEPARATOR if boundaries == "symbol" else "")])

    return Corpus(
        name, parts, tuple(paths), tuple(map(absolute, texts)), encoding, boundaries,
        tuple(map(_state, paths)))


def _skipping_empty(chunks: Iterator[str]) -> Iterator[str]:
    with contextlib.suppress(EmptyFileError):
        yield from chunks


def _joined(texts: Iterable[Iterable[str]], separator: str) -> Iterator[str]:
    """Yields the chunks of all texts, with `separator` between those that are not empty."""
    before = ""
    for chunks in texts:
        for chunk in filter(None, chunks):
            yield before + chunk
            before = ""
        before = separator


def embedded_prose() -> Corpus:
    """Returns the topics of Python's language reference, which every installation has."""
    from pydoc_data.topics import topics  # half a megabyte that few commands need
    text = "\n".join(topics[key] for key in sorted(topics))
    return Corpus("Python's language reference", lambda advance: iter([iter([text])]))


def split_at(size: int, held_out: float) -> int:
    """Returns the index at which the fraction `held_out` at the end of a text begins."""
    return int(size * (1 - held_out))


def split_rows(symbols: np.ndarray, num_rows: int) -> Sequence[np.ndarray]:
    """Splits a text `[N]` in at most `num_rows` contiguous rows; the last may be shorter."""
    size = -(-len(symbols) // num_rows)
    return [symbols[start:start + size] for start in range(0, len(symbols), size)]
