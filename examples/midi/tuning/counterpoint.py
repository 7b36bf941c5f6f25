# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""First-species counterpoint (note against note) as rules on piano rolls, and as a reward.

A roll is bool `[T, 128]`: which MIDI notes sound in each frame. It does not say which voice sings
a note, so voices are assigned:

  - their number V is the most frequent number of notes in a frame that is not silent (of equally
    frequent ones, the largest);
  - the first voice sings the lowest note of a frame, the last one the highest, and the others are
    spread evenly over the notes in order. With fewer notes than voices, voices share notes
    (unisons).

Thus voices never cross within a frame. A crossing shows as an overlap: a voice moves beyond its
neighbour's note in the frame before.

Each rule applies to some frames, and is kept or broken in each of those. A bar keeps a rule if none
of its frames breaks it. First species has no rests: a silent frame breaks each rule that applies.

Axes: T frames, V voices.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CONSONANT = (0, 3, 4, 7, 8, 9)  # semitones above the lowest voice, within an octave
_DISSONANT = (1, 2, 10, 11)  # between two upper voices: seconds and sevenths
_FIFTH = 7
_STEP = 2
# Profiles of the major and the minor key, from the tonic up (Krumhansl and Kessler, 1982).
_PROFILES = np.array([
    [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]])


class Piece(NamedTuple):
    """The input of the rules."""

    voices: np.ndarray  # MIDI numbers, lowest first, int `[T, V]`; -1 in a silent frame
    notes: np.ndarray  # number of notes that sound, `[T]`
    tonic: int  # pitch class, 0 is C; -1 where nothing sounds
    bar: int  # number of frames in a bar


class Verdict(NamedTuple):
    """Where a rule applies to a piece, and where it is satisfied."""

    applies: np.ndarray  # bool `[T]`
    satisfied: np.ndarray  # bool `[T]`, meaningless where it does not apply


Rule = Callable[[Piece], Verdict]


def piece(roll: np.ndarray, bar: int) -> Piece:
    """Finds the voices and the tonic of a roll, bool `[T, 128]`.

    Raises:
      ValueError: the roll has another shape, or `bar` is less than 1.
    """
    roll = np.asarray(roll) > 0.5
    if roll.ndim != 2 or roll.shape[1] != 128 or bar < 1:
        raise ValueError("expected a roll [frames, 128] and bars of a frame or more, got "
                         f"{list(roll.shape)} and {bar}.")
    count = roll.sum(axis=1)
    return Piece(_voices(roll, count), count, tonic(roll), bar)


def tonic(roll: np.ndarray) -> int:
    """Returns the tonic of the major or minor key that fits a roll best; -1 for a silent roll."""
    weights = np.bincount(np.arange(128) % 12, np.asarray(roll).sum(axis=0), minlength=12)
    if not weights.any():
        return -1
    keys = np.stack([np.roll(profile, key) for key in range(12) for profile in _PROFILES])
    centred = keys - keys.mean(axis=1, keepdims=True)
    correlation = centred @ weights / np.linalg.norm(centred, axis=1)
    return int(np.argmax(correlation)) // len(_PROFILES)


def consonance(piece: Piece) -> Verdict:
    """Voices are consonant.

    Each forms a unison, third, fifth, sixth or octave with the lowest voice, up to octaves, and no
    two upper voices form a second or a seventh.
    """
    intervals = (piece.voices[:, :, None] - piece.voices[:, None]) % 12
    higher, lower = np.tril_indices(piece.voices.shape[1], -1)
    from_lowest = np.isin(intervals[:, :, 0], _CONSONANT).all(axis=1)
    among_upper = ~np.isin(intervals[:, higher, lower], _DISSONANT).any(axis=1)
    return _everywhere(piece, from_lowest & among_upper)


def crossing(piece: Piece) -> Verdict:
    """No voice moves above the previous note of the next higher one, or below the next lower's."""
    current, before = piece.voices[1:], piece.voices[:-1]
    crossed = (current[:, :-1] > before[:, 1:]) | (current[:, 1:] < before[:, :-1])
    return _everywhere(piece, ~_after(piece, crossed))


def tonic_ends(piece: Piece) -> Verdict:
    """The lowest voice sings the tonic in the first and in the last frame."""
    applies = np.zeros(len(piece.voices), bool)
    applies[[0, -1] if len(applies) else []] = True
    return _sounding(piece, applies, piece.voices[:, 0] % 12 == piece.tonic)


def leaps(piece: Piece) -> Verdict:
    """No voice leaps by more than a fifth."""
    return _everywhere(piece, ~_after(piece, np.abs(np.diff(piece.voices, axis=0)) > _FIFTH))


def cadence(piece: Piece) -> Verdict:
    """The highest voice reaches its last note by a step."""
    applies = np.zeros(len(piece.voices), bool)
    applies[-1:] = True
    melody = piece.voices[piece.notes > 0, -1]
    moves = np.diff(melody)[np.diff(melody) != 0]
    return _sounding(piece, applies, len(moves) > 0 and abs(moves[-1]) <= _STEP)


def unisons(piece: Piece) -> Verdict:
    """No two voices share a note, except in the first and the last frame."""
    applies = np.zeros(len(piece.voices), bool)
    applies[1:-1] = True
    return _sounding(piece, applies, piece.notes >= piece.voices.shape[1])


def repeats(piece: Piece) -> Verdict:
    """No voice stays on one note for longer than a bar."""
    frames = np.arange(len(piece.voices))[:, None]
    changes = np.ones(piece.voices.shape, bool)
    changes[1:] = np.diff(piece.voices, axis=0) != 0
    since = np.maximum.accumulate(np.where(changes, frames, 0), axis=0)
    return _everywhere(piece, (frames - since < piece.bar).all(axis=1))


RULES: dict[str, Rule] = {
    "consonance": consonance, "crossing": crossing, "tonic_ends": tonic_ends, "leaps": leaps,
    "cadence": cadence, "unisons": unisons, "repeats": repeats}


def shares_of_bars(roll: np.ndarray, bar: int) -> dict[str, float]:
    """Returns for each rule the share of bars that keep it, of those to which it applies.

    The roll is bool `[T, 128]`; the last bar may be shorter than `bar` frames. The share is 1 for a
    rule that applies nowhere.
    """
    music = piece(roll, bar)
    shares = {}
    for name, rule in RULES.items():
        applies, broken = _by_bar(rule(music), bar)
        shares[name] = 1.0 - float(broken.sum() / max(1, applies.sum()))
    return shares


def reward(roll: np.ndarray, bar: int) -> np.ndarray:
    """Returns the reward of each frame, float `[T]`, of a roll, bool `[T, 128]`.

    The rewards of a piece add up to the sum, over the rules that apply, of the share of bars that
    keep them. If a rule applies to n bars, each of these gives 1/n in the first frame where the
    rule applies, and -1/n in the first frame that breaks it. Thus a frame is charged for its own
    errors only. The last bar may be shorter than `bar` frames.
    """
    music = piece(roll, bar)
    total = np.zeros(len(music.voices))
    for rule in RULES.values():
        verdict = rule(music)
        applies, broken = _by_bar(verdict, bar)
        gained = _first_in_bars(verdict.applies, bar)
        lost = _first_in_bars(verdict.applies & ~verdict.satisfied, bar)
        weight = 1 / max(1, applies.sum())
        np.add.at(total, gained[applies], weight)
        np.add.at(total, lost[broken], -weight)
    return total


def _voices(roll: np.ndarray, count: np.ndarray) -> np.ndarray:
    usual = np.bincount(count[count > 0], minlength=2)
    size = len(usual) - 1 - int(np.argmax(usual[::-1]))
    pitches = np.argsort(~roll, axis=1, kind="stable")  # sounding ones first, ascending
    fraction = np.arange(size) / max(1, size - 1)
    places = np.floor(fraction * np.maximum(count - 1, 0)[:, None] + 0.5).astype(int)
    return np.where(count[:, None] > 0, np.take_along_axis(pitches, places, axis=1), -1)


def _after(piece: Piece, broken: np.ndarray) -> np.ndarray:
    """Returns in which frames a rule about moves is broken, `[T]`, from `[T - 1, *]`.

    There is no move from or to silence.
    """
    sounds = piece.notes > 0
    result = np.zeros(len(sounds), bool)
    result[1:] = broken.any(axis=1) & sounds[1:] & sounds[:-1]
    return result


def _everywhere(piece: Piece, satisfied: np.ndarray | np.bool_) -> Verdict:
    return _sounding(piece, np.ones(len(piece.voices), bool), satisfied)


def _sounding(
    piece: Piece, applies: np.ndarray, satisfied: np.ndarray | np.bool_ | bool
) -> Verdict:
    return Verdict(applies, satisfied & (piece.notes > 0))


def _by_bar(verdict: Verdict, bar: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each bar whether a rule applies to it, and whether it is broken there."""
    starts = np.arange(0, len(verdict.applies), bar)
    if not len(starts):
        return np.zeros(0, bool), np.zeros(0, bool)
    return (np.logical_or.reduceat(verdict.applies, starts),
            np.logical_or.reduceat(verdict.applies & ~verdict.satisfied, starts))


def _first_in_bars(frames: np.ndarray, bar: int) -> np.ndarray:
    """Returns the first true frame of `[T]` in each bar; any frame for a bar without one."""
    padded = np.zeros(-(-len(frames) // bar) * bar, bool)
    padded[:len(frames)] = frames
    bars = padded.reshape([-1, bar])
    return np.arange(len(bars)) * bar + np.argmax(bars, axis=1)
