# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Batches of sequences.

A data set is a pure function of the training step: `data.batch(step)`. So a resumed run sees the
same batches as an uninterrupted one, and checkpoints hold no position in the data.

`Streams` splits one long sequence into parallel contiguous streams for truncated BPTT: the
recurrent state is carried from window to window. `Sequences` batches many sequences of unequal
length; of those longer than a batch it takes random windows. Millions of short sequences take less
memory and time in one `RaggedArray` than as a list of arrays.

Missing values are NumPy's masked arrays, `np.ma.masked_invalid(array)` for example. A NaN or an
infinity that is not masked is an error.

Axes: B batch, T time, N the steps of a whole sequence (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import tensorflow as tf

from vaeseq import nest
from vaeseq.types import Nest, Tensor

_SHORTEST = 16  # steps that sequences of unequal length are padded to


class Masked(NamedTuple):
    """Observations with missing values, or the specs of one observation.

    Attributes:
      values: a nest of `[..., *E]`; what stands for an unseen value means nothing.
      mask: bool, a nest of the same structure, of `[..., *E]` or `[...]`: True where the value was
        seen.
    """

    values: Nest
    mask: Nest


class Batch(NamedTuple):
    """A batch of sequences, or of windows of sequences.

    Attributes:
      observed: the observations, a nest of `[B, T, ...]`.
      lengths: number of valid steps of each row, int32 `[B]`, 0 to T; the rest is padding.
      is_start: bool `[B]`, whether a row starts a sequence; otherwise it continues from the state
        of the same row of the previous batch.
      inputs: external inputs of the agent, a nest of `[B, T, ...]`; usually empty.
      observed_mask: True where a value was seen, a nest like `observed` of bool `[B, T, ...]` or
        `[B, T]`; empty if all were.
    """

    observed: Nest
    lengths: np.ndarray
    is_start: np.ndarray
    inputs: Nest = ()
    observed_mask: Nest = ()


class RaggedArray(Sequence[np.ndarray]):
    """Sequences of unequal length, one after the other in one array.

    Attributes:
      values: the steps of all sequences, `[N, ...]`; it may be a memory map.
      row_splits: where each of P sequences begins, and the last ends, int64 `[P + 1]`.
    """

    def __init__(self, values: np.ndarray, row_splits: np.ndarray):
        self.values = values
        self.row_splits = row_splits

    @classmethod
    def of(cls, sequences: Sequence[np.ndarray]) -> RaggedArray:
        """Returns arrays, each `[N, ...]`, as one; copies them if there are several."""
        if isinstance(sequences, cls):
            return sequences
        splits = np.concatenate([[0], np.cumsum(sizes(sequences), dtype=np.int64)])
        if len(sequences) == 1:
            return cls(sequences[0], splits)
        join = np.ma.concatenate if has_masks(sequences) else np.concatenate
        return cls(join(sequences) if len(sequences) else np.zeros([0]), splits)

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]  # raises IndexError, which ends an iteration
        return self.values[self.row_splits[row]:self.row_splits[row + 1]]


class DataSet(abc.ABC):
    """Training batches as a function of the step.

    Attributes:
      batch_size: number of rows B.
    """

    batch_size: int

    @abc.abstractmethod
    def batch(self, step: int) -> Batch:
        """Returns the batch of a step; equal steps give equal batches."""


class Streams(DataSet):
    """Splits one long sequence into B contiguous streams, one a row.

    Each epoch starts at a random offset, so that windows differ between epochs. It leaves out fewer
    than two windows of each stream, at its ends, which other epochs cover. Only the last N mod B
    steps are never seen.
    """

    def __init__(self, sequence: np.ndarray, batch_size: int, sequence_size: int, *, seed: int):
        """Creates the data set.

        Args:
          sequence: `[N, ...]`; it may be a memory map, as only windows are read.
          batch_size: number of rows B.
          sequence_size: number of steps T of a window.
          seed: for the offsets.

        Raises:
          ValueError: the sequence is shorter than B windows, or holds an unmasked NaN.
        """
        check_finite([sequence])
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
        self._num_windows = max(1, (stream_size - sequence_size + 1) // sequence_size)
        self._max_offset = stream_size - self._num_windows * sequence_size
        self._seed = seed

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that cover the data about once."""
        return self._num_windows

    @staticmethod
    def part(size: int, batch_size: int, first: int, stop: int) -> tuple[int, int]:
        """Returns where the steps of rows `first` to `stop` begin and end, in a sequence `[N]`.

        These rows never read anything else.

        Args:
          size: the number of steps N.
          batch_size: the number of rows B.
          first: the first of the rows.
          stop: the row after the last of them.
        """
        stream_size = size // batch_size
        return first * stream_size, stop * stream_size

    def batch(self, step: int) -> Batch:
        epoch, window = divmod(step, self._num_windows)
        offset = int(np.random.default_rng([self._seed, epoch]).integers(self._max_offset + 1))
        starts = self._starts + offset + window * self._sequence_size
        rows = [self._sequence[start:start + self._sequence_size] for start in starts]
        batch = pad(rows, self._sequence_size)
        return batch._replace(is_start=np.full([self.batch_size], window == 0))


class Sequences(DataSet):
    """Batches sequences of unequal length, reshuffled every epoch.

    Of a sequence longer than `sequence_size` it takes a random window of that size. Batches are
    padded to one of few lengths (the longest, halved repeatedly), so that few shapes are compiled.
    """

    def __init__(
        self, sequences: Sequence[Nest], batch_size: int, sequence_size: int, *, seed: int,
        transform: Callable[[Nest, np.random.Generator], Nest] | None = None,
        shortest: int = 1, alignment: int = 1,
    ):
        """Creates the data set.

        Args:
          sequences: each a nest of arrays `[N, ...]`, N at least 1.
          batch_size: number of rows B; if there are fewer sequences, a batch repeats them.
          sequence_size: the largest T.
          seed: for the order, the windows and the transform.
          transform: augments one window of a sequence; it makes none longer than `sequence_size` or
            the longest sequence, for which `batch` raises ValueError.
          shortest: the least length that a batch is padded to, so that fewer shapes are compiled.
          alignment: windows begin at multiples of so many steps; the last may be shorter.

        Raises:
          ValueError: there are no sequences, one is empty, or one holds an unmasked NaN.
        """
        check_finite(sequences)
        num_steps = sizes(sequences)
        if not num_steps.all() or not len(num_steps):
            raise ValueError(
                f"expected sequences of at least one step each, got {len(num_steps)} sequences"
                + (f", number {num_steps.argmin()} of 0 steps" if len(num_steps) else "") + ".")
        self.batch_size = batch_size
        self._sequences = sequences
        self._is_masked = has_masks(sequences)
        self._sequence_size = min(sequence_size, int(num_steps.max()))
        self._shortest, self._alignment = shortest, alignment
        padded = np.array([self._bucket(size) for size in range(self._sequence_size + 1)])
        # NumPy sorts integers of 16 bits in linear time.
        self._padded = padded.astype(np.min_scalar_type(padded[-1]))[
            np.minimum(num_steps, self._sequence_size)]
        self._seed = seed
        self._transform = transform
        self._last: tuple[int, np.ndarray] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that cover the data about once."""
        return max(1, len(self._sequences) // self.batch_size)

    def batch(self, step: int) -> Batch:
        epoch, index = divmod(step, self.batches_per_epoch)
        if self._last is None or self._last[0] != epoch:  # slow for millions of sequences
            self._last = epoch, self._rows(epoch)
        rows = self._last[1][index]
        # Not [..., 0], which NumPy takes for the seed of the order.
        rng = np.random.default_rng([self._seed, epoch, index + 1])
        windows = [self._window(self._sequences[row], rng) for row in rows]
        return pad(windows, self._bucket(max(map(_num_steps, windows))), masked=self._is_masked)

    def _rows(self, epoch: int) -> np.ndarray:
        """Returns the indices of the sequences in each batch of an epoch, `[batches, B]`.

        Sequences of one padded size are batched together, which reduces padding. The order starts
        at a random place, so that different sequences are left out in each epoch.
        """
        rng = np.random.default_rng([self._seed, epoch])
        order = rng.permutation(len(self._sequences))
        order = order[np.argsort(self._padded[order], kind="stable")]
        batches = rng.permutation(self.batches_per_epoch)
        places = (rng.integers(len(order)) + batches[:, None] * self.batch_size
                  + np.arange(self.batch_size))
        return order[places % len(order)]

    def _window(self, sequence: Nest, rng: np.random.Generator) -> Nest:
        steps = _num_steps(sequence)
        size = min(steps, self._sequence_size)
        last = min(-(-(steps - size) // self._alignment), (steps - 1) // self._alignment)
        start = self._alignment * int(rng.integers(last + 1))
        window = _slice(sequence, start, start + size)
        if self._transform is not None:
            window = self._transform(window, rng)
            if _num_steps(window) > self._sequence_size:
                raise ValueError(
                    f"transform: expected at most {self._sequence_size} steps, the smaller of "
                    f"sequence_size and the longest sequence, got {_num_steps(window)}.")
        return window

    def _bucket(self, longest: int) -> int:
        size = self._sequence_size
        while size // 2 >= max(longest, self._shortest):
            size = -(-size // 2)
        return size


class ScheduledDataSet(DataSet):
    """Switches from one data set to another at a step, for example to end augmentation."""

    def __init__(self, first: DataSet, then: DataSet, step: int):
        """Creates a data set that takes batches from `then` from number `step` on.

        With the hyperparameter `accumulate` an update takes several batches.

        Raises:
          ValueError: the data sets have different batch sizes.
        """
        if first.batch_size != then.batch_size:
            raise ValueError(
                f"expected data sets of one batch size, got {first.batch_size} and "
                f"{then.batch_size}.")
        self.batch_size = first.batch_size
        self._first = first
        self._then = then
        self._step = step

    def batch(self, step: int) -> Batch:
        batch = (self._first if step < self._step else self._then).batch(step)
        # Rows do not continue those of the other data set.
        return batch._replace(is_start=np.ones_like(batch.is_start)) if (
            step == self._step) else batch


class TFDataSet(tf.Module, DataSet):
    """Takes batches from a `tf.data.Dataset`, in its order and again from its start when it ends.

    Checkpoints hold the number of batches taken, and a resumed run reads past them: it sees the
    batches of an uninterrupted one if the data set is deterministic (a shuffle needs a seed,
    random numbers inside `map` must be stateless). TensorFlow's own checkpoints of iterators are
    not used: with `shuffle` and `prefetch` they sometimes go on in another order.
    """

    def __init__(self, dataset: tf.data.Dataset):
        """Creates the data set.

        Args:
          dataset: its elements are `Batch` tuples, or nests of observations `[B, T, ...]` alone,
            whose rows are whole sequences of T steps. B is the same in all of them.

        Raises:
          ValueError: there is no element.
        """
        super().__init__(name="tf_data_set")
        # Not an attribute of its own, which a checkpoint would hold.
        self._read = functools.partial(next, iter(dataset.repeat()))
        self._num_read = 0
        self._last: tuple[int, Batch] | None = None
        # What a checkpoint holds: batches are asked for in order, from 0 or from here on.
        self._next = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.batch_size = 0
        self.batch_size = len(self.batch(0).lengths)

    def batch(self, step: int) -> Batch:
        """Returns the next batch, or the last one again.

        Raises:
          ValueError: `step` is neither the next nor the last one, or the batch has fewer or more
            rows than the first.
        """
        if self._last is not None and self._last[0] == step:
            return self._last[1]
        if step != int(self._next) or step < self._num_read:
            raise ValueError(
                "a tf.data.Dataset gives its batches in order: expected step "
                f"{max(int(self._next), self._num_read)}, got {step}.")
        try:
            for _ in range(self._num_read, step):
                self._read()
            batch = _as_batch(self._read())
        except StopIteration:
            raise ValueError(
                "expected a tf.data.Dataset of at least one batch, got an empty one.") from None
        if self.batch_size not in (0, len(batch.lengths)):
            raise ValueError(
                f"expected batches of {self.batch_size} rows, as the first, got one of "
                f"{len(batch.lengths)}. Batch with drop_remainder=True.")
        self._num_read = step + 1
        self._last = step, batch
        self._next.assign(step + 1)
        return batch


def _as_batch(element: Nest) -> Batch:
    """Returns an element of a `tf.data.Dataset` as a batch of NumPy arrays."""
    element = tf.nest.map_structure(lambda leaf: leaf.numpy(), element)
    if isinstance(element, Batch):
        return element
    rows, steps = tf.nest.flatten(element)[0].shape[:2]
    return Batch(element, np.full([rows], steps, np.int32), np.ones([rows], bool))


def sizes(sequences: Sequence[Nest]) -> np.ndarray:
    """Returns the number of steps of each sequence, nests of `[N, ...]`, int64 `[P]`.

    Raises:
      ValueError: a sequence of numbers that is no array.
    """
    if isinstance(sequences, RaggedArray):
        return np.diff(sequences.row_splits)
    try:
        return np.array([_num_steps(sequence) for sequence in sequences], np.int64)
    except TypeError:  # a number has no length
        check_finite(sequences)  # says which sequence is no array
        raise


def bucket(size: int) -> int:
    """Returns the smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is at least `size`.

    Padding to bucket sizes limits the number of compiled shapes; at most a third is padding.
    """
    power = 1 << max(0, size - 1).bit_length()
    return power // 4 * 3 if power >= 4 and size <= power // 4 * 3 else power


def quartered_bucket(size: int, longest: int) -> int:
    """Returns the bucket of `longest`, divided by 4 as often as it holds `size` and 16 steps.

    Sequences of unequal length that are padded to such sizes have few shapes, and a long one among
    them costs the short ones little.
    """
    result = bucket(longest)
    while result // 4 >= max(_SHORTEST, size):
        result //= 4
    return result


def as_tensors(batch: Batch, observation_spec: Nest) -> Batch:
    """Converts a batch to tensors; observations get the dtypes of `observation_spec`.

    With the spec of `Masked` observations, `observed` becomes a `Masked` nest with the batch's mask
    (all True without one), and `observed_mask` is empty.

    Raises:
      ValueError: observations have another structure or shape than the spec, or numbers that its
        dtype does not have; the batch has missing values, and the spec none; a part of an
        observation is unseen that the spec takes as a whole; observations are masked arrays; a
        length is not from 0 to T; or inputs have other rows or steps.
    """
    def cast(spec: tf.TensorSpec, leaf: np.ndarray | Tensor) -> Tensor:
        if isinstance(leaf, np.ndarray):  # Faster than an eager operation.
            if np.ma.is_masked(leaf):
                raise ValueError(
                    "expected the mask of a batch in Batch.observed_mask, got masked arrays in "
                    "Batch.observed. Make the batch with data.pad.")
            dtype = spec.dtype.as_numpy_dtype
            if not (spec.dtype.is_floating or np.can_cast(leaf.dtype, dtype)):
                low, high = (0, 1) if spec.dtype == tf.bool else (spec.dtype.min, spec.dtype.max)
                is_wrong = (leaf < low) | (leaf > high) | (leaf % 1 != 0)
                if is_wrong.any():
                    raise ValueError(f"expected whole numbers from {low} to {high}, as the model's "
                                     f"observation_spec has, got {leaf[is_wrong][0]}.")
            leaf = leaf.astype(dtype, copy=False)
        return tf.cast(leaf, spec.dtype)

    observed = batch.observed
    has_mask = isinstance(observation_spec, Masked) and not isinstance(observed, Masked)
    _check_shapes(observed, observation_spec.values if has_mask else observation_spec)
    if isinstance(observation_spec, Masked):
        if not isinstance(observed, Masked):
            mask = tf.nest.map_structure(
                lambda spec, leaf: np.ones([*leaf.shape[:2], *spec.shape], bool),
                observation_spec.mask, observed)
            if tf.nest.flatten(batch.observed_mask):
                mask = tf.nest.map_structure(_fit_mask, mask, batch.observed_mask)
            observed = Masked(observed, mask)
    elif tf.nest.flatten(batch.observed_mask):
        raise ValueError(
            "the data have missing values, and the model takes none. Build it with the "
            "hyperparameter missing_values=values (or observations), or with a MaskedEncoder and "
            "a MaskedDecoder.")
    observed = tf.nest.map_structure(cast, observation_spec, observed)
    num_steps = tf.nest.flatten(observed)[0].shape[1]
    if isinstance(batch.lengths, np.ndarray) and np.any(
            (batch.lengths < 0) | (batch.lengths > num_steps)):
        raise ValueError(f"expected lengths from 0 to {num_steps}, the steps of the batch, got "
                         f"{batch.lengths.tolist()}.")
    rest = tf.nest.map_structure(
        tf.convert_to_tensor, (batch.lengths, batch.is_start, batch.inputs))
    nest.require_leading(rest[2], rest[0].shape[0], num_steps, "Batch.inputs")
    return Batch(observed, *rest)


def _check_shapes(observed: Nest, spec: Nest) -> None:
    """Raises ValueError unless observations `[B, T, ...]` are like the specs of one of them."""
    try:
        tf.nest.assert_same_structure(spec, observed)
    except (TypeError, ValueError):
        raise ValueError(
            f"expected observations of the structure {_shapes(spec, 0)}, got "
            f"{_shapes(observed, 2)}. Give sequences like the model's observation_spec.") from None
    if any(len(x.shape) < 2 or not each.shape.is_compatible_with(x.shape[2:])
           for each, x in zip(tf.nest.flatten(spec), tf.nest.flatten(observed))):
        raise ValueError(
            f"expected observations of shape {_shapes(spec, 0)} at each step, got "
            f"{_shapes(observed, 2)}. Give sequences like the model's observation_spec, "
            "[N, ...].")


def _shapes(values: Nest, leading: int) -> Nest:
    """Returns the shapes behind the leading dimensions, for messages."""
    return tf.nest.map_structure(lambda x: str(list(x.shape)[leading:]), values)


def _fit_mask(ones: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Gives a mask `[B, T, ...]` the shape of `ones`: of single dimensions or of whole leaves."""
    if mask.ndim <= ones.ndim:
        return mask.reshape([*mask.shape, *[1] * (ones.ndim - mask.ndim)]) & ones
    event = tuple(range(ones.ndim, mask.ndim))
    whole = np.all(mask, event)
    if np.any(whole != np.any(mask, event)):
        raise ValueError(
            "a part of an observation is unseen, and the model takes observations as a whole. "
            "Use missing_values=values, or mask the whole observation.")
    return np.asarray(whole)


def num_missing(batch: Batch) -> int:
    """Returns the number of unseen values within the lengths of a batch's rows."""
    count = 0
    for mask in tf.nest.flatten(batch.observed_mask):
        valid = np.arange(mask.shape[1]) < np.asarray(batch.lengths)[:, None]
        count += int((~mask & valid.reshape([*valid.shape, *[1] * (mask.ndim - 2)])).sum())
    return count


def check_finite(sequences: Sequence[Nest], first: int = 0) -> None:
    """Raises ValueError for the first NaN or infinity that is not masked, and names its place.

    What is no array of numbers is refused, too.

    Args:
      sequences: each a nest of arrays `[N, ...]`.
      first: the number of the first of them, for the message.
    """
    # At once: there may be many short sequences.
    if isinstance(sequences, RaggedArray) and (
            sequences.values.dtype.kind != "f" or _are_finite(sequences.values)):
        return
    for number, sequence in enumerate(sequences, first):
        for array in tf.nest.flatten(sequence):
            if not isinstance(array, np.ndarray) or array.dtype.kind in "OSUMmc":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise ValueError(
                    f"sequence {number}: expected NumPy arrays of numbers, got {kind}. Make one of "
                    "it: np.asarray(sequence, np.float32).")
            if len(array) != _num_steps(sequence):
                raise ValueError(f"sequence {number}: expected arrays of as many steps each, got "
                                 f"{_num_steps(sequence)} and {len(array)}.")
            if array.dtype.kind == "f" and not _are_finite(array):
                place = np.argwhere(~np.isfinite(np.ma.filled(array, 0)))[0].tolist()
                value = str(array[tuple(place)]).replace("nan", "NaN")
                step, *place = place
                raise ValueError(
                    f"sequence {number}, step {step}"
                    + (f", dimension {', '.join(map(str, place))}" if place else "")
                    + f": expected a number, got {value}. Mask missing values: "
                    "np.ma.masked_invalid(array).")


def _are_finite(array: np.ndarray) -> bool:
    """Returns whether all floats are numbers, or masked."""
    return bool(np.isfinite(np.ma.filled(array, 0)).all())


def has_masks(sequences: Sequence[Nest]) -> bool:
    """Returns whether a sequence is a nest with masked arrays."""
    if isinstance(sequences, RaggedArray):
        return isinstance(sequences.values, np.ma.MaskedArray)
    return any(isinstance(array, np.ma.MaskedArray)
               for sequence in sequences for array in tf.nest.flatten(sequence))


def pad(sequences: Sequence[Nest], size: int, *, masked: bool | None = None) -> Batch:
    """Batches whole sequences, padded with zeros to `size` steps.

    Args:
      sequences: each a nest of arrays `[N, ...]`, or of masked arrays.
      size: T.
      masked: whether the batch has masks; by default if a sequence has.

    Raises:
      ValueError: sequences whose observations have different shapes.
    """
    def stack(*arrays: np.ndarray) -> np.ndarray:
        shapes = {array.shape[1:] for array in arrays}
        if len(shapes) > 1:
            raise ValueError("expected observations of one shape in all sequences, got "
                             f"{' and '.join(map(str, sorted(shapes)))}.")
        padded = np.zeros([len(arrays), size, *shapes.pop()], np.result_type(*arrays))
        for row, array in zip(padded, arrays):
            row[:len(array)] = np.ma.filled(array, 0)
        return padded

    lengths = np.array([_num_steps(sequence) for sequence in sequences], np.int32)
    masks: Nest = ()
    if has_masks(sequences) if masked is None else masked:
        masks = tf.nest.map_structure(stack, *[
            tf.nest.map_structure(lambda array: ~np.ma.getmaskarray(array), sequence)
            for sequence in sequences])
    return Batch(tf.nest.map_structure(stack, *sequences), lengths,
                 np.ones([len(sequences)], bool), observed_mask=masks)


def windows(sequences: Sequence[Nest], batch_size: int, size: int) -> Iterator[Batch]:
    """Yields batches that hold every step of every sequence once, in order, as for scoring.

    Sequences are processed `batch_size` at a time, each in its own row, in windows of `size` steps
    with carried state. A row that has ended has length 0 until the others end.

    Args:
      sequences: each a nest of arrays `[N, ...]`.
      batch_size: number of rows B.
      size: number of steps T of every batch.
    """
    masked = has_masks(sequences)
    for first in range(0, len(sequences), batch_size):
        group = [sequences[i] for i in range(first, min(first + batch_size, len(sequences)))]
        check_finite(group, first)
        empty = _slice(group[0], 0, 0)
        group += [empty] * (batch_size - len(group))
        for start in range(0, max(1, *map(_num_steps, group)), size):
            parts = [_slice(sequence, start, start + size) for sequence in group]
            batch = pad(parts, size, masked=masked)
            yield batch._replace(is_start=np.full([batch_size], start == 0))


def _slice(sequence: Nest, start: int, stop: int) -> Nest:
    return tf.nest.map_structure(lambda array: array[start:stop], sequence)


def _num_steps(sequence: Nest) -> int:
    return len(tf.nest.flatten(sequence)[0])
