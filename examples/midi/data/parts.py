# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Divides the notes of a piece into parts.

The notes of one track, channel and program are a voice. While there are more voices than parts, two
of them are merged: of the same program if any two are, and of those the closest by mean pitch.
Parts are ordered by mean pitch, the highest first; those of a piece with fewer voices are silent.

Axes: N notes.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .midi_reader import Notes

MAX_PARTS = 4
DRUMS = 128  # the program of drum channels
_FARTHEST = 1000.0  # semitones that different programs count for


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
    voices = _merged(voices, count, pitch, programs)
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


def _merged(
    voices: list[_Voice], count: int, pitch: np.ndarray, programs: np.ndarray
) -> list[_Voice]:
    """Merges the closest two of more than `count` voices, until so many are left.

    Voices of a common program are closer than others. Each voice keeps its closest one of those
    behind it, so that thousands of voices take seconds.
    """
    if len(voices) <= count:
        return voices
    most = 2 * len(voices)
    means, sounds = np.zeros(most), np.zeros([most, DRUMS + 1], bool)
    exists, closest = np.zeros(most, bool), np.zeros(most, int)
    nearest = np.full(most, np.inf)  # the distance to the closest one

    def distances(one: int, others: np.ndarray) -> np.ndarray:
        differs = ~(sounds[others] & sounds[one]).any(axis=1)
        return _FARTHEST * differs + abs(means[others] - means[one])

    def find_closest(one: int) -> None:
        behind = one + 1 + np.flatnonzero(exists[one + 1:])
        among = distances(one, behind)
        nearest[one] = among.min(initial=np.inf)
        closest[one] = behind[among.argmin()] if len(behind) else one

    for number, voice in enumerate(voices):
        means[number], exists[number] = voice.pitch, True
        sounds[number, voice.programs] = True
    for number in range(len(voices)):
        find_closest(number)
    voices = [*voices]
    while exists.sum() > count:
        one = int(nearest.argmin())
        pair = [one, int(closest[one])]
        exists[pair], nearest[pair] = False, np.inf
        new = len(voices)
        voices.append(_Voice(
            np.concatenate([voices[number].notes for number in pair]), pitch, programs))
        means[new], sounds[new, voices[new].programs] = voices[new].pitch, True
        for orphan in np.flatnonzero(exists & np.isin(closest, pair)):
            find_closest(int(orphan))
        others = np.flatnonzero(exists)
        to_new = distances(new, others)
        is_closer = to_new < nearest[others]
        nearest[others[is_closer]], closest[others[is_closer]] = to_new[is_closer], new
        exists[new] = True
    return [voice for number, voice in enumerate(voices) if exists[number]]
