# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-midi; imports no TensorFlow, so that errors in them are quick."""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range, redeclare
from vaeseq.hparams import HParams

from .data.parts import DRUMS, MAX_PARTS
from .data.piano_roll import HIGHEST, LOWEST, MAX_GRID, RATES, Grid

MAX_SECONDS = 1800  # of a sample, whose sound must fit in memory
_PITCH = Range(0, 127)
_SIZE = Range(1, 1 << 14)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MidiHParams(HParams):
    """Hyperparameters of a model of music."""

    # Frames.
    rate: float = fields.declare(8.0, "frames per second, without a grid", RATES)
    grid: int = fields.declare(
        0, "note value of a frame, following the tempo: 16 for sixteenth notes; 0: use the rate",
        Range(0, MAX_GRID))
    lowest_note: int = fields.declare(LOWEST, "MIDI number of the lowest note", _PITCH)
    highest_note: int = fields.declare(HIGHEST, "MIDI number of the highest note", _PITCH)
    onsets: bool = fields.declare(False, "distinguish repeated from held notes")
    velocity: bool = fields.declare(
        False, "learn how hard each note is struck, too; distinguishes repeated from held notes")
    parts: int = fields.declare(
        1, "parts kept apart, by track and program", Range(1, MAX_PARTS))
    programs: tuple[int, ...] = fields.declare(
        (), "MIDI number of the sound of each part, 128 for drums; (): of several parts the "
        "commonest of the training music, of one drums where it has nothing else, or a piano",
        Range(0, DRUMS), is_fixed=False)
    drums: bool = fields.declare(False, "include drums")
    sustain_pedal: bool = fields.declare(True, "the sustain pedal holds notes")
    transpose: int = fields.declare(
        6, "maximum transposition of training pieces, up or down, in semitones; not of parts of "
        "drums, nor of one part with drums", Range(0, 24))
    transpose_share: float = fields.declare(
        1.0, "share of training pieces that are transposed", Range(0, 1))
    transpose_steps: int = fields.declare(
        0, "number of updates with transposition; 0: all", Range(0, 1 << 40))

    # The model.
    decoder: Literal["masked", "bernoulli", "scores"] = fields.declare(
        "masked", "each note given the lower ones, each on its own, or the scores of VAE-Seq")
    relative_channels: int = fields.declare(
        10, "hidden units of each note in the decoder, whose weights depend on intervals only; 0: "
        "weights for each pair of notes", Range(0, 256))
    masked_hidden_size: int = fields.declare(
        0, "decoder=masked: hidden units altogether, instead of relative_channels",
        Range(0, 1 << 14))
    decoder_dropout: float = fields.declare(
        0.2, "dropout rate of the decoder's hidden units",
        Range(0, 1, open_high=True))
    most_notes: int = fields.declare(
        10, "decoder=scores: maximum number of simultaneous notes", Range(1, 128))
    history_size: int = fields.declare(
        1, "number of previous frames that a step observes", Range(1, 256))
    history_encoder_fc_layers: tuple[int, ...] = fields.declare(
        (), "sizes of layers that encode the context", _SIZE)

    recall: int = fields.declare(
        1024, "frames that are searched for an earlier occurrence of the latest ones; 0: none (not "
        "used by decoder=scores)", Range(0, 4096))
    beats: int = fields.declare(
        0, "frames in a measure, whose place in it is observed; 0: it is not", Range(0, 4096))

    bars: int = fields.declare(
        0, "bars of a sequence, each on its own; 0: a sequence is a whole piece", Range(0, 1024))

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
            raise ValueError("most_notes: expected at most the number of columns, "
                             f"{self.frames.columns}; got {self.most_notes}")
        if self.programs and len(self.programs) != self.parts:
            raise ValueError(f"programs: expected one for each of parts={self.parts}; got "
                             f"{len(self.programs)}")
        if self.decoder == "scores" and self.velocity:
            raise ValueError("velocity: expected decoder=masked or bernoulli; got decoder=scores, "
                             "whose notes are scores")
        if self.decoder == "masked" and not (self.masked_hidden_size or self.relative_channels):
            raise ValueError("decoder=masked: expected relative_channels or masked_hidden_size "
                             "above 0; got 0 for both")
        if self.phrase_frames > self.sequence_size:
            raise ValueError(f"bars: expected at most sequence_size={self.sequence_size} frames; "
                             f"got {self.bars} bars of {self.phrase_frames} frames together")
        if self.recall == 1:
            raise ValueError("recall: expected 0 or at least 2, for a frame and the one after it; "
                             "got 1")

    @property
    def phrase_frames(self) -> int:
        """Frames of a sequence of `bars`; 0 where sequences are whole pieces."""
        return self.bars * (self.beats or self.frames.bar)

    @property
    def frames(self) -> Grid:
        """The frames and columns of rolls."""
        return Grid(
            rate=self.rate, note=self.grid, lowest=self.lowest_note, highest=self.highest_note,
            onsets=self.onsets or self.velocity, drums=self.drums, pedal=self.sustain_pedal,
            velocity=self.velocity, parts=self.parts, programs=self.programs)
