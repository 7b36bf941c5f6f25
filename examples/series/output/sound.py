# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sampled sound as WAV files."""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile


def names(path: Path, count: int) -> list[Path]:
    """Returns the files of `count` sounds: of several NAME-1.wav, NAME-2.wav and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def save_all(path: Path, sounds: np.ndarray, rate: int) -> None:
    """Writes sounds `[S, N]` in [-1, 1] as WAV files `names(path, S)` of 16 bits.

    Values beyond are clipped.
    """
    for name, samples in zip(names(path, len(sounds)), sounds, strict=True):
        content = io.BytesIO()  # soundfile hides why a file cannot be written
        soundfile.write(content, samples, rate, "PCM_16", format="WAV")
        name.write_bytes(content.getvalue())
