# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Piano rolls of MIDI files: exact examples, round trips, and files that are refused."""

import dataclasses
import time

import numpy as np
import pretty_midi
import pytest

from examples.midi.data import lines, midi_reader, piano_roll
from examples.midi.data.piano_roll import Grid
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import file, off, on, pedal, tempo

GRIDS = [*(Grid(rate=rate) for rate in range(3, 51)),
         *(Grid(note=note) for note in (4, 6, 8, 12, 16, 24, 32, 48, 64, 96))]


def _roll(content, grid):
    return piano_roll.from_notes(midi_reader.read(content), grid)


def _write_and_read(roll, grid):
    return _roll(midi_files.content(piano_roll.to_midi(roll, grid)), grid)


@pytest.mark.parametrize("onsets", [False, True])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_roll_written_and_read_is_the_same(grid, onsets):
    grid = dataclasses.replace(grid, onsets=onsets, lowest=0, highest=127)
    roll = midi_files.random_roll(grid, seed=int(grid.rate) + grid.note)
    assert roll.any()
    np.testing.assert_array_equal(_write_and_read(roll, grid), roll)


@pytest.mark.parametrize("grid", [Grid(rate=4), Grid(note=8), Grid(note=16)])
def test_another_pace_changes_seconds_and_on_a_note_grid_no_beat(grid):
    roll = midi_files.random_roll(grid, frames=30)
    fast = grid.played_at(2.5)
    content = midi_files.content(piano_roll.to_midi(roll, fast))
    reading = grid if grid.note else fast
    np.testing.assert_array_equal(_roll(content, reading), roll)
    assert midi_reader.read(content).end[0] == pytest.approx(30 / 2.5, abs=2e-3)
    assert fast.frame_seconds == pytest.approx(0.4)
    with pytest.raises(ValueError, match="expected from 0.5 to 100 frames per second; got 0.2"):
        grid.played_at(0.2)
    with pytest.raises(ValueError, match="expected from 3.2 to 100"):
        Grid(note=192).played_at(3)


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_a_silent_roll_keeps_its_length(frames):
    grid = Grid()
    silence = np.zeros([frames, 88])
    np.testing.assert_array_equal(_write_and_read(silence, grid), silence)


def test_onsets_distinguish_held_from_repeated_notes():
    grid = Grid(rate=4, lowest=60, highest=60, onsets=True)
    data = file([(0, on(60)), (480, off(60)), (0, on(60)), (480, off(60))])
    roll = _roll(data, grid)
    np.testing.assert_array_equal(roll, [[1, 0], [0, 1], [1, 0], [0, 1]])
    plain = dataclasses.replace(grid, onsets=False)
    np.testing.assert_array_equal(piano_roll.with_grid(roll, grid, plain), np.ones([4, 1]))
    assert piano_roll.played(roll, grid).start.tolist() == [0, 2]
    assert piano_roll.played(np.ones([4, 1]), plain).end.tolist() == [4]


# Frames are quarters of a second. Track 0: 120 beats a minute for one beat (0 to 0.5 s), then 60.
HAND = file(
    [(0, tempo(120)), (480, tempo(60))],
    # C from 0 to 0.5 s, then from 0.5 s (a beat at 60 is 1 s) to 1.5 s: frames 0-1 and 2-5.
    [(0, on(60)), (480, off(60)), (0, on(60)), (480, off(60))],
    # E overlaps with itself on two tracks: 0 to 0.5 s, and 0.25 to 1 s: frames 0 to 3.
    [(0, on(64)), (480, off(64))],
    [(240, on(64, 1)), (480, off(64, 1))],
    # Pedal down at 0.25 s and up at 1 s (tick 720): G, released at 0.5 s, sounds frames 0 to 3;
    # A, released at 1.5 s when the pedal is up, frames 2 to 5.
    [(0, on(67, 2)), (240, pedal(True, 2)), (240, off(67, 2)), (0, on(69, 2)),
     (240, pedal(False, 2)), (240, off(69, 2))],
    # A drum, and a note that is never ended: of length zero, so a frame.
    [(0, on(62, 9)), (960, off(62, 9))],
    [(0, on(71, 3))],
)


def _columns(roll, lowest=60):
    return {pitch + lowest: np.flatnonzero(column).tolist()
            for pitch, column in enumerate(roll.T) if column.any()}


def test_pedal_tempo_overlaps_and_drums_follow_the_standard():
    notes = midi_reader.read(HAND)
    grid = Grid(rate=4, lowest=60, highest=71)
    expected = {60: [0, 1, 2, 3, 4, 5], 64: [0, 1, 2, 3], 67: [0, 1, 2, 3], 69: [2, 3, 4, 5],
                71: [0]}
    assert _columns(piano_roll.from_notes(notes, grid)) == expected
    free = dataclasses.replace(grid, pedal=False)
    assert _columns(piano_roll.from_notes(notes, free)) == {**expected, 67: [0, 1]}
    drums = dataclasses.replace(grid, drums=True)
    assert _columns(piano_roll.from_notes(notes, drums)) == {**expected, 62: [0, 1, 2, 3, 4, 5]}
    onsets = dataclasses.replace(grid, onsets=True)
    struck = piano_roll.struck(piano_roll.from_notes(notes, onsets), onsets)
    assert _columns(struck) == {60: [0, 2], 64: [0, 1], 67: [0], 69: [2], 71: [0]}
    # By the beat the tempo does not matter: an eighth is a frame.
    beat = dataclasses.replace(grid, note=8)
    assert _columns(piano_roll.from_notes(notes, beat)) == {
        60: [0, 1, 2, 3], 64: [0, 1, 2], 67: [0, 1, 2], 69: [2, 3], 71: [0]}


def test_times_are_rounded_and_no_note_is_lost():
    data = file([(230, on(60)), (20, off(60)), (490, on(61)), (470, off(61))])
    grid = Grid(note=8, lowest=60, highest=61)
    # 230 to 250 ticks of 240 a frame: one frame from 1; 740 to 1210: frames 3 and 4.
    assert _columns(_roll(data, grid)) == {60: [1], 61: [3, 4]}
    half = file([(120, on(60)), (240, off(60))])  # a tie goes to the later frame
    assert _columns(_roll(half, grid)) == {60: [1]}


@pytest.mark.oracle
def test_thousands_of_notes_without_an_end_are_written_once():
    track = [(1, on(60, channel)) for _ in range(2000) for channel in range(9)]
    notes = midi_reader.read(file([*track, (10_000_000, tempo(120))]))
    start = time.process_time()
    roll = piano_roll.from_notes(notes, Grid(rate=12.5))
    assert time.process_time() - start < 2  # a copy for each note takes several times as long
    assert len(roll) > 100_000 and roll[:, 39].all() and roll.sum() == len(roll)


def test_notes_equal_those_of_pretty_midi(tmp_path):
    midi = pretty_midi.PrettyMIDI(initial_tempo=97)
    rng = np.random.default_rng(0)
    for _ in range(3):
        instrument = pretty_midi.Instrument(0)
        for start in rng.uniform(0, 20, 50):
            instrument.notes.append(pretty_midi.Note(
                80, int(rng.integers(30, 100)), start, start + rng.uniform(0.05, 1)))
        midi.instruments.append(instrument)
    path = tmp_path / "a.mid"
    midi.write(str(path))
    theirs = sorted((note.start, note.pitch) for instrument in
                    pretty_midi.PrettyMIDI(str(path)).instruments for note in instrument.notes)
    ours = midi_reader.read(path.read_bytes())
    np.testing.assert_allclose(
        sorted(zip(ours.seconds[:, 0], ours.pitch)), theirs, atol=1e-9)


def test_transposition_keeps_every_note_and_reaches_every_shift():
    grid = Grid(lowest=60, highest=71, onsets=True)
    roll = np.zeros([5, 24], np.uint8)
    roll[0, 2], roll[1, 14], roll[1, 8] = 1, 1, 1
    rng = np.random.default_rng(0)
    shifts = set()
    for _ in range(200):
        moved = piano_roll.transpose(roll, 3, grid, rng)
        shift = int(np.flatnonzero(moved[0])[0]) - 2
        np.testing.assert_array_equal(moved[:, :12], np.roll(roll[:, :12], shift, 1))
        np.testing.assert_array_equal(moved[:, 12:], np.roll(roll[:, 12:], shift, 1))
        shifts.add(shift)
    assert shifts == {-2, -1, 0, 1, 2, 3}


def test_another_grid_keeps_the_notes_in_its_range():
    roll = np.eye(3, dtype=np.uint8)
    wide = piano_roll.with_grid(roll, Grid(lowest=60, highest=62), Grid(lowest=58, highest=61))
    assert _columns(wide, 58) == {60: [0], 61: [1]}


@pytest.mark.parametrize("line, notes, mask", [
    ("melody", [[0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]),
    ("bass", [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]),
    ("outer", [[0, 1, 0, 1, 0], [0, 0, 0, 0, 0]], [[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]]),
    ("notes", [[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], [[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])])
def test_a_line_is_what_is_kept_of_each_frame_with_notes(line, notes, mask):
    roll = np.array([[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], np.uint8)
    fixed = lines.keep(roll, line, Grid(lowest=60, highest=64))
    np.testing.assert_array_equal(fixed.roll, notes)
    np.testing.assert_array_equal(fixed.mask, np.array(mask, bool))
    begins = np.zeros_like(roll)
    begins[0, 3] = 1
    onsets = lines.keep(np.concatenate([begins, roll - begins], 1), line,
                        Grid(lowest=60, highest=64, onsets=True))
    np.testing.assert_array_equal(onsets.mask, np.tile(fixed.mask, [1, 2]))
    np.testing.assert_array_equal(onsets.roll[:, :5] + onsets.roll[:, 5:], notes)


@pytest.mark.parametrize("onsets", [False, True])
@pytest.mark.parametrize("line, columns", [
    ("melody", [4, 5, 10, 11]), ("bass", [0, 1, 2, 6, 7, 8]),
    ("outer", [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]), ("notes", [2, 4, 8, 10, 12, 17])])
def test_drums_are_no_line(line, columns, onsets):
    grid = Grid(lowest=60, highest=65, parts=3, drums=True, onsets=onsets)
    roll = np.zeros([2, *grid.shape], np.uint8)
    roll[0, [0, 1], 0, [4, 2]] = 1
    roll[:, 2, 0, [0, 5]] = 1  # the lowest and the highest, and alone in the second frame
    roll = roll.reshape([2, -1])
    fixed = lines.keep(roll, line, grid)
    mask = fixed.mask.reshape([2, 3, -1, 6])
    assert (mask == mask[:, :, :1]).all()
    assert np.flatnonzero(mask[0, :, 0]).tolist() == columns
    np.testing.assert_array_equal(fixed.roll[:, fixed.mask[0]][0], roll[:, fixed.mask[0]][0])
    assert np.flatnonzero(mask[1, :, 0]).tolist() == ([12, 17] if line == "notes" else [])
