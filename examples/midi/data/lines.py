# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Lines of a piece that are kept while a model draws the other notes.

Axes: T frames, P columns of a roll.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import piano_roll
from .piano_roll import Grid

# Each line, and what is kept of a frame.
LINES = {
    "melody": "the highest note, with nothing above it",
    "bass": "the lowest note, with nothing below it",
    "outer": "both, with nothing outside of them",
    "notes": "all notes; others may be added",
}


class Line(NamedTuple):
    """What of a roll is kept."""

    roll: np.ndarray  # the kept notes, uint8 `[T, columns]`
    # bool `[T, columns]`, which columns are kept: as in `roll`. In frames without notes none is.
    mask: np.ndarray


def keep(roll: np.ndarray, line: str, grid: Grid) -> Line:
    """Returns the line of a roll, uint8 `[T, columns]`, that `line`, one of LINES, names.

    The numbers of drums are no heights: of a part of drums, the last of several, nothing is kept,
    unless all notes are.
    """
    rolls, one = piano_roll.split_parts(roll, grid)
    on_in = [piano_roll.sounding(part, one) for part in rolls]
    on = piano_roll.sounding_pitches(roll, grid)
    columns = np.arange(grid.pitches)
    is_above = columns >= _highest(on)[:, None]
    is_below = (columns >= _highest(on[:, ::-1])[:, None])[:, ::-1]
    mask = {"melody": is_above, "bass": is_below, "outer": is_above | is_below, "notes": on}[line]
    mask = mask & on.any(axis=1, keepdims=True)
    of_drums = on_in[-1] if line == "notes" else np.zeros_like(mask)
    masks = [mask] * grid.pitched_parts + [of_drums] * (grid.parts - grid.pitched_parts)
    mask = np.concatenate([np.tile(part, [1, one.shape[1]]) for part in masks], axis=1)
    return Line(np.where(mask, roll, 0).astype(np.uint8), mask)


def _highest(on: np.ndarray) -> np.ndarray:
    """Returns the highest column that is on in each frame, int `[T]`; the last without any."""
    return on.shape[1] - 1 - np.argmax(on[:, ::-1], axis=1)
