# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""TDVAE on a toy whose beliefs are those of a Kalman filter, where its terms are exact."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import vae
from vaeseq.bounds import ELBO, IWAE, Jumpy
from vaeseq.codec import decoders, latent
from vaeseq.encoder import Encoder
from vaeseq.nn.networks import MLP
from vaeseq.vae import tdvae

SPEC = tf.TensorSpec([1], tf.float32)
A, Q, R, V0 = 0.8, 0.5, 0.6, 0.7  # z_0 ~ N(0, V0), z_t ~ N(A z_t-1, Q^2), x_t ~ N(z_t, R^2)
X = np.array([0.4, -0.9, 1.6, 0.2, 0.5], np.float32)


class Flagged(Encoder):
    """x_t and a one; zeros stand for what was not observed."""

    output_size = 2

    def __call__(self, observation):
        return tf.concat([observation, tf.ones_like(observation)], -1)


class KalmanBelief:
    """The filter's mean and variance; its state is both, less those of z_0."""

    state_spec = tf.TensorSpec([2], tf.float32)

    def step(self, inputs, state):
        x, is_observed = inputs[..., :1], inputs[..., 1:]
        mean, variance = A * state[..., :1], A ** 2 * (state[..., 1:] + V0) + Q ** 2
        gain = variance / (variance + R ** 2)
        after = tf.concat([mean + gain * (x - mean), (1 - gain) * variance - V0], -1)
        state = tf.where(is_observed > 0, after, state)
        return state + [0.0, V0], state


class Exact:
    """A network of exact parameters: a function of its inputs that returns mean and variance."""

    event_spec = SPEC

    def __init__(self, function):
        self.function = function

    def distribution(self, parts):
        mean, variance = self.function(*parts)
        return latent.normal(decoders.NormalParams(mean, tf.sqrt(variance)))


def over(log_gap):
    """The factor and the noise variance of a transition over a gap."""
    gap = tf.exp(log_gap)
    return A ** gap, Q ** 2 * (1 - A ** (2 * gap)) / (1 - A ** 2)


def transition(log_gap, z):
    factor, variance = over(log_gap)
    return factor * z, variance * tf.ones_like(z)


def smoother(b_s, b_t, log_gap, z_t):
    factor, noise = over(log_gap)
    mean, variance = b_s[..., :1], b_s[..., 1:]
    gain = variance * factor / (factor ** 2 * variance + noise)
    return mean + gain * (z_t - factor * mean), (1 - gain * factor) * variance


def marginal_smoother(b_s, b_t, log_gap, z_t):
    """Infers z_s from the mean of z_t instead of its sample."""
    return smoother(b_s, b_t, log_gap, b_t[..., :1])


@functools.cache
def make_core(smooth=smoother, max_gap=1, **far):
    decoder = decoders.Normal(SPEC)
    core = vae.TDVAE(
        decoder, Flagged(), KalmanBelief(), [Exact(lambda b: (b[..., :1], b[..., 1:]))],
        [Exact(transition)], [Exact(smooth)], MLP(()), max_gap=max_gap, **far)
    run(core, ELBO(), 1)
    for v in decoder.trainable_variables:
        v.assign([[1.0, 0.0]] if v.shape.rank == 2 else [0, np.log(np.expm1(R - 1e-5))])
    return core


def contexts():
    shifted = np.concatenate([[0], X[:-1]])
    return tf.constant(np.stack([shifted, np.arange(len(X)) > 0], -1)[None], tf.float32)


def run(core, bound, rows):
    observed = tf.tile(X[None, :, None], [rows, 1, 1])
    return bound(core, tf.tile(contexts(), [rows, 1, 1]), observed,
                 bound.initial_state(core, rows), seed=small.SEED)


def exact():
    """log p(x_t | x_1:t-1), [T]."""
    model = tfd.LinearGaussianStateSpaceModel(
        len(X), tf.linalg.LinearOperatorFullMatrix([[A]]), tfd.MultivariateNormalDiag([0.0], [Q]),
        tf.linalg.LinearOperatorIdentity(1), tfd.MultivariateNormalDiag([0.0], [R]),
        tfd.MultivariateNormalDiag([0.0], [np.float32(np.sqrt(A ** 2 * V0 + Q ** 2))]))
    return model.forward_filter(X[:, None])[0]


@pytest.mark.oracle
@pytest.mark.parametrize("bound", [ELBO(), IWAE(3), Jumpy(2)])
def test_with_exact_beliefs_every_sample_gives_the_exact_likelihood(bound):
    """log p_D + log p_T + log p_B(z_s) - log p_B(z_t) - log q - log p(x_t | x_1:t-1) is 0."""
    result = run(make_core(), bound, 20)
    for values in (result.increments, result.objective):
        np.testing.assert_allclose(values - exact(), tf.zeros([20, len(X)]), atol=2e-5)


@pytest.mark.oracle
def test_a_smoother_that_ignores_the_sampled_state_is_not_exact():
    increments = run(make_core(marginal_smoother), ELBO(), 2000).increments
    gap = exact() - tf.reduce_mean(increments, 0)
    assert np.all(gap.numpy() > 0.01)


def gap_shares(shares, limit):
    """The probability of each gap at a step that has `limit` steps behind it."""
    longest = {gap: min(gap, limit) for gap in shares}
    return {gap: sum(share / longest[n] for n, share in shares.items() if gap <= longest[n])
            for gap in range(1, max(longest.values()) + 1)}


@pytest.mark.oracle
@pytest.mark.parametrize("shares", [{4: 1.0}, {2: 0.7, 4: 0.3}])  # by the longest gap
def test_the_objective_over_jumps_is_that_of_its_gaps(shares):
    """Given s, the terms without p_D sum to log p(z_t | x_1:s) - log p(z_t | x_1:t)."""
    (max_gap, _), *far = shares.items()
    far_gap, far_share = far[0] if far else (max_gap, 0.0)
    core, rows = make_core(max_gap=max_gap, far_gap=far_gap, far_share=far_share), 3000
    features, _ = core.encode_contexts(contexts(), core.initial_state(1).context)
    after = core.encode_observed(features, X[None, :, None])[0]  # b_1:T
    before = tf.concat([features.output[0, :1], after[:-1]], 0)  # b_0:T-1
    expected = np.zeros(len(X))
    for t in range(len(X)):
        mean, variance = after[t].numpy()
        for gap, weight in gap_shares(shares, t + 1).items():
            start, spread = before[t + 1 - gap].numpy()
            factor, noise = A ** gap, Q ** 2 * (1 - A ** (2 * gap)) / (1 - A ** 2)
            later = tfd.Normal(factor * start, np.sqrt(factor ** 2 * spread + noise))
            kl = tfd.Normal(mean, np.sqrt(variance)).kl_divergence(later)
            fit = tfd.Normal(mean, R).log_prob(X[t]) - variance / (2 * R ** 2)
            expected[t] += weight * (fit - kl)
    objective = run(core, Jumpy(2), rows).objective.numpy()
    error = objective.std(0) / np.sqrt(rows)
    assert np.all(np.abs(objective.mean(0) - expected) < 4 * error + 1e-4)


@pytest.mark.oracle
def test_jumps_predict_what_the_filter_predicts():
    core, rows = make_core(), 20_000
    belief = tf.tile([[0.9, 0.3]], [rows, 1])
    outputs = core.jump(belief, tf.tile([[3, 1, 4]], [rows, 1]), seed=2).numpy()[..., 0]
    for number, gap in enumerate((3, 4, 8)):
        variance = A ** (2 * gap) * 0.3 + Q ** 2 * (1 - A ** (2 * gap)) / (1 - A ** 2)
        sample = outputs[:, number]
        assert abs(sample.mean() - A ** gap * 0.9) < 4 * np.sqrt(variance / rows)
        assert abs(sample.var() / variance - 1) < 4 * np.sqrt(2 / rows)


def test_layers_and_gaps_reach_the_distributions():
    core = small.gen_core("TDVAE", tdvae_layers=3).core
    assert core.latent_size == 2 * 3 * 2
    belief, z = tf.ones([1, 4]), tf.random.stateless_normal([1, 12], [1, 2])
    near, far = (tdvae.Hidden(belief, tf.fill([1, 1], gap)) for gap in (0.0, 2.0))
    for law in (core.prior, lambda h: core.posterior(h, belief)):
        assert law(near).log_prob(z) != law(far).log_prob(z)
    outputs = core.jump(belief, np.array([[1, 5]]), seed=1)
    assert outputs.shape == [1, 2, 4]
    # The prior of z_s given its highest layer, the third block of the event.
    moved = z + tf.one_hot([5], 12)
    base = core._blocks(0)
    assert base == [2, 1, 0]
    (highest, *_), blocks = base, dict(enumerate(tf.split(moved, 6, -1)))
    lowest = core._layers(core._p_b, base, (belief,))[0]
    assert lowest(blocks).log_prob(blocks[0]) != lowest(
        {**blocks, highest: z[:, 4:6]}).log_prob(blocks[0])


def test_blocks_behind_flows_may_have_an_unknown_number_of_rows():
    model = small.gen_core("TDVAE", posterior_flows=1)

    @tf.function(input_signature=[tf.TensorSpec([None, 3, 2])], autograph=False)
    def prime(observed):
        state = model.initial_state(tf.shape(observed)[0])
        return model.prime(observed, state, seed=small.SEED).core

    observed = small.reals(2, 3)
    small.close(prime(observed), model.prime(
        observed, model.initial_state(2), seed=small.SEED).core)


def test_contexts_must_be_encodings_and_jumps_need_a_tdvae():
    core = make_core()
    with pytest.raises(ValueError, match="expected contexts of 2 numbers, .* got 3"):
        core.encode_contexts(tf.zeros([1, 2, 3]), core.initial_state(1).context)
    with pytest.raises(ValueError, match="expected vae_type=TDVAE .*, got VRNN"):
        run(small.gen_core("VRNN").core, Jumpy(), 1)


def test_beliefs_are_deterministic_and_causal_and_equal_those_of_single_steps():
    gen_core = small.gen_core("TDVAE")
    agent, core = gen_core.agent, gen_core.core

    def beliefs(observed, agent_state, state):
        contexts, agent_state = agent.contexts(observed, agent_state, seed=small.SEED)
        before, state = core.encode_contexts(contexts, state)
        return core.encode_observed(before, observed), agent_state, state

    first = agent.initial_state(2), core.initial_state(2).context
    observed = small.reals(2, 5)
    whole = beliefs(observed, *first)[0]
    small.same(whole, beliefs(observed, *first)[0])

    other = beliefs(tf.concat([observed[:, :3], observed[:, 3:] + 1], 1), *first)[0]
    small.close(other[:, :3], whole[:, :3])
    assert (np.abs(other - whole)[:, 3:] > 1e-4).any(-1).all()

    states = first
    for t in range(5):
        step, *states = beliefs(observed[:, t:t + 1], *states)
        small.close(step, whole[:, t:t + 1])
