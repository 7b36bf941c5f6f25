# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What sequences of frames sound like, in numbers: a model can score well and sample badly."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_INTERVALS = 25  # semitones between two notes of a frame, 0 to two octaves


def statistics_of(pieces: Sequence[np.ndarray]) -> dict[str, float | list[float]]:
    """Statistics of piano rolls [N, 88].

    Returns:
      notes_per_frame; silent_frames, a share; pitch_classes [12], shares of the notes, C first;
      intervals [25], shares of the pairs of notes in a frame by distance in semitones (beyond two
      octaves: the last); held, how many frames a note goes on sounding, on average.
    """
    frames = np.concatenate([np.asarray(piece) > 0.5 for piece in pieces])
    notes = frames.sum(axis=1)
    return {
        "notes_per_frame": _rounded(notes.mean()),
        "silent_frames": _rounded((notes == 0).mean()),
        "pitch_classes": _pitch_classes(frames),
        "intervals": _intervals(frames),
        "held": _rounded(_held(pieces)),
    }


def _pitch_classes(frames: np.ndarray) -> list[float]:
    counts = np.zeros(12)
    np.add.at(counts, (np.arange(frames.shape[1]) + 21) % 12, frames.sum(axis=0))
    return [_rounded(share) for share in counts / max(1, counts.sum())]


def _intervals(frames: np.ndarray) -> list[float]:
    together = frames.astype(np.float64).T @ frames  # [88, 88], how often both sound
    counts = np.zeros(_INTERVALS)
    for low in range(len(together)):
        for high in range(low + 1, len(together)):
            counts[min(high - low, _INTERVALS - 1)] += together[low, high]
    return [_rounded(share) for share in counts / max(1, counts.sum())]


def _held(pieces: Sequence[np.ndarray]) -> float:
    sounding = starts = 0
    for piece in pieces:
        roll = np.asarray(piece) > 0.5
        before = np.concatenate([np.zeros_like(roll[:1]), roll[:-1]])
        sounding += int(roll.sum())
        starts += int((roll & ~before).sum())
    return sounding / max(1, starts)


def _rounded(value: float) -> float:
    return round(float(value), 4)
