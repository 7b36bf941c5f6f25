# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards for tuning text; see `vaeseq.tuning.terms` for their names."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.tuning import learning, rewards, terms
from vaeseq.tuning.features import SequenceFeatures
from vaeseq.tuning.learning import Domain
from vaeseq.tuning.rewards import Function, Metric, Overlap, Reward, RewardSum
from vaeseq.tuning.terms import Factory

from ..data.corpus import open_corpus
from ..model import TextModel

_MOST_REFERENCES = 1000  # lines of a file


def domain(
    model: TextModel, make_features: Callable[[], SequenceFeatures] | None = None
) -> Domain:
    """Returns what the sequences of a model of text are; see `Domain.of_model`."""
    def observe(content: Any) -> np.ndarray:
        if not isinstance(content, str) or not content:
            raise ValueError(f"expected a text, got {short_repr(content)}.")
        return model.vocabulary.encode(content)

    return Domain.of_model(model, observe, make_features)


def find(
    names: Sequence[str], unit: str, sequences: Domain, seed: int, log: Callable[[str], None]
) -> RewardSum:
    """Returns the sum of the rewards that --reward names; logs how learnt rewards are learnt.

    The `unit` is that of the model, such as "character".

    Raises:
      UsageError: there is no such reward.
    """
    return terms.make(names, {
        "json": _without_argument(rewards.json_parses),
        "brackets": _without_argument(rewards.brackets_close),
        "regex": _with_pattern(rewards.matches), "lines": _lines(unit),
        "bleu": _overlap("bleu"), "chrf": _overlap("chrf"),
        **learning.kinds(sequences, seed=seed, log=log)})


def _without_argument(function: Callable[[str], Any]) -> Factory:
    def make(argument: str, label: str) -> Reward:
        if argument:
            raise ValueError("this reward takes no argument.")
        return Function(function, label)

    return make


def _with_pattern(make_function: Callable[[str], Callable[[str], Any]]) -> Factory:
    def make(argument: str, label: str) -> Reward:
        if not argument:
            raise ValueError("expected a regular expression after the colon.")
        return Function(make_function(argument), label)

    return make


def _lines(unit: str) -> Factory:
    """Credits lines at their ends; where symbols are no characters, at the end of the text."""
    def make_function(pattern: str) -> Callable[[str], Any]:
        by_character = rewards.lines_match(pattern)
        if unit == "character":
            return by_character
        return lambda text: by_character(text).sum()

    return _with_pattern(make_function)


def _overlap(metric: Metric) -> Factory:
    def make(path: str, label: str) -> Reward:
        try:
            text = "".join(open_corpus(path).chunks())
        except argparse.ArgumentTypeError as error:
            raise ValueError(str(error)) from None
        references = [line for line in text.split("\n") if line.strip()]
        if not 0 < len(references) <= _MOST_REFERENCES:
            raise UsageError(f"{short_repr(path)}: expected 1 to {_MOST_REFERENCES} lines, each a "
                             f"reference; found {len(references)}.")
        return Overlap(metric, references, label=label)

    return make
