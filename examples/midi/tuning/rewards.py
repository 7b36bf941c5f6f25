# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards for tuning music; see `vaeseq.tuning.terms` for their names.

    def reward(roll):                      # bool [T, 128]: which MIDI notes sound in each frame
        return -abs(roll.sum(axis=1) - 3)  # a number, or one for each frame

A part of drums is left out, as its numbers are no pitches.

The file of choices records a sample as the columns of its roll that are on in each frame:
[[0, 4, 7], [0], []]; a column with a velocity v as [column, v].
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vaeseq.fields import short_repr
from vaeseq.tuning import learning, terms
from vaeseq.tuning.features import SequenceFeatures
from vaeseq.tuning.learning import Domain
from vaeseq.tuning.rewards import Function, Reward, RewardSum
from vaeseq.types import Nest

from ..data import piano_roll
from ..data.piano_roll import Grid
from ..model import MidiModel, observations
from . import counterpoint

COUNTERPOINT = "counterpoint"
_PITCHES = 128


def domain(
    model: MidiModel, make_features: Callable[[], SequenceFeatures] | None = None
) -> Domain:
    """Returns what the sequences of a model of music are; see `Domain.of_model`."""
    hparams = model.hparams

    def observe(content: Any) -> Nest:
        return observations.observe(to_roll(content, hparams.frames), hparams)

    return Domain.of_model(model, observe, make_features)


def find(
    names: Sequence[str], bar: int, grid: Grid, sequences: Domain, seed: int,
    log: Callable[[str], None],
) -> RewardSum:
    """Returns the sum of the rewards that --reward names; logs how learnt rewards are learnt.

    Raises:
      UsageError: there is no such reward, or it does not apply to music of the grid.
    """
    def rules(argument: str, label: str) -> Reward:
        if argument:
            raise ValueError(f"{COUNTERPOINT} takes no argument.")
        if grid.drums and grid.parts == 1:
            raise ValueError("expected a model without drums, or with several parts, the last of "
                             "drums; got drums=true and parts=1, whose drums would be voices. Give "
                             "another --reward.")
        return Function(functools.partial(counterpoint.reward, bar=bar), label)

    return terms.make(
        names, {COUNTERPOINT: rules, **learning.kinds(sequences, seed=seed, log=log)})


def from_roll(roll: np.ndarray) -> list[list[Any]]:
    """Returns a roll, `[T, columns]`, as the file of choices records it."""
    return [[column if frame[column] == 1 else [column, int(frame[column])]
             for column in np.flatnonzero(frame).tolist()] for frame in np.asarray(roll)]


def to_roll(content: Any, grid: Grid) -> np.ndarray:
    """Returns the roll of a record of the file of choices, uint8 `[T, columns]`.

    Raises:
      ValueError: it is no list of frames, each a list of columns of the grid.
    """
    frames = content if isinstance(content, list) and content else [None]
    roll = np.zeros([len(frames), grid.columns], np.uint8)
    most = 127 if grid.velocity else 1
    for row, frame in zip(roll, frames):
        on = ([one if isinstance(one, list) else [one, 1] for one in frame]
              if isinstance(frame, list) else [[]])
        if not all(len(one) == 2 and all(type(number) is int for number in one)
                   and 0 <= one[0] < grid.columns and 1 <= one[1] <= most for one in on):
            raise ValueError(f"expected a list of frames, each a list of columns from 0 to "
                             f"{grid.columns - 1}; got {short_repr(content)}.")
        for column, value in on:
            row[column] = value
    return roll


def sounding(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Converts a roll with the columns of a grid to the input of rewards, bool `[T, 128]`.

    A part of drums is left out.
    """
    result = np.zeros([len(roll), _PITCHES], bool)
    result[:, grid.lowest:grid.highest + 1] = piano_roll.sounding_pitches(roll, grid)
    return result
