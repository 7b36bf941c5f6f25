# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The observation of a frame and its distribution, in three variants.

    bernoulli   each note is on or off, independently given the features
    masked      each note is on or off, given the notes below it in the frame
    scores      as in VAE-Seq: a Beta variable scores each note, a categorical variable counts the
                notes that sound, which are those with the highest scores. In data, a note that
                sounds has the score 0.95, any other one 0.05.

With `velocity`, bernoulli and masked frames have a velocity, 1 to 127, in the place of each onset
(see `velocities`).

Axes: T time, P columns of a roll (see `vaeseq.types`).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import dtypes, vae
from vaeseq.codec import decoders, encoders
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.types import Nest

from ..hparams import MidiHParams
from . import context_agents, velocities

_SOUNDS, _SILENT = 0.95, 0.05  # scores, as data
_MIN_MEAN, _MIN_ONSET_MEAN = 1e-3, 1e-5  # of a note's initial probability


class Scored(NamedTuple):
    """A frame as VAE-Seq observes it."""

    scores: Nest  # strictly between 0 and 1, `[..., P]`
    count: Nest  # number of notes that sound, int32 `[...]`


def spec(hparams: MidiHParams) -> Nest:
    """Returns the spec of one observation."""
    notes = tf.TensorSpec([hparams.frames.columns], tf.float32, "notes")
    if hparams.decoder == "scores":
        return Scored(notes, tf.TensorSpec([], tf.int32, "count"))
    return notes


def maximum(hparams: MidiHParams) -> Nest:
    """Returns the greatest value or values of each part of an observation; the least is 0."""
    if hparams.decoder == "scores":
        return Scored(1, hparams.most_notes)
    if not hparams.velocity:
        return 1
    limits = np.ones(hparams.frames.columns)
    limits[_onsets(hparams)] = velocities.LOUDEST
    return limits


def observe(roll: np.ndarray, hparams: MidiHParams) -> Nest:
    """Returns the observations of a roll, uint8 `[T, P]`."""
    if hparams.decoder != "scores":
        return roll
    scores = np.where(roll > 0, np.float32(_SOUNDS), np.float32(_SILENT))
    return Scored(scores, np.minimum(roll.sum(axis=1), hparams.most_notes).astype(np.int32))


def to_roll(observed: Nest, hparams: MidiHParams) -> np.ndarray:
    """Returns the roll, uint8 `[T, P]`, of observations."""
    if hparams.decoder != "scores":
        return np.rint(np.asarray(observed)).astype(np.uint8)
    order = np.argsort(-observed.scores, axis=1, kind="stable")
    roll = np.zeros(observed.scores.shape, np.uint8)
    ranks = np.arange(roll.shape[1])[None] < observed.count[:, None]
    np.put_along_axis(roll, order, ranks.astype(np.uint8), axis=1)
    return roll


class ObservedRolls(Sequence):
    """The observations of rolls, computed at each access."""

    def __init__(self, rolls: Sequence[np.ndarray], hparams: MidiHParams):
        """Creates the sequence of rolls, uint8 `[T, P]` each."""
        self._rolls = rolls
        self._hparams = hparams

    def __len__(self) -> int:
        return len(self._rolls)

    def __getitem__(self, number: int) -> Nest:  # type: ignore[override]
        return observe(self._rolls[number], self._hparams)


def means(rolls: Sequence[np.ndarray], hparams: MidiHParams) -> np.ndarray:
    """Returns how often each column is on in training, averaged over transpositions, `[P]`.

    As `piano_roll.transpose` does, leaves a part of drums and a single part with drums alone.
    """
    on = sum((roll > 0).sum(axis=0, dtype=np.float64) for roll in rolls)
    share = np.asarray(on) / sum(len(roll) for roll in rolls)
    grid = hparams.frames
    pitched = share.reshape(grid.shape)[:grid.parts - grid.drums]
    shifts = range(-hparams.transpose, hparams.transpose + 1)
    moved = np.mean([np.roll(pitched, shift, axis=-1) for shift in shifts], axis=0)
    pitched += hparams.transpose_share * (moved - pitched)  # in `share`
    return share


def make_encoder(hparams: MidiHParams, mean: np.ndarray) -> Encoder:
    """Creates the encoder of observations, which subtracts the means `[P]` from notes."""
    notes: Encoder = Centred(mean)
    if hparams.velocity:
        notes = velocities.VelocityEncoder(notes, _onsets(hparams))
    if hparams.decoder == "scores":
        scored = spec(hparams)
        notes = encoders.Group(Scored(encoders.Flatten(scored.scores),
                                      encoders.Flatten(scored.count)))
    flat = tf.TensorSpec([notes.output_size], tf.float32)
    layers = encoders.MLPEncoder(
        flat, hparams.obs_encoder_fc_layers, activation=hparams.activation)
    return encoders.EncoderSequence([notes, layers])


def make_decoder(hparams: MidiHParams, mean: np.ndarray) -> DistModule:
    """Creates the decoder; initially, notes have their means `[P]` as probabilities."""
    observed = spec(hparams)
    dropout = hparams.decoder_dropout
    layers: dict[str, Any] = {"hidden_sizes": hparams.obs_decoder_fc_hidden_layers,
                              "activation": hparams.activation, "dropout": dropout}
    if hparams.decoder == "scores":
        return decoders.Group(Scored(
            decoders.Beta(observed.scores, positive_projection=hparams.positive_projection,
                          **layers),
            decoders.Categorical(hparams.most_notes + 1, observed.count, **layers)))
    notes = _notes_decoder(hparams, mean, layers)
    if not hparams.velocity:
        return notes
    return velocities.VelocityDecoder(notes, _onsets(hparams), dropout=dropout)


def _notes_decoder(hparams: MidiHParams, mean: np.ndarray, layers: dict[str, Any]) -> DistModule:
    """Creates a decoder of zeros and ones; `layers` are the arguments of hidden layers."""
    observed, dropout = spec(hparams), hparams.decoder_dropout
    minimum = _MIN_ONSET_MEAN if hparams.frames.onsets else _MIN_MEAN
    probability = np.clip(mean, minimum, 1 - minimum)
    logits = np.log(probability) - np.log1p(-probability)
    if hparams.decoder == "masked":
        relative = not hparams.masked_hidden_size
        hidden = hparams.masked_hidden_size or hparams.relative_channels * len(mean)
        return decoders.MaskedBernoulli(
            observed, (hidden,), dropout=dropout, initial_logits=logits, relative=relative,
            aligned=_aligned(hparams))
    if hparams.relative_channels and not hparams.obs_decoder_fc_hidden_layers:
        return decoders.RelativeBernoulli(
            observed, hparams.relative_channels, aligned=_aligned(hparams), dropout=dropout,
            initial_logits=logits)
    return decoders.Bernoulli(observed, initial_logits=logits, **layers)


def _onsets(hparams: MidiHParams) -> np.ndarray:
    """Returns the columns that are onsets, of a grid with onsets."""
    grid = hparams.frames
    return np.arange(grid.columns).reshape(grid.shape)[:, 0].reshape(-1)


def uses_recall(hparams: MidiHParams) -> bool:
    """Returns whether contexts include `Recall`, which does not compare scores."""
    return hparams.recall > 0 and hparams.decoder != "scores"


def _aligned(hparams: MidiHParams) -> list[int]:
    """Returns where frames begin in the decoder's features that skip the recurrence."""
    core = vae.VAE_TYPES.get(hparams.vae_type)
    if (not hparams.context_skip or not getattr(core, "appends_contexts", False)
            or hparams.obs_encoder_fc_layers or hparams.history_encoder_fc_layers
            or not hparams.rnn_hidden_sizes):
        return []
    columns, start = hparams.frames.columns, hparams.rnn_hidden_sizes[-1]
    size = columns + (len(_onsets(hparams)) if hparams.velocity else 0)  # of an encoded frame
    frames = [start + i * size for i in range(hparams.history_size)]
    recalled = start + hparams.history_size * size
    return frames + ([recalled + offset for offset in context_agents.offsets(columns)]
                     if uses_recall(hparams) else [])


class Centred(Encoder):
    """Subtracts the mean over the training music, so that a silent frame is not a zero input."""

    def __init__(self, mean: np.ndarray, name: str | None = None):
        """Creates the encoder, which subtracts the mean `[P]`."""
        super().__init__(name=name)
        self._mean = mean
        self._dtype = dtypes.default_dtype()

    @property
    def input_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec(self._mean.shape, tf.float32)

    @property
    def output_size(self) -> int:
        return len(self._mean)

    def __call__(self, observation: tf.Tensor) -> tf.Tensor:
        return tf.cast(observation, self._dtype) - tf.constant(self._mean, self._dtype)
