# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-midi (imports no TensorFlow: wrong ones are told at once)."""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range, redeclare
from vaeseq.hparams import HParams

from .data.piano_roll import HIGHEST, LOWEST, Grid

MAX_SECONDS = 1800  # of a sample: what fits in memory as sound
_PITCH = Range(0, 127)
_SIZE = Range(1, 1 << 14)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MidiHParams(HParams):
    """Hyperparameters of a model of music."""

    # What a frame is.
    rate: float = fields.declare(8.0, "frames a second, where there is no grid", Range(0.5, 100))
    grid: int = fields.declare(
        0, "frames follow the tempo: 16 for sixteenth notes; 0: they follow the clock",
        Range(0, 192))
    lowest_note: int = fields.declare(LOWEST, "MIDI number of the lowest note kept", _PITCH)
    highest_note: int = fields.declare(HIGHEST, "MIDI number of the highest note kept", _PITCH)
    onsets: bool = fields.declare(False, "tell notes struck again from notes held")
    drums: bool = fields.declare(False, "keep drums among the notes")
    sustain_pedal: bool = fields.declare(True, "the sustain pedal holds notes")
    transpose: int = fields.declare(
        6, "most semitones by which training pieces are moved up or down", Range(0, 24))
    transpose_share: float = fields.declare(
        1.0, "how many of the training pieces are moved at all", Range(0, 1))
    transpose_steps: int = fields.declare(
        0, "updates after which none is moved any more; 0: they always are", Range(0, 1 << 40))

    # The model.
    decoder: Literal["masked", "bernoulli", "scores"] = fields.declare(
        "masked", "notes given those below, or on their own, or the highest scores of VAE-Seq")
    relative_channels: int = fields.declare(
        10, "hidden units of each note in the decoder, where what is learnt of two notes holds for "
        "all at their distance; 0: it does not", Range(0, 256))
    masked_hidden_size: int = fields.declare(
        0, "decoder=masked: hidden units in all, in place of relative_channels", Range(0, 1 << 14))
    decoder_dropout: float = fields.declare(
        0.2, "share of the decoder's hidden units dropped in training",
        Range(0, 1, open_high=True))
    most_notes: int = fields.declare(
        10, "decoder=scores: most notes that sound at once", Range(1, 128))
    history_size: int = fields.declare(1, "how many frames back a step sees", Range(1, 256))
    history_encoder_fc_layers: tuple[int, ...] = fields.declare(
        (), "layers that encode those frames together", _SIZE)

    recall: int = fields.declare(
        160, "frames back in which the present passage is looked up; 0: it is not (nor by "
        "decoder=scores)", Range(0, 4096))
    beats: int = fields.declare(
        0, "frames of a measure, in which the place is told; 0: it is not", Range(0, 4096))

    vae_type: str = redeclare(HParams, "vae_type", "RNN")
    sequence_size: int = redeclare(HParams, "sequence_size", 160)
    learning_rate: float = redeclare(HParams, "learning_rate", 2e-3)
    learning_rate_final: float = redeclare(HParams, "learning_rate_final", 0.01)
    context_skip: bool = redeclare(HParams, "context_skip", True)
    dropout: float = redeclare(HParams, "dropout", 0.4)
    context_dropout: float = redeclare(HParams, "context_dropout", 0.1)
    weight_decay: float = redeclare(HParams, "weight_decay", 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lowest_note > self.highest_note:
            raise ValueError(f"lowest_note: expected at most highest_note={self.highest_note}; got "
                             f"{self.lowest_note}")
        if self.decoder == "scores" and self.most_notes > self.frames.columns:
            raise ValueError(f"most_notes: expected at most one a column, {self.frames.columns}; "
                             f"got {self.most_notes}")
        if self.decoder == "masked" and not (self.masked_hidden_size or self.relative_channels):
            raise ValueError("decoder=masked: expected relative_channels or masked_hidden_size "
                             "above 0; got 0 for both")
        if self.recall == 1:
            raise ValueError("recall: expected 0, or at least 2: one frame has none before it to "
                             "agree with; got 1")

    @property
    def frames(self) -> Grid:
        """What a frame is, and its columns."""
        return Grid(
            rate=self.rate, note=self.grid, lowest=self.lowest_note, highest=self.highest_note,
            onsets=self.onsets, drums=self.drums, pedal=self.sustain_pedal)
