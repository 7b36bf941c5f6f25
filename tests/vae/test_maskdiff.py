# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Masked diffusion against enumerations of a toy, and its sampler against its model."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, seeds, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders
from vaeseq.evaluate import Sampler
from vaeseq.evaluate.filling import Filler
from vaeseq.hparams import HParams
from vaeseq.model import Model

T, V = 4, 3  # positions and symbols of the toy
SETS = [np.array(masked, bool) for masked in itertools.product([0, 1], repeat=T) if any(masked)]
SEQUENCES = np.array(list(itertools.product(range(V), repeat=T)))
RNG = np.random.default_rng(4)


class Toy(vae.MaskDiff):
    """Its network is a function: the logits of each position given the features and the mask."""

    def __init__(self, logits, steps=0):
        decoder = decoders.Categorical(V, small.SYMBOL)
        super().__init__(decoder, lambda x: tf.one_hot(x, V), None, steps=steps)
        self._logits = logits
        decoder(tf.zeros([1, V]))
        for weight in decoder.trainable_variables:
            weight.assign(tf.eye(V) if weight.shape.rank == 2 else tf.zeros(V))

    def read(self, features, masked, lengths=None):
        symbols = tf.where(masked, V, tf.argmax(features, -1, tf.int32))
        return tf.gather_nd(self._logits, symbols)  # [B, T, V]


def arbitrary_logits():
    """Returns the logits of an inconsistent net for all inputs, [V + 1, ..., V + 1, T, V]."""
    return tf.constant(RNG.normal(size=[V + 1] * T + [T, V]), tf.float32)


def true_logits(joint):
    """Returns the logarithms of the conditionals of a joint distribution, [V] * T."""
    logits = np.zeros([V + 1] * T + [T, V], np.float32)
    for symbols in itertools.product(range(V + 1), repeat=T):
        conditional = joint[tuple(slice(None) if x == V else slice(x, x + 1) for x in symbols)]
        for i in range(T):
            logits[symbols][i][: conditional.shape[i]] = np.log(
                conditional.sum(tuple(j for j in range(T) if j != i)))
    return tf.constant(logits)


def random_joint():
    return RNG.dirichlet(np.full(V ** T, 0.3)).reshape([V] * T) + 1e-4


def log_probs(logits, x, masked):
    """Returns log p(x_i | x_not-M), [T]."""
    own = logits.numpy()[tuple(np.where(masked, V, x))].astype(np.float64)
    own -= np.log(np.exp(own).sum(-1, keepdims=True))
    return own[np.arange(T), x]


def enumerated(logits, x, weight):
    """Returns sum_M weight(|M|) sum_{i in M} log p(x_i | x_not-M)."""
    return sum(weight(int(masked.sum())) * log_probs(logits, x, masked)[masked].sum()
               for masked in SETS)


def continuous(size):
    """The integral of 1/t t^|M| (1 - t)^(T - |M|) over t."""
    return math.factorial(size - 1) * math.factorial(T - size) / math.factorial(T)


def finite(steps):
    return lambda size: sum(
        (j / steps) ** size * (1 - j / steps) ** (T - size) / j for j in range(1, steps + 1))


def any_order(logits, x):
    """Returns the mean over orders of the log-density in this order."""
    total = 0.0
    for order in itertools.permutations(range(T)):
        masked = np.ones(T, bool)
        for i in order:
            total += log_probs(logits, x, masked)[i]
            masked[i] = False
    return total / math.factorial(T)


def bound(core, x, rows, lengths=None, number=1, num_samples=1):
    elbo = ELBO(num_samples)
    observed = tf.tile(tf.constant(x, tf.int32)[tf.newaxis], [rows, 1])
    lengths = None if lengths is None else tf.fill([rows], lengths)
    return elbo(core, tf.zeros([rows, len(x), 1]), observed, elbo.initial_state(core, rows),
                lengths, seed=seeds.make(number))


@pytest.mark.oracle
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_bound_is_that_of_the_enumeration_and_of_any_order(steps):
    logits, x = arbitrary_logits(), [2, 0, 1, 1]
    weight = finite(steps) if steps else continuous
    expected = enumerated(logits, x, weight)
    result = bound(Toy(logits, steps), x, 20000)
    small.assert_mean(tf.reduce_sum(result.increments, 1), expected)
    if not steps:
        np.testing.assert_allclose(any_order(logits, x), expected, rtol=1e-6)
    if steps != 1:
        # The plain cross-entropy of masked positions is another number.
        unweighted = enumerated(logits, x, lambda size: weight(size) * size / T)
        assert abs(unweighted - expected) > 0.5


@pytest.mark.parametrize("steps", [0, 2])
def test_what_the_decoder_lacks_is_no_number_whether_it_is_masked_or_not(steps):
    increments = bound(Toy(arbitrary_logits(), steps), [2, 0, V, 1], 20).increments.numpy()
    assert np.isnan(increments[:, 2]).all() and np.isfinite(np.delete(increments, 2, 1)).all()


@pytest.mark.oracle
def test_with_true_conditionals_the_bound_is_the_log_density_and_more_steps_are_tighter():
    joint = random_joint()
    joint /= joint.sum()
    logits = true_logits(joint)
    core = Toy(logits)
    for x in ([0, 1, 2, 0], [2, 2, 1, 0]):
        exact = math.log(joint[tuple(x)])
        np.testing.assert_allclose(enumerated(logits, x, continuous), exact, rtol=1e-5)
        small.assert_mean(tf.reduce_sum(bound(core, x, 4000).increments, 1), exact)
    means = [sum(joint[tuple(x)] * enumerated(logits, x, weight) for x in SEQUENCES)
             for weight in (finite(1), finite(2), finite(8), continuous)]
    assert np.all(np.diff(means) > 0)  # the finite-step bound never beats the continuous one
    np.testing.assert_allclose(means[-1], np.sum(joint * np.log(joint)), rtol=1e-5)


def test_the_standard_error_is_that_of_repeated_scores():
    core, x = Toy(arbitrary_logits()), [1, 2, 0, 2]
    result = bound(core, x, 3000, num_samples=8)
    totals = tf.reduce_sum(result.increments, 1).numpy()
    np.testing.assert_allclose(
        np.sqrt(result.variance.numpy().mean()), totals.std(), rtol=0.06)
    assert not result.kl.numpy().any() and result.latent_kl.shape[-1] == 0


def test_padding_changes_neither_the_bound_nor_its_gradient():
    core = small.gen_core("MASKDIFF", small.symbol_codec).core
    observed = small.symbols(3, 5)
    lengths = tf.constant([5, 2, 0])

    def run(observed, lengths):
        rows = len(lengths)
        with tf.GradientTape() as tape:
            result = ELBO()(core, tf.zeros([rows, observed.shape[1], 1]), observed,
                            ELBO().initial_state(core, rows), lengths, seed=small.SEED)
            loss = tf.reduce_sum(result.objective)
        return result.increments, tape.gradient(loss, core.trainable_variables)

    increments, gradients = run(observed, lengths)
    other, other_gradients = run(
        tf.constant(small.garbage_after(observed, lengths.numpy())), lengths)
    small.same((increments, gradients), (other, other_gradients))
    assert all(np.any(gradient) for gradient in gradients)
    assert not increments.numpy()[1, 2:].any() and increments.numpy()[0].any()
    # What a padded row reads is what it reads alone.
    features = core.encode_observed((), observed[1:2, :2])
    masked = tf.constant([[True, False]])
    padded = tf.pad(features, [[0, 0], [0, 3], [0, 0]], constant_values=7)
    small.close(core.read(padded, tf.pad(masked, [[0, 0], [0, 3]]), tf.constant([2]))[:, :2],
                core.read(features, masked))


def test_a_masked_observation_is_not_read_and_others_are_on_both_sides():
    core = small.gen_core("MASKDIFF", small.symbol_codec).core
    observed = small.symbols(1, 5).numpy()
    masked = tf.constant([[False, False, True, False, False]])

    def outputs(symbols):
        return core.read(core.encode_observed((), tf.constant(symbols)), masked).numpy()[0, 2]

    for i in range(5):
        other = observed.copy()
        other[0, i] = (other[0, i] + 1) % small.NUM_SYMBOLS
        assert np.array_equal(outputs(observed), outputs(other)) == (i == 2)


@pytest.mark.oracle
@pytest.mark.parametrize("steps", [0, 2])
def test_samples_have_the_frequencies_of_the_sampler_and_gaps_those_of_the_conditional(steps):
    joint = random_joint()
    joint /= joint.sum()
    filler, rows = Filler(Toy(true_logits(joint), steps)), 40000
    is_known = np.tile([False, True, False, True], [rows, 1])
    values = np.tile(np.array([0, 2, 0, 1], np.int32), [rows, 1])
    filled = filler.fill(values, is_known, seed=1)
    np.testing.assert_array_equal(filled[:, [1, 3]], values[:, [1, 3]])
    conditional = joint[:, 2, :, 1] / joint[:, 2, :, 1].sum()
    if steps:  # with probability 1/2 both at once, each from its own marginal
        apart = conditional.sum(1, keepdims=True) * conditional.sum(0, keepdims=True)
        conditional = (conditional + apart) / 2
    counts = np.bincount(filled[:, 0] * V + filled[:, 2], minlength=V * V).reshape(V, V)
    error = np.sqrt(conditional * (1 - conditional) / rows)
    assert np.all(abs(counts / rows - conditional) < 4.5 * error + 1e-6)


class Symbols(Model):
    """A model of symbols."""

    observation_spec = small.SYMBOL

    def make_encoder(self):
        return small.symbol_codec()[0]

    def make_decoder(self):
        return small.symbol_codec()[1]


HPARAMS = small.HPARAMS.replace(
    vae_type="MASKDIFF", rnn_hidden_sizes=(8,), learning_rate=0.01)


def test_a_model_trains_scores_draws_continues_and_fills(tmp_path):
    pattern = np.tile(np.array([0, 1, 2, 3, 3], np.int32), 12)
    texts = [pattern[i:i + 20] for i in range(10)]
    model = Symbols(HPARAMS, tmp_path)
    model.train(texts, num_steps=150, valid=texts[:2])
    model = Symbols.load(tmp_path)
    score = model.evaluate(texts)
    assert score.bound == "elbo" and score.num_samples == 4 and score.standard_error > 0
    assert score.nats_per_step < 1.1 < math.log(4)
    (sample,) = model.generate(length=13, prime=texts[0][:6], temperature=0.5, top_k=2)
    assert sample.shape == (13,)
    gaps = np.ma.masked_array(texts[0], np.arange(20) % 4 == 1)
    (filled,) = model.impute([gaps], num_samples=2)
    assert filled.shape == (2, 20)
    assert np.all((filled == texts[0]) | gaps.mask)
    rows = np.where(gaps.mask, [[-1], [99]], texts[0])  # of 64 bits; the unknown mean nothing
    one, other = Sampler(model.gen_core).fill(rows[:1], ~gaps.mask[None]), Sampler(
        model.gen_core).fill(rows[1:], ~gaps.mask[None])
    np.testing.assert_array_equal(one, other)


class EndsWithZero(agent.Constant):
    """Ends a sequence with the symbol 0."""

    def initial_state(self, batch_size):
        return tf.zeros([batch_size], tf.bool)

    def observe(self, observation, context, state):
        return tf.equal(observation, 0)

    def finished(self, state):
        return state


@pytest.mark.parametrize("prime", [[], [1], [0, 1], [1, 0]])
def test_samples_end_where_the_agent_ends_them(prime):
    core = Toy(arbitrary_logits())
    length = T - len(prime)
    endless, ending = (
        next(Sampler(vae.GenCore(one, core)).stream(
            num_samples=60, length=length, prime=np.array(prime, np.int32), seed=3))
        for one in (agent.Constant(), EndsWithZero()))
    expected = []
    for row in endless.observed.tolist():
        end = row.index(0) + 1 if 0 in row else length
        expected.append(row[:0 if prime[-1:] == [0] else end])
    assert ending.lengths.tolist() == list(map(len, expected))
    assert len(set(ending.lengths.tolist())) == (1 if prime[-1:] == [0] else length)
    assert [row[:size] for row, size in zip(ending.observed.tolist(), ending.lengths)] == expected
    after = np.arange(length) >= ending.lengths[:, None]
    assert not ending.observed[after].any() and not ending.log_prob[after].any()
    assert np.isnan(ending.log_prob[~after]).all()


def test_what_needs_single_steps_is_refused_in_a_line(tmp_path):
    gen_core = small.gen_core("MASKDIFF", small.symbol_codec)
    core = gen_core.core
    for other in (IWAE(2), FIVO(2)):
        with pytest.raises(ValueError, match=f"the bound '{other.name}' needs a model that gener"):
            other(core, tf.zeros([1, 3, 1]), small.symbols(1, 3), other.initial_state(core, 1),
                  seed=small.SEED)
    with pytest.raises(ValueError, match="expected missing_values=none"):
        Symbols(HPARAMS.replace(missing_values="observations"), tmp_path)
    with pytest.raises(ValueError, match="posterior_flows needs a model that generates step"):
        Symbols(HPARAMS.replace(posterior_flows=1), tmp_path)
    with pytest.raises(ValueError, match="expected at most 16,384 steps, got 20,000"):
        Sampler(gen_core).generate(length=20000)
    with pytest.raises(ValueError, match="GenCore needs a model that generates step by step"):
        gen_core.generate(1, gen_core.initial_state(1), seed=small.SEED)
    with pytest.raises(ValueError, match="filling gaps needs .*MASKDIFF, .*; got RNN"):
        Sampler(small.gen_core("RNN", small.symbol_codec)).fill(
            np.zeros([1, 2], np.int32), np.ones([1, 2], bool))


@pytest.mark.parametrize("vae_type, codec", [
    ("MASKDIFF", small.symbol_codec), ("GAUSSDIFF", small.real_codec)])
def test_gaps_of_a_padded_row_are_filled_as_those_of_the_row_alone(vae_type, codec):
    core = small.gen_core(vae_type, codec, maskdiff_steps=1, gaussdiff_steps=3).core
    filler, is_known = Filler(core), np.array([[True, False, True, False, True]])
    values = (small.symbols if vae_type == "MASKDIFF" else small.reals)(1, 5).numpy()
    # Philox gives the one row of either length the same numbers.
    alone = filler.fill(values, is_known, seed=2)
    padding = [(0, 0), (0, 3), *[(0, 0)] * (values.ndim - 2)]
    padded = filler.fill(
        np.pad(values, padding, constant_values=99), np.pad(is_known, padding[:2]),
        np.array([5], np.int32), seed=2)
    small.close(padded[:, :5], alone)
    assert not padded[:, 5:].any()


def test_known_steps_that_the_decoder_lacks_are_named():
    sampler = Sampler(small.gen_core("MASKDIFF", small.symbol_codec))
    is_known = np.array([[True] * 5, [True, False, True, True, True]])
    rows = np.array([[1, 2, 3, 0, 3], [1, 9, 7, 2, 0]])
    with pytest.raises(ValueError, match="row 1, step 2: expected a known step in .*, got 7"):
        sampler.fill(rows, is_known)
    np.testing.assert_array_equal(sampler.fill(rows[:1], is_known[:1]), rows[:1])
    with pytest.raises(ValueError, match="row 0, step 1: expected a known step in .*, got -2"):
        sampler.generate(length=2, prime=np.array([1, -2]))
    with pytest.raises(ValueError, match="expected NumPy arrays of numbers, got int"):
        sampler.generate(length=2, prime=[1, 2])


def test_attention_stays_within_the_distances_of_training():
    hparams = HParams(sequence_size=4, attention_window=128, rnn_hidden_sizes=(8,))
    encoder, decoder = small.symbol_codec()
    core = vae.make(hparams.replace(vae_type="MASKDIFF"), decoder, encoder)
    core.read(tf.zeros([1, 2, 3]), tf.zeros([1, 2], tf.bool))
    small.set_weights(core)
    features = RNG.normal(size=[1, 12, 3]).astype(np.float32)
    other = features.copy()
    other[0, 2] += 1
    one, two = (core.read(tf.constant(x), tf.zeros([1, 12], tf.bool)).numpy()[0]
                for x in (features, other))
    np.testing.assert_array_equal(np.any(one != two, -1), np.arange(12) <= 5)
