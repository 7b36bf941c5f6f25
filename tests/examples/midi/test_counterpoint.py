# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The rules of counterpoint on examples solved by hand."""

import numpy as np
import pytest

from examples.midi.data.piano_roll import Grid
from examples.midi.tuning import counterpoint, rewards
from vaeseq.cli.arguments import UsageError

C3, D3, E3, F3, G3, A3, B3, C4, D4, E4, F4, G4, A4, B4, C5, D5, E5, F5, G5 = (
    48, 50, 52, 53, 55, 57, 59, 60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79)


def chords(*frames):
    """Returns a roll with the notes of each frame."""
    roll = np.zeros([len(frames), 128], bool)
    for row, frame in zip(roll, frames):
        row[list(frame)] = True
    return roll


def share(name, *frames, bar=1):
    return counterpoint.shares_of_bars(chords(*frames), bar)[name]


# Two voices that keep every rule, with one frame in a bar.
FAULTLESS = [(C4, E4), (D4, F4), (E4, G4), (F4, A4), (E4, G4), (D4, B4), (C4, C5)]


def test_a_faultless_piece_keeps_every_rule():
    assert set(counterpoint.shares_of_bars(chords(*FAULTLESS), 1).values()) == {1.0}
    assert counterpoint.reward(chords(*FAULTLESS), 1).sum() == pytest.approx(7)


@pytest.mark.parametrize("chord, consonant", [
    ((C4, C5), True), ((C4, E4), True), ((C4, 63), True), ((C4, G4), True), ((C4, A4), True),
    ((C4, 68), True), ((C4, E5), True),
    ((C4, 61), False), ((C4, D4), False), ((C4, F4), False), ((C4, 66), False), ((C4, 70), False),
    ((C4, B4), False), ((C4, D5), False), ((C4, F5), False),
    ((C3, E3, G3, C4), True),
    ((C3, G3, C4, E4), True),  # a fourth between upper voices
    ((D3, F3, B3, D4), True),  # a tritone between them
    ((C3, E3, G3, 58), False),  # a seventh above the lowest
    ((C3, G3, A3, E4), False),  # a second between upper voices
    ((C3, G3, A4, E5), False),  # and a ninth
])
def test_consonance_is_above_the_lowest_note_and_between_upper_ones(chord, consonant):
    assert share("consonance", chord) == float(consonant)


def test_a_bar_with_a_dissonance_breaks_the_rule():
    good, bad = (C4, E4), (C4, D4)
    assert share("consonance", good, good, good, bad, good, good, bad, bar=2) == 0.5
    assert share("consonance", bad, bad, good, good, bar=2) == 0.5
    assert share("consonance", good, (), good, bar=1) == pytest.approx(2 / 3)  # silence


def test_a_voice_beyond_its_neighbours_last_note_crosses_it():
    assert share("crossing", (C4, E4), (D4, F4)) == 1
    assert share("crossing", (C4, E4), (E4, G4)) == 1  # up to where the higher one was
    assert share("crossing", (C4, E4), (F4, A4)) == 0.5  # beyond it
    assert share("crossing", (E4, G4), (A3, D4)) == 0.5  # the higher below the lower
    assert share("crossing", (C4, E4), (), (A4, C5)) == pytest.approx(2 / 3)  # only the silence


def test_the_lowest_voice_begins_and_ends_on_the_tonic():
    tonic, rest = (C4, E4, G4), [(F3, A3, C4), (G3, B3, D4), (C4, E4, C5)] * 2
    other = (G3, B3, D4)
    assert share("tonic_ends", tonic, *rest, tonic) == 1
    assert share("tonic_ends", tonic, *rest, (E4, G4, C5)) == 0.5  # in another voice
    assert share("tonic_ends", other, *rest, other) == 0
    assert share("tonic_ends", tonic, *rest, other, bar=8) == 0  # one bar has both ends
    assert share("tonic_ends", tonic, *rest, other, bar=4) == 0.5
    for shift in range(12):  # a silent end is no tonic in any key
        frames = [tuple(note + shift for note in frame) for frame in (tonic, *rest)]
        assert share("tonic_ends", *frames, (), bar=4) == 0.5


@pytest.mark.parametrize("shift", range(12))
def test_the_tonic_of_a_scale_is_its_first_note(shift):
    major = chords(*[(C4 + shift + step,) for step in (0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0)])
    assert counterpoint.tonic(major) == shift
    minor = chords(*[(C4 + shift + step,) for step in (0, 2, 3, 5, 7, 8, 11, 12, 7, 3, 0)])
    assert counterpoint.tonic(minor) == shift


def test_a_leap_beyond_a_fifth_breaks_the_rule():
    assert share("leaps", (C4,), (G4,), (C4,)) == 1  # fifths
    assert share("leaps", (C4,), (68,), (C4,), (C4,)) == 0.5  # sixths, up and down
    assert share("leaps", (C3, E4), (C3, C5), (C3, C5)) == pytest.approx(2 / 3)


def test_the_highest_voice_ends_with_a_step():
    assert share("cadence", (C4, D5), (C4, C5)) == 1
    assert share("cadence", (C4, B4), (C4, C5), (C4, C5), (E4, C5)) == 1  # then held
    assert share("cadence", (C4, G4), (C4, C5)) == 0
    assert share("cadence", (C4, C5), (G3, C5)) == 0  # the lowest moved, the highest never did
    assert share("cadence", (C4, D5), (C4, C5), ()) == 0  # it ends in silence
    assert share("cadence", *[(C4, D5)] * 3, (C4, C5), bar=2) == 1  # of the last bar alone


def test_unisons_are_allowed_at_the_ends_only():
    two, one = (C4, E4), (C4,)
    assert share("unisons", one, two, two, one) == 1  # at the ends
    assert share("unisons", two, one, two, two, two, two) == 0.75
    assert share("unisons", two, two, one, two, two, two, bar=3) == 0.5


def test_a_note_longer_than_a_bar_breaks_the_rule():
    assert share("repeats", *[(C4,)] * 4, bar=4) == 1
    assert share("repeats", *[(C4,)] * 5, bar=4) == 0.5
    assert share("repeats", *[(C4, E4), (C4, F4)] * 3, bar=3) == 0.5  # the lower voice stays
    assert share("repeats", *[(C4,), (D4,)] * 8, bar=3) == 1


def test_voices_are_spread_over_the_notes_of_a_frame():
    piece = counterpoint.piece(chords(
        (C3, G3, E4, C5), (C3, E4, C5), (C3, C5), (C3,), (), (C3, G3, B3, E4, C5), (D3, A3, F4, D5)
    ), 4)
    assert piece.voices.tolist() == [
        [C3, G3, E4, C5],
        [C3, E4, E4, C5],  # a third voice shared by the inner two
        [C3, C3, C5, C5],
        [C3, C3, C3, C3],
        [-1, -1, -1, -1],
        [C3, G3, E4, C5],  # of five notes, the outer ones and two inner ones
        [D3, A3, F4, D5]]
    assert counterpoint.piece(chords((C4,), (C4, E4)), 1).voices.shape == (2, 2)  # of two, more


def test_rewards_of_frames_add_up_to_the_shares_of_bars():
    rng = np.random.default_rng(0)
    for length in (3, 7, 16):
        for bar in (1, 3, 4, 20):
            roll = chords(*[rng.choice(np.arange(55, 75), rng.integers(0, 5), replace=False)
                            for _ in range(length)])
            expected = sum(counterpoint.shares_of_bars(roll, bar).values())
            by_frame = counterpoint.reward(roll, bar)
            assert by_frame.shape == (length,) and by_frame.sum() == pytest.approx(expected)


def test_a_frame_is_charged_for_the_rule_that_it_breaks():
    good = [(C4, E4, G4), *[(F3, A3, C4), (G3, B3, D4), (C4, E4, C5)] * 2, (C4, E4, G4)]
    harsh = [*good[:3], (C4, F4, C5), *good[4:]]  # a fourth above the lowest
    change = counterpoint.reward(chords(*harsh), 8) - counterpoint.reward(chords(*good), 8)
    assert change.tolist() == [0, 0, 0, -1, 0, 0, 0, 0]


def test_silence_has_no_reward():
    assert counterpoint.reward(chords(), 4).shape == (0,)
    silence = chords(*[()] * 8)
    assert set(counterpoint.shares_of_bars(silence, 4).values()) == {0.0}
    assert counterpoint.reward(silence, 4).sum() == 0 and counterpoint.tonic(silence) == -1


def test_a_roll_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected a roll \[frames, 128\] .* got \[3, 88\] and 4"):
        counterpoint.reward(np.zeros([3, 88]), 4)


def test_a_reward_receives_all_midi_numbers():
    roll = np.zeros([2, 10], np.uint8)
    roll[0, 3] = roll[1, 2 + 5] = 1  # an onset, and a sustain
    sounding = rewards.sounding(roll, Grid(lowest=60, highest=64, onsets=True))
    assert sounding.shape == (2, 128)
    assert [np.flatnonzero(frame).tolist() for frame in sounding] == [[63], [62]]


def test_drums_are_no_voices():
    grid = Grid(lowest=48, highest=84, parts=2, drums=True)
    roll = np.zeros([len(FAULTLESS), *grid.shape], np.uint8)
    roll[:, 0, 0] = chords(*FAULTLESS)[:, 48:85]
    roll[::2, 1, 0, 1] = 1
    heard = rewards.sounding(roll.reshape([len(roll), -1]), grid)
    np.testing.assert_array_equal(heard, chords(*FAULTLESS))
    with pytest.raises(UsageError, match="counterpoint.*got drums=true and parts=1"):
        rewards.find(["counterpoint"], 4, Grid(drums=True), None, 0, print)
