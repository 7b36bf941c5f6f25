# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The settings of `vaeseq-text tune`; imports no TensorFlow."""
from __future__ import annotations

import dataclasses

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.tuning.settings import TuneSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTuneSettings(TuneSettings):
    """The settings of tuning text; each is an option.

    Raises ValueError for a value out of range.
    """

    length: int = fields.declare(200, "symbols of a sample", Range(1, 1 << 16))
