# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards learnt from data and choices; features of sequences."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq.codec import encoders
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.tuning import preferences
from vaeseq.tuning.choices import Choice
from vaeseq.tuning.collect import SamplePairs
from vaeseq.tuning.discriminator import Discriminator
from vaeseq.tuning.features import SequenceFeatures, pad
from vaeseq.tuning.learning import Domain
from vaeseq.tuning.listeners import HierarchicalPreferenceModel, Listeners, by_listener
from vaeseq.tuning.preferences import Pair, PreferenceModel, score_choices
from vaeseq.tuning.rewards import Sample
from vaeseq.tuning.scorer import SequenceScorer

WORTH = np.array([-1.0, 0.0, 0.5, 1.5])  # of the symbols


class Shares:
    """Features without a model: the share of each symbol, and noise."""

    sizes = small.NUM_SYMBOLS, 6

    def __call__(self, sequences):
        shares = [np.bincount(row, minlength=small.NUM_SYMBOLS) / len(row) for row in sequences]
        noise = [np.random.default_rng(row.tolist()).normal(size=6) for row in sequences]
        return np.concatenate([np.reshape(shares, [-1, 4]), np.reshape(noise, [-1, 6])], 1)


def _scorer():
    return SequenceScorer(encoders.Embed(small.NUM_SYMBOLS, 4), small.SYMBOL, units=4)


def _pairs(rng, count, taste=1.0, listener="", length=1):
    """Draws choices of a listener whose reward is `taste` times the mean worth of the symbols."""
    pairs = []
    for first, second in rng.integers(0, small.NUM_SYMBOLS, [count, 2, length]):
        difference = taste * (WORTH[first].mean() - WORTH[second].mean())
        choice = float(rng.random() < 1 / (1 + np.exp(-difference)))
        pairs.append(Pair(first.astype(np.int32), second.astype(np.int32), choice, listener))
    return pairs


@pytest.mark.parametrize("vae_type", ["RNN", "SRNN", "MASKDIFF"])
def test_features_are_a_function_of_the_sequence_alone(vae_type):
    """Neither padding nor the other rows change them, and the last observation does."""
    features = SequenceFeatures(small.gen_core(vae_type, small.symbol_codec))
    sequences = [np.array([1, 2, 0]), np.array([3, 0, 1, 2, 2])]

    def compute(observed, lengths):
        return tf.concat(features._groups(observed, lengths), 1)

    short, long = (pad(sequences, small.SYMBOL, size) for size in (5, 9))
    small.close(compute(*short), compute(tf.constant(small.garbage_after(*long)), long[1]))
    small.close(compute(*pad(sequences[:1], small.SYMBOL)), compute(*short)[:1])
    assert compute(*short).shape[1] == sum(features.sizes)
    other = compute(*pad([np.array([1, 2, 3]), sequences[1]], small.SYMBOL, 5))
    groups = np.split(np.abs(other - compute(*short))[0], np.cumsum(features.sizes)[:-1])
    assert groups[0].max() > 0.01 and (vae_type == "MASKDIFF" or groups[2].max() > 0.01)


def test_a_group_of_features_has_counts_and_repetitions():
    """The embeddings of 4 symbols span their shares; 2 of 4 steps repeat the one before."""
    features = SequenceFeatures(small.gen_core("RNN", small.symbol_codec))
    sequences = [row.numpy() for row in small.symbols(70, 6)]
    values = features([*sequences, np.array([1, 1, 1, 2, 3])])
    assert values.shape == (71, sum(features.sizes)) and values[-1, -1] == 0.5
    shares = Shares()(sequences)[:, :4]
    contexts = np.concatenate([values[:-1, :3], np.ones([70, 1])], 1)
    fitted, *_ = np.linalg.lstsq(
        np.concatenate([shares, np.ones([70, 1])], 1), contexts, rcond=None)
    np.testing.assert_allclose(
        np.concatenate([shares, np.ones([70, 1])], 1) @ fitted, contexts, atol=1e-5)


def test_a_reward_is_learnt_from_few_choices_and_knows_its_uncertainty():
    rng = np.random.default_rng(0)
    model = PreferenceModel(Shares())
    pairs, held = (_pairs(rng, count, 8.0, length=5) for count in (150, 1000))
    best = np.mean([(WORTH[pair.first].mean() > WORTH[pair.second].mean()) == pair.choice
                    for pair in held])
    model.fit(pairs)
    accuracy = model.accuracy(held)
    assert accuracy.accuracy > best - 0.03 and accuracy.nats < 0.45
    everything = model.rewards(preferences.sequences_of(pairs))
    assert abs(everything.mean.mean()) < 1e-9
    swapped = [Pair(pair.second, pair.first, 1 - pair.choice) for pair in pairs]
    np.testing.assert_allclose(model.probabilities(swapped), 1 - model.probabilities(pairs))
    few = PreferenceModel(Shares())
    few.fit(pairs[:15])
    guesses = few.rewards(preferences.sequences_of(pairs))
    assert (guesses.variance / guesses.mean.var()).mean() > 2 * (
        everything.variance / everything.mean.var()).mean()
    assert few.accuracy(held).nats < 0.69
    with pytest.raises(ValueError, match="at least one choice"):
        model.fit([])


def test_accuracy_has_the_standard_error_of_a_share():
    scored = score_choices(np.array([0.9, 0.8, 0.3, 0.4]), np.array([1.0, 0.0, 0.0, 0.0]))
    assert scored.accuracy == 0.75 and scored.pairs == 4
    assert scored.standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert scored.nats == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.6]).mean())
    assert score_choices(np.zeros(0), np.zeros(0)).pairs == 0


def test_the_next_pairs_are_disjoint_and_those_of_which_least_is_known():
    def compare(sequences, first, second):
        variance = np.where((first >= 4) != (second >= 4), 9.0, 0.1)
        return preferences.Estimates(np.zeros(len(first)), variance)

    pairs = preferences.next_pairs(
        types.SimpleNamespace(compare=compare), list(range(8)), 4)
    assert sorted(number for pair in pairs for number in pair) == list(range(8))
    assert all(min(pair) < 4 <= max(pair) for pair in pairs)
    with pytest.raises(ValueError, match="at least 4 sequences, got 3"):
        preferences.next_pairs(types.SimpleNamespace(), [0, 1, 2], 2)
    (*pairs,) = preferences.next_pairs(  # more pairs than the random candidates hold
        types.SimpleNamespace(compare=compare), list(range(2000)), 1000)
    assert sorted(number for pair in pairs for number in pair) == list(range(2000))


def test_choices_between_the_same_sequences_are_held_out_together():
    shown = [pair[:2] for pair in _pairs(np.random.default_rng(4), 50, length=9)]
    choices = [Pair(*pair, 1.0, "ann") for pair in shown]
    choices += [Pair(*pair[::-1], 0.0, "bob") for pair in shown]  # the other one on the left
    train, held = preferences.split(choices, 0.2, seed=3)
    assert (len(train), len(held)) == (80, 20)
    keys = [{frozenset((pair.first.tobytes(), pair.second.tobytes())) for pair in part}
            for part in (train, held)]
    assert len(keys[0]) == 40 and not keys[0] & keys[1]
    assert len(by_listener(held, held)["ann"]) == 10


def test_active_choice_shows_what_the_choices_leave_open():
    """All choices were of the symbols 0 and 1; one of each pair to come has the symbols 2 and 3."""
    def draw(count, batch):
        rng = np.random.default_rng([count, batch])
        return [rng.choice([0, 1] if number % 2 else [2, 3], 6).tolist()
                for number in range(count)]

    rng = np.random.default_rng(0)
    choices = []
    for _ in range(40):
        first, second = rng.choice([0, 1], [2, 6])
        choices.append(Choice(str(len(choices)), "ann", first.tolist(), second.tolist(),
                              "first" if first.sum() > second.sum() else "second"))
    domain = Domain(None, Shares, lambda content: np.array(content))
    past = []
    pairs = SamplePairs(draw, lambda sample: sample, domain=domain, choices=lambda: past,
                        is_active=True)
    passive = [pairs(number) for number in range(8)]
    samples = draw(16, 0)
    assert passive == list(zip(samples[::2], samples[1::2]))
    past += choices
    active = [pairs(number) for number in range(40, 48)]
    assert all(max(first + second) > 1 for first, second in active)
    # A later session, which has the choices between these pairs, too, shows the same.
    past += [Choice(str(40 + number), "ann", *pair, "first") for number, pair in enumerate(active)]
    later = SamplePairs(draw, lambda sample: sample, domain=domain, choices=lambda: past,
                        is_active=True)
    assert [later(number) for number in range(40, 48)] == active
    assert [later(number) for number in range(8)] == passive
    # Choices that are made anew lead to other pairs, as in a later session.
    past[:40] = [choice._replace(id=choice.id + "a", first=choice.second, second=choice.first)
                 for choice in choices]
    assert [later(number) for number in range(40, 48)] == [pairs(n) for n in range(40, 48)]


def test_listeners_with_opposite_tastes_are_told_apart():
    rng = np.random.default_rng(3)
    tastes = {f"{kind}{number}": taste for number in range(12)
              for kind, taste in (("likes", 30.0), ("dislikes", -30.0))}
    train, held_out = ([pair for name, taste in tastes.items()
                    for pair in _pairs(rng, 8, taste, name, length=3)] for _ in range(2))
    model = HierarchicalPreferenceModel(Shares())
    evidence = model.fit(train)
    # EM raises the evidence, up to the error of Laplace's approximation; correlated weights most.
    assert np.diff(evidence).min() > -0.5 and evidence[-1] > evidence[9] + 20
    one = PreferenceModel(Shares())
    one.fit(train)
    assert model.accuracy(train, held_out).accuracy > 0.85 > 0.7 > one.accuracy(held_out).accuracy
    new = model.infer([])
    np.testing.assert_allclose(new.covariance, model._covariance.numpy())
    groups = by_listener(train, train)
    posteriors = {name: model.infer(group) for name, group in groups.items()}
    assert all(np.trace(posterior.covariance) < np.trace(new.covariance)
               for posterior in posteriors.values())
    sequences = [np.full([3], symbol) for symbol in range(4)]
    samples = [Sample(sequence) for sequence in sequences]
    weights = {name: posterior.mean for name, posterior in posteriors.items()}
    judged = [pair.first for pair in train]
    by_taste = [Listeners(model, {name: weights[name]}, judged).score(samples, [])
                for name in ("likes0", "dislikes0")]
    assert np.argmax(by_taste, axis=1).tolist() == [3, 0]
    worst = Listeners(model, weights, judged, combine="worst").score(samples, [])
    mean = Listeners(model, weights, judged, combine="mean").score(samples, [])
    assert np.all(np.array(worst) < np.array(mean)) and max(worst) < 0.5


@pytest.mark.parametrize("combine", ["mean", "worst"])
def test_a_reward_of_listeners_is_restored_where_others_have_chosen_since(combine, tmp_path):
    rng = np.random.default_rng(6)
    pairs = [pair for name in "abc" for pair in _pairs(rng, 6, 5.0, name, length=3)]

    def reward(pairs):
        model = HierarchicalPreferenceModel(Shares())
        model.fit(pairs, num_steps=3)
        groups = by_listener(pairs, pairs)
        weights = {name: model.infer(group).mean for name, group in groups.items()}
        return Listeners(model, weights, preferences.sequences_of(pairs), combine=combine)

    samples = [Sample(np.full([3], symbol)) for symbol in range(4)]
    saved, restored = reward(pairs[:12]), reward(pairs)
    Checkpoints(tmp_path / "saved").save(1, {"rewards": saved})
    assert Checkpoints(tmp_path / "saved").restore({"rewards": restored}) == 1
    np.testing.assert_array_equal(restored.score(samples, []), saved.score(samples, []))


def test_the_prior_of_listeners_is_that_of_their_weights():
    """One feature, whose weight is drawn for each of 50 listeners from N(1, 0.6^2)."""
    class Value:
        sizes = (1,)

        def __call__(self, sequences):
            return np.reshape([row[0] for row in sequences], [-1, 1])

    rng = np.random.default_rng(5)
    values = np.sqrt(3) * np.array([-1.0, 1.0])  # of variance 1 for the uniform distribution
    pairs = []
    weights = rng.normal(1, 0.6, 50)
    for number, weight in enumerate(weights):
        for first, second in rng.uniform(*values, [60, 2]):
            choice = rng.random() < 1 / (1 + np.exp(-weight * (first - second)))
            pairs.append(Pair(np.array([first]), np.array([second]), float(choice), str(number)))
    model = HierarchicalPreferenceModel(Value())
    model.fit(pairs, num_steps=25)
    # 60 choices say a weight with a standard error of 0.25, and 50 of them a mean with one of 0.03.
    prior = model.infer([])
    assert prior.mean[0] == pytest.approx(weights.mean(), abs=0.12)
    assert prior.covariance.item() == pytest.approx(weights.var(), abs=0.12)


@pytest.mark.oracle
def test_the_discriminator_learns_the_ratio_of_densities():
    """Sequences of one symbol: the logit is log p_data / p of the symbol."""
    rng = np.random.default_rng(4)
    data, sampled = (np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1]))
    reward = Discriminator(_scorer(), real_label=1.0, learning_rate=0.02, weight_decay=0.0)
    for _ in range(100):
        real, fake = ([Sample(np.array([symbol])) for symbol in rng.choice(4, 256, p=p)]
                      for p in (data, sampled))
        reward.update(fake, real)
    logits = np.concatenate(reward.score([Sample(np.array([symbol])) for symbol in range(4)], []))
    np.testing.assert_allclose(logits, np.log(data / sampled), atol=0.25)
    limited = Discriminator(_scorer(), limit=1e-3)
    scores = limited.score([Sample(np.array([1, 2, 0, 3]))], [])
    assert scores[0].shape == (4,) and abs(scores[0].sum()) <= 1e-3


def test_the_terms_of_a_discriminator_add_up_and_do_not_know_what_follows():
    scorer, lengths = _scorer(), tf.constant([4, 3])
    observed = np.array([[0, 3, 1, 2], [2, 2, 0, 1]], np.int32)
    terms = scorer.terms(tf.constant(observed), lengths).numpy()
    np.testing.assert_allclose(terms.sum(1), scorer(tf.constant(observed), lengths), rtol=1e-5)
    observed[:, 2] = 3
    changed = scorer.terms(tf.constant(observed), lengths).numpy()
    np.testing.assert_array_equal(changed[:, :2], terms[:, :2])
    assert (changed[:, 2] != terms[:, 2]).all() and terms[1, 3] == 0


def test_a_short_sample_does_not_hide_the_later_steps_from_a_discriminator():
    """All sequences begin alike; then samples have the symbols 0 and 1, and data 2 and 3."""
    rng = np.random.default_rng(7)

    def draw(low):
        return [Sample(np.append(0, rng.integers(low, low + 2, 3))) for _ in range(16)]

    reward = Discriminator(_scorer(), learning_rate=0.02)
    for _ in range(30):
        reward.update([Sample(np.array([0])), *draw(0)], draw(2))
    fake, real = (np.sum(reward.score(draw(low), []), 1) for low in (0, 2))
    assert (real > 0).mean() + (fake < 0).mean() > 1.8


@pytest.mark.parametrize("sure", [-1.0, 1.0])
def test_a_discriminator_updates_while_it_is_not_sure(sure):
    reward = Discriminator(_scorer(), sure=sure)
    before = [variable.numpy() for variable in reward.trainable_variables]
    reward.update([Sample(np.array([0, 1]))] * 2, [Sample(np.array([2, 2, 3]))] * 2)
    changed = [(variable.numpy() != weights).any()
               for variable, weights in zip(reward.trainable_variables, before, strict=True)]
    assert changed == [sure == 1.0] * len(before)
