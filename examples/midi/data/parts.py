# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Divides the notes of a piece into parts.

The notes of one track, channel and program are a voice. While there are more voices than parts, two
of them are merged: of the same program if any two are, and of those the closest by mean pitch.
Parts are ordered by mean pitch, the highest first; those of a piece with fewer voices are silent.

Axes: N notes.
"""
from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from .midi_reader import Notes

MAX_PARTS = 4
DRUMS = 128  # the program of drum channels


class Parts(NamedTuple):
    """The parts of a piece."""

    part: np.ndarray  # int `[N]`, the part of each note; the first is 0
    # For each part that is not silent, its commonest program; DRUMS for drums
    programs: tuple[int, ...]


def assign(notes: Notes, included: np.ndarray, count: int) -> Parts:
    """Divides the included notes of a piece, bool `[N]`, into at most `count` parts, at least 1."""
    pitch, voice = notes.pitch[included], notes.voice[included]
    if count == 1:
        return Parts(np.zeros(len(pitch), int), ())
    programs = np.where(notes.drum, DRUMS, notes.program.astype(int))[included]
    _, labels = np.unique(np.stack([programs, voice]), axis=1, return_inverse=True)
    labels = labels.reshape(-1)
    voices = [_Voice(np.flatnonzero(labels == label), pitch, programs)
              for label in np.unique(labels)]
    while len(voices) > count:
        pair = min(itertools.combinations(voices, 2), key=_distance)
        voices = [voice for voice in voices if voice not in pair]
        voices.append(_Voice(np.concatenate([one.notes for one in pair]), pitch, programs))
    voices.sort(key=lambda voice: (-voice.pitch, voice.notes.min()))
    part = np.zeros(len(pitch), int)
    for number, one in enumerate(voices):
        part[one.notes] = number
    return Parts(part, tuple(int(np.bincount(one.programs).argmax()) for one in voices))


class _Voice:
    """The notes of a voice, or of several that are merged, by their places among all N."""

    def __init__(self, notes: np.ndarray, pitch: np.ndarray, programs: np.ndarray):
        self.notes = notes
        self.pitch = float(pitch[notes].mean())
        self.programs = programs[notes]


def _distance(pair: tuple[_Voice, _Voice]) -> tuple[bool, float]:
    one, other = pair
    differs = not np.isin(one.programs, other.programs).any()
    return differs, abs(one.pitch - other.pitch)
