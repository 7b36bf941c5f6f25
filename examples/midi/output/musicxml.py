# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rolls as MusicXML, for notation programs.

A part of a roll becomes a part on two staves, divided at middle C, in measures of four quarters.
Notes that sound together in a staff are a chord; a note that sounds on while another one begins or
ends is tied. The key signature is that of the major key whose scale holds most of the notes.

Source: MusicXML 4.0, W3C Community Group, 2021.
"""
from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from ..data import piano_roll
from ..data.piano_roll import TEMPO, Grid

_MIDDLE_C = 60
_TYPES = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th", "256th")
_LETTERS = "FCGDAEB"  # the line of fifths; C is 0 on it
_KEYS = range(-6, 7)  # major keys by their tonic on the line of fifths


class _Clock(NamedTuple):
    """The durations of frames."""

    measure: int  # frames of a measure
    divisions: int  # divisions of a quarter note
    frame: int  # divisions of a frame
    tempo: float  # quarter notes per minute


class _Value(NamedTuple):
    """A note value: a duration in divisions, and how it is written; as "" if it cannot be."""

    duration: int
    type: str = ""
    dots: int = 0
    is_triplet: bool = False


class _Segment(NamedTuple):
    """Frames of a staff in which the same notes sound."""

    frames: int  # their number
    pitches: list[int]  # MIDI numbers of the notes, from low to high
    tied: list[int]  # those that continue notes of the segment before
    held: list[int]  # those that continue in the segment after


def save(path: str | os.PathLike[str], roll: np.ndarray, grid: Grid, *, title: str) -> None:
    """Writes a roll `[T, columns]` as a MusicXML file.

    Without a note grid, a frame is the note value, a power of two, that makes the tempo closest to
    120.
    """
    clock = _clock(grid)
    fifths = _key(piano_roll.played(roll, grid).pitch)
    root = Element("score-partwise", version="4.0")
    _text(_child(root, "work"), "work-title", title)
    part_list = _child(root, "part-list")
    rolls, one = piano_roll.split_parts(roll, grid)
    for number, part_roll in enumerate(rolls, 1):
        name = f"Part {number}" if grid.parts > 1 else "Piano"
        _text(SubElement(part_list, "score-part", id=f"P{number}"), "part-name", name)
        part = SubElement(root, "part", id=f"P{number}")
        _add_measures(part, part_roll, one, clock, fifths)
        if number == 1:
            _add_tempo(part[0], clock)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_measures(
    part: Element, roll: np.ndarray, grid: Grid, clock: _Clock, fifths: int
) -> None:
    """Adds the measures of a roll of one part."""
    values = _values(clock.divisions)
    staves = [_measures(roll, grid, clock.measure, is_upper) for is_upper in (True, False)]
    for number, (upper, lower) in enumerate(zip(*staves), 1):
        measure = SubElement(part, "measure", number=str(number))
        if number == 1:
            _add_attributes(measure, clock, fifths)
        for segment in upper:
            _add_notes(measure, segment, clock.frame, values, fifths, "1")
        _text(_child(measure, "backup"), "duration", clock.measure * clock.frame)
        for segment in lower:
            _add_notes(measure, segment, clock.frame, values, fifths, "2")


def _clock(grid: Grid) -> _Clock:
    per_measure = 4 * 60 / (TEMPO * grid.frame_seconds)
    measure = grid.note or 2 ** max(0, round(math.log2(per_measure)))
    common = math.gcd(measure, 4)
    return _Clock(measure, measure // common, 4 // common, 240 / (grid.frame_seconds * measure))


def _key(pitches: np.ndarray) -> int:
    """Returns the tonic, on the line of fifths, of the major key that fits notes best."""
    counts = np.bincount(pitches % 12, minlength=12)
    fit = {key: sum(int(counts[7 * fifth % 12]) for fifth in range(key - 1, key + 6))
           for key in _KEYS}
    return max(sorted(_KEYS, key=abs), key=lambda key: fit[key])


def _values(divisions: int) -> list[_Value]:
    """Returns the note values that are whole divisions, the longest first."""
    values: dict[int, _Value] = {}
    for number, name in enumerate(_TYPES):
        plain = Fraction(4 * divisions, 2 ** number)
        for size, dots, is_triplet in ((plain, 0, False), (plain * 3 / 2, 1, False),
                                       (plain * 2 / 3, 0, True)):
            if size.denominator == 1 and size <= 4 * divisions:
                values.setdefault(int(size), _Value(int(size), name, dots, is_triplet))
    return [values[size] for size in sorted(values, reverse=True)]


def _measures(
    roll: np.ndarray, grid: Grid, measure: int, is_upper: bool
) -> Iterator[list[_Segment]]:
    """Yields the segments of each measure of a staff."""
    pitches = np.arange(grid.lowest, grid.highest + 1)
    columns = (pitches >= _MIDDLE_C) == is_upper
    padding = [(0, -len(roll) % measure + measure * (not len(roll)) + 1), (0, 0)]
    on, begins = (np.pad(array[:, columns], padding)
                  for array in (piano_roll.sounding(roll, grid), piano_roll.struck(roll, grid)))
    continues = on & ~begins
    for first in range(0, len(on) - 1, measure):
        changes = [frame for frame in range(first + 1, first + measure)
                   if begins[frame].any() or (on[frame] != on[frame - 1]).any()]
        yield [
            _Segment(end - start, *(pitches[columns][mask].tolist() for mask in (
                on[start], continues[start], continues[end])))
            for start, end in zip([first, *changes], [*changes, first + measure])]


def _add_attributes(measure: Element, clock: _Clock, fifths: int) -> None:
    attributes = _child(measure, "attributes")
    _text(attributes, "divisions", clock.divisions)
    _text(_child(attributes, "key"), "fifths", fifths)
    time = _child(attributes, "time")
    _text(time, "beats", 4)
    _text(time, "beat-type", 4)
    _text(attributes, "staves", 2)
    for number, sign, line in (("1", "G", 2), ("2", "F", 4)):
        clef = SubElement(attributes, "clef", number=number)
        _text(clef, "sign", sign)
        _text(clef, "line", line)


def _add_tempo(measure: Element, clock: _Clock) -> None:
    """Inserts the tempo behind the attributes of a measure."""
    direction = Element("direction", placement="above")
    measure.insert(1, direction)
    metronome = _child(_child(direction, "direction-type"), "metronome")
    _text(metronome, "beat-unit", "quarter")
    _text(metronome, "per-minute", f"{clock.tempo:g}")
    SubElement(direction, "sound", tempo=f"{clock.tempo:g}")


def _add_notes(
    measure: Element, segment: _Segment, frame: int, values: list[_Value], fifths: int, staff: str
) -> None:
    """Adds the notes of a segment, or its rest; tied ones if no single note value is as long."""
    written = list(_written(segment.frames * frame, values))
    for place, value in enumerate(written):
        for number, pitch in enumerate(segment.pitches or [None]):
            note = _child(measure, "note")
            ties = [kind for kind, is_tied in (
                ("stop", place > 0 or pitch in segment.tied),
                ("start", place < len(written) - 1 or pitch in segment.held))
                if is_tied and pitch is not None]
            if number:
                _child(note, "chord")
            if pitch is None:
                _child(note, "rest")
            else:
                _add_pitch(note, pitch, fifths)
            _text(note, "duration", value.duration)
            for tie in ties:
                SubElement(note, "tie", type=tie)
            _text(note, "voice", staff)
            if value.type:
                _text(note, "type", value.type)
            for _ in range(value.dots):
                _child(note, "dot")
            if value.is_triplet:
                modification = _child(note, "time-modification")
                _text(modification, "actual-notes", 3)
                _text(modification, "normal-notes", 2)
            _text(note, "staff", staff)
            if ties:
                notations = _child(note, "notations")
                for tie in ties:
                    SubElement(notations, "tied", type=tie)


def _written(duration: int, values: list[_Value]) -> Iterator[_Value]:
    """Yields note values that add up to a duration, the longest first."""
    while duration:
        value = next((one for one in values if one.duration <= duration), _Value(duration))
        yield value
        duration -= value.duration


def _add_pitch(note: Element, pitch: int, fifths: int) -> None:
    """Adds a pitch, spelled by the nearest note to the key on the line of fifths."""
    lowest = fifths - 3  # the minor third of the key, to its augmented fifth
    fifth = lowest + (7 * pitch - lowest) % 12
    alteration, letter = divmod(fifth + 1, len(_LETTERS))
    element = _child(note, "pitch")
    _text(element, "step", _LETTERS[letter])
    if alteration:
        _text(element, "alter", alteration)
    _text(element, "octave", (pitch - alteration) // 12 - 1)


def _child(parent: Element, tag: str) -> Element:
    return SubElement(parent, tag)


def _text(parent: Element, tag: str, text: object) -> None:
    SubElement(parent, tag).text = str(text)
