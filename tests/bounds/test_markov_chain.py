# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The RNN core with weights set by hand to a Markov chain, compared with exact probabilities.

The agent's context is the one-hot embedding of the preceding symbol. The core has no recurrent
layers, and the decoder's weights are the logarithms of the transition matrix.
"""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests import small
from vaeseq import agent, data, vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.nn.networks import RecurrentStack

pytestmark = pytest.mark.oracle

START = np.array([0.5, 0.3, 0.2])
MOVES = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])


@pytest.fixture(scope="module")
def model():
    spec = tf.TensorSpec([], tf.int32)
    encoder, decoder = encoders.Embed(3, 3), decoders.Categorical(3, spec)
    core = vae.RNN(decoder, RecurrentStack([]))
    gen_core = vae.GenCore(agent.EncodeObserved(encoder, spec), core)
    small.build(gen_core)
    (table,) = encoder.trainable_variables
    table.assign(np.eye(3, dtype=np.float32))
    for variable in decoder.trainable_variables:
        # The first context is zeros, which leaves the bias; later ones add a row to it.
        start, moves = np.log(START), np.log(MOVES) - np.log(START)
        variable.assign((moves if variable.shape.rank == 2 else start).astype(np.float32))
    return gen_core


def log_prob(x):
    return math.log(START[x[0]]) + sum(math.log(MOVES[i, j]) for i, j in zip(x, x[1:]))


@pytest.mark.parametrize("bound", [ELBO(3), IWAE(3), FIVO(3)])
def test_every_bound_is_the_exact_probability_of_every_sequence(model, bound):
    every = [np.array(x) for x in itertools.product(range(3), repeat=4)]
    batch = data.pad(every, 4)
    contexts, _ = model.agent.contexts(
        batch.observed, model.agent.initial_state(81), seed=small.SEED)
    result = bound(model.core, contexts, tf.constant(batch.observed, tf.int32),
                   bound.initial_state(model.core, 81), seed=small.SEED)
    log_probs = tf.reduce_sum(result.increments, 1).numpy()
    np.testing.assert_allclose(log_probs, [log_prob(x) for x in every], rtol=1e-5)
    assert np.exp(log_probs).sum() == pytest.approx(1, 1e-5)
    np.testing.assert_array_equal(result.variance, 0)


def test_the_score_is_the_closed_form(model):
    chain = tfp.distributions.MarkovChain(
        tfp.distributions.Categorical(probs=START),
        lambda _, x: tfp.distributions.Categorical(probs=tf.gather(MOVES, x)), num_steps=9)
    sequences = [np.random.default_rng(i).integers(0, 3, 9) for i in range(5)]
    expected = sum(float(chain.log_prob(x)) for x in sequences)
    scorer = Evaluator(model.agent, model.core, ELBO(), jit_compile=False)
    score = scorer.score(data.windows(sequences, 2, 4), seed=small.SEED)
    assert score.nats == pytest.approx(expected, 1e-5)
    assert score.nats_per_step == pytest.approx(-expected / 45, 1e-5)


def test_samples_have_the_frequencies_of_the_chain(model):
    rows, steps = 4000, 6
    generated, _ = model.generate(steps, model.initial_state(rows), seed=small.SEED)
    observed = generated.observed.numpy()
    first = np.bincount(observed[:, 0], minlength=3) / rows
    assert np.all(np.abs(first - START) < 4 * np.sqrt(START * (1 - START) / rows))
    pairs = np.zeros([3, 3])
    np.add.at(pairs, (observed[:, :-1].ravel(), observed[:, 1:].ravel()), 1)
    visits = pairs.sum(axis=1, keepdims=True)
    error = np.sqrt(MOVES * (1 - MOVES) / visits)
    assert np.all(np.abs(pairs / visits - MOVES) < 4 * error)
    np.testing.assert_allclose(generated.log_prob[:, 0], np.log(START)[observed[:, 0]], rtol=1e-5)
    np.testing.assert_allclose(
        generated.log_prob[:, 1:], np.log(MOVES)[observed[:, :-1], observed[:, 1:]], rtol=1e-4)
