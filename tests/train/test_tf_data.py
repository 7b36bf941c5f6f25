# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training from a `tf.data.Dataset`."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import data
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.train.trainer import Trainer

WINDOWS = np.asarray(small.reals(7, 5))
LENGTHS = np.array([5, 3, 4, 5, 1, 2, 5], np.int32)


def dataset(seed=1):
    rows = data.Batch(WINDOWS, LENGTHS, np.ones([7], bool))
    shuffled = tf.data.Dataset.from_tensor_slices(rows).shuffle(7, seed=seed)
    return shuffled.batch(3, drop_remainder=True).prefetch(2)


def test_batches_come_in_order_and_again():
    batches = data.TFDataSet(dataset())
    assert batches.batch_size == 3
    first = batches.batch(0)
    small.same(batches.batch(0), first)
    assert isinstance(first.observed, np.ndarray) and first.lengths.dtype == np.int32
    read = [first, *(batches.batch(step) for step in range(1, 5))]
    assert all(np.isin(batch.observed, WINDOWS).all() for batch in read)
    with pytest.raises(ValueError, match="expected step 5, got 9"):
        batches.batch(9)


def test_a_smaller_last_batch_is_refused():
    batches = data.TFDataSet(tf.data.Dataset.from_tensor_slices(WINDOWS).batch(3))
    batches.batch(1)
    with pytest.raises(ValueError, match="batches of 3 rows, as the first, got one of 1. .*drop_r"):
        batches.batch(2)


def test_observations_alone_are_whole_sequences():
    batch = data.TFDataSet(tf.data.Dataset.from_tensor_slices(WINDOWS).batch(2)).batch(0)
    np.testing.assert_array_equal(batch.observed, WINDOWS[:2])
    assert batch.lengths.tolist() == [5, 5] and batch.is_start.all()


def test_an_empty_data_set_is_named():
    with pytest.raises(ValueError, match="at least one batch, got an empty one"):
        data.TFDataSet(dataset().take(0))


def test_a_resumed_run_sees_the_batches_of_a_whole_one(tmp_path):
    hparams = small.HPARAMS.replace(learning_rate_schedule="constant")

    def train(name, *steps):
        for num_steps in steps:
            model = small.Reals(hparams, tmp_path / name)
            model.train(dataset(), num_steps=num_steps)
        return [weight.numpy() for weight in model.gen_core.trainable_variables]

    small.same(train("resumed", 3, 7), train("whole", 7))
    assert small.Reals.load(tmp_path / "resumed").step == 7


def test_several_replicas_are_refused(tmp_path):
    class Two:
        num_replicas = 2

    with pytest.raises(ValueError, match="one replica for a tf.data.Dataset"):
        Trainer(None, dataset(), Checkpoints(tmp_path), objects={}, strategy=Two())
