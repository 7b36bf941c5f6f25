# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sound of rolls: instruments if fluidsynth is installed, else plain tones and drums."""
from __future__ import annotations

import importlib
import os
import wave

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import Grid
from . import percussion

RATE = 16_000  # samples per second
_PEAK = 0.9  # amplitude of the loudest sample


def synthesize(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Synthesizes a roll with plain tones; returns float32 in [-1, 1], as long as its frames."""
    parts = [percussion.synthesize(part.notes, RATE) if part.is_drum else part.synthesize(fs=RATE)
             for part in piano_roll.to_midi(roll, grid).instruments]
    samples = np.zeros(max(map(len, parts)))
    for part in parts:
        samples[:len(part)] += part
    return _fit(samples, roll, grid)


def play(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Synthesizes a roll with the soundfont of pretty_midi, or else with plain tones."""
    if roll.any() and _has_fluidsynth():
        midi = piano_roll.to_midi(roll, grid)
        return _fit(midi.fluidsynth(fs=RATE), roll, grid)
    return synthesize(roll, grid)


def save(path: str | os.PathLike[str], samples: np.ndarray) -> None:
    """Writes samples in [-1, 1] as a WAV file of 16 bits, one channel."""
    with open(path, "wb") as raw, wave.open(raw, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def _fit(samples: np.ndarray, roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Scales the sound to the same peak as all others; cuts or pads it to the roll's duration."""
    size = round(len(roll) * grid.frame_seconds * RATE)
    fitted = np.zeros(size, np.float32)
    fitted[:len(samples)] = samples[:size]
    peak = np.abs(fitted).max(initial=0.0)
    return fitted * (_PEAK / peak) if peak else fitted


def _has_fluidsynth() -> bool:
    try:
        importlib.import_module("fluidsynth")
    except (ImportError, OSError, AttributeError):  # the module or its library is missing
        return False
    return True
