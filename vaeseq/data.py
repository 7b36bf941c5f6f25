# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sequences as batches.

A data set to train on is a pure function of the step: `data.batch(step)`. So a run that goes on
after a stop sees exactly what it would have seen, and there is no position to save.

Two are here. `Streams` cuts one long sequence into parallel contiguous streams, whose recurrent
state is carried from window to window. `Sequences` takes many sequences of unequal length, whole
or, where they are longer than a batch may be, a random window of each.

Axes: B batch, T time, N the steps of a whole sequence (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.types import Nest, Tensor


class Batch(NamedTuple):
    """Rows of sequences.

    Attributes:
      observed: a nest of `[B, T, ...]`.
      lengths: int32 `[B]`, 0 to T; what comes after is padding.
      is_start: bool `[B]`: the row begins a sequence; otherwise it goes on with the state that the
        same row of the batch before left.
      inputs: a nest of `[B, T, ...]`, the agent's inputs from outside; usually none.
    """

    observed: Nest
    lengths: np.ndarray
    is_start: np.ndarray
    inputs: Nest = ()


class DataSet(abc.ABC):
    """Batches to train on.

    Attributes:
      batch_size: B.
    """

    batch_size: int

    @abc.abstractmethod
    def batch(self, step: int) -> Batch:
        """The batch of a step, always the same one."""

    @property
    @abc.abstractmethod
    def batches_per_epoch(self) -> int:
        """How many steps it takes to see (about) everything once."""


class Streams(DataSet):
    """One long sequence, read as B contiguous streams side by side.

    Each epoch begins a random number of steps later in each stream, so that windows are not cut
    at the same places again; the fewer than two windows a stream that are left over at either end
    are seen in other epochs. Only the last N mod B steps never are.
    """

    def __init__(self, sequence: np.ndarray, batch_size: int, sequence_size: int, *, seed: int):
        """Creates the data set.

        Args:
          sequence: `[N, ...]`; it may be a memory map, only windows are read.
          batch_size: B.
          sequence_size: T, the window.
          seed: of the offsets.

        Raises:
          ValueError: the sequence is shorter than B windows.
        """
        stream_size = len(sequence) // batch_size
        if stream_size < sequence_size:
            raise ValueError(
                f"expected at least batch_size x sequence_size = {batch_size} x {sequence_size} = "
                f"{batch_size * sequence_size} steps to train on, got {len(sequence)}. Give more "
                "data, or a smaller batch_size or sequence_size.")
        self.batch_size = batch_size
        self._sequence = sequence
        self._sequence_size = sequence_size
        self._starts = np.arange(batch_size) * stream_size
        self._windows = max(1, (stream_size - sequence_size + 1) // sequence_size)
        self._slack = stream_size - self._windows * sequence_size
        self._seed = seed

    @property
    def batches_per_epoch(self) -> int:
        return self._windows

    def batch(self, step: int) -> Batch:
        epoch, window = divmod(step, self._windows)
        offset = int(np.random.default_rng([self._seed, epoch]).integers(self._slack + 1))
        starts = self._starts + offset + window * self._sequence_size
        observed = np.stack(
            [self._sequence[start:start + self._sequence_size] for start in starts])
        full = np.full([self.batch_size], self._sequence_size, np.int32)
        return Batch(observed, full, np.full([self.batch_size], window == 0))


class Sequences(DataSet):
    """Sequences of unequal length, shuffled anew in each epoch.

    A sequence longer than `sequence_size` gives a random window of that size. Batches are padded
    to one of few lengths (the longest one halved again and again), so that few shapes are compiled.
    """

    def __init__(
        self, sequences: Sequence[Nest], batch_size: int, sequence_size: int, *, seed: int,
        transform: Callable[[Nest, np.random.Generator], Nest] | None = None,
    ):
        """Creates the data set.

        Args:
          sequences: each a nest of arrays `[N, ...]`, N at least 1.
          batch_size: B; fewer sequences than that are repeated within a batch.
          sequence_size: the largest T.
          seed: of the order, the windows and the transform.
          transform: augments one window of a sequence.

        Raises:
          ValueError: there is no sequence, or one of no steps.
        """
        sizes = [_steps(sequence) for sequence in sequences]
        if not sizes or min(sizes) < 1:
            raise ValueError(
                f"expected sequences of at least one step each, got {len(sizes)} sequences"
                + (f", number {sizes.index(min(sizes))} of {min(sizes)} steps" if sizes else "")
                + ".")
        self.batch_size = batch_size
        self._sequences = sequences
        self._sequence_size = min(sequence_size, max(sizes))
        self._padded = np.array([self._bucket(min(size, self._sequence_size)) for size in sizes])
        self._seed = seed
        self._transform = transform

    @property
    def batches_per_epoch(self) -> int:
        return max(1, len(self._sequences) // self.batch_size)

    def batch(self, step: int) -> Batch:
        epoch, index = divmod(step, self.batches_per_epoch)
        rows = self._rows(np.random.default_rng([self._seed, epoch]))[index]
        rng = np.random.default_rng([self._seed, epoch, index])
        chosen = [self._window(self._sequences[row], rng) for row in rows]
        longest = max(_steps(sequence) for sequence in chosen)
        return pad(chosen, self._bucket(longest))

    def _rows(self, rng: np.random.Generator) -> np.ndarray:
        """The sequences in each batch of an epoch, `[batches, B]`.

        Those that are padded to one size are taken together: less is padding. The order begins at
        a random place, so that those left over are others each time.
        """
        order = rng.permutation(len(self._sequences))
        order = order[np.argsort(self._padded[order], kind="stable")]
        batches = rng.permutation(self.batches_per_epoch)
        places = (rng.integers(len(order)) + batches[:, None] * self.batch_size
                  + np.arange(self.batch_size))
        return order[places % len(order)]

    def _window(self, sequence: Nest, rng: np.random.Generator) -> Nest:
        steps = _steps(sequence)
        size = min(steps, self._sequence_size)
        start = int(rng.integers(steps - size + 1))
        window = _steps_of(sequence, start, start + size)
        return window if self._transform is None else self._transform(window, rng)

    def _bucket(self, longest: int) -> int:
        size = self._sequence_size
        while size // 2 >= longest:
            size = -(-size // 2)
        return size


class ScheduledDataSet(DataSet):
    """One data set up to a step, and from then on another: first with augmentation, say."""

    def __init__(self, first: DataSet, then: DataSet, step: int):
        """Args: first, then: of one batch size. step: the first that is of the second."""
        if first.batch_size != then.batch_size:
            raise ValueError(
                f"expected data sets of one batch size, got {first.batch_size} and "
                f"{then.batch_size}.")
        self.batch_size = first.batch_size
        self._first = first
        self._then = then
        self._step = step

    def batch(self, step: int) -> Batch:
        return (self._first if step < self._step else self._then).batch(step)

    @property
    def batches_per_epoch(self) -> int:
        return self._first.batches_per_epoch


def bucket(size: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is not less than `size`.

    What is padded to such a size is compiled for few shapes; at most a third of it is padding.
    """
    power = 1 << max(0, size - 1).bit_length()
    return power // 4 * 3 if power >= 4 and size <= power // 4 * 3 else power


def as_tensors(batch: Batch, observation_spec: Nest) -> Batch:
    """The batch as tensors, observations in the dtypes of the spec of one of them."""
    def cast(spec: tf.TensorSpec, leaf: np.ndarray | Tensor) -> Tensor:
        if isinstance(leaf, np.ndarray):  # NumPy is quicker than an eager operation.
            leaf = leaf.astype(spec.dtype.as_numpy_dtype, copy=False)
        return tf.cast(leaf, spec.dtype)

    observed = tf.nest.map_structure(cast, observation_spec, batch.observed)
    return Batch(observed, *tf.nest.map_structure(tf.convert_to_tensor, batch[1:]))


def pad(sequences: Sequence[Nest], size: int) -> Batch:
    """A batch of whole sequences, each a nest of arrays `[N, ...]`, padded with zeros to `size`."""
    def stack(*arrays: np.ndarray) -> np.ndarray:
        padded = np.zeros([len(arrays), size, *arrays[0].shape[1:]], arrays[0].dtype)
        for row, array in zip(padded, arrays):
            row[:len(array)] = array
        return padded

    lengths = np.array([_steps(sequence) for sequence in sequences], np.int32)
    return Batch(tf.nest.map_structure(stack, *sequences), lengths,
                 np.ones([len(sequences)], bool))


def windows(sequences: Sequence[Nest], batch_size: int, size: int) -> Iterator[Batch]:
    """Every step of every sequence once, in order: what a score is made from.

    Sequences are taken `batch_size` at a time, each in its row, in windows of `size` steps whose
    state is carried; a row that has come to its end waits for the others with length 0.

    Args:
      sequences: each a nest of arrays `[N, ...]`.
      batch_size: rows.
      size: T of every batch.
    """
    for first in range(0, len(sequences), batch_size):
        group = [sequences[i] for i in range(first, min(first + batch_size, len(sequences)))]
        empty = _steps_of(group[0], 0, 0)
        group += [empty] * (batch_size - len(group))
        for start in range(0, max(1, *map(_steps, group)), size):
            parts = [_steps_of(sequence, start, start + size) for sequence in group]
            yield pad(parts, size)._replace(is_start=np.full([batch_size], start == 0))


def _steps_of(sequence: Nest, start: int, stop: int) -> Nest:
    return tf.nest.map_structure(lambda array: array[start:stop], sequence)


def _steps(sequence: Nest) -> int:
    return len(tf.nest.flatten(sequence)[0])
