# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards: ordinary Python functions of a piano roll.

    def reward(roll):                      # bool [T, 128]: which MIDI notes sound in each frame
        return -abs(roll.sum(axis=1) - 3)  # a number, or one for each frame

A number is for the whole piece, numbers for frames add up to the piece's reward; those for frames
teach faster, as each is charged to its frame and those before it only.

A function of one's own is named MODULE:FUNCTION on the command line, and its module is imported
from the current folder or wherever Python finds it. Nothing else imports it: what a log directory
holds is data, and the name of a reward that it records is compared, not called.
"""
from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from ..data import piano_roll
from ..data.piano_roll import Grid
from . import counterpoint

Reward = Callable[[np.ndarray], Any]
COUNTERPOINT = "counterpoint"
_PITCHES = 128


def named(name: str, bar: int) -> Reward:
    """The reward that a name names; raises UsageError where there is none.

    Args:
      name: "counterpoint", or MODULE:FUNCTION.
      bar: frames in a bar.
    """
    if name == COUNTERPOINT:
        return functools.partial(counterpoint.reward, bar=bar)
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise UsageError(f"--reward: expected {COUNTERPOINT!r} or MODULE:FUNCTION; got "
                         f"{short_repr(name)}.")
    found = getattr(_imported(module), function, None)
    if not callable(found):
        raise UsageError(f"--reward: expected a function {short_repr(function)} in the module "
                         f"{short_repr(module)}; found "
                         f"{'none' if found is None else short_repr(found)}.")
    return found


def by_frame(reward: Reward, roll: np.ndarray) -> np.ndarray:
    """What a reward gives for each frame of a roll, bool `[T, 128]`: float `[T]`.

    Raises:
      UsageError: it failed, or gave something else than a finite number or one for each frame.
    """
    try:
        given = np.asarray(reward(roll), np.float64)
    except Exception as error:
        raise UsageError(
            f"the reward failed with {type(error).__name__}: {error} (--debug shows where)"
        ) from error
    if given.shape not in ((), (len(roll),)) or not np.isfinite(given).all():
        raise UsageError(
            f"expected a reward to be a finite number, or one for each of the {len(roll)} frames; "
            f"got {short_repr(given.tolist() if given.ndim == 0 else list(given.shape))}.")
    if given.ndim:
        return given
    result = np.zeros(len(roll))
    result[-1:] = given
    return result


def sounding(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """What rewards look at, bool `[T, 128]`, of a roll with the columns of a grid."""
    result = np.zeros([len(roll), _PITCHES], bool)
    result[:, grid.lowest:grid.highest + 1] = piano_roll.sounding(roll, grid)
    return result


def _imported(module: str) -> Any:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UsageError(
            f"--reward: the module {short_repr(module)} cannot be imported from "
            f"{short_repr(here)} or "
            f"Python's path: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
