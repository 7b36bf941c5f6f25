# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The settings of `vaeseq-text tune`; imports no TensorFlow."""
from __future__ import annotations

import dataclasses

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.tuning.settings import SAMPLES_PER_PREFIX, TuneSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTuneSettings(TuneSettings):
    """The settings of tuning text; each is an option.

    Raises ValueError for a value out of range.
    """

    length: int = fields.declare(200, "symbols of a sample", Range(1, 1 << 16))
    mixer_every: int = fields.declare(
        0, "MIXER: updates between two moves of the border up to which samples are training text "
        "(0: samples begin texts)", Range(0, 10**9))
    mixer_by: int = fields.declare(
        20, "MIXER: symbols of a move; the first samples continue training text by so many",
        Range(1, 1 << 16))
    mixer_end: int = fields.declare(
        1, "MIXER: symbols of training text that the last samples continue", Range(0, 1 << 16))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mixer_every and self.mixer_end >= self.length:
            raise ValueError(
                f"--mixer-end: expected less than the length of a sample, {self.length}; got "
                f"{self.mixer_end}.")
        if self.mixer_every and self.batch_size % SAMPLES_PER_PREFIX:
            raise ValueError(
                f"--batch-size: expected a multiple of {SAMPLES_PER_PREFIX} with --mixer-every, as "
                f"so many samples continue one training text; got {self.batch_size}.")
