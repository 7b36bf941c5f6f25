# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of piano rolls: frames of 88 notes, each on or off."""
from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from vaeseq import data, fields
from vaeseq.codec import decoders, encoders
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range
from vaeseq.hparams import HParams
from vaeseq.model import Model

from .piano_rolls import NOTES


@dataclasses.dataclass(frozen=True, kw_only=True)
class PianoHParams(HParams):
    """Hyperparameters of a model of piano rolls."""

    decoder: Literal["bernoulli", "masked"] = fields.declare(
        "bernoulli", "notes on their own given the features, or each given those below it")
    masked_hidden_size: int = fields.declare(
        600, "units of the masked output layer", Range(1, 1 << 14))
    transpose: int = fields.declare(
        6, "most semitones by which training pieces are moved up or down", Range(0, 24))


class PianoModel(Model):
    """A model of pieces, uint8 [N, 88]; inputs are centred by the training set's mean."""

    program = "benchmarks.polyphonic"
    unit = "frame"
    observation_spec = tf.TensorSpec([NOTES], tf.float32, "notes")

    def __init__(
        self, hparams: PianoHParams, log_dir: str | os.PathLike[str], *, mean: np.ndarray,
        seed: int = 0,
    ):
        """Creates the model; arguments as for `Model`, and how often each note sounds, [88]."""
        self._mean = mean
        super().__init__(hparams, log_dir, seed=seed)

    def make_encoder(self) -> Encoder:
        layers = encoders.MLPEncoder(
            self.observation_spec, self.hparams.obs_encoder_fc_layers,
            activation=self.hparams.activation)
        return encoders.EncoderSequence([Centred(self._mean), layers])

    def make_decoder(self) -> DistModule:
        odds = np.clip(self._mean, 1e-3, 1 - 1e-3)
        logits = np.log(odds) - np.log1p(-odds)
        if self.hparams.decoder == "masked":
            return decoders.MaskedBernoulli(
                self.observation_spec, (self.hparams.masked_hidden_size,), initial_logits=logits)
        return decoders.Bernoulli(
            self.observation_spec, hidden_sizes=self.hparams.obs_decoder_fc_hidden_layers,
            activation=self.hparams.activation, initial_logits=logits)

    def data_set(self, sequences: Sequence[np.ndarray]) -> data.DataSet:
        return data.Sequences(
            sequences, self.hparams.batch_size, self.hparams.sequence_size, seed=self._seed,
            transform=self._transpose)

    def _transpose(self, piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The piece moved by a random number of semitones that keeps all its notes."""
        sounding = np.flatnonzero(piece.any(axis=0))
        if not len(sounding):
            return piece
        most = self.hparams.transpose
        low = -min(most, int(sounding[0]))
        high = min(most, NOTES - 1 - int(sounding[-1]))
        return np.roll(piece, int(rng.integers(low, high + 1)), axis=1)


class Centred(Encoder):
    """Notes less their mean over the training set, so that a silent frame is no zero input."""

    def __init__(self, mean: np.ndarray, name: str | None = None):
        """Args: mean: [88]."""
        super().__init__(name=name)
        self._mean = mean

    @property
    def input_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec(self._mean.shape, tf.float32)

    @property
    def output_size(self) -> int:
        return len(self._mean)

    def __call__(self, observation: tf.Tensor) -> tf.Tensor:
        return tf.cast(observation, tf.float32) - tf.constant(self._mean, tf.float32)


def note_means(pieces: Sequence[np.ndarray], transpose: int) -> np.ndarray:
    """How often each note sounds in training, over all transpositions, [88]."""
    means = np.concatenate(pieces).mean(axis=0)
    shifted = [np.roll(means, shift) for shift in range(-transpose, transpose + 1)]
    return np.mean(shifted, axis=0)
