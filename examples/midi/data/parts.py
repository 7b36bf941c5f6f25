# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Divides the notes of a piece into parts.

The notes of one track, channel and program are a voice. While there are more voices than parts, two
of them are merged: of the same program if any two are, and of those the closest by mean pitch.
Parts are ordered by mean pitch, the highest first; those of a piece with fewer voices are silent.
With drums, the last part is theirs alone.

Axes: N notes, V voices.
"""
from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from .midi_reader import Notes

MAX_PARTS = 4
DRUMS = 128  # the program of drum channels
SILENT = -1  # that of a part without notes


class Parts(NamedTuple):
    """The parts of a piece."""

    part: np.ndarray  # int `[N]`, the part of each note; the first is 0
    # The commonest program of each part up to the last that sounds: DRUMS, or SILENT for none; of a
    # single part only DRUMS, if it has nothing else
    programs: tuple[int, ...]


def assign(notes: Notes, included: np.ndarray, count: int, *, drums: bool = False) -> Parts:
    """Divides the included notes of a piece, bool `[N]`, into at most `count` parts, at least 1.

    Args:
      notes: of the piece.
      included: which of them count.
      count: of parts; there is one for drums alone, if there are several.
      drums: whether there is.
    """
    pitch, voice = notes.pitch[included].astype(int), notes.voice[included]
    if count == 1 or not len(pitch):
        is_drums = len(pitch) > 0 and bool(notes.drum[included].all())
        return Parts(np.zeros(len(pitch), int), (DRUMS,) if is_drums else ())
    programs = np.where(notes.drum, DRUMS, notes.program.astype(int))[included]
    part = np.full(len(pitch), count - 1)
    divided = ~notes.drum[included] if drums else np.ones(len(pitch), bool)
    part[divided] = _divided(
        pitch[divided], voice[divided], programs[divided], count - 1 if drums else count)
    return Parts(part, tuple(
        int(np.bincount(programs[part == one]).argmax()) if (part == one).any() else SILENT
        for one in range(part.max() + 1)))


def _divided(
    pitch: np.ndarray, voice: np.ndarray, programs: np.ndarray, count: int
) -> np.ndarray:
    """Returns the part of each note, int `[N]`."""
    if count == 1 or not len(pitch):
        return np.zeros(len(pitch), int)
    kinds, labels = np.unique(np.stack([programs, voice]), axis=1, return_inverse=True)
    labels = _merged(labels.reshape(-1), pitch, kinds[0], count)
    # No two of more voices than parts have the same program now: any two may be merged.
    labels = _merged(labels, pitch, np.zeros(labels.max() + 1, int), count)
    means, (_, first) = _means(labels, pitch), np.unique(labels, return_index=True)
    number = np.argsort(np.lexsort((first, -means)))
    return number[labels]


def _merged(labels: np.ndarray, pitch: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Merges the closest two voices of one group, until `count` are left, or one of each group.

    The mean of two voices lies between theirs. So a merged voice is a run of the voices sorted by
    mean pitch, its closest one is a neighbour, and thousands of voices take no time.

    Args:
      labels: int `[N]`, the voice of each note.
      pitch: int `[N]`.
      group: int `[V]`, of each voice.
      count: voices that are wanted, of all groups together.

    Returns:
      The merged voice of each note, int `[N]`.
    """
    order = np.lexsort((_means(labels, pitch), group))
    group = group[order]
    sums, sizes = (np.concatenate([[0], np.cumsum(np.bincount(labels, weights)[order])])
                   for weights in (pitch, None))
    stop_of = {place: place + 1 for place in range(len(order))}  # by the start of a run
    start_of = {place + 1: place for place in range(len(order))}
    gaps: list[tuple[float, int, int, int]] = []

    def add(start: int, middle: int, stop: int) -> None:
        if group[middle - 1] == group[middle]:
            low, high = ((sums[end] - sums[begin]) / (sizes[end] - sizes[begin])
                         for begin, end in ((start, middle), (middle, stop)))
            heapq.heappush(gaps, (high - low, start, middle, stop))

    for place in range(1, len(order)):
        add(place - 1, place, place + 1)
    while len(stop_of) > count and gaps:
        _, start, middle, stop = heapq.heappop(gaps)
        if stop_of.get(start) == middle and stop_of.get(middle) == stop:  # both are still whole
            del stop_of[middle]
            stop_of[start], start_of[stop] = stop, start
            if start:
                add(start_of[start], start, stop)
            if stop < len(order):
                add(start, stop, stop_of[stop])
    run = np.searchsorted(sorted(stop_of), np.arange(len(order)), "right") - 1
    return run[np.argsort(order)][labels]


def _means(labels: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Returns the mean pitch of each voice, `[V]`."""
    return np.bincount(labels, pitch) / np.bincount(labels)
