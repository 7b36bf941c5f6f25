# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Few shapes are compiled: lengths and numbers of sequences share programs within a bucket."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, data, vae
from vaeseq.bounds import ELBO
from vaeseq.evaluate import Sampler
from vaeseq.train import TrainOps
from vaeseq.train.loss import SequenceLoss

BUCKETS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]


@pytest.mark.parametrize("size", range(1, 65))
def test_a_bucket_is_the_least_that_holds_the_size(size):
    assert data.bucket(size) == min(bucket for bucket in BUCKETS if bucket >= size)


def test_at_most_a_third_is_padding():
    assert all(size <= data.bucket(size) <= 1.5 * size for size in range(2, 5000))


def sequences(*lengths):
    return [np.asarray(small.reals(length, number=number)) for number, length in enumerate(lengths)]


def test_a_score_of_another_length_or_number_is_not_traced_again(tmp_path):
    model = small.Reals(small.HPARAMS.replace(vae_type="RNN", batch_size=8), tmp_path / "run")
    scores = []
    for lengths in [(5, 6), (6, 4), (5,), (6, 1, 2), (2, 3, 5, 5)]:
        score = model.evaluate(sequences(*lengths))
        assert score.steps == sum(lengths)
        alone = [model.evaluate([one], window=6, batch_size=4) for one in sequences(*lengths)]
        np.testing.assert_allclose(score.nats, sum(one.nats for one in alone), rtol=1e-5)
        scores.append(score)
    # Rows: 1, 2, 3 and 4 are buckets; steps: all of these are padded to 6.
    traces = model.evaluator().score_batch.experimental_get_tracing_count()
    assert traces == 4
    model.evaluate(sequences(7, 8))
    assert model.evaluator().score_batch.experimental_get_tracing_count() == traces + 1


class EndsWithZero(agent.EncodeObserved):
    """Ends a sequence with the symbol 0."""

    def finished(self, state):
        return state.observed_mask[:, -1] & (state.observations[:, -1] == 0)


def test_samples_of_another_length_are_not_traced_again_and_have_the_same_steps():
    encoder, decoder = small.symbol_codec()
    core = vae.make(small.HPARAMS.replace(vae_type="SRNN"), decoder, encoder)
    for one in (agent.EncodeObserved(encoder, small.SYMBOL), EndsWithZero(encoder, small.SYMBOL)):
        gen_core = vae.GenCore(one, core)
        small.build(gen_core)
        sampler = Sampler(small.set_weights(gen_core))
        longest = sampler.generate(num_samples=5, length=12, seed=1)
        sizes = list(map(len, longest))
        assert sizes == [12] * 5 or len(set(sizes)) > 1
        for length in (9, 10, 11):
            small.same(sampler.generate(num_samples=5, length=length, seed=1),
                       [sample[:length] for sample in longest])
        assert gen_core._generate_compiled.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("vae_type", ["MASKDIFF", "GAUSSDIFF"])
def test_gaps_in_sequences_of_other_lengths_are_not_traced_again(vae_type, tmp_path):
    hparams = small.HPARAMS.replace(vae_type=vae_type, maskdiff_steps=1, gaussdiff_steps=2)
    model = small.Reals(hparams, tmp_path)
    lines = [np.ma.array(one, copy=True) for one in sequences(9, 10, 11, 12, 0)]
    for line in lines[:-1]:
        line[3:5] = np.ma.masked
    filled = model.impute(lines, num_samples=2)
    for one, line in zip(filled, lines, strict=True):
        assert one.shape == (2, *line.shape)
        assert np.all((one == line.data) | line.mask) and np.isfinite(one).all()
    assert model.sampler._filler._denoise.experimental_get_tracing_count() == 1


def test_a_long_sequence_with_gaps_does_not_pad_the_short_ones(tmp_path):
    model = small.Reals(small.HPARAMS.replace(vae_type="RNN", missing_values="values"), tmp_path)
    lines = [np.ma.array(one, copy=True) for one in sequences(3, 100, 16, 20, 0)]
    for line in lines[:-1]:
        line[1] = np.ma.masked
    impute, padded = model._impute, []
    model._impute = lambda observed, *rest: (
        padded.append(observed.mask.shape[1]), impute(observed, *rest))[1]
    completions = model.impute(lines, num_particles=3)
    assert [one.shape[1] for one in completions] == [3, 100, 16, 20, 0]
    assert padded == [32, 128, 32, 32, 32]


@pytest.mark.slow
def test_training_on_any_lengths_compiles_for_few(monkeypatch):
    traced = []
    call = SequenceLoss.__call__

    def counted(self, batch, state, **arguments):
        if not tf.executing_eagerly():
            traced.append(tuple(batch.observed.shape))
        return call(self, batch, state, **arguments)

    monkeypatch.setattr(SequenceLoss, "__call__", counted)
    gen_core = small.gen_core("RNN")
    ops = TrainOps(SequenceLoss(gen_core.agent, gen_core.core, ELBO()), learning_rate=1e-3,
                   seed=small.SEED)
    batches = data.Sequences(sequences(*range(2, 17), 16), 2, 16, seed=0)
    ops.build(batches.batch(0))
    state, lengths_seen = ops.initial_state(2), set()
    for step in range(2 * batches.batches_per_epoch):
        batch = batches.batch(step)
        lengths_seen.update(batch.lengths.tolist())
        _, state = ops(batch, state)
    assert len(lengths_seen) == 15
    assert len(traced) == len(set(traced))
    assert set(traced) <= {(2, size, 2) for size in (2, 4, 8, 16)}
