# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Dropped recurrent weights: the gradient of the masked network, on the weights that it keeps."""

from __future__ import annotations

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from tests import small
from tests.train.test_ops import batch
from vaeseq import seeds
from vaeseq.bounds import ELBO
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import NumericsError, TrainOps
from vaeseq.train.weight_dropout import WeightDropout

RATE = 0.5


def make_ops(cell, rate):
    model = small.gen_core("RNN", cell=cell)
    ops = TrainOps(SequenceLoss(model.agent, model.core, ELBO()), learning_rate=lambda step: 1.0,
                   optimizer=snt.optimizers.SGD(1.0), clip_gradient_norm=0, weight_dropout=rate,
                   num_shards=2, jit_compile=False, seed=small.SEED)
    ops.build(batch(1, 1))
    return ops


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_update_is_that_of_the_masked_network(cell):
    rows, ops, plain = batch(4, 3), make_ops(cell, RATE), make_ops(cell, 0.0)
    before = [w.numpy() for w in ops.variables_to_train]
    dropout = WeightDropout((plain._core,), RATE)
    seed = seeds.fold_in(seeds.fold_in(seeds.make(small.SEED), 0), -2)
    with dropout.sampled(seed) as masks:
        masked = {ref: ref.deref().numpy() for ref in masks}
        expected, _ = plain(rows, plain.initial_state(4))
        # The optimizer has changed the masked weights: what it took off is the gradient.
        gradients = {ref: value - ref.deref().numpy() for ref, value in masked.items()}
    result, _ = ops(rows, ops.initial_state(4))
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    [(ref, mask)] = masks.items()
    [number] = [i for i, w in enumerate(plain.variables_to_train) if w.ref() == ref]
    for i, (weight, value) in enumerate(zip(ops.variables_to_train, before)):
        gradient = value - weight.numpy()
        if i == number:
            np.testing.assert_allclose(gradient, mask * gradients[ref], atol=1e-6)
            assert np.any(gradients[ref][mask == 0]) and np.any(gradient)
        else:
            np.testing.assert_allclose(
                weight, plain.variables_to_train[i], atol=1e-6)


def test_masks_keep_the_mean_and_the_weights_that_read_inputs():
    dropout = WeightDropout((make_ops("lstm", 0.0)._core,), RATE)
    with dropout.sampled(seeds.make(1)) as masks:
        [(ref, mask)] = masks.items()
        size = mask.shape[1] // 4
        assert np.all(mask[:-size] == 1)
        assert set(np.unique(mask[-size:])) == {0.0, 1 / (1 - RATE)}
    values = []
    for number in range(200):
        with dropout.sampled(seeds.make(number)) as masks:
            values.append(masks[ref].numpy()[-size:])
    assert np.mean(values) == pytest.approx(1.0, abs=0.05)


def test_weights_come_back_where_an_update_fails():
    ops = make_ops("lstm", RATE)
    before = [w.numpy() for w in ops.variables_to_train]
    rows = batch(2, 3)
    rows.observed[0, 0] = np.nan
    with pytest.raises(NumericsError):
        ops(rows, ops.initial_state(2))
    small.same([w.numpy() for w in ops.variables_to_train], before)




def test_hyperparameters_switch_it_on_for_cells_with_recurrent_weights():
    with pytest.raises(ValueError, match="weight_dropout=0.5: expected recurrent layers of cell="):
        from_hparams("mingru")
    rows, values = batch(2, 3), []
    for rate in (0.0, RATE):
        ops = from_hparams("lstm", rate)
        ops.build(rows)
        ops(rows, ops.initial_state(2))
        values.append([w.numpy() for w in ops.variables_to_train])
    assert any(np.any(a != b) for a, b in zip(*values))


def from_hparams(cell, rate=RATE):
    hparams = small.HPARAMS.replace(cell=cell, weight_dropout=rate)
    return TrainOps.from_hparams(
        small.gen_core("RNN", cell=cell), hparams, jit_compile=False, seed=small.SEED)


def test_a_rate_out_of_range_is_refused():
    with pytest.raises(ValueError, match="dropout rate in"):
        WeightDropout((tf.Module(),), 1.5)
