# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The settings of `vaeseq-midi tune`; imports no TensorFlow."""
from __future__ import annotations

import dataclasses

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.tuning.settings import TuneSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class MidiTuneSettings(TuneSettings):
    """The settings of tuning music; each is an option.

    Raises ValueError for a value out of range.
    """

    discount: float = fields.redeclare(TuneSettings, "discount", 0.7)
    learning_rate: float = fields.redeclare(TuneSettings, "learning_rate", 2e-3)
    bars: int = fields.declare(
        8, "length of a sample in bars, at most a phrase of a model of phrases", Range(1, 1024))
    bar: int = fields.declare(
        0, "frames in a bar; 0: four beats, at 120 per minute without a grid",
        Range(0, 1024))
