# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Policy gradients: their expectation, the optimum of KL control, schedules and limits."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import bounds, seeds
from vaeseq.codec import decoders, encoders
from vaeseq.data import Batch, as_tensors
from vaeseq.nn import networks
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import NumericsError
from vaeseq.tuning import policy
from vaeseq.tuning.control import KLControl, mixer_prefix
from vaeseq.tuning.rewards import Function, RewardSum
from vaeseq.tuning.run import Tuning
from vaeseq.tuning.settings import TuneSettings, TuningRecord

PIECES = np.array(list(itertools.product(range(small.NUM_SYMBOLS), repeat=2)), np.int32)
NO_LATENTS = tf.zeros([len(PIECES), 2, 0])
DATA = Batch(np.array([[0, 0], [1, 1]], np.int32), np.array([2, 2], np.int32),
             np.array([True, True]))


@pytest.fixture(scope="module")
def models():
    """A policy and a prior; every test sets their weights anew."""
    return tuple(small.gen_core("RNN", small.symbol_codec) for _ in range(2))


class _Tuning:
    """One compiled policy gradient, whose reward and control each test chooses."""

    def __init__(self, models):
        self.models = models
        self.rewards = _nothing
        self.ops = _ops(models, lambda samples: self.rewards(samples), epochs=2)

    def start(self, rewards, control):
        for model in self.models:
            small.set_weights(model, 0.8)
        for variable in (self.ops.step, *self.ops._optimizer.variables):
            variable.assign(tf.zeros_like(variable))
        self.rewards, self.ops.control = rewards, control
        return self.ops


@pytest.fixture(scope="module")
def tuning(models):
    return _Tuning(models)


def _ops(models, rewards, loss=None, **options):
    model = models[0]
    loss = loss or SequenceLoss(model.agent, model.core, bounds.ELBO())
    options = {"num_samples": 256, "length": 2, "learning_rate": lambda step: 0.015,
               "control": KLControl(1.0), **options}
    return policy.TuneOps(*models, loss, rewards=rewards, seed=seeds.make(3), **options)


def _nothing(samples):
    return np.zeros(samples.observed.shape)


def _rewards(observed):
    """1.5 for a first symbol 1, and 2 for another symbol after the first."""
    return np.stack([1.5 * (observed[:, 0] == 1), 2.0 * (observed[:, 0] != observed[:, 1])], 1)


def _probabilities(model):
    density = policy.log_density(model, tf.constant(PIECES), NO_LATENTS)
    return np.exp(density.numpy().sum(axis=1, dtype=np.float64))


def _values(model):
    return [variable.numpy() for variable in model.trainable_variables]


def test_advantages_are_returns_minus_the_mean_of_the_others():
    rewards = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    to_go = np.array([[3.0, 4.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    actual = policy.advantages(rewards, 0.5)
    for row in range(3):  # less the mean over the two others
        others = np.delete(to_go, row, axis=0).mean(axis=0)
        np.testing.assert_allclose(actual[row], to_go[row] - others)
    pairs = np.concatenate([rewards[:2], rewards[1:]])
    np.testing.assert_allclose(
        policy.advantages(pairs, 0.5, group=2),
        np.concatenate([policy.advantages(pairs[:2], 0.5), policy.advantages(pairs[2:], 0.5)]))


@pytest.mark.parametrize("vae_type", ["RNN", "SRNN"])
def test_the_density_equals_the_one_of_generation(vae_type):
    model = small.gen_core(vae_type)
    generated, _ = model.generate(5, model.initial_state(3), seed=seeds.make(1))
    density = policy.log_density(model, generated.observed, generated.latents, generated.lengths)
    small.close(density, generated.log_prob + generated.latent_log_prob)
    state = model.prime(generated.observed[:, :2], model.initial_state(3), seed=seeds.make(2))
    more, _ = model.generate(3, state, seed=seeds.make(4))
    density = policy.log_density(model, more.observed, more.latents, state=state)
    small.close(density, more.log_prob + more.latent_log_prob)


@pytest.mark.oracle
def test_the_gradient_is_that_of_the_enumerated_objective(models):
    """Central differences of sum_x p(x) (c r(x) - log p(x) / p_0(x)), in a random direction."""
    model, prior = models
    small.set_weights(model, 0.8)
    small.set_weights(prior, 0.8, number=9)
    before = np.log(_probabilities(prior))
    reward = 0.7 * _rewards(PIECES).sum(axis=1)

    def objective():
        p = _probabilities(model)
        return np.sum(p * (reward - np.log(p) + before))

    steps = [policy.log_density(one, tf.constant(PIECES), NO_LATENTS) for one in models]
    log_ratio = (steps[0] - steps[1]).numpy()
    # `advantages` of groups of one sample with the same one without a return: minus 0.
    returns = np.stack([0.7 * _rewards(PIECES) - log_ratio, np.zeros([len(PIECES), 2])], 1)
    returns = policy.advantages(returns.reshape(-1, 2), 1.0, group=2)[::2]
    weights = tf.constant(_probabilities(model)[:, None] * returns, tf.float32)
    with tf.GradientTape() as tape:
        log_p = policy.log_density(model, tf.constant(PIECES), NO_LATENTS)
        surrogate = tf.reduce_sum(policy.clipped_objective(log_p, steps[0], weights, 0.2))
    gradients = tape.gradient(
        surrogate, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    at = _values(model)
    directions = [np.random.default_rng(i).normal(size=v.shape) for i, v in enumerate(at)]
    size = 1e-2
    ends = []
    for sign in (1, -1):
        for variable, value, direction in zip(model.trainable_variables, at, directions):
            variable.assign(value + sign * size * direction)
        ends.append(objective())
    slope = sum(np.sum(g.numpy() * d) for g, d in zip(gradients, directions))
    assert abs(slope) > 0.1
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * size), slope, rtol=5e-3)


@pytest.mark.oracle
def test_the_optimum_is_the_prior_times_the_exponential_of_the_reward(tuning):
    model, prior = tuning.models
    ops = tuning.start(lambda samples: _rewards(samples.observed), KLControl(0.8))
    before = _probabilities(prior)
    wanted = before * np.exp(0.8 * _rewards(PIECES).sum(axis=1))
    wanted /= wanted.sum()
    for _ in range(100):
        ops(DATA)
    actual = _probabilities(model)
    np.testing.assert_allclose([before.sum(), actual.sum()], 1, atol=1e-4)
    assert np.abs(before - wanted).sum() / 2 > 0.2
    # A part of the way is left after so many updates.
    assert np.abs(actual - wanted).sum() / 2 < 0.08
    np.testing.assert_array_equal(_probabilities(prior), before)


def test_without_a_reward_the_model_stays_to_the_last_bit(tuning):
    ops = tuning.start(_nothing, KLControl(1.0))
    metrics = [ops(DATA) for _ in range(3)]
    assert [metric.kl for metric in metrics] == [0.0, 0.0, 0.0] and int(ops.step) == 3
    small.same(*map(_values, tuning.models))


def test_a_budget_limits_and_a_target_steers_the_divergence(tuning):
    def kl_of(control):
        ops = tuning.start(lambda samples: _rewards(samples.observed), control)
        return np.mean([ops(DATA).kl for _ in range(60)][-20:])

    assert kl_of(KLControl(3.0)) > 0.3
    assert kl_of(KLControl(3.0, budget=0.1)) < 0.13
    control = KLControl(0.1, target=0.1)
    assert kl_of(control) == pytest.approx(0.1, abs=0.04) and control.strength > 0.3


def test_a_gradient_that_is_not_finite_changes_no_weight(tuning):
    ops = tuning.start(
        lambda samples: 1e38 * samples.observed.astype(np.float64), KLControl(10.0))
    weights = _values(tuning.models[0])
    with pytest.raises(NumericsError, match=r"step 0: .* smaller --learning-rate or --strength"):
        ops(DATA)
    small.same(_values(tuning.models[0]), weights)
    assert int(ops.step) == 0


def test_the_clipped_objective_pays_for_no_larger_change_of_the_ratio():
    log_prob = tf.Variable(np.log([[1.1, 1.3, 0.9, 0.7, 1.3, 0.7]]), dtype=tf.float64)
    advantage = tf.constant([[1.0, 1.0, -1.0, -1.0, -1.0, 1.0]], tf.float64)
    with tf.GradientTape() as tape:
        value = policy.clipped_objective(log_prob, tf.zeros([1, 6], tf.float64), advantage, 0.2)
    np.testing.assert_allclose(value, [[1.1, 1.2, -0.9, -0.8, -1.3, 0.7]])
    np.testing.assert_allclose(tape.gradient(value, log_prob), [[1.1, 0, -0.9, 0, -1.3, 0.7]])


def test_control_refuses_numbers_out_of_range_and_moves_slowly():
    with pytest.raises(ValueError, match=r"target: .* at least 0, got -1"):
        KLControl(1.0, target=-1)
    with pytest.raises(ValueError, match="above 0, .* strength 0.0 and the target 0.1"):
        KLControl(0.0, target=0.1)
    control = KLControl(2.0, target=0.5, budget=0.7)
    assert [control.update(kl) for kl in (0.0, 0.5, 0.8)] == pytest.approx(
        [2.0, 2.0 * np.exp(0.1), 0.0])
    assert control.strength == pytest.approx(2.0 * np.exp(0.1 - 0.06))


def test_the_schedule_of_mixer_moves_the_border_to_the_end_of_the_source():
    moves = [mixer_prefix(update, start=7, end=2, every=3, by=2) for update in range(12)]
    assert moves == [7, 7, 7, 5, 5, 5, 3, 3, 3, 2, 2, 2]


@pytest.mark.parametrize("vae_type", [
    "RNN", pytest.param("SRNN", marks=pytest.mark.slow)])
def test_a_prefix_is_given_and_its_likelihood_is_learnt(vae_type):
    """Samples continue the data, rewards see the references, and all given is likelihood alone."""
    pair = [small.gen_core(vae_type, small.symbol_codec) for _ in range(2)]
    received = []

    def rewards(samples):
        received.append(samples)
        return (samples.observed == samples.references).astype(float)

    data = Batch(small.symbols(3, 4).numpy(), np.array([4, 4, 4]), np.ones(3, bool))
    ops = _ops(pair, rewards, length=4, num_samples=4, samples_per_prefix=2, likelihood=1.0,
               prefix=lambda update: 4 if update < 20 else 2)
    metrics = [ops(data) for _ in range(21)]
    assert np.isnan(metrics[0].reward) and np.isfinite(metrics[20].reward)
    assert metrics[19].nats_per_step < 0.95 * metrics[0].nats_per_step
    (half,) = received
    assert half.prefix == 2 and half.observed.shape == (4, 4)
    np.testing.assert_array_equal(half.observed[:, :2], data.observed[[0, 0, 1, 1], :2])
    np.testing.assert_array_equal(half.references, data.observed[[0, 0, 1, 1]])
    ops(data._replace(lengths=np.array([4, 1, 4])))  # the longest are continued
    assert received[-1].prefix == 2
    np.testing.assert_array_equal(received[-1].observed[:, :2], data.observed[[0, 0, 2, 2], :2])
    ops(data._replace(lengths=np.array([1, 2, 4])))  # without the last step of the shorter one
    assert received[-1].prefix == 1
    np.testing.assert_array_equal(received[-1].references, data.observed[[2, 2, 1, 1]])
    ops(data._replace(lengths=np.array([1, 1, 4])))
    assert received[-1].prefix == 0
    with pytest.raises(ValueError, match="at least 2 sequences, one for each 2 of 4 samples"):
        ops(tf.nest.map_structure(lambda leaf: leaf[:1], data))


class Logarithms(encoders.Flatten):
    """Features that zeros, such as those of padding, have none of."""

    def __init__(self):
        super().__init__(small.REAL)
        self._layer = networks.MLP((2,))

    def __call__(self, observation):
        return self._layer(tf.math.log(observation))


def test_padding_outside_of_the_domain_keeps_the_gradients_finite():
    pair = [small.gen_core("RNN", lambda: (Logarithms(), decoders.Normal(small.REAL)))
            for _ in range(2)]
    lengths = np.array([4, 2], np.int32)
    observed = np.exp(small.reals(2, 4).numpy())
    observed[1, 2:] = 0
    ops = _ops(pair, _nothing, length=4, num_samples=2, samples_per_prefix=2, likelihood=1.0,
               prefix=lambda update: 4)  # likelihood alone
    assert np.isfinite(ops(Batch(observed, lengths, np.ones(2, bool))).gradient_norm)
    with tf.GradientTape() as tape:
        density = policy.log_density(
            pair[0], tf.constant(observed), tf.zeros([2, 4, 0]), tf.constant(lengths))
    gradients = tape.gradient(density, pair[0].trainable_variables)
    assert all(np.isfinite(each).all() for each in gradients)


def test_the_model_is_tuned_by_the_loss_that_it_is_trained_by(tmp_path):
    class Reals(small.Reals):
        def make_loss(self, bound):
            return SequenceLoss(
                self.gen_core.agent, self.gen_core.core, bound, context_dropout=0.5)

    data = [small.reals(5).numpy()]
    tuning = Tuning(
        LogDir(tmp_path, Reals.program), TuningRecord("", (), TuneSettings()),
        RewardSum([(1.0, Function(len, "length"))]),
        lambda: Reals(small.HPARAMS.replace(vae_type="RNN"), tmp_path), data, [], length=2,
        num_steps=1, valid_steps=0, seed=0)
    loss, batch = tuning.model.make_loss(bounds.ELBO()), tuning.model.data_set(data).batch(0)
    first, second = (loss(batch, loss.initial_state(3), seed=seed)[0].nats_per_step
                     for seed in (1, 2))
    assert float(first) != float(second)
    nats, *_ = tuning._ops._train(as_tensors(batch, small.REAL), seeds.make(1))
    np.testing.assert_allclose(nats, first, rtol=1e-5)
