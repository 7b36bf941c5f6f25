# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sampled sound as WAV files."""
from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def save_all(path: Path, sounds: np.ndarray, rate: int) -> None:
    """Writes sounds `[S, N]` in [-1, 1] as WAV files of 16 bits; values beyond are clipped.

    For several sounds, NAME.wav becomes NAME-1.wav, NAME-2.wav and so on.
    """
    for number, samples in enumerate(sounds, 1):
        name = path if len(sounds) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        with open(name, "wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            whole = np.rint(np.clip(samples, -1, 1) * 32767)
            file.writeframes(whole.astype("<i2").tobytes())
