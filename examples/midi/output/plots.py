# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rolls and histograms as plots."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import Grid
from .roll_statistics import PITCH_CLASSES

_MIDDLE_C = 60
_MARGIN = 3  # semitones shown beyond the notes
_WIDEST = 40.0  # inches
_NOTE, _GIVEN = "#1f5a94", "#9aa5b1"  # colours of what was drawn and of what was given


def pitch_name(pitch: int) -> str:
    """How a MIDI number is called: 60 is C4."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def bitmap(on: np.ndarray) -> np.ndarray:
    """A picture, uint8 `[H, W, 1]`, of which notes sound, bool `[T, P]`: high notes at the top."""
    return np.kron(on.T[::-1], np.ones([3, 3], np.uint8))[..., None].astype(np.uint8) * 255


def save_roll(
    path: str | os.PathLike[str], roll: np.ndarray, grid: Grid, *, title: str, given: int = 0
) -> None:
    """Writes a PNG of a roll with pitch names and seconds.

    Args:
      path: where to.
      roll: `[T, P]`, with onsets `[T, 2 P]`.
      grid: what its frames and columns are.
      title: above it.
      given: how many frames at the beginning the model continued; marked, if there are any.
    """
    from matplotlib.figure import Figure
    pitch, start, end = piano_roll.played(roll, grid)
    low = int(pitch.min(initial=_MIDDLE_C)) - _MARGIN
    high = int(pitch.max(initial=_MIDDLE_C)) + _MARGIN
    seconds = len(roll) * grid.frame_seconds
    figure = Figure(figsize=(min(_WIDEST, max(8.0, seconds / 4)), 2 + (high - low) / 12),
                    layout="constrained")
    axes = figure.subplots()
    colours = np.where(start < given, _GIVEN, _NOTE)
    axes.barh(pitch, (end - start) * grid.frame_seconds, 0.8, start * grid.frame_seconds,
              color=colours, edgecolor="white", linewidth=0.4)
    if given:
        axes.axvline(given * grid.frame_seconds, color="#c0392b")
        axes.annotate(" the model goes on from here", (given * grid.frame_seconds, high - 1),
                      color="#c0392b", va="top")
    octaves = [p for p in range(low, high + 1) if p % 12 in (0, 4, 7)]
    axes.set_yticks(octaves, [pitch_name(p) for p in octaves])
    axes.set(xlim=(0, max(seconds, 1e-3)), ylim=(low, high), xlabel="seconds", title=title)
    axes.grid(alpha=0.25)
    figure.savefig(path, format="png", dpi=100)


def save_histograms(
    path: str | os.PathLike[str], samples: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Writes one PNG of `roll_statistics.statistics_of` samples beside the data's."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10, 9), layout="constrained")
    panels = {"density": "notes in a frame", "pitch_classes": "pitch class",
              "intervals": "semitones between two notes of a frame"}
    for axes, (name, label) in zip(figure.subplots(len(panels)), panels.items()):
        places = np.arange(len(data[name]))
        axes.bar(places - 0.2, data[name], 0.4, label="data", color=_GIVEN)
        axes.bar(places + 0.2, samples[name], 0.4, label="samples", color=_NOTE)
        names = PITCH_CLASSES if name == "pitch_classes" else [str(place) for place in places]
        axes.set_xticks(places, names)
        axes.set(xlabel=label, ylabel="share")
    figure.axes[0].legend()
    figure.savefig(path, format="png", dpi=100)
