# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Divides the notes of a piece into parts.

The notes of one track, channel and program are a voice. While there are more voices than parts, two
of them are merged: of the same program if any two are, and of those the closest by mean pitch.
Parts are ordered by mean pitch, the highest first; those of a piece with fewer voices are silent.

Axes: N notes.
"""
from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from .midi_reader import Notes

DRUMS = 128  # the program of drum channels


class Parts(NamedTuple):
    """The parts of a piece.

    Attributes:
      part: int `[N]`, the part of each note; the first is 0.
      programs: for each part that is not silent, its commonest program; DRUMS for drums.
    """

    part: np.ndarray
    programs: tuple[int, ...]


@dataclasses.dataclass
class _Voice:
    """A voice, or several that are merged: the places of its notes, their mean pitch, programs."""

    notes: np.ndarray
    pitch: float
    programs: np.ndarray


def assign(notes: Notes, count: int) -> Parts:
    """Divides the notes of a piece into at most `count` parts."""
    if count == 1:
        return Parts(np.zeros(len(notes.pitch), int), ())
    programs = np.where(notes.drum, DRUMS, notes.program.astype(int))
    _, labels = np.unique(np.stack([programs, notes.voice]), axis=1, return_inverse=True)
    voices = [_voice(np.flatnonzero(labels == label), notes, programs)
              for label in np.unique(labels)]
    while len(voices) > count:
        one, other = min(itertools.combinations(voices, 2), key=_distance)
        voices = [voice for voice in voices if voice is not one and voice is not other]
        voices.append(_voice(np.concatenate([one.notes, other.notes]), notes, programs))
    voices.sort(key=lambda voice: (-voice.pitch, voice.notes.min()))
    part = np.zeros(len(notes.pitch), int)
    for number, voice in enumerate(voices):
        part[voice.notes] = number
    return Parts(part, tuple(int(np.bincount(voice.programs).argmax()) for voice in voices))


def _voice(places: np.ndarray, notes: Notes, programs: np.ndarray) -> _Voice:
    return _Voice(places, float(notes.pitch[places].mean()), programs[places])


def _distance(pair: tuple[_Voice, _Voice]) -> tuple[bool, float]:
    one, other = pair
    differs = not np.isin(one.programs, other.programs).any()
    return differs, abs(one.pitch - other.pitch)
