# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Piano rolls: frames of notes that are on or off, made from notes and written as MIDI.

Times are rounded to the nearest frame. A roll has P columns, one per pitch, 1 where the note
sounds; or 2 P columns, which distinguish held from repeated notes: first P onsets, 1 where a note
begins, then P sustains, 1 where it continues from the frame before. With velocities, an onset is
its velocity, 1 to 127, instead of 1. With parts, there are so many columns for each part, one part
after the other (see `parts`).

Axes: T frames, P pitches, N notes.
"""
from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from vaeseq.fields import Range

from . import parts as parts_lib
from .midi_reader import END_MARK, Notes

RESOLUTION = 480  # ticks per beat of the files written
LOWEST, HIGHEST = 21, 108  # the 88 keys of a piano
RATES = Range(0.5, 100)  # frames per second
MAX_GRID = 192
TEMPO = 120.0  # beats per minute
SLOWEST = 4.0  # tempo that a MIDI file can say
VELOCITY = 80  # of notes without one
# Added before rounding, so that a tie goes to the later frame in spite of floating-point errors.
_TIE = 1e-6


@dataclasses.dataclass(frozen=True)
class Grid:
    """The frames and columns of rolls."""

    rate: float = 8.0  # frames per second, where `note` is 0
    # The note value of a frame, which follows the tempo: 4 for quarters, 16 for sixteenths
    note: int = 0
    # Beats per minute at which a note grid is played; music that is read has its own
    tempo: float = TEMPO
    lowest: int = LOWEST  # MIDI number of the first column
    highest: int = HIGHEST  # MIDI number of the last column
    onsets: bool = False  # whether onsets have columns of their own
    drums: bool = False  # whether drums are included
    pedal: bool = True  # whether the sustain pedal holds notes
    velocity: bool = False  # whether onsets are velocities; needs `onsets`
    parts: int = 1  # number of parts
    # MIDI number of the sound of each part, `parts.DRUMS` for drums; none for pianos
    programs: tuple[int, ...] = ()

    @property
    def pitches(self) -> int:
        """P, the number of pitches."""
        return self.highest - self.lowest + 1

    @property
    def columns(self) -> int:
        """The number of columns: P, or 2 P with onsets, for each part."""
        return math.prod(self.shape)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The parts, kinds of columns (onsets and sustains, or one kind) and pitches of a frame."""
        return self.parts, 2 if self.onsets else 1, self.pitches

    @property
    def pitched_parts(self) -> int:
        """The number of parts before that of drums, the last of several; one part may mix both."""
        return max(1, self.parts - self.drums)

    @property
    def frame_seconds(self) -> float:
        """The duration of a frame in seconds; on a note grid, at its tempo."""
        return 60 / self.tempo * 4 / self.note if self.note else 1 / self.rate

    @property
    def bar(self) -> int:
        """Frames in four beats, at least one; without a note grid, at 120 beats per minute."""
        return self.note or max(1, round(4 * 60 / TEMPO * self.rate))

    def played_at(self, rate: float) -> Grid:
        """Returns the same grid, played at so many frames per second.

        Raises:
          ValueError: the rate is out of range, or too slow for the notes of a note grid.
        """
        tempo = rate * 60 * 4 / self.note if self.note else self.tempo
        if not RATES.low <= rate <= RATES.high or tempo < SLOWEST:
            low = max(RATES.low, SLOWEST * self.note / 240)
            raise ValueError(f"expected from {low:g} to {RATES.high:g} frames per second; got "
                             f"{rate:g}")
        return dataclasses.replace(self, rate=rate, tempo=tempo)


class Played(NamedTuple):
    """The notes of a roll."""

    pitch: np.ndarray  # MIDI numbers, int `[N]`
    start: np.ndarray  # first frames, int `[N]`
    end: np.ndarray  # the frames after the last, int `[N]`
    part: np.ndarray  # int `[N]`, the first is 0
    velocity: np.ndarray  # int `[N]`, VELOCITY where the roll has none


def from_notes(notes: Notes, grid: Grid) -> np.ndarray:
    """Returns the roll of a piece, whose notes are sorted by their starts, uint8 `[T, columns]`.

    T is where the last note in the grid's range ends, or the trailing silence that the file marks.
    Of the notes that begin together with one part and pitch, the loudest counts.
    """
    included = _included(notes, grid)
    times, scale = (notes.beats, grid.note / 4) if grid.note else (notes.seconds, grid.rate)
    starts = _round(times[included, 0] * scale)
    ends = np.maximum(_round(times[included, 2 if grid.pedal else 1] * scale), starts + 1)
    columns = notes.pitch[included].astype(int) - grid.lowest
    parts = parts_lib.assign(notes, included, grid.parts, drums=grid.drums).part
    values = notes.velocity[included] if grid.velocity else np.ones(len(columns), np.uint8)
    length = max(int(ends.max(initial=0)), _marked_end(notes, grid, scale))
    onsets, on = np.zeros([2, length, grid.parts, grid.pitches], np.uint8)
    # Thousands of notes of one pitch may overlap, so each frame is set only once.
    ends_of = np.zeros([grid.parts, grid.pitches], int)  # the frame up to which `on` is set
    for start, end, part, column, value in zip(starts, ends, parts, columns, values):
        on[max(start, ends_of[part, column]):end, part, column] = 1
        ends_of[part, column] = max(end, ends_of[part, column])
        onsets[start, part, column] = max(onsets[start, part, column], value)
    return _join(onsets, on, grid)


def programs(notes: Notes, grid: Grid) -> tuple[int, ...]:
    """Returns the program of each part of a piece, as `parts.Parts` has them."""
    return parts_lib.assign(
        notes, _included(notes, grid), grid.parts, drums=grid.drums).programs


def count_outside(notes: Notes, grid: Grid) -> int:
    """Returns how many notes of a piece a grid leaves out by their pitch."""
    return int((~_is_inside(notes, grid) & (grid.drums | ~notes.drum)).sum())


def _included(notes: Notes, grid: Grid) -> np.ndarray:
    """Returns which notes are in a grid, bool `[N]`."""
    return _is_inside(notes, grid) & (grid.drums | ~notes.drum)


def _is_inside(notes: Notes, grid: Grid) -> np.ndarray:
    return (notes.pitch >= grid.lowest) & (notes.pitch <= grid.highest)


def _marked_end(notes: Notes, grid: Grid, scale: float) -> int:
    """Returns the frame where marked trailing silence ends; 0 without any."""
    end = notes.end[1 if grid.note else 0]
    last = (notes.beats if grid.note else notes.seconds).max(initial=0.0)
    return int(_round(end * scale)) if end > last or not len(notes.pitch) else 0


def _round(frames: np.ndarray) -> np.ndarray:
    return np.floor(frames + 0.5 + _TIE).astype(np.int64)


def _join(onsets: np.ndarray, on: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns the roll with these onsets, and these notes that sound, each `[T, parts, P]`."""
    kinds = [onsets, np.where(onsets > 0, 0, on)] if grid.onsets else [on]
    return np.stack(kinds, 2).astype(np.uint8).reshape([len(on), grid.columns])


def _split(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns a roll as `[T, parts, kinds of columns, P]`."""
    return np.asarray(roll).reshape([len(roll), *grid.shape])


def split_parts(roll: np.ndarray, grid: Grid) -> tuple[list[np.ndarray], Grid]:
    """Returns the roll of each part, and their grid, which has one part."""
    one = dataclasses.replace(grid, parts=1, programs=())
    return np.split(np.asarray(roll), grid.parts, axis=1), one


def sounding(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns which notes sound in any part of each frame, bool `[T, P]`."""
    return np.any(_split(roll, grid) > 0.5, axis=(1, 2))


def sounding_pitches(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns what `sounding` does, without the part of drums, whose numbers are no heights."""
    return np.any(_split(roll, grid)[:, :grid.pitched_parts] > 0.5, axis=(1, 2))


def struck(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Returns which notes begin in any part, bool `[T, P]`; a sustain after silence begins."""
    return np.any(_struck(_split(roll, grid) > 0.5), axis=1)


def _struck(on: np.ndarray) -> np.ndarray:
    """Returns which notes begin, `[T, parts, P]`, of a roll `[T, parts, kinds of columns, P]`."""
    sounds = np.any(on, axis=2)
    before = np.concatenate([np.zeros_like(sounds[:1]), sounds[:-1]])
    begins = sounds & ~before
    return begins | on[:, :, 0] if on.shape[2] > 1 else begins


def played(roll: np.ndarray, grid: Grid) -> Played:
    """Returns the notes of a roll, sorted by start, pitch and part."""
    columns_of = _split(roll, grid)
    on, begins = (array.reshape([len(roll), grid.parts * grid.pitches]) for array in (
        np.any(columns_of > 0.5, axis=2), _struck(columns_of > 0.5)))
    after = np.concatenate([on[1:] & ~begins[1:], np.zeros_like(on[:1])])
    # A note ends with the first frame from its start after which it does not continue.
    starts, columns = np.nonzero(begins)
    pitch_of_end, ends = np.nonzero((on & ~after).T)
    order = np.lexsort((starts, columns))
    starts, columns = starts[order], columns[order]
    assert np.array_equal(columns, pitch_of_end)
    part, pitch = np.divmod(columns, grid.pitches)
    velocity = np.full(len(starts), VELOCITY)
    if grid.velocity:
        onsets = columns_of[starts, part, 0, pitch].astype(int)
        velocity = np.where(onsets > 0, onsets, velocity)
    result = np.stack([pitch + grid.lowest, starts, ends + 1, part, velocity])
    return Played(*result[:, np.lexsort((part, pitch, starts))])


def with_grid(roll: np.ndarray, grid: Grid, new: Grid) -> np.ndarray:
    """Returns the roll of one part with the columns of a new grid; drops the notes outside it."""
    on, begins = sounding(roll, grid), struck(roll, grid)
    low, high = max(grid.lowest, new.lowest), min(grid.highest, new.highest)
    result = np.zeros([2, len(roll), 1, new.pitches], np.uint8)
    if low <= high:
        source = slice(low - grid.lowest, high + 1 - grid.lowest)
        target = slice(low - new.lowest, high + 1 - new.lowest)
        result[0, :, 0, target], result[1, :, 0, target] = begins[:, source], on[:, source]
    return _join(result[0], result[1], new)


def count_struck_outside(roll: np.ndarray, grid: Grid, new: Grid) -> int:
    """Returns how many notes `with_grid` drops."""
    pitches = np.arange(grid.lowest, grid.highest + 1)
    dropped = (pitches < new.lowest) | (pitches > new.highest)
    return int(struck(roll, grid)[:, dropped].sum())


def resample(roll: np.ndarray, before: Grid, after: Grid) -> np.ndarray:
    """Returns a roll `[T, P]` without onsets in frames of another duration, at least one.

    Each new frame is the one in which its middle lies.
    """
    ratio = after.frame_seconds / before.frame_seconds
    if not len(roll) or np.isclose(ratio, 1, rtol=1e-6):
        return roll
    middles = (np.arange(max(1, round(len(roll) / ratio))) + 0.5) * ratio
    return roll[np.minimum((middles + _TIE).astype(int), len(roll) - 1)]


def transpose(roll: np.ndarray, most: int, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Returns the roll moved by a random number of semitones, up to `most`, with all its notes.

    With drums, the last part stays: theirs, or the only one, which may mix them with notes.
    """
    split = _split(roll, grid)
    is_pitched = [True] * (grid.parts - 1) + [not grid.drums]
    columns = np.flatnonzero((split[:, is_pitched] > 0.5).any(axis=(0, 1, 2)))
    if not len(columns) or not most:
        return roll
    low = -min(most, int(columns[0]))
    high = min(most, grid.pitches - 1 - int(columns[-1]))
    shift = int(rng.integers(low, high + 1))
    moved = split.copy()
    moved[:, is_pitched] = np.roll(split[:, is_pitched], shift, axis=-1)
    return moved.reshape(roll.shape)


def to_midi(roll: np.ndarray, grid: Grid) -> Any:
    """Returns a `pretty_midi.PrettyMIDI` of a roll, with a track for each part.

    Read again, it gives the same roll, if no part is silent and the mean pitches of parts fall.
    """
    import pretty_midi
    midi = pretty_midi.PrettyMIDI(resolution=RESOLUTION, initial_tempo=grid.tempo)
    for number, program in enumerate(grid.programs or [0] * grid.parts):
        is_drum = program == parts_lib.DRUMS
        midi.instruments.append(pretty_midi.Instrument(
            0 if is_drum else program, is_drum, f"Part {number + 1}" if grid.parts > 1 else ""))
    for pitch, start, end, part, velocity in zip(*played(roll, grid)):
        midi.instruments[part].notes.append(pretty_midi.Note(
            int(velocity), int(pitch), start * grid.frame_seconds, end * grid.frame_seconds))
    midi.text_events.append(pretty_midi.Text(END_MARK, len(roll) * grid.frame_seconds))
    return midi
