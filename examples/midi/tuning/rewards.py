# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards for tuning: Python functions of a piano roll.

    def reward(roll):                      # bool [T, 128]: which MIDI notes sound in each frame
        return -abs(roll.sum(axis=1) - 3)  # a number, or one for each frame

One number is the reward of the whole piece; the numbers of frames add up to it. Rewards of frames
are learned faster, because each is credited to its frame and the earlier ones only.

The command line names a user's function as MODULE:FUNCTION; the module is imported from the
current folder or Python's path. A log directory records the name, which is compared with the
command line's and never imported: log directories are data.
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


def find(name: str, bar: int) -> Reward:
    """Returns the reward function of a name.

    Args:
      name: "counterpoint", or MODULE:FUNCTION.
      bar: number of frames in a bar.

    Raises:
      UsageError: there is no such function.
    """
    if name == COUNTERPOINT:
        return functools.partial(counterpoint.reward, bar=bar)
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise UsageError(f"--reward: expected {COUNTERPOINT!r} or MODULE:FUNCTION; got "
                         f"{short_repr(name)}.")
    reward = getattr(_import(module), function, None)
    if not callable(reward):
        raise UsageError(f"--reward: expected a function {short_repr(function)} in the module "
                         f"{short_repr(module)}; found "
                         f"{'none' if reward is None else short_repr(reward)}.")
    return reward


def by_frame(reward: Reward, roll: np.ndarray) -> np.ndarray:
    """Returns the reward of each frame of a roll, bool `[T, 128]`, as float `[T]`.

    A reward of the whole piece is credited to the last frame.

    Raises:
      UsageError: the function failed, or returned neither a finite number nor one for each frame.
    """
    try:
        values = np.asarray(reward(roll), np.float64)
    except Exception as error:
        raise UsageError(
            f"the reward failed with {type(error).__name__}: {error} (--debug shows where)"
        ) from error
    if values.shape not in ((), (len(roll),)) or not np.isfinite(values).all():
        raise UsageError(
            f"expected a reward to be a finite number, or one for each of the {len(roll)} frames; "
            f"got {short_repr(values.tolist() if values.ndim == 0 else list(values.shape))}.")
    if values.ndim:
        return values
    result = np.zeros(len(roll))
    result[-1:] = values
    return result


def sounding(roll: np.ndarray, grid: Grid) -> np.ndarray:
    """Converts a roll with the columns of a grid to the input of rewards, bool `[T, 128]`."""
    result = np.zeros([len(roll), _PITCHES], bool)
    result[:, grid.lowest:grid.highest + 1] = piano_roll.sounding(roll, grid)
    return result


def _import(module: str) -> Any:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UsageError(
            f"--reward: the module {short_repr(module)} cannot be imported from "
            f"{short_repr(here)} or Python's path: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
