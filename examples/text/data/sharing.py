# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The text of a run on several machines, which the chief shares with the other workers.

The chief reads and encodes the text. Of a text that is one stream, each of the others receives the
symbols that its rows of the batches read, and the vocabulary; it reads no file. Where every epoch
goes through all texts in another order (several files, lines, paragraphs), it receives the
vocabulary alone and reads the files, too: the symbols are mapped from the cache, so that a part
would save it little.
"""
from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vaeseq.data import Streams
from vaeseq.train import data_sharing
from vaeseq.train.data_sharing import Part
from vaeseq.train.distribute import Cluster

from ..hparams import TextHParams
from . import encoded, tokenization
from .sources import Description, Texts
from .tokens import Tokens


class Received(NamedTuple):
    """What a worker receives."""

    vocabulary: Tokens | None = None  # of the run
    # Of the run; zeros stand for what other workers train on, and for what the chief validates on.
    # None where the worker reads the files itself.
    texts: Texts | None = None


@contextlib.contextmanager
def session(
    cluster: Cluster, seconds: float
) -> Iterator[tuple[Received, Callable[[Texts, Tokens, TextHParams], None]]]:
    """Shares the text of the chief with the other workers.

    Yields:
      What this worker received, nothing if it is the chief; and a function that sends the others
      their parts if it is, and does nothing if not. Its arguments are the texts, the vocabulary and
      the hyperparameters.

    Raises:
      LostWorkerError: another worker did not connect within `seconds`, or was lost.
      OSError: this worker's port is in use, or the file of its part cannot be written.
    """
    num_workers = len(cluster.addresses)
    if num_workers == 1:
        yield Received(), lambda *_: None
    elif cluster.is_chief:
        with data_sharing.sending(cluster) as send:
            yield Received(), lambda *text: send(
                lambda task: part_of(task, num_workers, *text), seconds)
    else:
        yield receive(cluster, seconds), lambda *_: None


def part_of(
    task: int, num_workers: int, texts: Texts, vocabulary: Tokens, hparams: TextHParams
) -> Part:
    """Returns what worker number `task` receives."""
    header: dict[str, Any] = {"vocabulary": vocabulary.to_json()}
    if len(texts.train) != 1 or hparams.unit != "text":
        return Part(header, np.zeros([0], vocabulary.dtype))
    (symbols,) = texts.train
    rows = hparams.batch_size // num_workers
    start, stop = Streams.part(
        len(symbols), hparams.batch_size, task * rows, (task + 1) * rows)
    return Part({**header, "start": start, "train_size": len(symbols),
                 "valid_size": texts.valid_size,
                 "description": dataclasses.asdict(texts.description)}, symbols[start:stop])


def receive(cluster: Cluster, seconds: float) -> Received:
    """Receives this worker's part from the chief, and maps it from a file without a name.

    Raises:
      LostWorkerError: the chief did not listen within `seconds`, or was lost.
      OSError: the file cannot be written.
    """
    header: dict[str, Any] = {}
    with _unnamed_file() as file:
        def open_file(received: dict[str, Any]) -> BinaryIO:
            header.clear()
            header.update(received)
            vocabulary = tokenization.from_json(received["vocabulary"], "the chief")
            file.seek(received.get("start", 0) * np.dtype(vocabulary.dtype).itemsize)
            return file

        data_sharing.receive(cluster, open_file, seconds)
        vocabulary = tokenization.from_json(header["vocabulary"], "the chief")
        if "description" not in header:
            return Received(vocabulary, None)
        size = header["train_size"] + header["valid_size"]
        # What is not written is a hole, which takes neither memory nor disk.
        file.truncate(size * np.dtype(vocabulary.dtype).itemsize)
        symbols = np.asarray(np.memmap(file, vocabulary.dtype, "r", shape=(size,)))
    train, valid = symbols[:header["train_size"]], symbols[header["train_size"]:]
    return Received(vocabulary, Texts(
        [train], [valid] if len(valid) else [], Description(**header["description"])))


def _unnamed_file() -> BinaryIO:
    try:
        os.makedirs(encoded.folder(), exist_ok=True)
        return tempfile.TemporaryFile(dir=encoded.folder())
    except OSError:
        return tempfile.TemporaryFile()
