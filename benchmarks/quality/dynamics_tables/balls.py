# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Three bouncing balls: the next frame, and frames that the model imagines.

After Sutskever's data: balls of radius 1.2 and equal mass in a box of side 10, whose velocities
together have the norm 0.5, move in two half steps a frame, reflected by the walls and, elastically,
by each other. A pixel of the 30 x 30 is the sum over balls of exp(-(d^2 / r^2)^4), at most 1, d its
distance from the centre. 3,900 sequences of 100 frames for training and 100 for validation (NumPy's
default_rng(30)), 50 for the test (default_rng(31)).

The figures are squared errors, summed over the pixels of a frame and averaged over frames: of the
mean of p(x_t | x_1:t-1) for t of 2 to 100, from a particle filter of 16 particles where there are
latents; and of the mean of 16 sampled continuations, 10 and 50 frames after the first 20.
Published, next frame (quoted from memory): RTRBM 3.88, SRTRBM 3.31, DTSBN 2.79.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.quality.dynamics_tables.table import Settings, Table, particle_filter, train
from vaeseq.codec import decoders, encoders

SIZE, STEPS, BALLS, RADIUS, BOX = 30, 100, 3, 1.2, 10.0
_PRIME, _AHEAD, _SAMPLES, _TEST_SIZE = 20, (10, 50), 16, 50


class Balls(vaeseq.Model):
    """A model of frames of values from 0 to 1, by cross-entropy."""

    observation_spec = tf.TensorSpec([SIZE, SIZE], tf.float32)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.MLPEncoder(self.observation_spec, (200,))

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.Bernoulli(self.observation_spec, hidden_sizes=(200,), initial_logits=-2.0)


class Rendered(Sequence):
    """Sequences of frames, float32 `[STEPS, 30, 30]`, drawn at each access from centres."""

    def __init__(self, centres: np.ndarray):
        """Args: centres: `[count, STEPS, BALLS, 2]`."""
        self._centres = centres

    def __len__(self) -> int:
        return len(self._centres)

    def __getitem__(self, number: int) -> np.ndarray:  # type: ignore[override]
        return render(self._centres[number])


def draw(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws centres of the balls, `[count, STEPS, BALLS, 2]`."""
    return np.stack([_draw_one(rng) for _ in range(count)])


def _draw_one(rng: np.random.Generator) -> np.ndarray:
    velocity = rng.normal(size=[BALLS, 2])
    velocity *= 0.5 / np.linalg.norm(velocity)
    while True:  # balls that do not overlap
        position = rng.uniform(RADIUS, BOX - RADIUS, [BALLS, 2])
        if all(np.linalg.norm(position[i] - position[j]) > 2 * RADIUS for i, j in _pairs()):
            break
    path = []
    for _ in range(STEPS):
        path.append(position)
        for _ in range(2):
            position, velocity = move(position, velocity, 0.5)
    return np.stack(path)


def _pairs() -> list[tuple[int, int]]:
    return [(i, j) for i in range(BALLS) for j in range(i)]


def move(
    position: np.ndarray, velocity: np.ndarray, interval: float
) -> tuple[np.ndarray, np.ndarray]:
    """Moves balls, `[BALLS, 2]` each; walls and collisions change velocities after the move."""
    position, velocity = position + interval * velocity, velocity.copy()
    velocity = np.where(position < RADIUS, np.abs(velocity), velocity)
    velocity = np.where(position > BOX - RADIUS, -np.abs(velocity), velocity)
    for i, j in _pairs():
        difference = position[i] - position[j]
        distance = np.linalg.norm(difference)
        normal = difference / distance
        approach = (velocity[i] - velocity[j]) @ normal
        if distance < 2 * RADIUS and approach < 0:  # equal masses exchange these components
            velocity[i] -= approach * normal
            velocity[j] += approach * normal
    return position, velocity


def render(centres: np.ndarray) -> np.ndarray:
    """Returns frames, float32 `[..., 30, 30]`, of balls with centres `[..., BALLS, 2]`."""
    grid = (np.arange(SIZE) + 0.5) * BOX / SIZE
    distance = ((grid - centres[..., 0, np.newaxis]) ** 2)[..., np.newaxis, :] + (
        (grid - centres[..., 1, np.newaxis]) ** 2)[..., np.newaxis]
    bumps = np.exp(-(distance / RADIUS ** 2) ** 4)
    return np.minimum(bumps.sum(-3), 1).astype(np.float32)


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model, or copies the last frame; returns squared errors."""
    test = render(draw(_TEST_SIZE, np.random.default_rng(31)))
    if name == "copy":
        return {"error": _error(test[:, :-1], test[:, 1:]),
                **{f"error_{d}": _error(test[:, _PRIME - 1], test[:, _PRIME + d - 1])
                   for d in _AHEAD}}
    centres = draw(4000, np.random.default_rng(30))
    model = Balls(vaeseq.HParams().parse(str(TABLE.models[name])), settings.log_dir,
                  seed=settings.seed)
    figures = train(
        model, settings, Rendered(centres[:3900]), list(Rendered(centres[3900:])), valid_every=500)
    particles = 16 if model.gen_core.core.latent_size else 1
    predicted = np.concatenate([
        particle_filter(model, test[i:i + 10], num_particles=particles, seed=i).predicted
        for i in range(0, _TEST_SIZE, 10)])
    figures["error"] = _error(predicted[:, 1:], test[:, 1:])
    imagined = np.stack([np.mean(model.generate(
        num_samples=_SAMPLES, length=max(_AHEAD), prime=sequence[:_PRIME], seed=settings.seed), 0)
        for sequence in test])
    return {**figures, **{
        f"error_{d}": _error(imagined[:, d - 1], test[:, _PRIME + d - 1]) for d in _AHEAD}}


def _error(estimate: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(np.sum((estimate - truth) ** 2, (-2, -1))))


_COMMON = ("batch_size=16,sequence_size=100,learning_rate=0.001,learning_rate_final=0.01,"
           "divergence_strength_half=200,num_shards=1")
TABLE = Table(
    "Bouncing balls: squared error of a frame", "next frame under 2.79",
    {"error": "next frame", **{f"error_{d}": f"{d} frames ahead" for d in _AHEAD}},
    {"copy": None, "rnn": f"{_COMMON},vae_type=RNN,rnn_hidden_sizes=[400]",
     "vrnn": f"{_COMMON},vae_type=VRNN,rnn_hidden_sizes=[256],latent_size=16,"
             "latent_decoder_fc_layers=[128]"},
    3000, run, other_updates={"vrnn": 2500})
