# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards by name: the values of --reward.

    --reward KIND              a reward of the program
    --reward KIND:ARGUMENT     likewise
    --reward MODULE:FUNCTION   a Python function of the content of a sample, imported from the
                               current folder or Python's path
    --reward WEIGHT*REWARD     with a weight; several --reward are added up

A log directory records the names, which are compared with the command line's and never imported:
log directories are data.
"""
from __future__ import annotations

import importlib
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.tuning.rewards import Function, Reward, RewardSum

Factory = Callable[[str, str], Reward]  # from the argument after the colon, and the label
_WEIGHT = re.compile(r"(\d+\.?\d*|\.\d+)\*(.+)", re.S)


def make(names: Sequence[str], kinds: Mapping[str, Factory]) -> RewardSum:
    """Creates the weighted sum of rewards.

    Args:
      names: the values of --reward.
      kinds: by name of the kind; each makes a reward from the text after the colon, "" without
        one, and a label.

    Raises:
      UsageError: there is no such reward, or the same twice.
    """
    terms = [_term(name, kinds) for name in names]
    labels = [reward.label for _, reward in terms]
    if len(set(labels)) < len(labels):
        raise UsageError(f"--reward: expected different rewards; got {', '.join(labels)}.")
    return RewardSum(terms)


def _term(text: str, kinds: Mapping[str, Factory]) -> tuple[float, Reward]:
    match = _WEIGHT.fullmatch(text)
    weight, name = (float(match[1]), match[2]) if match else (1.0, text)
    if not math.isfinite(weight):
        raise UsageError(f"--reward: expected a finite weight; got {short_repr(text)}.")
    kind, colon, argument = name.partition(":")
    if kind in kinds:
        try:
            return weight, kinds[kind](argument, name)
        except ValueError as error:
            raise UsageError(f"--reward {short_repr(name)}: {error}") from error
    if not (colon and kind and argument):
        raise UsageError(f"--reward: expected {', '.join(map(repr, sorted(kinds)))} or "
                         f"MODULE:FUNCTION; got {short_repr(name)}.")
    return weight, Function(_function(kind, argument), name)


def _function(module: str, name: str) -> Callable[[Any], Any]:
    function = getattr(_import(module), name, None)
    if not callable(function):
        raise UsageError(f"--reward: expected a function {short_repr(name)} in the module "
                         f"{short_repr(module)}; found "
                         f"{'none' if function is None else short_repr(function)}.")
    return function


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
