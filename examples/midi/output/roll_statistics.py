# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Statistics of piano rolls, to compare samples with music: good scores may hide bad samples."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.archives import LOWEST

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_INTERVALS = 25  # semitones between two notes of a frame, 0 to two octaves
_DENSITIES = 11  # notes in a frame, 0 to ten


def statistics_of(pieces: Sequence[np.ndarray], lowest: int = LOWEST) -> dict[str, Any]:
    """Computes statistics of pieces.

    Args:
      pieces: arrays `[T, P]`, above 0.5 where a note sounds.
      lowest: MIDI number of the first column.

    Returns:
      A dictionary: `notes_per_frame`; `silent_frames`, their share; `density` [11], shares of
      frames by the number of notes (the last: ten or more); `pitch_classes` [12], shares of notes,
      C first; `intervals` [25], shares of the pairs of notes in a frame by their distance in
      semitones (the last: two octaves or more); `held`, the mean number of frames that a pitch
      sounds without a break.
    """
    frames = np.concatenate([np.asarray(piece) > 0.5 for piece in pieces])
    notes = frames.sum(axis=1)
    density = np.bincount(np.minimum(notes, _DENSITIES - 1), minlength=_DENSITIES)
    return {
        "notes_per_frame": _rounded(notes.mean()),
        "silent_frames": _rounded((notes == 0).mean()),
        "density": _shares(density),
        "pitch_classes": _shares(np.bincount(
            (np.arange(frames.shape[1]) + lowest) % 12, frames.sum(axis=0), minlength=12)),
        "intervals": _intervals(frames),
        "held": _rounded(_held(pieces)),
    }


def _intervals(frames: np.ndarray) -> list[float]:
    on = frames.astype(np.float32)
    low, high = np.triu_indices(on.shape[1], 1)
    together = (on.T @ on)[low, high]  # number of frames in which both sound
    distances = np.minimum(high - low, _INTERVALS - 1)
    return _shares(np.bincount(distances, together, minlength=_INTERVALS))


def _held(pieces: Sequence[np.ndarray]) -> float:
    sounding = starts = 0
    for piece in pieces:
        roll = np.asarray(piece) > 0.5
        before = np.concatenate([np.zeros_like(roll[:1]), roll[:-1]])
        sounding += int(roll.sum())
        starts += int((roll & ~before).sum())
    return sounding / max(1, starts)


def _shares(counts: np.ndarray) -> list[float]:
    return [_rounded(share) for share in counts / max(1, counts.sum())]


def _rounded(value: float) -> float:
    return round(float(value), 4)
