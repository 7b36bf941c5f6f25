# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Splits pieces into phrases of some bars, each a sequence of its own."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..hparams import MidiHParams


def split(rolls: Sequence[np.ndarray], hparams: MidiHParams) -> Sequence[np.ndarray]:
    """Returns the phrases of rolls `[N, P]`; the last of a piece may be shorter.

    Phrases begin at multiples of their length from the beginning of a piece. Without `bars`, and
    for phrases, returns what it was given.
    """
    size = hparams.phrase_frames
    if not size:
        return rolls
    return [roll[start:start + size] for roll in rolls for start in range(0, len(roll), size)]
