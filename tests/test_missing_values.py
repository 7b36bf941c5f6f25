# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Missing values from masked arrays to scores, samples and imputed sequences."""

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import data, seeds
from vaeseq.bounds import ELBO
from vaeseq.codec import decoders, encoders
from vaeseq.data import Masked
from vaeseq.evaluate import export
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.model import Model

SPEC = tf.TensorSpec([2], tf.float32)
HPARAMS = small.HPARAMS.replace(vae_type="SRNN", learning_rate=0.02, missing_values="values")


class Curves(Model):
    observation_spec = SPEC

    def make_encoder(self):
        return encoders.MLPEncoder(SPEC, (4,))

    def make_decoder(self):
        return decoders.Normal(SPEC)


def curves(number=4, steps=16, holes=True):
    phase = np.arange(number)[:, None]
    angle = 0.7 * np.arange(steps) + phase
    values = np.stack([np.sin(angle), np.cos(angle)], -1).astype(np.float32)
    mask = np.zeros(values.shape, bool)
    mask[:, 5:9, 0] = mask[:, 12] = holes
    return [np.ma.MaskedArray(value, each) for value, each in zip(values, mask)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    trained = Curves(HPARAMS, tmp_path_factory.mktemp("curves") / "log")
    trained.train(curves(), num_steps=40, valid=curves(2))
    return trained


def test_what_stands_behind_a_mask_changes_nothing(model):
    garbage = curves()
    for sequence in garbage:
        sequence.data[sequence.mask] = np.nan
    assert model.evaluate(garbage).nats == model.evaluate(curves()).nats


def test_scores_say_what_was_not_seen(model):
    assert model.evaluate(curves(3)).num_missing == 3 * (4 + 2)
    assert model.evaluate(curves(3, holes=False)).num_missing == 0


def test_samples_are_plain_arrays(model):
    (sample,) = model.generate(length=5, prime=curves(1)[0])
    assert type(sample) is np.ndarray and sample.shape == (5, 2)


def test_imputed_sequences_have_the_seen_values(model):
    sequences = curves(2)
    sequences[1] = sequences[1][:13]
    imputed = model.impute(sequences, num_samples=3, num_particles=8)
    for completions, sequence in zip(imputed, sequences, strict=True):
        assert completions.shape == (3, *sequence.shape)
        is_observed = ~sequence.mask
        np.testing.assert_array_equal(completions[:, is_observed], np.broadcast_to(
            sequence.data[is_observed], [3, is_observed.sum()]))
        assert np.isfinite(completions).all() and len(np.unique(completions[:, 12])) > 3
    small.same(model.impute(sequences, num_samples=3, num_particles=8), imputed)
    assert model.impute([]) == []
    with pytest.raises(ValueError, match="expected at least one sample, got num_samples=0"):
        model.impute(sequences, num_samples=0)


def test_seen_values_without_probability_are_named_where_they_are_imputed(tmp_path):
    class Binary(Curves):
        def make_decoder(self):
            return decoders.Bernoulli(SPEC)

    binary = Binary(HPARAMS, tmp_path)
    sequences = [np.ma.MaskedArray(np.ones([4, 2], np.float32), np.eye(4, 2)) for _ in range(2)]
    assert np.isin(binary.impute(sequences), [0, 1]).all()
    sequences[1][2, 0] = 2.0
    with pytest.raises(ValueError, match="sequence 1: expected seen .*, got a log-density of NaN"):
        binary.impute(sequences)


def test_holes_need_a_model_of_missing_values(tmp_path):
    plain = Curves(HPARAMS.replace(missing_values="none"), tmp_path)
    with pytest.raises(ValueError, match="missing_values=values"):
        plain.train(curves(), num_steps=1)
    with pytest.raises(ValueError, match="missing_values=values"):
        plain.impute(curves(1))


def test_a_nan_without_a_mask_is_named():
    sequences = [np.array(sequence) for sequence in curves(3, holes=False)]
    sequences[2][7, 1] = np.nan
    for make in (lambda: data.Sequences(sequences, 2, 4, seed=0),
                 lambda: list(data.windows(sequences, 2, 4))):
        with pytest.raises(ValueError, match="sequence 2, step 7, dimension 1: .*masked_invalid"):
            make()
    with pytest.raises(ValueError, match="sequence 0, step 7, dimension 1"):
        data.Streams(sequences[2], 2, 4, seed=0)
    sequences[2][7, 1] = -np.inf
    with pytest.raises(ValueError, match="sequence 2, step 7, dimension 1: .*, got -inf"):
        data.Sequences(sequences, 2, 4, seed=0)


def test_a_model_of_missing_values_is_exported(model, tmp_path):
    export.save(model.gen_core, ELBO(), tmp_path / "exported", rows=2, window=16, jit_compile=False)
    served = tf.saved_model.load(str(tmp_path / "exported")).signatures
    sequences = curves(2)
    batch = data.as_tensors(data.pad(sequences, 16), model.sequence_spec)
    evaluator = Evaluator(model.gen_core.agent, model.gen_core.core, ELBO(), jit_compile=False)
    (window,) = evaluator.windows(data.windows(sequences, 2, 16), seed=seeds.make(3))
    scores = served["score"](
        observed_values=batch.observed.values, observed_mask=batch.observed.mask,
        lengths=batch.lengths, seed=tf.constant(3, tf.int64))["log_density"]
    np.testing.assert_array_equal(scores, window.increments)
    drawn = served["generate"](
        num_samples=tf.constant(2), length=tf.constant(3), temperature=tf.constant(1.0),
        prime_values=batch.observed.values[0], prime_mask=batch.observed.mask[0],
        seed=tf.constant(1, tf.int64))
    expected = model.generate(num_samples=2, length=3, prime=sequences[0], seed=1)
    np.testing.assert_allclose(drawn["observed_values"], expected, rtol=1e-4, atol=1e-4)


def test_masks_follow_their_values_into_batches():
    sequences = curves(4)
    for batch in (data.Sequences(sequences, 4, 6, seed=1).batch(0),
                  *data.windows(sequences, 4, 6)):
        again = np.ma.MaskedArray(batch.observed, ~batch.observed_mask)
        for row, length in enumerate(batch.lengths):
            inside = again[row, :length]
            parts = (sequence[start:start + length] for sequence in sequences
                     for start in range(len(sequence) - length + 1))
            assert any(np.array_equal(part.mask, inside.mask) and np.array_equal(
                part.filled(0), inside.filled(0)) for part in parts)
            assert not batch.observed_mask[row, length:].any()


def test_masks_of_single_dimensions_are_refused_by_a_model_of_whole_observations():
    spec = Masked(SPEC, tf.TensorSpec([], tf.bool))
    with pytest.raises(ValueError, match="a part of an observation is unseen"):
        data.as_tensors(data.pad(curves(2), 16), spec)
    whole = np.ma.MaskedArray(np.ones([3, 2], np.float32), [[0, 0], [1, 1], [0, 0]])
    observed = data.as_tensors(data.pad([whole], 3), spec).observed
    np.testing.assert_array_equal(observed.mask, [[True, False, True]])
