# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""DSAE against a multivariate normal where its networks are linear, and its static latent."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import vae
from vaeseq.bounds import ELBO, FIVO, IWAE
from vaeseq.codec import decoders, encoders, latent
from vaeseq.nn.networks import MLP, RecurrentStack

SPEC = tf.TensorSpec([1], tf.float32)
W, B, S = 0.5, 0.2, 0.6  # z_t ~ N(W z_t-1 + B, S^2)
DYNAMIC, STATIC, NOISE = 1.1, -0.9, 0.7  # x_t ~ N(DYNAMIC z_t + STATIC f, NOISE^2)
X = np.array([0.4, -0.9, 1.6, 0.2], np.float32)


def assign(head, weights, scale):
    for v in head.trainable_variables:
        v.assign([[w, 0.0] for w in weights] if v.shape.rank == 2 else [
            B if head.name == "p_z" else 0, np.log(np.expm1(scale - 1e-5))])


@functools.cache
def linear_core():
    decoder = decoders.Normal(SPEC)
    p_z, q_z, q_f = (latent.DiagonalNormal(1, name=name) for name in ("p_z", "q_z", "q_f"))
    core = vae.DSAE(decoder, encoders.Flatten(SPEC), RecurrentStack(()), p_z, q_z, q_f, MLP(()),
                    past=RecurrentStack((3,)), future=RecurrentStack((3,)))
    run(core, ELBO(), 1)
    small.set_weights(core, 0.3)
    assign(p_z, [W], S)
    assign(decoder, [DYNAMIC, STATIC], NOISE)
    for q, scale in ((q_z, 0.9), (q_f, 1.3)):  # wider than the priors, so that weights are even
        (bias,) = (v for v in q.trainable_variables if v.shape.rank == 1)
        bias.assign([0.0, np.log(np.expm1(scale))])
    return core


def run(core, bound, rows, part=slice(None), state=None, number=1):
    observed = tf.tile(X[None, part, None], [rows, 1, 1])
    state = bound.initial_state(core, rows) if state is None else state
    return bound(core, tf.zeros([rows, observed.shape[1], 2]), observed, state, seed=number)


def evidence():
    steps = len(X)
    chain = np.tril(W ** np.subtract.outer(np.arange(steps), np.arange(steps)).clip(0))  # of noise
    z_cov, z_mean = S ** 2 * chain @ chain.T, B * chain.sum(1)
    covariance = DYNAMIC ** 2 * z_cov + STATIC ** 2 + NOISE ** 2 * np.eye(steps)
    return float(tfd.MultivariateNormalTriL(
        DYNAMIC * z_mean, np.linalg.cholesky(covariance)).log_prob(X.astype(np.float64)))


@pytest.mark.oracle
@pytest.mark.parametrize("bound", [IWAE(64), FIVO(32)])
def test_the_exponential_of_a_bound_is_unbiased_whole_and_in_two_parts(bound):
    core, rows = linear_core(), 2000
    small.assert_unbiased(run(core, bound, rows).increments, evidence())
    first = run(core, bound, rows, slice(None, 2))
    second = run(core, bound, rows, slice(2, None), first.state, 2)
    small.assert_unbiased(tf.concat([first.increments, second.increments], 1), evidence())


def test_the_kl_of_the_static_latent_is_charged_once():
    core = linear_core()
    first = run(core, ELBO(), 3, slice(None, 2))
    second = run(core, ELBO(), 3, slice(2, None), first.state)
    static = tf.concat([first.latent_kl, second.latent_kl], 1)[..., 1].numpy()
    assert np.all(static[:, 0] > 0)
    np.testing.assert_array_equal(static[:, 1:], 0)
    small.same(first.state.latent.static, second.state.latent.static)


def test_generated_observations_depend_on_the_static_latent_of_the_first_step():
    core = small.gen_core("DSAE", dsae_static_size=3).core
    z = tf.random.stateless_normal([2, 5, core.latent_size], [1, 2])
    dynamic, static = core.split(z)
    assert dynamic.shape == [2, 5, 2] and static.shape == [2, 3]

    def outputs(z):
        features = core.encode_observed((), small.reals(2, 5))
        return core.infer_given(
            tf.zeros([2, 5, 0]), features, z, core.initial_state(2).latent).outputs.numpy()

    joined = core.join(dynamic, static)
    small.same(outputs(joined), outputs(z))
    swapped = outputs(core.join(dynamic, static[::-1]))
    assert np.all(np.any(swapped != outputs(z), -1))


def test_the_posterior_of_the_static_latent_sees_the_whole_sequence():
    core = small.gen_core("DSAE", dsae_static_size=3).core
    observed, lengths = small.reals(1, 5).numpy(), tf.constant([4])
    h = core.hidden((), core.initial_state(1).latent)

    def posterior(step):
        other = observed.copy()
        other[:, step:step + 1] += 1
        features = core.encode_observed((), tf.constant(other), lengths)
        first = tf.nest.map_structure(lambda x: x[:, 0], features)
        return core.posterior(h, first).distribution.loc[0, 2:].numpy()

    for step, is_seen in enumerate([True, True, True, True, False]):
        assert np.array_equal(posterior(step), posterior(9)) != is_seen, step
