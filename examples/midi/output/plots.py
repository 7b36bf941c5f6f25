# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Plots of rolls and histograms, as PNG files."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import Grid, Played
from .roll_statistics import PITCH_CLASSES

_MIDDLE_C = 60
_DPI = 100
_MARGIN = 3  # semitones above and below the notes
_MAX_WIDTH = 40.0  # inches
_NOTE, _REFERENCE = "#1f5a94", "#9aa5b1"  # colours of samples, and of primes and data
PARTS = (_NOTE, "#c9730b", "#2f7d4f", "#8a4fa3")  # colours of parts
_FAINTEST = 0.25  # opacity of the softest notes


class Picture(NamedTuple):
    """A picture of a roll."""

    width: int  # in pixels
    left: float  # where the first frame begins, as a share of the width
    right: float  # where the last frame ends, as a share of the width


def pitch_name(pitch: int) -> str:
    """Returns the name of a MIDI number: 60 is C4."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def bitmap(on: np.ndarray) -> np.ndarray:
    """Returns a picture, uint8 `[H, W, 1]`, of the notes that sound, bool `[T, P]`."""
    return np.kron(on.T[::-1], np.ones([3, 3], np.uint8))[..., None].astype(np.uint8) * 255


def save_roll(
    path: str | os.PathLike[str], roll: np.ndarray, grid: Grid, *, title: str,
    prime_frames: int = 0, kept_notes: np.ndarray | None = None,
) -> Picture:
    """Writes a PNG of a roll with pitch names and seconds, and returns where its frames are.

    Parts have colours, and soft notes are paler than loud ones. The first `prime_frames` are
    marked, and a note that is held beyond them changes its colour there; notes of `kept_notes`, as
    `roll`, have the colour of a prime.
    """
    from matplotlib.figure import Figure
    notes = _divided(piano_roll.played(roll, grid), prime_frames)
    low = int(notes.pitch.min(initial=_MIDDLE_C)) - _MARGIN
    high = int(notes.pitch.max(initial=_MIDDLE_C)) + _MARGIN
    seconds = len(roll) * grid.frame_seconds
    figure = Figure(figsize=(min(_MAX_WIDTH, max(8.0, seconds / 4)), 2 + (high - low) / 12),
                    layout="constrained")
    axes = figure.subplots()
    colours = np.where(notes.start < prime_frames, _REFERENCE, np.array(PARTS)[notes.part])
    _draw_notes(axes, notes, colours, grid)
    if kept_notes is not None:  # over the drawn notes, which may begin earlier at the same pitch
        melody = piano_roll.played(kept_notes, grid)
        _draw_notes(axes, melody, np.full(len(melody.pitch), _REFERENCE), grid)
    if grid.parts > 1:
        for number in range(grid.parts):
            axes.bar(0, 0, color=PARTS[number], label=f"part {number + 1}")
        figure.legend(loc="outside lower center", ncols=grid.parts)  # covers no notes
    if prime_frames:
        end_of_prime = prime_frames * grid.frame_seconds
        axes.axvline(end_of_prime, color="#c0392b")
        axes.annotate(" the model continues from here", (end_of_prime, high - 1),
                      color="#c0392b", va="top")
    labelled = [p for p in range(low, high + 1) if p % 12 in (0, 4, 7)]
    axes.set_yticks(labelled, [pitch_name(p) for p in labelled])
    axes.set(xlim=(0, max(seconds, 1e-3)), ylim=(low, high), xlabel="seconds")
    axes.set_title(title, parse_math=False)  # a file's name may contain dollar signs
    axes.grid(alpha=0.25)
    figure.savefig(path, format="png", dpi=_DPI)
    area = axes.get_position()
    return Picture(round(figure.get_figwidth() * _DPI), area.x0, area.x1)


def _divided(notes: Played, frame: int) -> Played:
    """Returns the notes, divided in two where they sound across the start of a frame."""
    is_across = (notes.start < frame) & (notes.end > frame)
    before = notes._replace(end=np.where(is_across, frame, notes.end))
    after = Played(*(field[is_across] for field in notes))
    after = after._replace(start=np.full_like(after.start, frame))
    return Played(*map(np.concatenate, zip(before, after)))


def _draw_notes(axes: Any, notes: Played, colours: np.ndarray, grid: Grid) -> None:
    """Draws notes in the colours of their names, `[N]`; with velocities, soft ones are paler."""
    from matplotlib.colors import to_rgba_array
    rgba = to_rgba_array(colours)
    if grid.velocity:
        rgba[:, 3] = _FAINTEST + (1 - _FAINTEST) * notes.velocity / 127
    seconds = grid.frame_seconds
    axes.barh(notes.pitch, (notes.end - notes.start) * seconds, 0.8, notes.start * seconds,
              color=rgba, edgecolor="white", linewidth=0.4)


def save_histograms(
    path: str | os.PathLike[str], samples: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Writes one PNG of `roll_statistics.statistics_of` samples beside the data's."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10, 9), layout="constrained")
    panels = {"density": "notes in a frame", "pitch_classes": "pitch class",
              "intervals": "semitones between two notes of a frame"}
    for axes, (name, label) in zip(figure.subplots(len(panels)), panels.items()):
        x = np.arange(len(data[name]))
        axes.bar(x - 0.2, data[name], 0.4, label="data", color=_REFERENCE)
        axes.bar(x + 0.2, samples[name], 0.4, label="samples", color=_NOTE)
        names = PITCH_CLASSES if name == "pitch_classes" else [str(bin_) for bin_ in x]
        axes.set_xticks(x, names)
        axes.set(xlabel=label, ylabel="share")
    figure.axes[0].legend()
    figure.savefig(path, format="png", dpi=_DPI)
