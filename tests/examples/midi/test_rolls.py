# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Reading MIDI: rolls worked out by hand, exact round trips, hostile files."""

from __future__ import annotations

import dataclasses
import os
import resource
import time

import numpy as np
import pretty_midi
import pytest

from examples.midi.data import midi_reader, piano_roll
from examples.midi.data.midi_reader import BadMidi
from examples.midi.data.piano_roll import Grid
from tests.examples.midi import midi_files
from tests.examples.midi.midi_files import file, off, on, pedal, tempo

MUTATIONS = int(os.environ.get("VAESEQ_MUTATIONS", "400"))
NOTES = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96]


def _random_roll(grid, frames=60, seed=0):
    """A roll with runs and re-struck notes, silent at both ends."""
    rng = np.random.default_rng(seed)
    on_ = np.repeat(rng.random([frames // 3, grid.pitches]) < 0.1, 3, axis=0)
    on_[:2], on_[-2:] = False, False
    if not grid.onsets:
        return on_.astype(np.uint8)
    before = np.concatenate([np.zeros_like(on_[:1]), on_[:-1]])
    begins = on_ & (~before | (rng.random(on_.shape) < 0.2))
    return np.concatenate([begins, on_ & ~begins], 1).astype(np.uint8)


def _again(roll, grid):
    return piano_roll.from_notes(midi_reader.read(midi_files.content(piano_roll.to_midi(roll, grid))), grid)


@pytest.mark.parametrize("onsets", [False, True])
@pytest.mark.parametrize("grid", [*(Grid(rate=rate) for rate in range(3, 51)),
                                  *(Grid(note=note) for note in NOTES)], ids=str)
def test_a_roll_written_and_read_is_the_same(grid, onsets):
    grid = dataclasses.replace(grid, onsets=onsets, lowest=0, highest=127)
    roll = _random_roll(grid, seed=int(grid.rate) + grid.note)
    assert roll.any()
    np.testing.assert_array_equal(_again(roll, grid), roll)


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_a_silent_roll_keeps_its_length(frames):
    grid = Grid()
    np.testing.assert_array_equal(_again(np.zeros([frames, 88]), grid), np.zeros([frames, 88]))


def test_held_and_struck_again_are_told_apart():
    grid = Grid(rate=4, lowest=60, highest=60, onsets=True)
    data = file([(0, on(60)), (480, off(60)), (0, on(60)), (480, off(60))])
    roll = piano_roll.from_notes(midi_reader.read(data), grid)
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
    # A drum, and a note that is never ended.
    [(0, on(62, 9)), (960, off(62, 9))],
    [(0, on(71, 3))],
)


def _columns(roll, lowest=60):
    return {pitch + lowest: np.flatnonzero(column).tolist()
            for pitch, column in enumerate(roll.T) if column.any()}


def test_a_file_worked_out_by_hand():
    read = midi_reader.read(HAND)
    grid = Grid(rate=4, lowest=60, highest=71)
    expected = {60: [0, 1, 2, 3, 4, 5], 64: [0, 1, 2, 3], 67: [0, 1, 2, 3], 69: [2, 3, 4, 5]}
    assert _columns(piano_roll.from_notes(read, grid)) == expected
    free = dataclasses.replace(grid, pedal=False)
    assert _columns(piano_roll.from_notes(read, free)) == {**expected, 67: [0, 1]}
    drums = dataclasses.replace(grid, drums=True)
    assert _columns(piano_roll.from_notes(read, drums)) == {**expected, 62: [0, 1, 2, 3, 4, 5]}
    onsets = dataclasses.replace(grid, onsets=True)
    struck = piano_roll.struck(piano_roll.from_notes(read, onsets), onsets)
    assert _columns(struck) == {60: [0, 2], 64: [0, 1], 67: [0], 69: [2]}
    # By the beat the tempo does not matter: an eighth is a frame.
    beat = dataclasses.replace(grid, note=8)
    assert _columns(piano_roll.from_notes(read, beat)) == {
        60: [0, 1, 2, 3], 64: [0, 1, 2], 67: [0, 1, 2], 69: [2, 3]}


def test_times_are_rounded_and_no_note_is_lost():
    data = file([(230, on(60)), (20, off(60)), (490, on(61)), (470, off(61))])
    roll = piano_roll.from_notes(midi_reader.read(data), Grid(note=8, lowest=60, highest=61))
    # 230 to 250 ticks of 240 a frame: one frame from 1; 740 to 1210: frames 3 and 4.
    assert _columns(roll) == {60: [1], 61: [3, 4]}
    half = file([(120, on(60)), (240, off(60))])  # a tie goes to the later frame
    assert _columns(piano_roll.from_notes(midi_reader.read(half), Grid(note=8, lowest=60, highest=61))) == {
        60: [1]}


def test_notes_are_those_that_pretty_midi_reads(tmp_path):
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


def test_transposing_keeps_every_note_and_reaches_every_shift():
    grid = Grid(lowest=60, highest=71, onsets=True)
    roll = np.zeros([5, 24], np.uint8)
    roll[0, 2], roll[1, 14], roll[1, 8] = 1, 1, 1
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        moved = piano_roll.transposed(roll, 3, grid, rng)
        shift = int(np.flatnonzero(moved[0])[0]) - 2
        np.testing.assert_array_equal(moved[:, :12], np.roll(roll[:, :12], shift, 1))
        np.testing.assert_array_equal(moved[:, 12:], np.roll(roll[:, 12:], shift, 1))
        seen.add(shift)
    assert seen == {-2, -1, 0, 1, 2, 3}


def test_a_roll_moves_to_another_range():
    roll = np.eye(3, dtype=np.uint8)
    wide = piano_roll.with_grid(roll, Grid(lowest=60, highest=62), Grid(lowest=58, highest=61))
    assert _columns(wide, 58) == {60: [0], 61: [1]}


# Files that are not what they should be.

BAD = {
    "empty": (b"", "the file is empty"),
    "text": (b"Dear all,\n", "does not begin as a MIDI file"),
    "truncated": (midi_files.melody()[:40], "damaged: it ends too early"),
    "SMPTE": (file([(0, on(60)), (9, off(60))], division=-6000), "film frames"),
    "months": (file([(0, on(60)), (0x0FFFFFFF, off(60))], division=1), "claims .* hours"),
    "ages": (file([(0x0FFFFFFF, on(60))] * 5000), "claims more music than there is time"),
    "endless number": (b"MThd\0\0\0\6\0\1\0\1\1\0MTrk\xff\xff\xff\xff" + b"\x81" * 5_000,
                       "number without end"),
    "large": (b"MThd" + bytes(midi_reader.MOST_BYTES), "at most"),
    "beats": (file([(0, tempo(60_000_000)), (0, on(60)), (0x0FFFFFFF, off(60))]), "beats"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_say_why(name):
    data, message = BAD[name]
    with pytest.raises(BadMidi, match=message):
        midi_reader.read(data)


def _most_memory():
    """The most that this process ever had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_no_mutation_crashes_hangs_or_takes_much_memory():
    sources = [HAND, midi_files.melody(range(40, 90)),
               midi_files.content(piano_roll.to_midi(_random_roll(Grid()), Grid()))]
    rng = np.random.default_rng(1)
    good, before = 0, _most_memory()
    for number in range(MUTATIONS):
        data = bytearray(sources[number % len(sources)])
        for _ in range(int(rng.integers(1, 9))):
            where, kind = int(rng.integers(len(data))), rng.integers(4)
            if kind == 0:
                data[where] = int(rng.integers(256))
            elif kind == 1:
                data[where] ^= 1 << int(rng.integers(8))
            elif kind == 2:
                del data[where:where + int(rng.integers(1, 20))]
            else:
                data[where:where] = bytes(rng.integers(0, 256, 4, np.uint8))
            data = data or bytearray(b"\0")
        began = time.monotonic()
        try:
            read = midi_reader.read(bytes(data))
        except BadMidi as error:
            assert "\n" not in str(error)
            continue
        roll = piano_roll.from_notes(read, Grid(rate=8, onsets=True))
        assert len(roll) <= Grid().most_frames and time.monotonic() - began < 10
        good += 1
    assert 0 < good < MUTATIONS
    # KiB; tests that ran before in this process may have taken more.
    assert _most_memory() < max(2 << 20, before + (1 << 18))
