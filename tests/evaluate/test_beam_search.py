# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Beam search against the enumeration of all sequences."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import vae
from vaeseq.agent import EncodeObserved
from vaeseq.bounds import ELBO
from vaeseq.evaluate.beam_search import BeamSearch

pytestmark = pytest.mark.oracle

LENGTH = 4


def log_probs(gen_core, sequences, state=None):
    """Exact log-probabilities [N] of sequences [N, T], after `state` of one sequence."""
    sequences = tf.constant(sequences, tf.int32)
    rows = sequences.shape[0]
    agent_state = gen_core.agent.initial_state(rows)
    bound_state = ELBO().initial_state(gen_core.core, rows)
    if state is not None:
        agent_state, context = tf.nest.map_structure(
            lambda leaf: tf.repeat(leaf, rows, 0), (state.agent, state.core.context))
        bound_state = bound_state._replace(context=context)
    contexts, _ = gen_core.agent.contexts(sequences, agent_state, seed=small.SEED)
    result = ELBO()(gen_core.core, contexts, sequences, bound_state, seed=small.SEED)
    return tf.reduce_sum(result.increments, 1).numpy()


@pytest.fixture(scope="module")
def gen_core():
    return small.gen_core("RNN", small.symbol_codec, scale=1.5)


@pytest.fixture(scope="module")
def every():
    return np.array(list(itertools.product(range(small.NUM_SYMBOLS), repeat=LENGTH)))


@pytest.mark.parametrize("primed", [False, True])
def test_a_wide_search_finds_the_most_likely_sequences(gen_core, every, primed):
    state = None
    if primed:
        state = gen_core.prime(tf.constant([[2, 0]]), gen_core.initial_state(1), seed=small.SEED)
    exact = log_probs(gen_core, every, state)
    best = np.argsort(-exact)[:5]
    beams = BeamSearch(gen_core).search(LENGTH, small.NUM_SYMBOLS ** (LENGTH - 1), state)
    for beam, index in zip(beams, best):
        np.testing.assert_array_equal(beam.symbols, every[index])
        np.testing.assert_allclose(beam.log_prob, exact[index], rtol=1e-5)


def test_a_narrow_search_reports_true_probabilities_in_order(gen_core):
    beams = BeamSearch(gen_core).search(LENGTH, 3)
    exact = log_probs(gen_core, np.stack([beam.symbols for beam in beams]))
    np.testing.assert_allclose([beam.log_prob for beam in beams], exact, rtol=1e-5)
    assert len(beams) == 3
    assert (np.diff(exact) <= 0).all()


def test_one_beam_takes_the_most_likely_symbol_at_each_step(gen_core):
    (beam,) = BeamSearch(gen_core).search(LENGTH, 1)
    symbols = []
    for _ in range(LENGTH):
        options = np.array([[*symbols, symbol] for symbol in range(small.NUM_SYMBOLS)])
        symbols.append(int(np.argmax(log_probs(gen_core, options))))
    np.testing.assert_array_equal(beam.symbols, symbols)


class EndsAtZero(EncodeObserved):
    """Finishes a sequence at the first symbol 0."""

    def finished(self, state):
        return state.observed_mask[:, -1] & (state.observations[:, -1] == 0)


def test_finished_sequences_compete_by_their_own_probability(every):
    encoder, decoder = small.symbol_codec()
    core = vae.make(small.HPARAMS.replace(vae_type="RNN"), decoder, encoder)
    ending = vae.GenCore(EndsAtZero(encoder, small.SYMBOL), core)
    small.build(ending)
    small.set_weights(ending, 1.5)
    beams = BeamSearch(ending).search(LENGTH, small.NUM_SYMBOLS ** LENGTH)
    ended = {tuple(row[:list(row).index(0) + 1] if 0 in row else row) for row in every}
    assert {tuple(beam.symbols) for beam in beams} == ended
    np.testing.assert_allclose(sum(np.exp(beam.log_prob) for beam in beams), 1, rtol=1e-5)
    for beam in beams[:6]:
        np.testing.assert_allclose(
            beam.log_prob, log_probs(ending, beam.symbols[None])[0], rtol=1e-5)


def test_models_that_it_cannot_search_are_refused(gen_core):
    with pytest.raises(ValueError, match="latents.*got VRNN with 2"):
        BeamSearch(small.gen_core("VRNN", small.symbol_codec))
    with pytest.raises(ValueError, match="decoders.Categorical; got Normal"):
        BeamSearch(small.gen_core("RNN"))
    with pytest.raises(ValueError, match="beam_size=0"):
        BeamSearch(gen_core).search(3, 0)
    with pytest.raises(ValueError, match="expected a state of 1 row, got 2"):
        BeamSearch(gen_core).search(3, 4, gen_core.initial_state(2))
