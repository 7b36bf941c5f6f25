# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""First-species counterpoint (note against note) as rules of a piano roll, and as a reward.

A roll is bool `[T, 128]`: which MIDI notes sound in each frame. It does not name its voices, so
they are taken from it:

  - there are V of them, the most frequent number of notes in a frame that sounds (of two, the
    larger);
  - the first is the lowest note of a frame, the last its highest, and those between are spread
    over the notes in order. Where fewer notes sound, voices share one: a unison.

Voices in the order of their notes never cross within a frame. What shows of a crossing is that a
voice moves beyond where its neighbour was in the frame before, and that is what is counted.

Each rule says in which frames it applies and in which of those it is kept. A bar keeps a rule if
all its frames do. First species has no rests: a silent frame keeps no rule that applies to it.

Axes: T frames, V voices.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CONSONANT = (0, 3, 4, 7, 8, 9)  # semitones above the lowest voice, within an octave
_HARSH = (1, 2, 10, 11)  # between two upper voices: seconds and sevenths
_FIFTH = 7
_STEP = 2
# How well the twelve notes fit a key, from its tonic up (Krumhansl and Kessler, 1982).
_PROFILES = np.array([
    [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]])


class Piece(NamedTuple):
    """What the rules look at.

    Attributes:
      voices: MIDI numbers, lowest first, int `[T, V]`; -1 in a silent frame.
      notes: how many sound, `[T]`.
      tonic: pitch class, 0 is C; -1 where nothing sounds.
      bar: frames in a bar.
    """

    voices: np.ndarray
    notes: np.ndarray
    tonic: int
    bar: int


class Answer(NamedTuple):
    """What a rule says of a piece.

    Attributes:
      applies: bool `[T]`.
      kept: bool `[T]`, meaningless where it does not apply.
    """

    applies: np.ndarray
    kept: np.ndarray


Rule = Callable[[Piece], Answer]


def piece(roll: np.ndarray, bar: int) -> Piece:
    """The voices and the tonic of a roll, bool `[T, 128]`; raises ValueError for another shape."""
    roll = np.asarray(roll) > 0.5
    if roll.ndim != 2 or roll.shape[1] != 128 or bar < 1:
        raise ValueError("expected a roll [frames, 128] and bars of a frame or more, got "
                         f"{list(roll.shape)} and {bar}.")
    count = roll.sum(axis=1)
    return Piece(_voices(roll, count), count, tonic(roll), bar)


def tonic(roll: np.ndarray) -> int:
    """The pitch class of the major or minor key that the notes of a roll fit best, or -1."""
    weights = np.bincount(np.arange(128) % 12, np.asarray(roll).sum(axis=0), minlength=12)
    if not weights.any():
        return -1
    keys = np.stack([np.roll(profile, key) for key in range(12) for profile in _PROFILES])
    centred = keys - keys.mean(axis=1, keepdims=True)
    fit = centred @ weights / np.linalg.norm(centred, axis=1)
    return int(np.argmax(fit)) // len(_PROFILES)


def consonance(piece: Piece) -> Answer:
    """Voices sound well together.

    Each is a unison, third, fifth, sixth or octave (perhaps with octaves between) from the lowest,
    and no two upper ones are a second or a seventh apart.
    """
    apart = (piece.voices[:, :, None] - piece.voices[:, None]) % 12
    higher, lower = np.tril_indices(piece.voices.shape[1], -1)
    from_lowest = np.isin(apart[:, :, 0], _CONSONANT).all(axis=1)
    among_upper = ~np.isin(apart[:, higher, lower], _HARSH).any(axis=1)
    return _everywhere(piece, from_lowest & among_upper)


def crossing(piece: Piece) -> Answer:
    """No voice moves above where the next higher one just was, or below the next lower one."""
    now, before = piece.voices[1:], piece.voices[:-1]
    crossed = (now[:, :-1] > before[:, 1:]) | (now[:, 1:] < before[:, :-1])
    return _everywhere(piece, ~_after(piece, crossed))


def tonic_ends(piece: Piece) -> Answer:
    """In the first frame and in the last one the lowest voice sings the tonic."""
    applies = np.zeros(len(piece.voices), bool)
    applies[[0, -1] if len(applies) else []] = True
    return Answer(applies, piece.voices[:, 0] % 12 == piece.tonic)


def leaps(piece: Piece) -> Answer:
    """No voice leaps by more than a fifth."""
    return _everywhere(piece, ~_after(piece, np.abs(np.diff(piece.voices, axis=0)) > _FIFTH))


def cadence(piece: Piece) -> Answer:
    """The highest voice comes to its last note by a step."""
    applies = np.zeros(len(piece.voices), bool)
    applies[-1:] = True
    melody = piece.voices[piece.notes > 0, -1]
    moves = np.diff(melody)[np.diff(melody) != 0]
    return _sounding(piece, applies, len(moves) > 0 and abs(moves[-1]) <= _STEP)


def unisons(piece: Piece) -> Answer:
    """No two voices share a note, but for the first frame and the last."""
    applies = np.zeros(len(piece.voices), bool)
    applies[1:-1] = True
    return _sounding(piece, applies, piece.notes >= piece.voices.shape[1])


def repeats(piece: Piece) -> Answer:
    """No voice stays on a note for longer than a bar."""
    frames = np.arange(len(piece.voices))[:, None]
    begins = np.ones(piece.voices.shape, bool)
    begins[1:] = np.diff(piece.voices, axis=0) != 0
    since = np.maximum.accumulate(np.where(begins, frames, 0), axis=0)
    return _everywhere(piece, (frames - since < piece.bar).all(axis=1))


RULES: dict[str, Rule] = {
    "consonance": consonance, "crossing": crossing, "tonic_ends": tonic_ends, "leaps": leaps,
    "cadence": cadence, "unisons": unisons, "repeats": repeats}


def shares_of_bars(roll: np.ndarray, bar: int) -> dict[str, float]:
    """Of each rule, the share of the bars to which it applies that keep it; 1 where there is none.

    Args:
      roll: bool `[T, 128]`.
      bar: frames in a bar; the last bar may be shorter.
    """
    seen = piece(roll, bar)
    shares = {}
    for name, rule in RULES.items():
        applies, broken = _bars(rule(seen), bar)
        shares[name] = 1.0 - float(broken.sum() / max(1, applies.sum()))
    return shares


def reward(roll: np.ndarray, bar: int) -> np.ndarray:
    """How many of the rules are kept, told apart by frames, float `[T]`.

    The frames add up to the sum, over the rules that apply, of the share of bars that keep them.
    Of a rule that applies to n bars, each gives 1/n where it first applies, and takes it back in
    the first frame that breaks it: so what a frame does is charged to that frame.
    """
    seen = piece(roll, bar)
    total = np.zeros(len(seen.voices))
    for rule in RULES.values():
        answer = rule(seen)
        applies, broken = _bars(answer, bar)
        gained = _firsts(answer.applies, bar)
        lost = _firsts(answer.applies & ~answer.kept, bar)
        worth = 1 / max(1, applies.sum())
        np.add.at(total, gained[applies], worth)
        np.add.at(total, lost[broken], -worth)
    return total


def _voices(roll: np.ndarray, count: np.ndarray) -> np.ndarray:
    usual = np.bincount(count[count > 0], minlength=2)
    size = len(usual) - 1 - int(np.argmax(usual[::-1]))
    pitches = np.argsort(~roll, axis=1, kind="stable")  # first those that sound, from the lowest
    share = np.arange(size) / max(1, size - 1)
    places = np.floor(share * np.maximum(count - 1, 0)[:, None] + 0.5).astype(int)
    return np.where(count[:, None] > 0, np.take_along_axis(pitches, places, axis=1), -1)


def _after(piece: Piece, broken: np.ndarray) -> np.ndarray:
    """In which frames a rule about two frames is broken, `[T]`, from `[T - 1, *]`.

    Between silence and a note there is no move.
    """
    sounds = piece.notes > 0
    result = np.zeros(len(sounds), bool)
    result[1:] = broken.any(axis=1) & sounds[1:] & sounds[:-1]
    return result


def _everywhere(piece: Piece, kept: np.ndarray | np.bool_) -> Answer:
    return _sounding(piece, np.ones(len(piece.voices), bool), kept)


def _sounding(piece: Piece, applies: np.ndarray, kept: np.ndarray | np.bool_ | bool) -> Answer:
    return Answer(applies, kept & (piece.notes > 0))


def _bars(answer: Answer, bar: int) -> tuple[np.ndarray, np.ndarray]:
    """For each bar, whether a rule applies to it, and whether it is broken there."""
    starts = np.arange(0, len(answer.applies), bar)
    if not len(starts):
        return np.zeros(0, bool), np.zeros(0, bool)
    return (np.logical_or.reduceat(answer.applies, starts),
            np.logical_or.reduceat(answer.applies & ~answer.kept, starts))


def _firsts(frames: np.ndarray, bar: int) -> np.ndarray:
    """The first of the frames chosen, bool `[T]`, in each bar; any frame where there is none."""
    padded = np.zeros(-(-len(frames) // bar) * bar, bool)
    padded[:len(frames)] = frames
    bars = padded.reshape([-1, bar])
    return np.arange(len(bars)) * bar + np.argmax(bars, axis=1)
