# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Batches: what is seen, in which order, and that a step's batch is always the same."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import data

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(("size", "batch_size", "window"), [
    (12, 3, 4), (30, 3, 4), (33, 3, 4), (31, 2, 7), (29, 2, 7), (5, 5, 1), (64, 2, 8)])
def test_streams_see_everything_in_time(size, batch_size, window):
    streams = data.Streams(np.arange(size), batch_size, window, seed=0)
    visited = set()
    for step in range(60 * streams.batches_per_epoch):
        visited |= set(np.ravel(streams.batch(step).observed))
    assert visited == set(range(size - size % batch_size))


def test_streams_go_on_where_they_stopped():
    streams = data.Streams(np.arange(100), 2, 7, seed=0)
    assert streams.batches_per_epoch == 6
    for epoch in range(3):
        batches = [streams.batch(6 * epoch + i) for i in range(6)]
        assert [bool(batch.is_start.all()) for batch in batches] == [True] + 5 * [False]
        for one, following in itertools.pairwise(batches):
            np.testing.assert_array_equal(following.observed[:, 0], one.observed[:, -1] + 1)
        rows = np.concatenate([batch.observed for batch in batches], 1)
        assert rows[0].max() < 50 <= rows[1].min()
        np.testing.assert_array_equal(np.diff(rows, axis=1), 1)
    offsets = {int(streams.batch(6 * epoch).observed[0, 0]) for epoch in range(30)}
    assert len(offsets) > 3


def test_streams_are_a_function_of_the_step():
    one, other, third = (data.Streams(np.arange(99), 3, 5, seed=seed) for seed in (1, 1, 2))
    forwards = [one.batch(step) for step in range(14)]
    small.same(forwards, [other.batch(step) for step in reversed(range(14))][::-1])
    assert any(np.any(third.batch(step).observed != forwards[step].observed) for step in range(14))
    for batch in forwards:
        assert batch.observed.shape == (3, 5)
        np.testing.assert_array_equal(batch.lengths, [5, 5, 5])


def test_streams_need_enough():
    data.Streams(np.arange(12), 3, 4, seed=0)
    with pytest.raises(ValueError, match=r"3 x 4 = 12 steps to train on, got 11"):
        data.Streams(np.arange(11), 3, 4, seed=0)


def sequences(*sizes):
    """Sequence i counts from 100 i."""
    return [100 * i + np.arange(size) for i, size in enumerate(sizes)]


def test_sequences_are_shuffled_and_each_epoch_sees_all():
    batches = data.Sequences(sequences(3, 2, 5, 1, 4, 5), 2, 8, seed=0)
    assert batches.batches_per_epoch == 3
    orders = []
    for epoch in range(4):
        rows = [row for i in range(3) for row in batches.batch(3 * epoch + i).observed]
        orders.append([int(row[0]) // 100 for row in rows])
        assert sorted(orders[-1]) == list(range(6))
    assert len({tuple(order) for order in orders}) > 1
    small.same(batches.batch(4), data.Sequences(sequences(3, 2, 5, 1, 4, 5), 2, 8, seed=0).batch(4))


def test_sequences_are_padded_to_few_sizes():
    batches = data.Sequences(sequences(*range(1, 40)), 1, 30, seed=0)
    sizes = set()
    for step in range(39):
        batch = batches.batch(step)
        (length,), (row,) = batch.lengths, batch.observed
        assert 1 <= length <= row.size
        np.testing.assert_array_equal(row[length:], 0)
        np.testing.assert_array_equal(np.diff(row[:length]), 1)
        assert batch.is_start.all()
        sizes.add(row.size)
    assert sizes == {30, 15, 8, 4, 2, 1}


def test_a_long_sequence_gives_every_window():
    batches = data.Sequences(sequences(6), 1, 4, seed=0)
    starts = [int(batches.batch(step).observed[0, 0]) for step in range(40)]
    assert set(starts) == {0, 1, 2}


def test_few_sequences_are_repeated():
    batch = data.Sequences(sequences(2, 3), 5, 8, seed=0).batch(0)
    assert batch.observed.shape == (5, 3)
    assert sorted(np.unique(batch.lengths)) == [2, 3]


def test_a_ragged_array_gives_the_batches_of_a_list():
    arrays = sequences(3, 9, 1, 12, 2)
    ragged = data.RaggedArray.of(arrays)
    assert ragged.row_splits.tolist() == [0, 3, 12, 13, 25, 27]
    np.testing.assert_array_equal(data.sizes(ragged), data.sizes(arrays))
    for one, other in ((ragged, arrays), (ragged[1::2], arrays[1::2]), (ragged[-2:], arrays[-2:])):
        small.same(list(one), other)
    small.same(list(data.windows(ragged, 2, 5)), list(data.windows(arrays, 2, 5)))
    one, other = (data.Sequences(x, 2, 8, seed=3, shortest=2) for x in (ragged, arrays))
    for step in range(6):
        small.same(one.batch(step), other.batch(step))
    assert np.shares_memory(ragged[4], ragged.values)
    assert data.RaggedArray.of(ragged) is ragged
    assert np.shares_memory(data.RaggedArray.of(arrays[:1]).values, arrays[0])
    assert len(data.RaggedArray.of([])) == 0


def test_a_ragged_array_names_a_nan_and_may_be_masked():
    rows = [np.ones(2), np.array([1, np.nan])]
    with pytest.raises(ValueError, match="sequence 1, step 1"):
        data.Sequences(data.RaggedArray.of(rows), 2, 8, seed=0)
    masked = data.RaggedArray.of([np.ma.masked_invalid(row) for row in rows])
    batch = data.Sequences(masked, 2, 8, seed=0).batch(0)
    assert np.sum(~batch.observed_mask) == 1


def test_an_epoch_is_ordered_once(monkeypatch):
    order, epochs = data.Sequences._rows, []
    monkeypatch.setattr(data.Sequences, "_rows",
                        lambda self, epoch: epochs.append(epoch) or order(self, epoch))
    batches = data.Sequences(sequences(*[2] * 12), 2, 4, seed=0)
    for step in range(12):
        batches.batch(step)
    assert epochs == [0, 1]


@pytest.mark.parametrize("longest, most", [(3, 3), (20, 8)])
def test_a_transform_makes_no_window_longer(longest, most):
    batches = data.Sequences(sequences(longest), 2, 8, seed=0, transform=lambda window, rng:
                             np.concatenate([window, window]))
    with pytest.raises(ValueError, match=f"transform: expected at most {most} .*got {2 * most}"):
        batches.batch(0)


def test_a_transform_is_a_function_of_the_step_too():
    def shift(sequence, rng):
        return sequence + 1000 * int(rng.integers(1, 5))

    batches = data.Sequences(sequences(3, 3), 2, 8, seed=0, transform=shift)
    shifts = {int(row[0]) // 1000 for step in range(20) for row in batches.batch(step).observed}
    assert shifts == {1, 2, 3, 4}
    small.same(batches.batch(7), batches.batch(7))


def test_a_switched_data_set_is_the_one_and_then_the_other():
    one, other = (data.Sequences(sequences(*sizes), 2, 8, seed=0) for sizes in ((3, 2), (5, 4, 6)))
    switched = data.ScheduledDataSet(one, other, 3)
    for step, expected in enumerate([one, one, one, other, other]):
        small.same(switched.batch(step), expected.batch(step))
    streams = [data.Streams(first + np.arange(100), 2, 10, seed=0) for first in (0, 1000)]
    switched = data.ScheduledDataSet(*streams, 2)  # rows of the first do not go on
    assert [switched.batch(step).is_start.tolist() for step in range(4)] == [
        [True] * 2, [False] * 2, [True] * 2, [False] * 2]
    with pytest.raises(ValueError, match="one batch size, got 2 and 3"):
        data.ScheduledDataSet(one, data.Sequences(sequences(3), 3, 8, seed=0), 1)


def test_sequences_of_one_size_are_taken_together():
    data_set = data.Sequences(sequences(*[4] * 7, *[16] * 6), 3, 16, seed=0)
    mixed, visited = 0, set()
    for epoch in range(30):
        batches = [data_set.batch(4 * epoch + i) for i in range(4)]
        # At most where the short ones end and where they begin again.
        mixed = max(mixed, sum(len(set(batch.lengths)) > 1 for batch in batches))
        rows = [int(row[0]) // 100 for batch in batches for row in batch.observed]
        assert len(set(rows)) == 12
        visited |= {min(set(range(13)) - set(rows))}
    assert mixed <= 2 and len(visited) > 6


def test_sequences_may_be_nests():
    nests = [{"a": np.ones([n, 2], np.float32), "b": np.arange(n)} for n in (2, 3)]
    batch = data.Sequences(nests, 2, 8, seed=0).batch(0)
    assert batch.observed["a"].shape == (2, 3, 2)
    assert batch.observed["b"].shape == (2, 3)


@pytest.mark.parametrize(("items", "message"), [
    ([], "got 0 sequences"), (sequences(2, 0, 1), "number 1 of 0 steps")])
def test_sequences_must_hold_something(items, message):
    with pytest.raises(ValueError, match=message):
        data.Sequences(items, 2, 4, seed=0)


@pytest.mark.parametrize("sequence", [
    [[1.0], [2.0]], tf.ones([3, 1]), np.array([[1.0], [None]]), np.ones([2, 1], complex)])
def test_sequences_are_arrays_of_numbers(sequence):
    with pytest.raises(ValueError, match="sequence 0: expected NumPy arrays of numbers, got .*"
                       "np.asarray"):
        data.check_finite([sequence])


def test_many_short_sequences_are_checked_at_once():
    class Whole(data.RaggedArray):
        def __getitem__(self, index):
            raise AssertionError("read one by one")

    values, splits = np.ones([6, 2], np.float32), np.arange(7)
    data.check_finite(Whole(values, splits))
    data.check_finite(Whole(np.ma.masked_invalid([np.nan, 1.0]), np.arange(3)))
    values[4, 1] = np.nan
    with pytest.raises(ValueError, match="sequence 14, step 0, dimension 1: expected a number"):
        data.check_finite(data.RaggedArray(values, splits), 10)
    data.check_finite(data.RaggedArray(values, splits[:4]))


def test_the_arrays_of_a_sequence_have_as_many_steps():
    uneven = {"a": np.ones([4, 1]), "b": np.ones([3, 1])}
    for read in (lambda rows: data.Sequences(rows, 2, 4, seed=0),
                 lambda rows: next(data.windows(rows, 2, 4))):
        with pytest.raises(ValueError, match="sequence 0: expected arrays of as many steps each, "
                           "got 4 and 3"):
            read([uneven])


@pytest.mark.parametrize(("batch_size", "size"), [(1, 3), (2, 4), (3, 100), (5, 1)])
def test_windows_visit_every_step_once(batch_size, size):
    unequal = sequences(5, 0, 7, 1, 3)
    visited, carried = [], [None] * batch_size
    for batch in data.windows(unequal, batch_size, size):
        assert batch.observed.shape == (batch_size, size)
        for row, (observed, length, start) in enumerate(
                zip(batch.observed, batch.lengths, batch.is_start)):
            if start:
                carried[row] = None
            if length:
                expected = observed[0] // 100 * 100 if start else carried[row] + 1
                assert observed[0] == expected
                carried[row] = observed[length - 1]
            np.testing.assert_array_equal(observed[length:], 0)
            visited.extend(observed[:length])
    assert sorted(visited) == sorted(np.concatenate(unequal))


@pytest.mark.parametrize("order", [1, -1])
def test_rows_of_different_dtypes_keep_their_values(order):
    rows = [np.array([[1], [2]]), np.array([[0.5], [0.7]], np.float32)][::order]
    batch = data.pad(rows, 3)
    for row, expected in zip(batch.observed, rows):
        np.testing.assert_array_equal(row[:2], expected)
    with pytest.raises(ValueError, match=r"one shape in all sequences, got \(1,\) and \(3,\)"):
        data.pad([rows[0], np.zeros([2, 3])], 3)


def test_as_tensors_takes_the_dtypes_of_the_spec():
    batch = data.pad([np.arange(3), np.arange(2)], 4)
    tensors = data.as_tensors(batch, tf.TensorSpec([], tf.uint8))
    assert tensors.observed.dtype == tf.uint8
    assert tensors.lengths.dtype == tf.int32
    assert tensors.is_start.dtype == tf.bool
    assert tensors.inputs == ()
    tensors = data.as_tensors(data.pad([np.array([0.0, 1.0])], 2), tf.TensorSpec([], tf.bool))
    assert tensors.observed.numpy().tolist() == [[False, True]]


@pytest.mark.parametrize(("dtype", "values", "message"), [
    (tf.uint8, [3, 300], "from 0 to 255, .* got 300"), (tf.uint8, [-1], "got -1"),
    (tf.int32, [3e9], "got 3000000000"), (tf.int32, [0.5], "whole numbers .* got 0.5"),
    (tf.bool, [0.3], "from 0 to 1, .* got 0.3"), (tf.bool, [2], "got 2")])
def test_numbers_that_the_dtype_of_the_spec_does_not_have_are_refused(dtype, values, message):
    with pytest.raises(ValueError, match=message):
        data.as_tensors(data.pad([np.array(values)], 4), tf.TensorSpec([], dtype))


def test_batches_of_ones_own_are_checked():
    batch = data.pad([np.zeros(3)], 4)
    spec = tf.TensorSpec([])
    for length in (-1, 5):
        with pytest.raises(ValueError, match=rf"lengths from 0 to 4, .* got \[{length}\]"):
            data.as_tensors(batch._replace(lengths=np.array([length])), spec)
    for inputs in (np.zeros([1, 3, 2]), np.zeros([2, 4, 2]), np.zeros([4])):
        with pytest.raises(ValueError, match=r"expected Batch.inputs of shape \[1, 4, \.\.\.\]"):
            data.as_tensors(batch._replace(inputs=inputs), spec)
    masked = batch._replace(observed=np.ma.masked_equal(batch.observed, 0))
    with pytest.raises(ValueError, match="got masked arrays in Batch.observed"):
        data.as_tensors(masked, spec)


def test_windows_begin_at_multiples_of_the_alignment():
    batches = data.Sequences([np.arange(0, 100, dtype=np.float32)], 1, 40, seed=0, alignment=16)
    starts = set()
    for step in range(60):
        batch = batches.batch(step)
        size = int(batch.lengths[0])
        start = int(batch.observed[0, 0])
        assert size == min(40, 100 - start)
        starts.add(start)
    assert starts == {0, 16, 32, 48, 64}  # the last is the first that reaches the end
