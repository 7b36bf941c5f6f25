# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The posterior of weights: its cost in closed form, and a toy whose optimum is known."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests import small
from vaeseq import agent, seeds, vae
from vaeseq.bounds import ELBO
from vaeseq.data import Batch
from vaeseq.dist_module import DistModule
from vaeseq.nn.networks import RecurrentStack
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import TrainOps
from vaeseq.train.weight_posterior import GaussianWeights

NUM_WEIGHTS, ROWS = 6, 20


class Means(DistModule):
    """x ~ N(w, I): the weights are the means, whatever the features."""

    event_spec = tf.TensorSpec([NUM_WEIGHTS], tf.float32)

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.zeros([NUM_WEIGHTS]), name="w")

    def __call__(self, features):
        return tf.broadcast_to(self.w, [*features.shape[:-1], NUM_WEIGHTS])

    def dist(self, params):
        return tfd.Independent(tfd.Normal(params, 1.0), 1)


def make_posterior():
    weights = [tf.Variable([[0.3, -0.2], [0.9, 0.1]]), tf.Variable([1.0, 1.5, -2.0])]
    posterior = GaussianWeights(weights, 0.2)
    for log_stddev in posterior.log_stddevs:
        log_stddev.assign_add(tf.random.stateless_normal(log_stddev.shape, [1, 2]))
    return weights, posterior


@pytest.mark.oracle
def test_the_cost_of_weights_is_the_least_divergence_from_a_normal_prior():
    weights, posterior = make_posterior()

    def cost(shift, factor):
        total = 0.0
        for weight, log_stddev in zip(weights, posterior.log_stddevs):
            q = tfd.Normal(weight, tf.exp(log_stddev))
            mean = tf.reduce_mean(weight)
            variance = tf.reduce_mean(q.variance() + (weight - mean) ** 2)
            prior = tfd.Normal(mean + shift, factor * tf.sqrt(variance))
            total += float(tf.reduce_sum(q.kl_divergence(prior)))
        return total

    assert float(posterior.kl()) == pytest.approx(cost(0.0, 1.0), rel=1e-5)
    assert all(cost(*other) > cost(0.0, 1.0) for other in (
        (0.1, 1.0), (-0.1, 1.0), (0.0, 0.95), (0.0, 1.05)))


def test_sampled_weights_have_the_posterior_and_the_means_come_back():
    weights, posterior = make_posterior()
    before = [weight.numpy() for weight in weights]
    samples = []
    for number in range(500):
        with posterior.sampled(seeds.make(number)) as offsets:
            np.testing.assert_allclose(weights[1].numpy() - before[1], offsets[1], atol=1e-6)
            samples.append(weights[1].numpy())
    for weight, value in zip(weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)
    stddev = np.exp(posterior.log_stddevs[1].numpy())
    assert np.all(np.abs(np.mean(samples, 0) - before[1]) < 4 * stddev / 500 ** 0.5)
    np.testing.assert_allclose(np.std(samples, 0), stddev, rtol=0.15)


def conjugate(x):
    """The optimum for normal observations of unit variance: mean and stddev of each weight."""
    m, s2 = 0.0, 1.0
    for _ in range(1000):
        variance = 1 / (len(x) + 1 / s2)
        mean = variance * (x.sum(0) + m / s2)
        m, s2 = mean.mean(), np.mean(variance + (mean - mean.mean()) ** 2)
    return mean, variance ** 0.5


@pytest.mark.oracle
def test_training_finds_the_posterior_of_a_linear_model():
    rng = np.random.default_rng(0)
    x = (rng.normal(0, 0.5, NUM_WEIGHTS) + rng.normal(size=[ROWS, NUM_WEIGHTS])).astype(np.float32)
    decoder = Means()
    core = vae.RNN(decoder, RecurrentStack((1,)))
    steps = 1500
    ops = TrainOps(
        SequenceLoss(agent.Constant([1.0]), core, ELBO()), seed=1, jit_compile=False,
        clip_gradient_norm=0.0, learning_rate=lambda step: 0.03 * (1 - step / steps),
        weight_stddev=0.1, num_data_steps=ROWS)
    batch = Batch(x[:, np.newaxis], np.ones(ROWS, np.int32), np.ones(ROWS, bool))
    ops.build(batch)
    state = ops.initial_state(ROWS)
    for _ in range(steps):
        _, state = ops(batch, state)
    number = next(i for i, weight in enumerate(ops.variables_to_train) if weight is decoder.w)
    mean, stddev = conjugate(x)
    np.testing.assert_allclose(decoder.w, mean, atol=0.05)
    np.testing.assert_allclose(
        np.exp(ops.weight_posterior.log_stddevs[number]), np.full(NUM_WEIGHTS, stddev), rtol=0.1)
    assert float(ops.weight_nats_per_step()) == pytest.approx(
        float(ops.weight_posterior.kl()) / ROWS)


def test_data_of_unknown_length_cannot_share_the_cost_of_weights():
    model = small.gen_core("RNN")
    ops = TrainOps.from_hparams(
        model, small.HPARAMS.replace(weight_posterior="gaussian"), seed=1, jit_compile=False)
    batch = Batch(small.reals(1, 2).numpy(), np.array([2], np.int32), np.ones(1, bool))
    ops.build(batch)
    with pytest.raises(ValueError, match="expected the number of steps of the training data"):
        ops(batch, ops.initial_state(1))


def test_a_model_reports_the_cost_of_its_weights(tmp_path):
    hparams = small.HPARAMS.replace(weight_posterior="gaussian", weight_stddev=0.1)
    model = small.Reals(hparams, tmp_path / "log")
    model.train(list(small.reals(4, 5).numpy()), num_steps=2)
    line = (tmp_path / "log" / "metrics.jsonl").read_text().splitlines()[-1]
    assert '"weight_nats_per_step":' in line
    again = small.Reals.load(tmp_path / "log")
    assert again.step == 2
