# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Plain sounds of drums: tones and noise that fade out, by the percussion map of General MIDI."""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

_LOUDNESS = 2.0  # beside one tone of the same velocity
_FADING = 6  # time constants until a sound is cut off
_GLIDE_SECONDS = 0.03  # in which the tone of a bass drum falls to its frequency


class _Drum(NamedTuple):
    """The sound of a drum."""

    hertz: float  # of its tone
    seconds: float  # the time constant of its fading
    noise: float  # the share of noise, from 0 to 1
    is_bright: bool = False  # whether its noise has high frequencies alone
    glide: float = 0.0  # how much higher its tone begins


_BASS = _Drum(50.0, 0.12, 0.02, glide=3.0)
_SNARE, _STICK = _Drum(190.0, 0.08, 0.8), _Drum(900.0, 0.02, 0.3)
_HI_HAT, _CYMBAL = _Drum(0.0, 0.03, 1.0, True), _Drum(0.0, 0.4, 1.0, True)
_DRUMS = {
    35: _BASS, 36: _BASS, 37: _STICK, 38: _SNARE, 39: _Drum(0.0, 0.06, 1.0), 40: _SNARE,
    42: _HI_HAT, 44: _HI_HAT, 46: _Drum(0.0, 0.2, 1.0, True), 54: _HI_HAT, 69: _HI_HAT,
    70: _HI_HAT, 82: _HI_HAT,
    **dict.fromkeys((49, 51, 52, 53, 55, 57, 59), _CYMBAL),
    **{pitch: _Drum(80.0 + 12.0 * number, 0.2, 0.1)
       for number, pitch in enumerate((41, 43, 45, 47, 48, 50))}}


def synthesize(notes: list[Any], rate: int) -> np.ndarray:
    """Returns the sound of the notes of a drum track, `pretty_midi.Note`s.

    Args:
      notes: their pitches name the drums; others than those of a drum kit are short tones.
      rate: samples per second.

    Returns:
      Samples as loud as the tones of pretty_midi, `[N]`.
    """
    sounds = {}
    for number, pitch in enumerate(sorted({note.pitch for note in notes})):
        drum = _DRUMS.get(pitch, _Drum(400.0 * 2 ** ((pitch - 60) / 24), 0.06, 0.1))
        sounds[pitch] = _sound(drum, rate, np.random.default_rng(number))
    starts = [round(note.start * rate) for note in notes]
    samples = np.zeros(max((start + len(sounds[note.pitch])
                            for start, note in zip(starts, notes)), default=0))
    for start, note in zip(starts, notes):
        sound = sounds[note.pitch]
        samples[start:start + len(sound)] += note.velocity * sound
    return samples


def _sound(drum: _Drum, rate: int, rng: np.random.Generator) -> np.ndarray:
    seconds = np.arange(round(_FADING * drum.seconds * rate)) / rate
    glided = seconds + drum.glide * _GLIDE_SECONDS * (1 - np.exp(-seconds / _GLIDE_SECONDS))
    noise = rng.uniform(-1, 1, len(seconds) + 1)
    noise = np.diff(noise) / 2 if drum.is_bright else noise[1:]
    tone = np.sin(2 * np.pi * drum.hertz * glided)
    return _LOUDNESS * np.exp(-seconds / drum.seconds) * (
        drum.noise * noise + (1 - drum.noise) * tone)
