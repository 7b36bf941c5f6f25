# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The inference networks of DMM where the exact posterior is known.

    z_1 ~ N(0, 1)    z_t ~ N(z_t-1 + 0.05, 10)    x_t ~ N(0.5 z_t, 20)        (variances)

The generative model, "synthetic9" of Krishnan et al.'s code, is fixed; the inference network alone
is trained. 5,000 sequences of 25 steps for training, 500 for validation and 500 for the test, drawn
by NumPy's default_rng(9). The gap is what the ELBO lacks of the exact log-likelihood of the test
sequences, which the Kalman filter gives; the error is that of the posterior's mean (of 256 samples)
as an estimate of the true z.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import vaeseq
from benchmarks.quality.dynamics_tables.table import Settings, Table, train
from vaeseq import seeds
from vaeseq.codec import encoders
from vaeseq.codec.decoders import NormalParams
from vaeseq.codec.distributions import Normal
from vaeseq.description import Described
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.types import Tensor
from vaeseq.vae import dmm

DRIFT, TRANSITION_VARIANCE, EMISSION, EMISSION_VARIANCE = 0.05, 10.0, 0.5, 20.0
STEPS, TEST_SIZE = 25, 500
_SAMPLES = 256


class FixedTransition(Described, snt.Module):
    """p(z_t | z_t-1), without weights."""

    def __call__(self, z: Tensor, context: Tensor) -> NormalParams:
        del context
        return NormalParams(z + DRIFT, tf.fill(tf.shape(z), TRANSITION_VARIANCE ** 0.5))


class FixedDecoder(vaeseq.DistModule):
    """p(x_t | z_t), without weights."""

    event_spec = tf.TensorSpec([1], tf.float32)
    variance = EMISSION_VARIANCE

    def __call__(self, features: Tensor) -> NormalParams:
        return NormalParams(
            EMISSION * features, tf.fill(tf.shape(features), self.variance ** 0.5))

    def dist(self, params: NormalParams) -> tfd.Distribution:
        return tfd.Independent(Normal(params.loc, params.scale), 1)


class LinearGaussian(vaeseq.Model):
    """The model: a DMM whose generative part is the truth."""

    observation_spec = FixedDecoder.event_spec

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.MLPEncoder(self.observation_spec, (32,))

    def make_decoder(self) -> vaeseq.DistModule:
        return FixedDecoder()

    def make_core(self, encoder: vaeseq.Encoder, decoder: vaeseq.DistModule) -> vaeseq.VAECore:
        sizes, (structure, _, letters) = self.hparams.rnn_hidden_sizes, (
            self.hparams.dmm_inference.partition("-"))
        stacks = {letter: RecurrentStack(sizes, name=f"rnn_{letter.lower()}")
                  for letter in letters}
        return dmm.DMM(
            decoder, encoder, FixedTransition(),
            dmm.Combiner(1, sizes[-1], structured=structure == "ST"), MLP(()), latent_size=1,
            past=stacks.get("L"), future=stacks.get("R"))


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws sequences; returns z and x, each float32 `[count, STEPS, 1]`."""
    moves = DRIFT + rng.normal(0, TRANSITION_VARIANCE ** 0.5, [count, STEPS])
    moves[:, 0] = rng.normal(0, 1, count)
    z = np.cumsum(moves, 1)
    x = EMISSION * z + rng.normal(0, EMISSION_VARIANCE ** 0.5, z.shape)
    return z[..., np.newaxis].astype(np.float32), x[..., np.newaxis].astype(np.float32)


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns x of training, of validation and of the test, and z of the test."""
    rng = np.random.default_rng(9)
    train_x, valid_x = draw(5000, rng)[1], draw(TEST_SIZE, rng)[1]
    z, x = draw(TEST_SIZE, rng)
    return train_x, valid_x, x, z


def exact(x: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """Returns the exact nats per step and the errors of the Kalman smoother and filter."""
    model = tfd.LinearGaussianStateSpaceModel(
        STEPS, tf.linalg.LinearOperatorFullMatrix([[1.0]]),
        tfd.MultivariateNormalDiag([DRIFT], [TRANSITION_VARIANCE ** 0.5]),
        tf.linalg.LinearOperatorFullMatrix([[EMISSION]]),
        tfd.MultivariateNormalDiag([0.0], [EMISSION_VARIANCE ** 0.5]),
        tfd.MultivariateNormalDiag([0.0], [1.0]))
    log_prob, filtered = model.forward_filter(x)[:2]
    nats = -float(np.mean(np.sum(log_prob.numpy(), 1))) / STEPS
    return {"nats_per_step": nats, "gap": 0.0, "rmse": _rmse(model.posterior_marginals(x)[0], z),
            "filter_rmse": _rmse(filtered, z)}


def _rmse(estimate: Tensor, z: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.asarray(estimate) - z) ** 2)))


def _posterior_mean(core: vaeseq.VAECore, x: np.ndarray, seed: int) -> np.ndarray:
    """Returns the mean of samples from q(z_1:T | x_1:T), `[B, T, 1]`."""
    @tf.function(jit_compile=True, autograph=False)
    def latents(x: Tensor, seed: Tensor) -> Tensor:
        contexts = tf.zeros([*x.shape[:2], 0])
        state = core.initial_state(x.shape[0]).latent
        return core.infer(contexts, core.encode_observed(contexts, x), state, seed=seed).latents

    return np.mean([latents(tf.constant(x), seeds.make(seed * _SAMPLES + i)).numpy()
                    for i in range(_SAMPLES)], 0)


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains an inference network, or computes the exact figures."""
    train_x, valid_x, x, z = data()
    truth = exact(x, z)
    overrides = TABLE.models[name]
    if overrides is None:
        return truth
    hparams = vaeseq.HParams().parse(overrides)
    model = LinearGaussian(hparams, settings.log_dir, seed=settings.seed)
    figures = train(model, settings, list(train_x), list(valid_x))
    score = model.evaluate(list(x), num_samples=64, seed=settings.seed)
    estimate = _posterior_mean(model.gen_core.core, x, settings.seed)
    return {**figures, "nats_per_step": score.nats_per_step,
            "standard_error": score.standard_error,
            "gap": score.nats_per_step - truth["nats_per_step"], "rmse": _rmse(estimate, z)}


_COMMON = ("vae_type=DMM,latent_size=1,rnn_hidden_sizes=[64],batch_size=50,sequence_size=25,"
           "learning_rate=0.003,learning_rate_final=0.01,divergence_strength_half=0,num_shards=1")
TABLE = Table(
    "Linear-Gaussian model: inference networks beside the Kalman filter",
    "first published figures",
    {"nats_per_step": "ELBO, nats per step", "gap": "gap to the exact", "rmse": "error of z"},
    {"Kalman": None,
     **{name: f"{_COMMON},dmm_inference={name}" for name in ("ST-R", "ST-LR", "ST-L", "MF-LR")}},
    1500, run)
