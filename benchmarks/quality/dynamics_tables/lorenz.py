# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Filtering of a noisy Lorenz trajectory.

The trajectory of sigma = 10, rho = 28, beta = 8/3 from (1, 1, 1), by the Runge-Kutta method of
order 4 with steps of 0.005, is sampled every 0.05 and observed with noise of variance 0.25 (NumPy's
default_rng(63)). The first 1,000 samples are the test, the next 1,000 validation, and 20,000 more,
in sequences of 100, are for training: the models see noisy observations alone.

A model is a DMM of three latents whose decoder is the known noise around z (in units of the
training data's standard deviations) and whose transition is learnt. Its estimate is the mean of
p(z_t | x_1:t) by a particle filter of 500 particles. The figure is the mean squared error of a
coordinate; that of the raw observations is 0.25.

    ekf          extended Kalman filter with the true differential equation
    ekf-euler    the same with one Euler step of 0.05 in place of the integration

The variance of an extended Kalman filter's process noise is the best on the validation part, out of
powers of ten.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import vaeseq
from benchmarks.quality.dynamics_tables.table import Settings, Table, particle_filter, train
from vaeseq.codec import encoders
from vaeseq.codec.decoders import NormalParams
from vaeseq.codec.distributions import Normal
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.types import Tensor
from vaeseq.vae import dmm

VARIANCE, INTERVAL = 0.25, 0.05
_SUBSTEPS, _PART, _SEQUENCE, _NUM_SEQUENCES = 10, 1000, 100, 200
_PARTICLES = 500

Step = Callable[[np.ndarray], np.ndarray]


def _velocity(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def runge_kutta(state: np.ndarray) -> np.ndarray:
    """Returns the state `[3]` after 0.05 units of time."""
    size = INTERVAL / _SUBSTEPS
    for _ in range(_SUBSTEPS):
        k1 = _velocity(state)
        k2 = _velocity(state + size / 2 * k1)
        k3 = _velocity(state + size / 2 * k2)
        k4 = _velocity(state + size * k3)
        state = state + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def euler(state: np.ndarray) -> np.ndarray:
    """Returns the state `[3]` after one Euler step of 0.05."""
    return state + INTERVAL * _velocity(state)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Returns states and observations, each `[2000 + 20000, 3]`."""
    states = [np.ones(3)]
    for _ in range(2 * _PART + _SEQUENCE * _NUM_SEQUENCES - 1):
        states.append(runge_kutta(states[-1]))
    noise = np.random.default_rng(63).normal(0, VARIANCE ** 0.5, [len(states), 3])
    return np.array(states), np.array(states) + noise


def extended_kalman_filter(step: Step, observed: np.ndarray, process_noise: float) -> np.ndarray:
    """Returns filtered states `[N, 3]` of observations `[N, 3]` by the dynamics of one step.

    The variance `process_noise` is added at each step.
    """
    mean, covariance, means = observed[0], VARIANCE * np.eye(3), [observed[0]]
    for x in observed[1:]:
        jacobian = np.stack([(step(mean + 1e-5 * e) - step(mean - 1e-5 * e)) / 2e-5
                             for e in np.eye(3)], 1)
        covariance = jacobian @ covariance @ jacobian.T + process_noise * np.eye(3)
        gain = covariance @ np.linalg.inv(covariance + VARIANCE * np.eye(3))
        predicted = step(mean)
        mean = predicted + gain @ (x - predicted)
        covariance = covariance - gain @ covariance
        means.append(mean)
    return np.array(means)


class NoisyState(vaeseq.DistModule):
    """x_t is z_t with noise of known standard deviations."""

    event_spec = tf.TensorSpec([3], tf.float32)

    def __init__(self, stddev: np.ndarray) -> None:
        super().__init__()
        self._stddev = stddev.astype(np.float32)

    def __call__(self, features: Tensor) -> NormalParams:
        return NormalParams(features, tf.broadcast_to(self._stddev, tf.shape(features)))

    def dist(self, params: NormalParams) -> tfd.Distribution:
        return tfd.Independent(Normal(params.loc, params.scale), 1)


class Lorenz(vaeseq.Model):
    """The model: a DMM of three latents with a known decoder."""

    observation_spec = NoisyState.event_spec

    def __init__(self, hparams: vaeseq.HParams, log_dir: Any, *, stddev: np.ndarray, seed: int):
        """As for `Model`; stddev: of the noise, in the units of the observations, `[3]`."""
        self._stddev = stddev
        super().__init__(hparams, log_dir, seed=seed)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.Flatten(self.observation_spec)

    def make_decoder(self) -> vaeseq.DistModule:
        return NoisyState(self._stddev)

    def make_core(self, encoder: vaeseq.Encoder, decoder: vaeseq.DistModule) -> vaeseq.VAECore:
        sizes = self.hparams.rnn_hidden_sizes
        transition = dmm.GatedTransition(3, self.hparams.latent_decoder_fc_layers[0])
        return dmm.DMM(
            decoder, encoder, transition, dmm.Combiner(3, sizes[-1], structured=True), MLP(()),
            latent_size=3, past=RecurrentStack(sizes, name="rnn_l"), future=None)


def _filtered_by_model(name: str, settings: Settings, observed: np.ndarray) -> dict[str, Any]:
    """Trains a model; returns its figures and the filtered states of the test."""
    training = observed[2 * _PART:]
    mean, scale = training.mean(0), training.std(0)
    scaled = ((observed - mean) / scale).astype(np.float32)
    model = Lorenz(vaeseq.HParams().parse(str(TABLE.models[name])), settings.log_dir,
                   stddev=VARIANCE ** 0.5 / scale, seed=settings.seed)
    figures = train(model, settings, list(scaled[2 * _PART:].reshape(-1, _SEQUENCE, 3)),
                    list(scaled[_PART:2 * _PART].reshape(-1, _SEQUENCE, 3)))
    filtered = particle_filter(
        model, scaled[np.newaxis, :_PART], num_particles=_PARTICLES, seed=settings.seed)
    return {**figures, "states": filtered.latents[0] * scale + mean}


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model, or applies a baseline; returns the error of the test."""
    states, observed = data()
    figures: dict[str, Any] = {}
    if name == "raw":
        estimate = observed[:_PART]
    elif name.startswith("ekf"):
        step = euler if name == "ekf-euler" else runge_kutta
        valid = slice(_PART, 2 * _PART)
        noise = min((10.0 ** power for power in range(-6, 3)), key=lambda noise: _error(
            extended_kalman_filter(step, observed[valid], noise), states[valid]))
        figures["process_noise"] = noise
        estimate = extended_kalman_filter(step, observed[:_PART], noise)
    else:
        figures = _filtered_by_model(name, settings, observed)
        estimate = figures.pop("states")
    return {**figures, "error": _error(estimate, states[:_PART])}


def _error(estimate: np.ndarray, states: np.ndarray) -> float:
    return float(np.mean((estimate - states) ** 2))


_COMMON = ("vae_type=DMM,latent_size=3,rnn_hidden_sizes=[64],latent_decoder_fc_layers=[64],"
           "batch_size=20,sequence_size=100,learning_rate=0.003,learning_rate_final=0.01,"
           "divergence_strength_half=0,num_shards=1")
TABLE = Table(
    "Filtering a Lorenz trajectory: mean squared error",
    "under 0.25, and under an extended Kalman filter",
    {"error": "error"},
    {"raw": None, "ekf": None, "ekf-euler": None, "dmm-elbo": _COMMON,
     "dmm-fivo": f"{_COMMON},train_bound=fivo,train_samples=8"},
    3000, run)
