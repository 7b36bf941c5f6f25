# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards learnt from data and choices, against maximum likelihood and integrals in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import seeds
from vaeseq.codec import encoders
from vaeseq.tuning import preferences
from vaeseq.tuning.discriminator import Discriminator
from vaeseq.tuning.listeners import Listeners, VariationalPreferenceModel, by_listener
from vaeseq.tuning.preferences import Pair, PreferenceModel, score_choices
from vaeseq.tuning.rewards import Sample
from vaeseq.tuning.scorer import SequenceScorer

WORTH = np.array([-1.0, 0.0, 0.5, 1.5])  # of the symbols


def _scorer(seed=0, outputs=1, units=4):
    return SequenceScorer(encoders.Embed(small.NUM_SYMBOLS, 4), small.SYMBOL, units=units,
                          outputs=outputs, seed=seed)


def _pairs(rng, count, taste=1.0, listener="", length=1):
    """Draws choices of a listener whose reward is `taste` times the mean worth of the symbols."""
    pairs = []
    for first, second in rng.integers(0, small.NUM_SYMBOLS, [count, 2, length]):
        difference = taste * (WORTH[first].mean() - WORTH[second].mean())
        choice = float(rng.random() < 1 / (1 + np.exp(-difference)))
        pairs.append(Pair(first.astype(np.int32), second.astype(np.int32), choice, listener))
    return pairs


def test_padding_changes_no_number():
    scorer = _scorer()
    sequences = [np.array([1, 2]), np.array([3, 0, 1, 2, 2])]
    short, long = scorer.batch(sequences), scorer.batch(sequences, 9)
    spoilt = small.garbage_after(long[0], long[1])
    small.close(scorer(*short), scorer(tf.constant(spoilt), long[1]))
    small.close(scorer(*scorer.batch(sequences[:1])), scorer(*short)[:1])


@pytest.mark.oracle
def test_the_fitted_reward_is_the_maximum_of_the_likelihood():
    """Sequences of one symbol: Bradley-Terry with four items, by Newton's method in NumPy."""
    pairs = _pairs(np.random.default_rng(0), 400)
    wins, losses = np.zeros([2, 4, 4])
    for pair in pairs:
        wins[pair.first[0], pair.second[0]] += pair.choice
        losses[pair.first[0], pair.second[0]] += 1 - pair.choice
    worth = np.zeros(4)
    for _ in range(30):
        p = 1 / (1 + np.exp(worth[None] - worth[:, None]))  # of the row over the column
        residual = wins * (1 - p) - losses * p
        gradient = residual.sum(1) - residual.sum(0)
        curvature = (wins + losses) * p * (1 - p)
        hessian = np.diag(curvature.sum(1) + curvature.sum(0)) - curvature - curvature.T
        worth += np.linalg.lstsq(hessian, gradient, rcond=None)[0]
    model = PreferenceModel(_scorer, members=1)
    model.fit(pairs, num_steps=300, learning_rate=0.02, weight_decay=0.0)
    fitted = model.rewards([np.array([symbol]) for symbol in range(4)])[0]
    np.testing.assert_allclose(fitted - fitted.mean(), worth - worth.mean(), atol=0.1)
    everything = model.rewards([sequence for pair in pairs for sequence in pair[:2]])
    assert abs(everything.mean()) < 1e-5


def test_calibration_divides_what_is_too_sure():
    rng = np.random.default_rng(1)
    model = PreferenceModel(_scorer, members=3)
    model.fit(_pairs(rng, 200), num_steps=60, learning_rate=0.02)
    pairs = _pairs(rng, 200)
    for member in model.members:  # ten times too sure
        member._head.w.assign(10 * member._head.w)
    before = model.accuracy(pairs)
    model.calibrate(pairs)
    after = model.accuracy(pairs)
    assert after.nats < 0.7 < before.nats and float(model.temperature) > 3
    probabilities = model.probabilities(pairs)
    assert probabilities.shape == (3, 200)
    swapped = [Pair(pair.second, pair.first, 1 - pair.choice) for pair in pairs]
    np.testing.assert_allclose(model.probabilities(swapped), 1 - probabilities, atol=1e-6)


def test_accuracy_has_the_standard_error_of_a_share():
    scored = score_choices(np.array([0.9, 0.8, 0.3, 0.4]), np.array([1.0, 0.0, 0.0, 0.0]))
    assert scored.accuracy == 0.75 and scored.pairs == 4
    assert scored.standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert scored.nats == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.6]).mean())
    assert score_choices(np.zeros(0), np.zeros(0)).pairs == 0


def test_the_next_pair_is_one_on_which_members_disagree():
    """Information is 0 where all agree, be they sure or not, and log 2 for two sure opponents."""
    agree, unsure, opposed = np.array([[0.999, 0.5, 1.0], [0.999, 0.5, 0.0]]).T
    information = preferences.information(np.stack([agree, unsure, opposed], 1))
    np.testing.assert_allclose(information, [0, 0, np.log(2)], atol=1e-6)

    class Fixed:
        def rewards(self, sequences):
            return np.array([[0.0, 0.0, 9.0], [0.0, 0.0, -9.0]])[:, :len(sequences)]

    assert 2 in preferences.next_pair(Fixed(), [0, 1, 2], num_pairs=50)
    with pytest.raises(ValueError, match="at least 2 sequences, got 1"):
        preferences.next_pair(Fixed(), [0])


@pytest.mark.oracle
def test_the_elbo_is_below_the_evidence_by_the_divergence_of_the_posterior():
    """One latent: evidence and posterior by Gauss-Hermite quadrature."""
    model = VariationalPreferenceModel(lambda outputs: _scorer(outputs=outputs), latent_size=1)
    small.set_weights(model.scorer, 0.8)
    pairs = _pairs(np.random.default_rng(2), 5)
    differences, choices = model._differences(pairs), tf.constant([p.choice for p in pairs])
    context, listeners = tf.constant([1.0, 1, 1, 0, 0]), tf.zeros([5], tf.int32)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    log_prob = np.array([model.log_prob(
        differences, choices, tf.fill([5, 1], tf.constant(z, tf.float32))).numpy().sum()
        for z in points])
    evidence = np.log(np.sum(weights * np.exp(log_prob)) / weights.sum())
    mean, stddev = (value.numpy().item() for value in model.posterior(
        differences, choices, listeners, context, 1))
    assert stddev < 1
    # E_q[log p] and the KL divergence of q from the posterior, at points of q.
    at_q = mean + stddev * points
    log_prob_q = np.array([model.log_prob(
        differences, choices, tf.fill([5, 1], tf.constant(z, tf.float32))).numpy().sum()
        for z in at_q])
    log_q = -0.5 * points**2 - np.log(stddev)
    log_posterior = log_prob_q - 0.5 * at_q**2 - evidence
    divergence = np.sum(weights * (log_q - log_posterior)) / weights.sum()
    copies = 400  # of the listener, each with a sampled latent of its own
    elbos = model.elbo(
        tf.tile(differences, [copies, 1]), tf.tile(choices, [copies]),
        tf.repeat(tf.range(copies), 5), tf.ones([5 * copies]), tf.tile(context, [copies]), copies,
        seed=seeds.make(1)).numpy()
    error = elbos.std() / np.sqrt(len(elbos))
    assert abs(elbos.mean() - (evidence - divergence)) < 4 * error + 1e-5
    assert divergence > 0


def test_listeners_with_opposite_tastes_are_told_apart():
    rng = np.random.default_rng(3)
    tastes = {f"{kind}{number}": taste for number in range(6)
              for kind, taste in (("likes", 30.0), ("dislikes", -30.0))}
    known, held = ([pair for name, taste in tastes.items()
                    for pair in _pairs(rng, 8, taste, name, length=3)] for _ in range(2))
    model = VariationalPreferenceModel(lambda outputs: _scorer(outputs=outputs))
    model.fit(known, num_steps=250, learning_rate=0.02)
    one = PreferenceModel(_scorer, members=1)
    one.fit(known, num_steps=40)
    assert model.accuracy(known, held).accuracy > 0.85 > 0.7 > one.accuracy(held).accuracy
    assert model.infer([]).stddev == 1 > model.infer(known[:8]).stddev
    latents = {name: model.infer(group).mean for name, group in by_listener(known, known).items()}
    sequences = [np.full([3], symbol) for symbol in range(4)]
    samples = [Sample(sequence) for sequence in sequences]
    by_taste = [Listeners(model, {name: latents[name]}, sequences).score(samples, [])
                for name in ("likes0", "dislikes0")]
    assert np.argmax(by_taste, axis=1).tolist() == [3, 0]
    worst = Listeners(model, latents, sequences, combine="worst").score(samples, [])
    mean = Listeners(model, latents, sequences, combine="mean").score(samples, [])
    assert np.all(np.array(worst) < np.array(mean)) and max(worst) < 0.5


@pytest.mark.oracle
def test_the_discriminator_learns_the_ratio_of_densities():
    """Sequences of one symbol: the logit is log p_data / p of the symbol."""
    rng = np.random.default_rng(4)
    data, drawn = (np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1]))
    reward = Discriminator(_scorer(), real_label=1.0, learning_rate=0.02, weight_decay=0.0)
    for _ in range(100):
        real, fake = ([Sample(np.array([symbol])) for symbol in rng.choice(4, 256, p=p)]
                      for p in (data, drawn))
        reward.update(fake, real)
    logits = reward.score([Sample(np.array([symbol])) for symbol in range(4)], [])
    np.testing.assert_allclose(logits, np.log(data / drawn), atol=0.25)
    limited = Discriminator(_scorer(), limit=1e-3)
    assert max(map(abs, limited.score([Sample(np.array([1]))], []))) <= 1e-3


def test_a_discriminator_that_is_sure_makes_no_update():
    reward = Discriminator(_scorer(), sure=-1.0)
    before = [variable.numpy() for variable in reward.trainable_variables]
    reward.update([Sample(np.array([0, 1]))] * 2, [Sample(np.array([2, 2, 3]))] * 2)
    small.same([variable.numpy() for variable in reward.trainable_variables], before)
