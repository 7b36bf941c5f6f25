# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Where drums are written on a staff of five lines, by the percussion map of General MIDI."""
from __future__ import annotations

from typing import NamedTuple

_OTHERS = "B4"  # the middle line
_PLACES = {
    35: "F4", 36: "F4", 37: "C5", 38: "C5", 39: "C5", 40: "C5", 41: "G4", 42: "G5", 43: "A4",
    44: "D4", 45: "B4", 46: "G5", 47: "D5", 48: "D5", 49: "A5", 50: "E5", 51: "F5", 52: "B5",
    53: "F5", 54: "E5", 55: "B5", 56: "E5", 57: "A5", 59: "F5"}
_CYMBALS = frozenset({42, 44, 46, 49, 51, 52, 53, 55, 57, 59})


class Place(NamedTuple):
    """Where a drum is written, read as in a treble clef."""

    step: str  # the letter
    octave: int  # the one from middle C on is 4
    is_cymbal: bool  # whether its note has a cross for a head


def place(drum: int) -> Place:
    """Returns the place of a drum, by its MIDI number."""
    written = _PLACES.get(drum, _OTHERS)
    return Place(written[0], int(written[1]), drum in _CYMBALS)


def name(drum: int) -> str:
    """Returns the name of a drum, by its MIDI number."""
    import pretty_midi
    return pretty_midi.note_number_to_drum_name(drum) or f"Drum {drum}"
