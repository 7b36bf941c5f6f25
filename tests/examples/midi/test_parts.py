# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Parts: which notes are in which, and what is written of them."""

import dataclasses
import itertools
import time

import matplotlib.image
import numpy as np
import pytest

from examples.midi.data import lines, midi_reader, parts, piano_roll
from examples.midi.data.loading import Piece
from examples.midi.data.midi_reader import Notes
from examples.midi.data.piano_roll import Grid
from examples.midi.data.sources import programs
from examples.midi.output import plots
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import file, off, on, program

GRID = Grid(note=8, lowest=36, highest=83, parts=4)


def _track(pitches, channel=0, sound=None):
    events = [] if sound is None else [(0, program(sound, channel))]
    for pitch in pitches:
        events += [(0, on(pitch, channel)), (240, off(pitch, channel))]
    return events


def _parts(grid, *tracks):
    """Returns the pitches in each part of a file, and their programs."""
    notes = midi_reader.read(file(*tracks))
    played = piano_roll.played(piano_roll.from_notes(notes, grid), grid)
    return ([sorted(played.pitch[played.part == part].tolist()) for part in range(grid.parts)],
            piano_roll.programs(notes, grid))


def test_voices_are_parts_from_high_to_low():
    tracks = _track([40, 42], 1, 32), _track([60, 67], 0, 48), _track([64, 65], 2)
    assert _parts(GRID, *tracks) == ([[64, 65], [60, 67], [40, 42], []], (0, 48, 32))


def test_channels_of_a_track_and_programs_of_a_channel_are_voices():
    track = _track([70], 0, 1) + _track([50], 1, 2) + _track([60], 0, 3)
    assert _parts(GRID, track) == ([[70], [60], [50], []], (1, 3, 2))
    elsewhere = [(0, program(9, 5))]  # another track sets the program
    assert _parts(GRID, elsewhere, _track([60], 5))[1] == (9,)


def test_voices_of_one_program_are_merged_first_then_the_closest():
    two = dataclasses.replace(GRID, parts=2)
    tracks = _track([72], 0, 40), _track([70], 1, 7), _track([48], 2, 40)
    assert _parts(two, *tracks) == ([[70], [48, 72]], (7, 40))
    tracks = _track([72], 0, 1), _track([70], 1, 2), _track([48], 2, 3)
    assert _parts(two, *tracks)[0] == [[70, 72], [48]]


def test_drums_that_are_left_out_take_no_part():
    two = dataclasses.replace(GRID, parts=2)
    tracks = _track([70], 0), _track([50], 1), _track([36], 9)
    assert _parts(two, *tracks) == ([[70], [50]], (0, 0))
    with_drums = dataclasses.replace(GRID, drums=True)
    assert _parts(with_drums, *tracks) == ([[70], [50], [], [36]], (0, 0, parts.SILENT, 128))
    with_drums = dataclasses.replace(GRID, parts=2, drums=True)
    assert _parts(with_drums, *tracks) == ([[50, 70], [36]], (0, 128))
    assert _parts(with_drums, *tracks[:2]) == ([[50, 70], []], (0,))
    assert _parts(with_drums, tracks[2]) == ([[], [36]], (parts.SILENT, 128))


@pytest.mark.parametrize("velocity", [False, True])
def test_parts_written_and_read_are_the_same(velocity):
    grid = dataclasses.replace(GRID, onsets=velocity, velocity=velocity, programs=(9, 8, 7, 128),
                               drums=True)
    rng = np.random.default_rng(0)
    roll = np.zeros([60, *grid.shape], np.uint8)
    for part, low in enumerate([36, 24, 12, 0]):  # high parts first
        for start in range(0, 57, 3):
            column = low + rng.integers(0, 12)
            roll[start, part, 0, column] = rng.integers(2, 128) if velocity else 1
            roll[start + 1:start + 3, part, -1, column] = rng.random() < 0.5
    roll = roll.reshape([60, -1])
    midi = piano_roll.to_midi(roll, grid)
    assert [part.is_drum for part in midi.instruments] == [False, False, False, True]
    notes = midi_reader.read(midi_files.content(midi))
    np.testing.assert_array_equal(piano_roll.from_notes(notes, grid), roll)
    assert piano_roll.programs(notes, grid) == grid.programs
    up = piano_roll.transpose(roll, 0, grid, rng)
    np.testing.assert_array_equal(up, roll)
    melody = lines.keep(roll, "melody", grid)
    pitched = roll.copy()
    pitched.reshape([60, *grid.shape])[:, -1] = 0
    melody_notes, on_ = (piano_roll.sounding(each, grid) for each in (melody.roll, pitched))
    assert melody_notes.sum(axis=1).max() == 1
    assert (melody_notes[:, ::-1].argmax(1) == on_[:, ::-1].argmax(1)).all()


def test_all_parts_are_transposed_alike():
    grid = Grid(lowest=60, highest=71, parts=2)
    roll = np.zeros([1, 24], np.uint8)
    roll[0, [3, 12 + 7]] = 1
    rng = np.random.default_rng(0)
    moved = {tuple(np.flatnonzero(piano_roll.transpose(roll, 2, grid, rng))) for _ in range(50)}
    assert moved == {(3 + shift, 19 + shift) for shift in range(-2, 3)}


@pytest.mark.parametrize("options, columns", [
    *(({"parts": 2, "programs": programs}, {(3 + shift, 19) for shift in range(-2, 3)})
      for programs in ((0, 128), (), (128, 0))),
    ({"parts": 1}, {(3,)})])
def test_drums_are_not_transposed(options, columns):
    grid = Grid(lowest=60, highest=71, drums=True, **options)
    roll = np.zeros([1, grid.columns], np.uint8)
    roll[0, [3, 19][:grid.parts]] = 1
    rng = np.random.default_rng(0)
    moved = {tuple(np.flatnonzero(piano_roll.transpose(roll, 2, grid, rng))) for _ in range(50)}
    assert moved == columns


def test_a_picture_has_a_colour_for_each_part(tmp_path):
    roll = np.zeros([8, *GRID.shape], np.uint8)
    for part in range(4):
        roll[2 * part, part, 0, 10] = 1
    plots.save_roll(tmp_path / "a.png", roll.reshape([8, -1]), GRID, title="")
    pixels = matplotlib.image.imread(tmp_path / "a.png")[..., :3].reshape([-1, 3])
    for colour in plots.PARTS:
        expected = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels - expected) < 0.02).all(axis=1).sum() > 50


def test_the_programs_of_a_run_are_the_commonest():
    pieces = [Piece("", np.zeros([1, 1]), sounds) for sounds in [(5, 6), (5, 7), (4,), (3, 7, 1)]]
    assert programs(pieces, 4) == (5, 7, 1, 0) and programs(pieces, 1) == ()


def test_a_single_part_is_drums_where_no_piece_has_anything_else():
    grid = Grid(drums=True)
    notes = _notes([36, 42], [0, 0], [0, 0])
    pieces = [Piece("", np.zeros([1, 1]), piano_roll.programs(
        notes._replace(drum=np.array(drum)), grid)) for drum in ([True, True], [True, False])]
    assert programs(pieces[:1], 1) == (parts.DRUMS,)
    assert programs(pieces, 1) == programs(pieces[1:], 1) == ()


def _notes(pitch, program, voice):
    count = len(pitch)
    return Notes(np.zeros([count, 3]), np.zeros([count, 3]), np.array(pitch, np.uint8),
                 np.full(count, 80, np.uint8), np.zeros(count, bool), np.array(program, np.uint8),
                 np.array(voice, np.int32), np.zeros(2))


def _merged_by_search(notes, count):
    """Returns the part of each note, by comparing all pairs of voices for each merge."""
    numbers = range(len(notes.pitch))
    keys = [*zip(notes.program.tolist(), notes.voice.tolist())]
    voices = [({key[0]}, [number for number in numbers if keys[number] == key])
              for key in sorted({*keys})]

    def mean(voice):
        return notes.pitch[voice[1]].mean()

    while len(voices) > count:
        low, high = min(itertools.combinations(voices, 2), key=lambda pair: (
            not pair[0][0] & pair[1][0], abs(mean(pair[0]) - mean(pair[1]))))
        voices = [one for one in voices if one is not low and one is not high]
        voices.append((low[0] | high[0], low[1] + high[1]))
    voices.sort(key=lambda voice: (-mean(voice), min(voice[1])))
    return [next(part for part, voice in enumerate(voices) if number in voice[1])
            for number in numbers]


def test_merging_equals_a_search_of_all_pairs():
    rng = np.random.default_rng(0)
    for _ in range(100):
        notes = _notes(rng.integers(0, 128, 20), rng.integers(0, 3, 20),
                       rng.integers(0, rng.integers(1, 9), 20))
        count = int(rng.integers(2, 5))
        part = parts.assign(notes, np.ones(20, bool), count).part
        assert part.tolist() == _merged_by_search(notes, count)


def test_a_hundred_thousand_voices_are_merged_in_seconds():
    count = 100_000
    pitch = np.repeat([40, 80], count // 2)
    notes = _notes(pitch, np.arange(count) % 100, np.arange(count))
    start = time.process_time()
    assigned = parts.assign(notes, np.ones(count, bool), 2)
    assert time.process_time() - start < 10  # 0.8 measured
    assert set(assigned.part) == {0, 1}
