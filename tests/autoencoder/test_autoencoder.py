# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoding and decoding of sequences, their likelihood against quadrature, and the report."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import autoencoder
from vaeseq.autoencoder import measures
from vaeseq.codec import decoders, encoders
from vaeseq.model import Model
from vaeseq.truncation import Truncation

GREEDY = Truncation(top_k=1)
WORDS = [np.full([size], symbol, np.int32) for symbol in range(4) for size in (4, 5, 6)]


class Words(Model):
    """A model of sequences of four symbols."""

    observation_spec = small.SYMBOL

    def make_encoder(self):
        return encoders.Embed(4, 3)

    def make_decoder(self):
        return decoders.Categorical(4, small.SYMBOL)


@functools.cache
def fixed():
    model = small.gen_core("SEQAE", small.symbol_codec, cell="gru", latent_size=1)
    for v in model.core._q_z.trainable_variables:
        # Wider than the prior, so that importance weights are even.
        v.assign([0.0, np.log(np.expm1(1.3))] if v.shape == [2] else 0.3 * v)
    return autoencoder.Autoencoder(model, batch_size=1024)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    hparams = small.HPARAMS.replace(
        vae_type="SEQAE", cell="gru", rnn_hidden_sizes=(8,), latent_size=2, batch_size=12,
        sequence_size=6, learning_rate=0.03, seqae_decoder_dropout=0.5, kl_weight=0.1)
    model = Words(hparams, tmp_path_factory.mktemp("words"))
    model.train(WORDS, num_steps=150)
    return autoencoder.Autoencoder(model.gen_core)


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["prior", "mixture"])
def test_likelihoods_are_those_of_quadrature_and_sum_to_one(name):
    sequences = [np.array(word, np.int32) for word in itertools.product(range(4), repeat=2)]
    states = None
    log_prior = autoencoder.autoencoder.normal_log_prob
    if name == "mixture":
        states = autoencoder.make("mixture")
        states.fit(np.random.default_rng(0).normal(1, 1, [100, 1]))
        log_prior = states.log_prob
    z = np.linspace(-8, 8, 256)[:, None]
    log_prob = fixed().log_prob(
        [sequence for sequence in sequences for _ in z], np.tile(z, [16, 1])).reshape([16, 256])
    exact = np.log(np.exp(log_prob + log_prior(z)).sum(1) * (z[1] - z[0]))
    np.testing.assert_allclose(np.exp(exact).sum(), 1, rtol=1e-4)
    bound = fixed().log_likelihood(sequences, states, num_samples=40, seed=1)
    assert bound.num_steps == 32 and bound.num_samples == 40
    ratios = np.exp(bound.nats - exact)
    assert np.all(np.abs(ratios - 1) < 5 * np.sqrt(bound.variances))
    assert np.sqrt(bound.variances).max() < 0.3
    assert abs(bound.nats_per_step + exact.sum() / 32) < 5 * bound.standard_error


def test_what_has_no_density_has_no_likelihood(monkeypatch):
    sequences = [np.array([1, 2], np.int32)] * 2
    gan = autoencoder.Generator()
    with pytest.raises(ValueError, match="density, got 'gan', which only draws"):
        fixed().log_likelihood(sequences, gan)
    monkeypatch.setattr(fixed()._core, "has_density", False)
    with pytest.raises(ValueError, match="got one that gives a point"):
        fixed().log_likelihood(sequences)
    with pytest.raises(ValueError, match="vae_type=SEQAE; got RNN"):
        autoencoder.Autoencoder(small.gen_core("RNN", small.symbol_codec))


def test_permuting_the_batch_permutes_latents_and_sequences(trained):
    order = np.random.default_rng(0).permutation(len(WORDS))
    whole, permuted = trained.encode(WORDS), trained.encode([WORDS[i] for i in order])
    np.testing.assert_allclose(permuted.mean, whole.mean[order], atol=1e-5)
    np.testing.assert_allclose(permuted.stddev, whole.stddev[order], atol=1e-5)
    nats = trained.log_prob(WORDS, whole.mean)
    np.testing.assert_allclose(
        trained.log_prob([WORDS[i] for i in order], whole.mean[order]), nats[order], rtol=1e-4)
    decoded = trained.decode(whole.mean, length=4, truncation=GREEDY)
    again = trained.decode(whole.mean[order], length=4, truncation=GREEDY)
    np.testing.assert_array_equal(np.stack(again), np.stack(decoded)[order])


def test_a_trained_autoencoder_reconstructs_from_mean_and_sample(trained):
    for latent in ("mean", "sample"):
        decoded = trained.reconstruct(WORDS, length=6, latent=latent, truncation=GREEDY)
        right = [np.mean(one[:len(word)] == word) for one, word in zip(decoded, WORDS)]
        assert np.mean(right) > 0.85, latent
    path = trained.interpolate(WORDS[0], WORDS[-1], 5, length=4, truncation=GREEDY)
    assert len(path) == 5 and set(path[0]) == {0} and set(path[-1]) == {3}
    same = trained.analogy(WORDS[0], WORDS[3], WORDS[0], length=4, truncation=GREEDY)
    np.testing.assert_array_equal(same, WORDS[3][:4])
    encoded = trained.encode(WORDS)
    numbers, distances = autoencoder.neighbours(encoded.mean[4], encoded.mean, 3)
    assert numbers[0] == 4 and distances[0] == 0 and np.all(np.diff(distances) >= 0)
    assert {WORDS[number][0] for number in numbers} == {1}
    normal = autoencoder.make("normal")
    normal.fit(*encoded)
    assert [len(x) for x in trained.sample(3, length=7, states=normal)] == [7, 7, 7]
    assert len(trained.sample(2, length=3)) == 2


def test_a_report_tells_a_decoder_that_ignores_its_latents(trained):
    held_out = [word[:4] for word in WORDS]
    report = measures.report(trained, held_out)
    assert not report.is_collapsed and report.active_units == 2 and report.accuracy > 0.85
    assert report.worth > 1 and report.edit_distance < 0.15
    assert report.worth == pytest.approx(
        4 * (report.shuffled_nats_per_step - report.nats_per_step), rel=1e-6)
    head = [v for v in trained._core.decoder.trainable_variables if v.shape.rank == 2]
    before = [v.numpy() for v in head]
    try:
        for v in head:
            v.assign(0 * v)
        ignored = measures.report(trained, held_out)
    finally:
        for v, value in zip(head, before):
            v.assign(value)
    assert ignored.is_collapsed and abs(ignored.worth) < 1e-3
    assert ignored.active_units == 2  # the encoder alone does not show it


def test_edits_of_sequences_that_the_agent_does_not_end(trained):
    unequal = [word[:number % 5] for number, word in enumerate(WORDS)]  # empty ones, too
    report = measures.report(trained, unequal)
    # Each word is of one symbol, so that only wrong symbols count, not where the copy stops.
    assert report.edit_distance == pytest.approx(1 - report.accuracy)


@pytest.mark.parametrize("decoder, dtype", [
    (decoders.Bernoulli, tf.int32), (decoders.NegativeBinomial, tf.float32)])
def test_numbers_without_classes_or_temperature_are_decoded(decoder, dtype):
    spec = tf.TensorSpec([], dtype)
    model = small.gen_core("SEQAE", lambda: (encoders.Flatten(spec), decoder(spec)), cell="gru")
    decoded = autoencoder.Autoencoder(model).decode_greedily(np.zeros([3, 2]), length=4)
    assert np.shape(decoded) == (3, 4) and np.min(decoded) >= 0


def test_latents_of_another_shape_are_refused():
    coder = fixed()
    for z in (np.zeros([1]), np.zeros([2, 3])):
        with pytest.raises(ValueError, match=r"expected latents of shape \[N, 1\], got"):
            coder.decode(z, length=2)
    with pytest.raises(ValueError, match=r"of shape \[2, 1\], got \[3, 1\]"):
        coder.log_prob(WORDS[:2], np.zeros([3, 1]))


def test_a_long_sequence_does_not_pad_the_short_ones():
    coder = autoencoder.Autoencoder(small.gen_core("SEQAE", small.symbol_codec))
    sizes = [20, 300_000, *range(1, 100), 3000, 0]
    rows, shapes = [], set()
    for numbers, batch in coder._batches([np.zeros([size], np.int32) for size in sizes]):
        assert batch.lengths.numpy()[:len(numbers)].tolist() == [sizes[n] for n in numbers]
        assert np.prod(batch.observed.shape) <= max(1 << 17, batch.observed.shape[1])
        rows += numbers.tolist()
        shapes.add(tuple(batch.observed.shape))
    assert sorted(rows) == list(range(len(sizes)))
    assert shapes == {(1, 393_216), (21, 6144), (64, 96), (64, 24)}


def test_what_the_decoder_lacks_is_named_by_its_sequence():
    coder = fixed()
    sequences = [np.array([1]), np.array([2, 0, 3]), np.array([3, 99])]
    for call in (coder.encode, coder.log_likelihood):
        with pytest.raises(ValueError, match="sequence 2, step 1: expected an observation in the "
                                             "support of the decoder's distribution, got 99"):
            call(sequences)
    assert np.isfinite(coder.encode(sequences[:2]).mean).all()
    long = np.zeros([1300], np.int32)  # of several segments
    long[1299] = -2
    with pytest.raises(ValueError, match="sequence 1, step 1299: .*, got -2"):
        coder.encode([sequences[0], long])
    padded = tf.constant([[1, 99], [99, 2]])
    np.testing.assert_array_equal(
        coder._outside(padded, tf.constant([1, 2])), [[False, False], [True, False]])


@pytest.mark.parametrize("sequences, message", [
    ([[1, 2]], "sequence 0: expected NumPy arrays of numbers, got int"),
    ([np.zeros([2, 2]), np.array([[0, 1], [0, np.nan]])],
     "sequence 1, step 1, dimension 1: expected a number, got NaN")])
def test_what_is_no_array_of_numbers_is_refused(sequences, message):
    coder = autoencoder.Autoencoder(small.gen_core("SEQAE"))
    for call in (coder.encode, lambda sequences: coder.log_prob(
            sequences, np.zeros([len(sequences), 2]))):
        with pytest.raises(ValueError, match=message):
            call(sequences)


def test_a_log_density_that_is_no_number_is_named():
    spec = tf.TensorSpec([], tf.int32)
    coder = autoencoder.Autoencoder(small.gen_core(
        "SEQAE", lambda: (encoders.Flatten(spec), decoders.Bernoulli(spec)), cell="gru"))
    sequences = [np.array([0, 1]), np.array([1, 1, 2]), np.array([1])]
    with pytest.raises(ValueError, match="sequence 1: expected .* got a log-density of NaN"):
        coder.log_prob(sequences, np.zeros([3, 2]))
    with pytest.raises(ValueError, match="sequence 0: expected latents that are numbers"):
        coder.log_prob(sequences[:1], np.full([1, 2], np.nan))


def test_a_report_does_not_compare_what_is_masked(tmp_path):
    model = Words(small.HPARAMS.replace(vae_type="SEQAE", missing_values="values"), tmp_path)
    model.build()
    masked = [np.ma.masked_array(word, np.arange(len(word)) == 1) for word in WORDS[:3]]
    report = measures.report(autoencoder.Autoencoder(model.gen_core), masked)
    assert report.accuracy is None and report.edit_distance is None
    assert np.isfinite(report.nats_per_step)
