# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Inverse autoregressive flows: densities that integrate to one, Jacobians, and samples."""

import math

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import vae
from vaeseq.codec import decoders, latent
from vaeseq.codec.flows import FlowDistribution, InverseAutoregressiveFlow


def flows(size, count=2, hidden=(5,), scale=1.0):
    chain = [InverseAutoregressiveFlow(size, hidden, activation="tanh") for _ in range(count)]
    for number, flow in enumerate(chain):
        flow(tf.zeros([1, size]))
        small.set_weights(flow, scale, number)
    return chain


def distribution(size, **arguments):
    loc = tf.linspace(-0.5, 0.5, size)[tf.newaxis]
    base = latent.normal(decoders.NormalParams(loc, tf.fill([1, size], 0.8)))
    return FlowDistribution(base, flows(size, **arguments))


@pytest.mark.parametrize("size", [1, 2])
def test_the_density_integrates_to_one(size):
    q_z, points = distribution(size), np.linspace(-9, 9, 401, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[points] * size, indexing="ij"), -1).reshape(-1, size)
    density = np.exp(q_z.log_prob(grid).numpy().astype(np.float64))
    assert density.sum() * (points[1] - points[0]) ** size == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 4)])
def test_the_log_determinant_is_that_of_the_jacobian(hidden):
    (flow,) = flows(4, 1, hidden)
    u = tf.random.stateless_normal([3, 4], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(u)
        z, log_det = flow(u)
    jacobian = tape.batch_jacobian(z, u).numpy()
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-5)
    assert np.allclose(np.triu(jacobian[:, ::-1], 1), 0), "z_i depends on u_1:i only"
    back, same = flow.inverse(z)
    small.close((back, same), (u, log_det), atol=1e-5)


def test_the_inverse_of_many_dimensions_is_finite():
    flow = InverseAutoregressiveFlow(32, (64,))
    u = tf.random.stateless_normal([200, 32], [1, 2])
    flow(u)
    small.set_weights(flow, 0.3, 3)
    back, _ = flow.inverse(flow(u)[0])
    np.testing.assert_allclose(back, u, atol=0.01)


def test_a_sample_has_the_density_that_an_equal_tensor_has():
    q_z = distribution(3)
    z = q_z.sample(500, seed=small.SEED)
    expected = q_z.log_prob(z)
    np.testing.assert_allclose(expected, q_z.log_prob(z + 0), rtol=1e-4, atol=1e-4)


def test_the_kl_by_sampling_is_unbiased():
    """The mean of p / q over samples of q is 1 for every normal p."""
    q_z = distribution(2, scale=0.5)
    z = q_z.sample(200_000, seed=small.SEED)
    p_z = tfd.MultivariateNormalDiag([0.2, -0.1], [0.5, 0.5])
    ratios = np.exp((p_z.log_prob(z) - q_z.log_prob(z)).numpy().astype(np.float64))
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / math.sqrt(ratios.size) < 0.05
    with pytest.raises(NotImplementedError):
        q_z.kl_divergence(p_z)


def test_without_flows_the_core_is_the_plain_one():
    assert type(small.gen_core("VRNN", posterior_flows=0).core) is vae.VRNN
    assert type(small.gen_core("VRNN", posterior_flows=1).core.core) is vae.VRNN


def test_a_posterior_without_density_has_none_behind_flows():
    core = small.gen_core("SEQAE", seqae_posterior="deterministic").core
    assert not vae.FlowPosterior(core, flows(2)).has_density


@pytest.mark.parametrize(("vae_type", "message"), [
    ("RNN", "got a size of 0.*set posterior_flows=0"),
    ("DSAE", "expected posterior_flows=0, got 2")])
def test_cores_whose_latents_cannot_flow_say_so(vae_type, message):
    with pytest.raises(ValueError, match=message):
        small.gen_core(vae_type, posterior_flows=2)
