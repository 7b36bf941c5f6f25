# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rolls as MusicXML, for notation programs.

A part of a roll becomes a part on two staves, divided at middle C, in measures of four quarters.
Notes that sound together in a staff are a chord; a note that sounds on while another one begins or
ends is tied. The key signature is that of the major key whose scale holds most of the notes. A part
of drums is on one staff, and each of its drums is an instrument of its own.

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
from ..data.parts import DRUMS
from ..data.piano_roll import TEMPO, Grid
from . import drum_notation

_MIDDLE_C = 60
_TYPES = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th", "256th")
_LETTERS = "FCGDAEB"  # the line of fifths; C is 0 on it
_KEYS = range(-6, 7)  # major keys by their tonic on the line of fifths
_DRUM_CHANNEL = 10
_CHANNELS = tuple(channel for channel in range(1, 17) if channel != _DRUM_CHANNEL)


class _Clock(NamedTuple):
    """The durations of frames."""

    measure: int  # frames of a measure
    divisions: int  # divisions of a quarter note
    frame: int  # divisions of a frame
    tempo: float  # quarter notes per minute


class _Part(NamedTuple):
    """A part of the score."""

    id: str
    program: int  # the MIDI number of its sound, or DRUMS
    fifths: int  # its key, by the tonic on the line of fifths

    @property
    def is_drums(self) -> bool:
        """Whether it has drums instead of pitches."""
        return self.program == DRUMS

    def drum_id(self, drum: int) -> str:
        """Returns the name of the instrument of a drum, by its MIDI number."""
        return f"{self.id}-I{drum}"


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
    programs = np.array(grid.programs or [0] * grid.parts)
    notes = piano_roll.played(roll, grid)
    fifths = _key(notes.pitch[programs[notes.part] != DRUMS])
    root = Element("score-partwise", version="4.0")
    _text(_child(root, "work"), "work-title", title)
    part_list = _child(root, "part-list")
    rolls, one = piano_roll.split_parts(roll, grid)
    for number, (part_roll, program) in enumerate(zip(rolls, programs.tolist()), 1):
        part = _Part(f"P{number}", program, fifths)
        drums = np.unique(notes.pitch[notes.part == number - 1]).tolist() if part.is_drums else []
        name, channel = f"Part {number}", _CHANNELS[(number - 1) % len(_CHANNELS)]
        _add_instruments(part_list, part, name if grid.parts > 1 else "", channel, drums)
        element = SubElement(root, "part", id=part.id)
        _add_measures(element, part, part_roll, one, clock)
        if number == 1:
            _add_tempo(element[0], clock)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_instruments(
    part_list: Element, part: _Part, name: str, channel: int, drums: list[int]
) -> None:
    """Adds a part and its instruments to the list: one, or one for each of the drums.

    Without a name, the part has that of its instrument.
    """
    import pretty_midi
    instruments: list[tuple[str, str, int | None]]  # identifier, name, and drum
    if part.is_drums:
        sound, channel, program = "Drums", _DRUM_CHANNEL, 0
        instruments = [(part.drum_id(drum), drum_notation.name(drum), drum) for drum in drums]
    else:
        sound, program = pretty_midi.program_to_instrument_name(part.program), part.program
        instruments = [(f"{part.id}-I1", sound, None)]
    element = SubElement(part_list, "score-part", id=part.id)
    _text(element, "part-name", name or sound)
    for id_, instrument, _ in instruments:
        _text(SubElement(element, "score-instrument", id=id_), "instrument-name", instrument)
    for id_, _, drum in instruments:
        midi = SubElement(element, "midi-instrument", id=id_)
        _text(midi, "midi-channel", channel)
        _text(midi, "midi-program", program + 1)  # MusicXML counts programs and notes from 1
        if drum is not None:
            _text(midi, "midi-unpitched", drum + 1)


def _add_measures(
    element: Element, part: _Part, roll: np.ndarray, grid: Grid, clock: _Clock
) -> None:
    """Adds the measures of a part, with a roll of one part."""
    values = _values(clock.divisions)
    is_upper = np.arange(grid.lowest, grid.highest + 1) >= _MIDDLE_C
    columns = [np.ones_like(is_upper)] if part.is_drums else [is_upper, ~is_upper]
    staves = [_measures(roll, grid, clock.measure, of_staff) for of_staff in columns]
    for number, measures in enumerate(zip(*staves), 1):
        measure = SubElement(element, "measure", number=str(number))
        if number == 1:
            _add_attributes(measure, clock, part)
        for staff, segments in enumerate(measures, 1):
            if staff > 1:
                _text(_child(measure, "backup"), "duration", clock.measure * clock.frame)
            for segment in segments:
                _add_notes(measure, segment, clock.frame, values, part, str(staff))


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
    roll: np.ndarray, grid: Grid, measure: int, columns: np.ndarray
) -> Iterator[list[_Segment]]:
    """Yields the segments of each measure of the staff of some pitches, bool `[P]`."""
    pitches = np.arange(grid.lowest, grid.highest + 1)
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


def _add_attributes(measure: Element, clock: _Clock, part: _Part) -> None:
    attributes = _child(measure, "attributes")
    _text(attributes, "divisions", clock.divisions)
    if not part.is_drums:
        _text(_child(attributes, "key"), "fifths", part.fifths)
    time = _child(attributes, "time")
    _text(time, "beats", 4)
    _text(time, "beat-type", 4)
    if part.is_drums:
        _text(_child(attributes, "clef"), "sign", "percussion")
        return
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
    measure: Element, segment: _Segment, frame: int, values: list[_Value], part: _Part, staff: str
) -> None:
    """Adds the notes of a segment, or its rest; tied ones if no single note value is as long."""
    written = list(_written(segment.frames * frame, values))
    for place, value in enumerate(written):
        for number, pitch in enumerate(segment.pitches or [None]):
            note = _child(measure, "note")
            drum = pitch if part.is_drums else None
            ties = [kind for kind, is_tied in (
                ("stop", place > 0 or pitch in segment.tied),
                ("start", place < len(written) - 1 or pitch in segment.held))
                if is_tied and pitch is not None]
            if number:
                _child(note, "chord")
            if pitch is None:
                _child(note, "rest")
            elif drum is not None:
                _add_place(note, drum)
            else:
                _add_pitch(note, pitch, part.fifths)
            _text(note, "duration", value.duration)
            for tie in ties:
                SubElement(note, "tie", type=tie)
            if drum is not None:
                SubElement(note, "instrument", id=part.drum_id(drum))
            _text(note, "voice", staff)
            if value.type:
                _text(note, "type", value.type)
            for _ in range(value.dots):
                _child(note, "dot")
            if value.is_triplet:
                modification = _child(note, "time-modification")
                _text(modification, "actual-notes", 3)
                _text(modification, "normal-notes", 2)
            if drum is not None and drum_notation.place(drum).is_cymbal:
                _text(note, "notehead", "x")
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


def _add_place(note: Element, drum: int) -> None:
    """Adds the place of a drum on its staff."""
    place = drum_notation.place(drum)
    element = _child(note, "unpitched")
    _text(element, "display-step", place.step)
    _text(element, "display-octave", place.octave)


def _child(parent: Element, tag: str) -> Element:
    return SubElement(parent, tag)


def _text(parent: Element, tag: str, text: object) -> None:
    SubElement(parent, tag).text = str(text)
