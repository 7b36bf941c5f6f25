# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Missing frames of a ball in a box, filled in by KVAE.

The video is that of KVAE's paper (arXiv:1710.05741) made without its physics engine: 32 x 32 binary
pixels, a ball of radius 3 that starts at N(16, 10^2), clipped to the box, in a uniform direction at
a speed from U(10, 15), moves 0.2 units of time a frame and is reflected where its rim reaches the
walls, 2 pixels from the border. 5,000 sequences of 20 frames for training (NumPy's
default_rng(1234)), the last 100 of them for validation, and 100 for the test
(default_rng(5678)).

Frames 8 to 13 of each test sequence are missing. The estimate of a pixel is whether more than half
of 16 imputed samples have it. The figures are the share of wrong pixels in the missing frames
(Hamming distance), R^2 of least squares from the smoothed state to the position, fitted on the
first half of the test sequences with all frames and measured on the other, and the ELBO of whole
frames, without the weight of 0.3 that the paper's code has. Free running, the frames after the
first 10 are estimated from 16 samples of continuations in the same way.

Of four starts of 1,000 updates the one with the best validation score is trained on.

    copy          the last frame before the gap; free running, the last of the first 10
    interpolate   a ball on the line between the centres of the frames around the gap
"""
from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality.dynamics_tables.table import (
    Settings,
    Table,
    r_squared,
    train_best_start,
)
from vaeseq import vae
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate import latents

SIZE, STEPS, RADIUS, TEST_SIZE = 32, 20, 3.0, 100
GAP = slice(8, 14)
_PRIME, _AHEAD = 10, (1, 5, 10)
_LOW, _HIGH, _INTERVAL = 2 + RADIUS, SIZE - 2 - RADIUS, 0.2


class Video(vaeseq.Model):
    """A model of binary frames; some may be missing."""

    observation_spec = tf.TensorSpec([SIZE, SIZE], tf.float32)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.MLPEncoder(self.observation_spec, (128,))

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.Bernoulli(
            self.observation_spec, hidden_sizes=(128,), initial_logits=-3.0)


def draw(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws centres of the ball, `[count, STEPS, 2]`."""
    position = np.clip(rng.normal(16, 10, [count, 2]), _LOW, _HIGH)
    angle, speed = rng.uniform(0, 2 * np.pi, count), rng.uniform(10, 15, count)
    velocity = speed[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], -1)
    path = [position]
    for _ in range(STEPS - 1):
        position = position + _INTERVAL * velocity
        is_out = (position < _LOW) | (position > _HIGH)
        position = np.where(position < _LOW, 2 * _LOW - position, position)
        position = np.where(position > _HIGH, 2 * _HIGH - position, position)
        velocity = np.where(is_out, -velocity, velocity)
        path.append(position)
    return np.stack(path, 1)


def render(centres: np.ndarray) -> np.ndarray:
    """Returns frames, float32 `[..., 32, 32]`, of balls with centres `[..., 2]`."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    centres = centres[..., np.newaxis, np.newaxis, :]
    distance = (columns - centres[..., 0]) ** 2 + (rows - centres[..., 1]) ** 2
    return (distance <= RADIUS ** 2).astype(np.float32)


def with_gap(frames: np.ndarray) -> np.ma.MaskedArray:
    """Masks the frames of the gap."""
    mask = np.zeros(frames.shape, bool)
    mask[..., GAP, :, :] = True
    return np.ma.masked_array(frames, mask)


def interpolated(frames: np.ndarray) -> np.ndarray:
    """Returns the frames of the gap with balls on the line between the frames around it."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    mass = frames.sum((-2, -1))
    centres = np.stack([(frames * columns).sum((-2, -1)), (frames * rows).sum((-2, -1))], -1)
    centres /= mass[..., np.newaxis]
    weight = np.arange(1, GAP.stop - GAP.start + 1) / (GAP.stop - GAP.start + 1)
    before, after = (centres[..., t, np.newaxis, :] for t in (GAP.start - 1, GAP.stop))
    return render(before + weight[:, np.newaxis] * (after - before))


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model, or applies a baseline; returns its figures."""
    sequences = render(draw(5000, np.random.default_rng(1234)))
    centres = draw(TEST_SIZE, np.random.default_rng(5678))
    frames = render(centres)
    truth = frames[:, GAP]
    if name == "copy":
        return {"hamming": _hamming(frames[:, GAP.start - 1:GAP.start], truth),
                **{f"hamming_{d}": _hamming(frames[:, _PRIME - 1], frames[:, _PRIME + d - 1])
                   for d in _AHEAD}}
    if name == "interpolate":
        return {"hamming": _hamming(interpolated(frames), truth)}
    hparams = vaeseq.HParams().parse(str(TABLE.models[name]))
    model, figures = train_best_start(
        lambda log_dir, seed: Video(hparams, log_dir, seed=seed), settings,
        list(sequences[:-100]), list(sequences[-100:]), starts=4, start_updates=1000)
    filled = model.impute(list(with_gap(frames)), num_samples=16, seed=settings.seed)
    estimate = np.stack([samples.mean(0)[GAP] > 0.5 for samples in filled])
    figures["hamming"] = _hamming(estimate, truth)
    imagined = np.stack([np.mean(model.generate(
        num_samples=16, length=max(_AHEAD), prime=sequence[:_PRIME], seed=settings.seed), 0) > 0.5
        for sequence in frames])
    for d in _AHEAD:
        figures[f"hamming_{d}"] = _hamming(imagined[:, d - 1], frames[:, _PRIME + d - 1])
    figures["elbo"] = -STEPS * model.evaluate(list(frames), seed=settings.seed).nats_per_step
    core, half = model.gen_core.core, TEST_SIZE // 2
    states = latents.infer(model.gen_core, list(frames), seed=settings.seed)
    if isinstance(core, vae.KVAE):
        states = core.smooth(tf.constant(states)).mean.numpy()
    figures["r2_position"] = float(np.mean(
        r_squared(states[:half], states[half:], centres[:half], centres[half:])))
    return figures


def _hamming(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(estimate != truth))


_COMMON = ("missing_values=observations,rnn_hidden_sizes=[50],latent_decoder_fc_layers=[64],"
           "batch_size=32,sequence_size=20,learning_rate=0.003,learning_rate_final=0.01,"
           "divergence_strength_half=200,num_shards=1")
TABLE = Table(
    "Ball in a box: six missing frames", "first published figures",
    {"hamming": "wrong pixels", **{f"hamming_{d}": f"{d} frames ahead" for d in _AHEAD},
     "r2_position": "R^2 of position", "elbo": "ELBO, sequence"},
    {"copy": None, "interpolate": None,
     "kvae": f"{_COMMON},vae_type=KVAE,latent_size=2,kvae_state_size=4,kvae_dynamics=3",
     "dmm": f"{_COMMON},vae_type=DMM,latent_size=8"},
    6000, run)
