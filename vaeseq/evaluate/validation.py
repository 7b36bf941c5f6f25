# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Validation in a training run: on a sample of the held-out steps, and interruptible."""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from vaeseq import data as data_lib
from vaeseq import seeds
from vaeseq.data import Batch
from vaeseq.evaluate.likelihood import Evaluator, Score, Window
from vaeseq.runs.progress import Progress
from vaeseq.types import Nest

DEFAULT_STEPS = 1 << 16
_NUM_WINDOWS = 32  # at least, in a sample of long sequences


def num_steps(sequences: Sequence[Nest]) -> int:
    """Returns the number of steps of all sequences, nests of `[N, ...]`."""
    return int(data_lib.sizes(sequences).sum())


def checksum(sequences: Sequence[Nest], first: Sequence[Batch]) -> int:
    """Returns a checksum of the lengths of sequences, nests of `[N, ...]`, and of a first batch.

    Sequences may be positions in a table; only batches hold the values then.
    """
    result = zlib.crc32(data_lib.sizes(sequences).tobytes())
    for leaf in tf.nest.flatten(list(first)):
        result = zlib.crc32(np.asarray(leaf).tobytes(), result)
    return result


def spread_sample(
    sequences: Sequence[Nest], most: int, alignment: int = 1
) -> Sequence[Nest]:
    """Returns at most `most` steps, in windows spread evenly over the sequences.

    Windows have `most / 32` steps, or fewer where a sequence ends; short sequences are whole. They
    begin at multiples of `alignment` steps, unless `most` is smaller.
    Equal arguments give the same sample.

    Args:
      sequences: each a nest of arrays `[N, ...]`.
      most: the largest number of steps, at least 1.

    Returns:
      `sequences` if they have no more than `most` steps, otherwise the windows.
    """
    if num_steps(sequences) <= most:
        return sequences
    size = -(-most // _NUM_WINDOWS)
    size = min(most, -(-size // alignment) * alignment)
    sizes = data_lib.sizes(sequences)
    rows = np.repeat(np.arange(len(sizes)), -(-sizes // size))
    first = np.searchsorted(rows, rows)
    starts = (np.arange(len(rows)) - first) * size
    lengths = np.minimum(size, sizes[rows] - starts)
    count = min(len(rows), int(most / lengths.mean()))
    while True:
        # The middles of `count` equal parts.
        chosen = ((np.arange(count) + 0.5) * len(rows) / count).astype(int)
        if lengths[chosen].sum() <= most:
            break
        count -= 1
    return [tf.nest.map_structure(lambda array, start=start: array[start:start + size],
                                  sequences[row])
            for row, start in zip(rows[chosen], starts[chosen])]


def interruptible_score(
    evaluator: Evaluator, batches: Iterable[Batch], total: int, *,
    should_stop: Callable[[], bool], unit: str,
) -> Score | None:
    """Returns the pooled score of batches, showing progress towards `total` steps.

    Calls `should_stop` before every batch but the first; returns None if it was stopped.
    """
    is_stopped = False

    def before_stop() -> Iterator[Batch]:
        nonlocal is_stopped
        for number, batch in enumerate(batches):
            if number and should_stop():
                is_stopped = True
                return
            yield batch

    def windows(progress: Progress) -> Iterator[Window]:
        for window in evaluator.windows(before_stop(), seed=seeds.make(0)):
            steps = int(window.lengths.sum())
            progress.advance(steps, steps)
            yield window

    with Progress("validate", total=total, unit=unit, is_brief=True) as progress:
        scores = list(windows(progress))
    return None if is_stopped else evaluator.pool(scores)
