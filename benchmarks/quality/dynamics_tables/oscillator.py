# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Predictions of a noisy oscillator, many steps ahead.

    w ~ U(0.1, 0.6)    r_1 ~ N(0, I)    r_t = R(w) r_t-1 + N(0, 0.02^2 I)
    x_t = r_t[0] + N(0, 0.1^2)

R(w) is the rotation by w radians. The task is that of section 5.3 of the TD-VAE paper
(arXiv:1806.03107), which leaves the ranges and the noise open; these are ours. 4,000 sequences of
200 steps are for training, 200 for validation and 200 for the test (NumPy's default_rng(53)).

The figures are the nats of x_t+d given x_1:t, for d of 1, 20 and 100, averaged over the test
sequences and t of 60 and 100. A model that is sampled has the logarithm of the mean density over
200 samples, which is on average a little worse than its own:

    exact        the mixture, over a grid of 2,000 frequencies, of Kalman filters
    lstm         RNN rolled out by sampling
    srnn         the same with latents
    td-vae       one jump over d steps; trained on gaps up to 10, and on 20 % of up to 120
    td-vae-steps the one-step form, d transitions of one step
"""
from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality.dynamics_tables.table import Settings, Table, train
from vaeseq import nest, seeds, vae
from vaeseq.codec import decoders, encoders
from vaeseq.nn.scan import unroll
from vaeseq.types import Seed, Tensor

STEPS, LOWEST, HIGHEST, PROCESS_NOISE, NOISE = 200, 0.1, 0.6, 0.02, 0.1
STARTS, AHEAD = (60, 100), (1, 20, 100)
_SAMPLES, _TEST_SIZE, _ROWS = 200, 200, 20


class Oscillator(vaeseq.Model):
    """A model of one number a step."""

    observation_spec = tf.TensorSpec([1], tf.float32)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.MLPEncoder(self.observation_spec, (32,))

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.Normal(self.observation_spec)


def draw(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws sequences, float32 `[count, STEPS, 1]`."""
    rotation = np.exp(1j * rng.uniform(LOWEST, HIGHEST, count))
    r = np.empty([count, STEPS], complex)
    r[:, 0] = _complex_normal(count, rng)
    for t in range(1, STEPS):
        r[:, t] = rotation * r[:, t - 1] + PROCESS_NOISE * _complex_normal(count, rng)
    return (r.real + rng.normal(0, NOISE, r.shape))[..., np.newaxis].astype(np.float32)


def _complex_normal(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=count) + 1j * rng.normal(size=count)


def exact(observed: np.ndarray, num_frequencies: int = 2000) -> dict[tuple[int, int], np.ndarray]:
    """Returns log p(x_t+d | x_1:t) by (t, d), each `[B]`, of sequences `[B, T]`."""
    w = np.linspace(LOWEST, HIGHEST, num_frequencies)
    rotation = np.stack([np.stack([np.cos(w), -np.sin(w)], -1),
                         np.stack([np.sin(w), np.cos(w)], -1)], -2)  # [W, 2, 2]
    mean = np.zeros([len(observed), len(w), 2])
    covariance = np.tile(np.eye(2), [len(w), 1, 1])
    log_weights = np.zeros(mean.shape[:2])
    results = {}
    for t, x in enumerate(observed.T[:max(STARTS)], 1):  # mean and covariance are those of r_t
        log_weights += _log_normal(x[:, None], mean[..., 0], covariance[:, 0, 0] + NOISE ** 2)
        gain = covariance[:, :, 0] / (covariance[:, 0, :1] + NOISE ** 2)  # [W, 2]
        mean = mean + gain * (x[:, None] - mean[..., 0])[..., None]
        covariance = covariance - gain[:, :, None] * covariance[:, :1, :]
        if t in STARTS:
            total = np.logaddexp.reduce(log_weights, 1)
            ahead = mean, covariance
            for d in range(1, max(AHEAD) + 1):
                ahead = _predict(rotation, *ahead)
                if d in AHEAD:
                    density = _log_normal(observed[:, t + d - 1, None], ahead[0][..., 0],
                                          ahead[1][:, 0, 0] + NOISE ** 2)
                    results[t, d] = np.logaddexp.reduce(log_weights + density, 1) - total
        mean, covariance = _predict(rotation, mean, covariance)
    return results


def _predict(
    rotation: np.ndarray, mean: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean `[B, W, 2]` and covariance `[W, 2, 2]` after a step of each frequency."""
    return (np.einsum("wij,bwj->bwi", rotation, mean),
            rotation @ covariance @ np.swapaxes(rotation, 1, 2) + PROCESS_NOISE ** 2 * np.eye(2))


def _log_normal(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance))


def _rolled_out(model: Oscillator, observed: np.ndarray, seed: int) -> dict:
    """Returns log p(x_t+d | x_1:t) by sampling the steps between."""
    gen_core = model.gen_core

    def log_density(observed: Tensor, targets: Tensor, seed: Seed) -> Tensor:
        prime_seed, scan_seed = seeds.split(seed, 2)
        observed, targets = nest.merge_leading(
            nest.repeat_rows((observed, targets), _SAMPLES))
        rows, num_steps = (nest.leading_dim(targets, axis) for axis in (0, 1))
        state = gen_core.prime(observed, gen_core.initial_state(rows), seed=prime_seed)

        def step(inputs: tuple, state: tuple) -> tuple[Tensor, tuple]:
            target, step_seed = inputs
            agent_state, core_state = state
            agent_seed, z_seed, x_seed = seeds.split(step_seed[0], 3)
            context = gen_core.agent.context(agent_state, seed=agent_seed)
            sample, core_state = vae.draw(gen_core.core, context, core_state,
                                          latent_seed=z_seed, observed_seed=x_seed)
            agent_state = gen_core.agent.observe(sample.observed, context, agent_state)
            density = gen_core.core.decoder.dist(sample.params).log_prob(target)
            return density, (agent_state, core_state)

        density, _ = unroll.scan(step, (targets, seeds.per_step(scan_seed, num_steps)),
                                 (state.agent, state.core))
        return nest.split_samples(density, _SAMPLES)

    return _sampled(log_density, observed, seed)


def _jumped(model: Oscillator, observed: np.ndarray, seed: int, *, by_steps: bool) -> dict:
    """Returns log p(x_t+d | x_1:t) by jumps from the belief of step t."""
    agent, core = model.gen_core.agent, model.gen_core.core
    assert isinstance(core, vae.TDVAE)

    def log_density(observed: Tensor, targets: Tensor, seed: Seed) -> Tensor:
        rows = nest.leading_dim(observed)
        contexts, _ = agent.contexts(observed, agent.initial_state(rows), seed=seed)
        beliefs, _ = core.encode_contexts(contexts, core.initial_state(rows).context)
        belief, targets = nest.merge_leading(nest.repeat_rows(
            (core.encode_observed(beliefs, observed)[:, -1], targets), _SAMPLES))
        if by_steps:
            gaps = tf.ones([rows * _SAMPLES, max(AHEAD)], tf.int32)
            outputs = core.jump(belief, gaps, seed=seed)
        else:
            gaps = tf.tile(tf.constant(AHEAD)[:, tf.newaxis], [1, rows * _SAMPLES])
            outputs = tf.concat([core.jump(belief, gap[:, tf.newaxis], seed=seeds.fold_in(seed, i))
                                 for i, gap in enumerate(tf.unstack(gaps))], 1)
            targets = tf.gather(targets, [d - 1 for d in AHEAD], axis=1)
        return nest.split_samples(core.log_prob(outputs, targets), _SAMPLES)

    return _sampled(log_density, observed, seed, every_step=by_steps)


def _sampled(
    log_density: Any, observed: np.ndarray, seed: int, *, every_step: bool = True
) -> dict[tuple[int, int], np.ndarray]:
    """Returns the logarithms of mean densities by (t, d), each `[B]`.

    Args:
      log_density: from x_1:t `[B, t, 1]`, later observations `[B, N, 1]` and a seed to log
        densities `[B, S, N]`, or of those d steps ahead alone.
      observed: `[B, T, 1]`.
      seed: of the samples.
      every_step: whether the densities are those of every later step.
    """
    compiled = tf.function(log_density, jit_compile=True, autograph=False)
    results: dict[tuple[int, int], list] = {(t, d): [] for t in STARTS for d in AHEAD}
    for t in STARTS:
        for i in range(0, len(observed), _ROWS):
            rows = observed[i:i + _ROWS]
            density = compiled(tf.constant(rows[:, :t]), tf.constant(rows[:, t:t + max(AHEAD)]),
                               seeds.fold_in(seeds.make(seed), i)).numpy()
            for number, d in enumerate(AHEAD):
                at_d = density[..., d - 1 if every_step else number]
                results[t, d].append(np.logaddexp.reduce(at_d, 1) - np.log(_SAMPLES))
    return {key: np.concatenate(parts) for key, parts in results.items()}


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model, or computes the exact figures."""
    rng = np.random.default_rng(53)
    sequences, valid, test = list(draw(4000, rng)), list(draw(200, rng)), draw(_TEST_SIZE, rng)
    figures: dict[str, Any] = {}
    overrides = TABLE.models[name]
    if overrides is None:
        densities = exact(test[..., 0].astype(np.float64))
    else:
        model = Oscillator(
            vaeseq.HParams().parse(overrides), settings.log_dir, seed=settings.seed)
        figures = train(model, settings, sequences, valid, valid_every=500)
        if name.startswith("td-vae"):
            densities = _jumped(model, test, settings.seed, by_steps=name == "td-vae-steps")
        else:
            densities = _rolled_out(model, test, settings.seed)
    return {**figures, **{f"nats_{d}": -float(np.mean([densities[t, d] for t in STARTS]))
                          for d in AHEAD}}


_COMMON = ("rnn_hidden_sizes=[64],latent_decoder_fc_layers=[64],batch_size=32,sequence_size=200,"
           "learning_rate=0.002,learning_rate_final=0.01,divergence_strength_half=50,num_shards=1")
_TDVAE = f"{_COMMON},vae_type=TDVAE,latent_size=8"
TABLE = Table(
    "Noisy oscillator: nats of x_t+d given x_1:t",
    "first published figures",
    {f"nats_{d}": f"{d} step{'s' * (d > 1)} ahead" for d in AHEAD},
    {"exact": None, "lstm": f"{_COMMON},vae_type=RNN",
     "srnn": f"{_COMMON},vae_type=SRNN,latent_size=8",
     "td-vae": f"{_TDVAE},train_bound=jumpy,tdvae_max_gap=10,tdvae_far_gap=120,"
               "tdvae_far_share=0.2",
     "td-vae-steps": _TDVAE},
    1500, run)
