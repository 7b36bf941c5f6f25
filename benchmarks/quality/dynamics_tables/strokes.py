# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Densities of pen strokes: an autoregressive model against Gaussian diffusion.

The data are Omniglot's drawings (--data, an archive with `train`, `valid` and `test`, `[N, 3]` of
dx, dy and pen, and `train_lengths` and so on): the offsets of the pen, in pixels with uniform
noise of one pixel, without the pen's state; drawings of up to 64 points. The figure is nats per
point, of pixels: exact for the RNN, a bound for the diffusion.
"""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks import report
from benchmarks.quality.dynamics_tables.table import Settings, Table, train
from vaeseq.codec import decoders, encoders

_MOST_POINTS = 64


class Offsets(vaeseq.Model):
    """A model of standardised offsets."""

    observation_spec = tf.TensorSpec([2], tf.float32)

    def make_encoder(self) -> vaeseq.Encoder:
        return encoders.Flatten(self.observation_spec)

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.Normal(self.observation_spec)


class Mixtures(Offsets):
    """The same with a mixture of 20 bivariate normals for each point."""

    def make_decoder(self) -> vaeseq.DistModule:
        return decoders.MixtureOfBivariateNormals(20, self.observation_spec)


def read(path: Path, split: str) -> list[np.ndarray]:
    """Returns the offsets of the drawings of a split, float32 `[N, 2]` each."""
    with np.load(path) as archive:
        points, lengths = archive[split], archive[f"{split}_lengths"]
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, [len(points), 2])
    offsets = (points[:, :2] + noise).astype(np.float32)
    drawings = np.split(offsets, np.cumsum(lengths)[:-1])
    return [drawing for drawing in drawings if len(drawing) <= _MOST_POINTS]


def checksum(path: Path) -> str:
    """Returns a checksum of the arrays of an archive."""
    with np.load(path) as archive:
        return report.checksum(archive[name] for name in sorted(archive))


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains a model; returns its nats per point of the test drawings."""
    assert settings.data is not None
    splits = [read(settings.data, split) for split in ("train", "valid", "test")]
    scale = np.concatenate(splits[0]).std()
    training, valid, test = ([x / scale for x in drawings] for drawings in splits)
    kind = Mixtures if name == "rnn-mixture" else Offsets
    model = kind(vaeseq.HParams().parse(str(TABLE.models[name])), settings.log_dir,
                 seed=settings.seed)
    figures = train(model, settings, training, valid[:200])
    score = model.evaluate(test, seed=settings.seed)
    return {**figures, "nats_per_point": score.nats_per_step + 2 * math.log(scale),
            "standard_error": score.standard_error}


_COMMON = "batch_size=32,sequence_size=64,learning_rate=0.002,num_shards=1"
TABLE = Table(
    "Pen strokes, nats per point", "reported", {"nats_per_point": "nats per point"},
    {"rnn": f"{_COMMON},vae_type=RNN,rnn_hidden_sizes=[128]",
     "rnn-mixture": f"{_COMMON},vae_type=RNN,rnn_hidden_sizes=[128]",
     "gaussdiff": f"{_COMMON},vae_type=GAUSSDIFF,rnn_hidden_sizes=[96,96],gaussdiff_noise=0.005"},
    600, run, checksum=checksum)
