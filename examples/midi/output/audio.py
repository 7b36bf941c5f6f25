# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rolls as sound: with a piano where fluidsynth is installed, else with plain tones."""
from __future__ import annotations

import importlib
import os
import wave

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import Grid

RATE = 16_000  # samples a second
_LOUDEST = 0.9


def synthesize(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """The sound of a roll `[T, P]` in plain tones, float32 in [-1, 1], as long as its frames."""
    return _fitted(piano_roll.to_midi(roll, grid).instruments[0].synthesize(fs=RATE), roll, grid)


def play(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """The same as it sounds best here: on the piano of pretty_midi's soundfont, if it can be."""
    if roll.any() and _has_fluidsynth():
        midi = piano_roll.to_midi(roll, grid)
        return _fitted(midi.fluidsynth(fs=RATE), roll, grid)
    return synthesize(roll, grid)


def save(path: str | os.PathLike[str], samples: np.ndarray) -> None:
    """Writes samples in [-1, 1] as a WAV file of 16 bits, one channel."""
    with open(path, "wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def _fitted(samples: np.ndarray, roll: np.ndarray, grid: Grid) -> np.ndarray:
    """As loud as all others, and as long as the roll."""
    size = round(len(roll) * grid.frame_seconds * RATE)
    fitted = np.zeros(size, np.float32)
    kept = samples[:size]
    fitted[:len(kept)] = kept
    loudest = np.abs(fitted).max(initial=0.0)
    return fitted * (_LOUDEST / loudest) if loudest else fitted


def _has_fluidsynth() -> bool:
    try:
        importlib.import_module("fluidsynth")
    except (ImportError, OSError, AttributeError):  # it, or the system's library, is not there
        return False
    return True
