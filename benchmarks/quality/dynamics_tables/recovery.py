# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Recovery of the two parameters of a nonlinear state-space model.

    z_1 ~ N(0, I)    z_t ~ N([0.2 u + tanh(alpha v), 0.2 v + sin(beta u)], I),  [u, v] = z_t-1
    x_t ~ N(0.5 z_t, 0.1)                                                       (variances)

"synthetic11" of Krishnan et al.'s code: alpha = 0.5 and beta = -0.1, both learnt, from 0.1, with
the inference network ST-R. Each seed draws data of its own, 5,000 sequences of 25 steps and 500 for
validation (NumPy's default_rng([11, seed])), so that the spread over seeds is that of the whole
estimate.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

import vaeseq
from benchmarks.quality.dynamics_tables import linear_gaussian
from benchmarks.quality.dynamics_tables.linear_gaussian import EMISSION
from benchmarks.quality.dynamics_tables.table import Settings, Table, train
from vaeseq.codec import encoders
from vaeseq.codec.decoders import NormalParams
from vaeseq.description import Described
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.types import Tensor
from vaeseq.vae import dmm

ALPHA, BETA, EMISSION_VARIANCE = 0.5, -0.1, 0.1
_START = 0.1
_STEPS = 25


class LearntTransition(Described, snt.Module):
    """p(z_t | z_t-1) of known form, with the variables alpha and beta."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = tf.Variable(_START, name="alpha")
        self.beta = tf.Variable(_START, name="beta")

    def __call__(self, z: Tensor, context: Tensor) -> NormalParams:
        del context
        u, v = z[..., :1], z[..., 1:]
        loc = 0.2 * z + tf.concat([tf.tanh(self.alpha * v), tf.sin(self.beta * u)], -1)
        return NormalParams(loc, tf.ones_like(z))


class FixedDecoder(linear_gaussian.FixedDecoder):
    """p(x_t | z_t), without weights."""

    event_spec = tf.TensorSpec([2], tf.float32)
    variance = EMISSION_VARIANCE


class Nonlinear(vaeseq.Model):
    """The model: a DMM of known form."""

    observation_spec = FixedDecoder.event_spec

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.MLPEncoder(self.observation_spec, (32,))

    def make_decoder(self) -> vaeseq.DistModule:
        return FixedDecoder()

    def make_core(self, encoder: vaeseq.Encoder, decoder: vaeseq.DistModule) -> dmm.DMM:
        sizes = self.hparams.rnn_hidden_sizes
        return dmm.DMM(
            decoder, encoder, LearntTransition(), dmm.Combiner(2, sizes[-1], structured=True),
            MLP(()), latent_size=2, past=None, future=RecurrentStack(sizes, name="rnn_r"))


def draw(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws x, float32 `[count, 25, 2]`."""
    z = rng.normal(size=[count, _STEPS, 2])
    for t in range(1, _STEPS):
        u, v = z[:, t - 1].T
        z[:, t] += 0.2 * z[:, t - 1] + np.stack([np.tanh(ALPHA * v), np.sin(BETA * u)], -1)
    x = EMISSION * z + rng.normal(0, EMISSION_VARIANCE ** 0.5, z.shape)
    return x.astype(np.float32)


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model; returns its parameters."""
    rng = np.random.default_rng([11, settings.seed])
    sequences, valid = list(draw(5000, rng)), list(draw(500, rng))
    hparams = vaeseq.HParams().parse(str(TABLE.models[name]))
    model = Nonlinear(hparams, settings.log_dir, seed=settings.seed)
    figures = train(model, settings, sequences, valid, valid_every=500)
    core = model.gen_core.core
    assert isinstance(core, dmm.DMM)
    return {**figures, "alpha": float(core.p_z.alpha), "beta": float(core.p_z.beta)}


_COMMON = ("vae_type=DMM,latent_size=2,rnn_hidden_sizes=[64],batch_size=50,sequence_size=25,"
           "learning_rate=0.003,learning_rate_final=0.01,divergence_strength_half=0,num_shards=1")
TABLE = Table(
    "Parameter recovery: alpha = 0.5, beta = -0.1",
    "both within two standard errors of five seeds",
    {"alpha": "alpha", "beta": "beta"},
    {"elbo": _COMMON, "iwae-8": f"{_COMMON},train_bound=iwae,train_samples=8"},
    1500, run)
