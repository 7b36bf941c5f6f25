# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sampling, for cores with and without latents."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, vae
from vaeseq.codec import decoders, missing
from vaeseq.dist_module import DistModule
from vaeseq.truncation import Truncation

pytestmark = pytest.mark.contract

END = 99.0


class StopsAt(agent.EncodeObserved):
    """Finished after observing `END` (reals) or 0 (symbols)."""

    def finished(self, state):
        last = state.observations[:, -1]
        ended = last[:, 0] == END if last.dtype.is_floating else last == 0
        return state.observed_mask[:, -1] & ended


def stopping(vae_type, codec=small.symbol_codec):
    encoder, decoder = codec()
    core = vae.make(small.HPARAMS.replace(vae_type=vae_type), decoder, encoder)
    gen_core = vae.GenCore(StopsAt(encoder, decoder.event_spec), core)
    small.build(gen_core)
    return small.set_weights(gen_core)


@pytest.fixture(scope="module", params=["RNN", "SRNN"])
def model(request):
    return small.gen_core(request.param)


@pytest.mark.parametrize(("batch_size", "num_steps"), [(1, 1), (3, 4)])
def test_shapes_for_any_batch_and_length(model, batch_size, num_steps):
    generated, state = model.generate(
        num_steps, model.initial_state(batch_size), seed=small.SEED)
    assert generated.observed.shape == [batch_size, num_steps, 2]
    assert generated.latents.shape == [batch_size, num_steps, model.core.latent_size]
    assert generated.contexts.shape == [batch_size, num_steps, model.agent.context_size]
    for density in (generated.log_prob, generated.latent_log_prob):
        assert density.shape == [batch_size, num_steps]
        assert np.all(np.isfinite(density))
    np.testing.assert_array_equal(generated.lengths, [num_steps] * batch_size)
    np.testing.assert_array_equal(state.steps, [num_steps] * batch_size)
    tf.nest.assert_same_structure(state, model.initial_state(batch_size))


def test_chunks_of_a_sequence_equal_the_whole(model):
    whole, end = model.generate(10, model.initial_state(2), seed=small.SEED)
    first, state = model.generate(4, model.initial_state(2), seed=small.SEED)
    second, state = model.generate(6, state, seed=small.SEED)
    joined = tf.nest.map_structure(lambda *x: tf.concat(x, 1), first[:-1], second[:-1])
    small.close(joined, tuple(whole[:-1]))
    small.close(state, end)


def test_priming_ignores_padding_and_equals_generating_without_latents(model):
    observed = small.reals(2, 5)
    lengths = tf.constant([5, 2])
    state = model.prime(observed, model.initial_state(2), lengths=lengths, seed=small.SEED)
    np.testing.assert_array_equal(state.steps, [5, 2])
    garbage = tf.constant(small.garbage_after(observed, lengths))
    small.close(state, model.prime(garbage, model.initial_state(2), lengths=lengths,
                                   seed=small.SEED))
    if not model.core.latent_size:
        twice = model.initial_state(2)
        for part in (observed[:, :2], observed[:, 2:]):
            twice = model.prime(part, twice, seed=small.SEED)
        whole = model.prime(observed, model.initial_state(2), seed=small.SEED)
        small.close(twice, whole)
        generated, end = model.generate(4, model.initial_state(2), seed=small.SEED)
        again = model.prime(generated.observed, model.initial_state(2), seed=small.SEED)
        small.close(again, end)
    generated, _ = model.generate(3, state, seed=small.SEED)
    assert np.all(np.isfinite(generated.log_prob))


@pytest.mark.parametrize("vae_type", ["RNN", "VRNN"])
def test_finished_sequences_stop(vae_type):
    model = stopping(vae_type)
    generated, state = model.generate(12, model.initial_state(4), seed=small.SEED)
    observed, lengths = generated.observed.numpy(), generated.lengths.numpy()
    assert lengths.min() < 12, "some sequence should have ended"
    for row, length in enumerate(lengths):
        assert np.all(observed[row, :length - 1] != 0)
        assert length == 12 or observed[row, length - 1] == 0
        for after in (generated.log_prob, generated.latent_log_prob, generated.observed):
            np.testing.assert_array_equal(after[row, length:], 0)
        if model.core.latent_size:
            assert np.all(generated.latent_log_prob[row, :length] != 0)
    np.testing.assert_array_equal(state.steps, lengths)
    np.testing.assert_array_equal(state.finished, observed[range(4), lengths - 1] == 0)
    more, after = model.generate(2, state, seed=small.SEED)
    np.testing.assert_array_equal(more.lengths > 0, ~state.finished.numpy())
    rows = np.flatnonzero(state.finished)
    small.same(tf.nest.map_structure(lambda x: tf.gather(x, rows), after),
               tf.nest.map_structure(lambda x: tf.gather(x, rows), state))


def test_rows_of_unequal_age_do_not_repeat_their_random_numbers():
    """A finished row must not fix the seeds of the others."""
    model = small.set_weights(stopping("RNN", small.real_codec), scale=0.0)
    observed = np.array(small.reals(2, 6))
    observed[0, -1] = END
    state = model.prime(observed, model.initial_state(2), lengths=tf.constant([6, 1]),
                        seed=small.SEED)
    np.testing.assert_array_equal(state.finished, [True, False])
    generated, _ = model.generate(8, state, seed=small.SEED)
    assert len(np.unique(generated.observed[1, :, 0])) == 8


def test_a_low_temperature_is_the_mode_and_the_density_is_untempered():
    model = small.gen_core("RNN", small.symbol_codec, scale=2.0)
    generated, _ = model.generate(6, model.initial_state(3), temperature=1e-4, seed=small.SEED)
    contexts, _ = model.agent.contexts(
        generated.observed, model.agent.initial_state(3), seed=small.SEED)
    outputs, _ = model.core.encode_contexts(contexts, model.core.initial_state(3).context)
    dist = model.core.decoder.distribution(outputs)
    np.testing.assert_array_equal(generated.observed, dist.mode())
    small.close(generated.log_prob, dist.log_prob(generated.observed))
    hot, _ = model.generate(6, model.initial_state(40), temperature=1e4, seed=small.SEED)
    counts = np.bincount(np.ravel(hot.observed), minlength=4)
    # Four standard errors of 240 nearly uniform samples.
    assert np.all(np.abs(counts / 240 - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 240))


def test_a_stream_is_reproducible_and_equals_the_whole():
    model = stopping("RNN", small.real_codec)
    state = model.initial_state(2)
    chunks = [chunk for chunk, _ in zip(
        model.stream(state, chunk=3, temperature=0.7, seed=small.SEED), range(2))]
    twice = [chunk for chunk, _ in zip(
        model.stream(state, chunk=3, temperature=0.7, seed=small.SEED), range(2))]
    small.same(chunks, twice)
    whole = next(model.stream(state, chunk=6, temperature=0.7, seed=small.SEED))
    small.close(tf.concat([chunk.observed for chunk in chunks], 1), whole.observed)
    small.close(tf.concat([chunk.log_prob for chunk in chunks], 1), whole.log_prob, rtol=1e-4)


def test_a_stream_ends_when_all_are_finished():
    model = stopping("RNN")
    chunks = list(itertools.islice(
        model.stream(model.initial_state(3), chunk=8, seed=small.SEED), 100))
    lengths = sum(chunk.lengths.numpy() for chunk in chunks)
    assert len(chunks) < 100
    last = np.concatenate([chunk.observed for chunk in chunks], 1)[range(3), lengths - 1]
    np.testing.assert_array_equal(last, 0)


def test_a_stream_refuses_wrong_arguments():
    model = small.gen_core("RNN")
    with pytest.raises(ValueError, match="temperature above 0, got -1.0"):
        next(model.stream(model.initial_state(1), chunk=1, temperature=-1.0, seed=small.SEED))
    with pytest.raises(ValueError, match="chunk of at least 1 step, got 0"):
        next(model.stream(model.initial_state(1), chunk=0, seed=small.SEED))


def test_external_inputs_reach_the_agent():
    encoder, decoder = small.real_codec()
    model = vae.GenCore(
        agent.ExternalInputs(encoder), vae.make(small.HPARAMS, decoder, encoder))
    inputs = small.reals(2, 3, number=8)
    generated, _ = model.generate(3, model.initial_state(2), inputs, seed=small.SEED)
    small.close(generated.contexts, encoder(inputs))
    again, _ = model.generate(3, model.initial_state(2), inputs.numpy(), seed=small.SEED)
    small.close(again.contexts, generated.contexts)
    for wrong in (inputs[:, :2], inputs[:1], inputs[0]):
        with pytest.raises(ValueError, match=r"expected inputs of shape \[2, 3, \.\.\.\]"):
            model.generate(3, model.initial_state(2), wrong, seed=small.SEED)


class Untempered(decoders.Normal):
    """A decoder without `temper`."""

    temper = DistModule.temper


def test_a_decoder_without_temper_streams_at_temperature_one():
    encoder, _ = small.real_codec()
    core = vae.make(small.HPARAMS, Untempered(small.REAL), encoder)
    model = vae.GenCore(agent.EncodeObserved(encoder, small.REAL), core)
    small.build(model)
    state = model.initial_state(1)
    chunk = next(model.stream(state, chunk=2, seed=small.SEED))
    assert np.all(np.isfinite(chunk.log_prob))
    with pytest.raises(NotImplementedError,
                       match="Untempered can be sampled at temperature 1 only. Define"):
        next(model.stream(state, chunk=2, temperature=0.5, seed=small.SEED))


def test_truncation_restricts_samples_and_not_densities():
    model = small.gen_core("VRNN", small.symbol_codec, scale=1.0)
    state = model.initial_state(400)
    whole, _ = model.generate(1, state, seed=small.SEED)
    top, _ = model.generate(1, state, truncation=Truncation(top_k=1), seed=small.SEED)
    # The latents are those of the same seed, so each row's mode can be read off its logits.
    logits = model.core.decoder(model.core.update(
        model.core.hidden(*_first_step(model, state)), top.latents[:, 0])[0])
    np.testing.assert_array_equal(top.observed[:, 0], np.argmax(logits, -1))
    np.testing.assert_allclose(
        top.log_prob[:, 0], np.max(tf.nn.log_softmax(logits), -1), rtol=1e-5)
    assert len(np.unique(whole.observed)) == small.NUM_SYMBOLS


def _first_step(model, state):
    context = model.agent.context(state.agent, seed=small.SEED)
    features, _ = model.core.encode_contexts(context[:, None], state.core.context)
    return features[:, 0], state.core.latent


@pytest.mark.oracle
def test_truncated_frequencies_are_the_renormalised_probabilities():
    model = small.gen_core("RNN", small.symbol_codec, scale=1.0)
    rows, truncation = 6000, Truncation(top_k=3, top_p=0.9)
    state = model.initial_state(rows)
    # Not by stream, which would trace a shard for every 32 rows.
    generated, _ = model.generate(1, state, truncation=truncation, seed=small.SEED)
    features, _ = _first_step(model, state)
    expected = tf.nn.softmax(truncation(model.core.decoder(features[:1])))[0].numpy()
    counts = np.bincount(generated.observed.numpy()[:, 0], minlength=small.NUM_SYMBOLS) / rows
    assert (counts[expected == 0] == 0).all()
    errors = np.sqrt(expected * (1 - expected) / rows)
    assert (np.abs(counts - expected) <= 4 * errors).all()


class Classes(DistModule):
    """Three classes, by the contract alone."""

    event_spec = tf.TensorSpec([], tf.int32)

    def __call__(self, features):
        return features

    def dist(self, params):
        return tfd.Categorical(logits=params)

    def truncate(self, params, truncation):
        return truncation(params)


def test_a_group_truncates_every_part_that_has_classes():
    parts = {"own": Classes(), "real": decoders.Normal(tf.TensorSpec([1], tf.float32)),
             "masked": missing.MaskedDecoder(Classes())}
    group = decoders.Group(parts)
    params = group(tf.constant([[0.0, 2.0, 1.0]]))
    truncated = group.truncate(params, Truncation(top_k=1))
    for name in ("own", "masked"):
        np.testing.assert_array_equal(truncated[name], [[-np.inf, 2.0, -np.inf]])
    assert truncated["real"] is params["real"]


def test_only_decoders_of_classes_are_truncated():
    model = small.gen_core("RNN")
    with pytest.raises(NotImplementedError, match="Normal has none"):
        model.generate(1, model.initial_state(1), truncation=Truncation(top_k=1), seed=small.SEED)
    with pytest.raises(ValueError, match="top_p: expected"):
        next(model.stream(model.initial_state(1), chunk=1, truncation=Truncation(top_p=2.0),
                          seed=small.SEED))
    real = decoders.Normal(tf.TensorSpec([1], tf.float32))
    group = decoders.Group({"a": real, "b": decoders.Group([real])})
    with pytest.raises(NotImplementedError, match="Group has none"):
        group.truncate(group(tf.zeros([1, 2])), Truncation(top_k=1))
