# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards as objects: functions, checks of validity, BLEU and chrF, and weighted sums.

A reward scores samples: with one number for each, or one for each of its steps, which add up to it.
Rewards of steps are learnt faster, because each is credited to its step and the earlier ones only.
Rewards that are learnt beside the policy also have `update`; see `vaeseq.tuning.discriminator`.

Axes: B samples, T steps.
"""
from __future__ import annotations

import abc
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.fields import short_repr
from vaeseq.types import Nest

Metric = Literal["bleu", "chrf"]
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class Sample:
    """A sequence to be scored.

    Attributes:
      observed: NumPy arrays, a nest of `[N, ...]`.
    """

    def __init__(self, observed: Nest, decode: Callable[[Nest], Any] = lambda observed: observed):
        """Creates the sample.

        Args:
          observed: NumPy arrays, a nest of `[N, ...]`.
          decode: maps them to the content; by default they are the content.
        """
        self.observed = observed
        self._decode = decode

    @functools.cached_property
    def content(self) -> Any:
        """What functions see, such as a string or a piano roll; decoded when it is first read."""
        return self._decode(self.observed)


class Reward(tf.Module, abc.ABC):
    """Scores samples. Its variables, if it has some, are part of the checkpoints of a run.

    Attributes:
      label: names it in reports.
    """

    def __init__(self, label: str):
        super().__init__(name="reward")
        self.label = label

    @abc.abstractmethod
    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        """Returns for each sample a finite number, or an array of one for each step, `[N]`.

        Args:
          samples: what the policy drew.
          references: training sequences; where samples continue training sequences, one for each
            sample.
        """

    def update(self, samples: Sequence[Sample], references: Sequence[Sample]) -> None:
        """Learns from the samples of an update, after they were scored; by default nothing."""


class Function(Reward):
    """A Python function of the content of a sample."""

    def __init__(self, function: Callable[[Any], Any], label: str):
        """Creates the reward.

        Args:
          function: maps the content of a sample to a number, or to an array of one for each step.
          label: names it in reports.
        """
        super().__init__(label)
        self._function = function

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        try:
            return [np.asarray(self._function(sample.content), np.float64) for sample in samples]
        except Exception as error:
            raise ValueError(
                f"the reward {short_repr(self.label)} failed with {type(error).__name__}: {error} "
                "(--debug shows where)") from error


class Overlap(Reward):
    """BLEU (Papineni et al., 2002) or chrF (Popovic, 2015) against reference texts, from 0 to 1.

    They are those of sacrebleu, of single sentences; BLEU has an effective order, so that a text of
    fewer than four words can have a score.
    """

    def __init__(
        self, metric: Metric, references: Sequence[str] | None = None, *,
        tokenize: str = "13a", label: str | None = None,
    ):
        """Creates the reward.

        Args:
          metric: "bleu" or "chrf".
          references: of every sample; by default each sample has its own, the training sequence
            that it continues.
          tokenize: sacrebleu's tokenizer for BLEU: "13a", "char", "none" and others.
          label: names it in reports; by default the name of the metric.

        Raises:
          ValueError: sacrebleu is not installed, or the metric is unknown.
        """
        super().__init__(label or metric)
        try:
            from sacrebleu.metrics.bleu import BLEU
            from sacrebleu.metrics.chrf import CHRF
        except ImportError:
            raise ValueError(
                f"the reward {metric!r} needs sacrebleu: pip install 'vaeseq[bleu]'.") from None
        if metric not in ("bleu", "chrf"):
            raise ValueError(f"expected the metric 'bleu' or 'chrf'; got {metric!r}.")
        self._metric = (
            BLEU(effective_order=True, tokenize=tokenize) if metric == "bleu" else CHRF())
        self._references = list(references) if references else None

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        if self._references is None and len(references) != len(samples):
            raise ValueError(
                f"the reward {short_repr(self.label)} compares each sample with the training "
                "sequence that it continues, but samples have no prefix. Give it references.")
        return [self._metric.sentence_score(
            sample.content, self._references or [references[row].content]).score / 100
            for row, sample in enumerate(samples)]


class Scored(NamedTuple):
    """The scores of samples.

    Attributes:
      values: the weighted sum for each step, `[B, T]`; zeros after the end of a sample.
      parts: the mean score of a sample by each reward alone, without its weight, by label.
    """

    values: np.ndarray
    parts: dict[str, float]


class RewardSum(tf.Module):
    """A weighted sum of rewards.

    Attributes:
      labels: of its rewards.
    """

    def __init__(self, terms: Sequence[tuple[float, Reward]]):
        """Args: terms: weights and rewards, at least one; raises ValueError for equal labels."""
        super().__init__(name="rewards")
        self.labels = tuple(reward.label for _, reward in terms)
        if not terms or len(set(self.labels)) < len(terms):
            raise ValueError(f"expected rewards of different names, got {list(self.labels)}.")
        self._weights = tuple(float(weight) for weight, _ in terms)
        self._rewards = [reward for _, reward in terms]

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample], num_steps: int | None = None
    ) -> Scored:
        """Scores samples.

        Args:
          samples: B of them.
          references: see `Reward.score`.
          num_steps: T; by default the length of the longest sample.

        Raises:
          ValueError: a reward failed, or returned no finite numbers.
        """
        lengths = [len(tf.nest.flatten(sample.observed)[0]) for sample in samples]
        shape = len(samples), max(lengths, default=0) if num_steps is None else num_steps
        total, parts = np.zeros(shape), {}
        for weight, reward in zip(self._weights, self._rewards):
            values = np.zeros(shape)
            for row, score in enumerate(reward.score(samples, references)):
                by_step(score, lengths[row], reward.label, values[row])
            parts[reward.label] = float(values.sum(axis=1).mean())
            total += weight * values
        return Scored(total, parts)

    def fixed_total(self, parts: Mapping[str, float]) -> float | None:
        """Returns the weighted sum of `Scored.parts` over the rewards that do not learn.

        Only it can be compared between updates; None where every reward learns.
        """
        fixed = [weight * parts[reward.label] for weight, reward in zip(
            self._weights, self._rewards) if type(reward).update is Reward.update]
        return sum(fixed) if fixed else None

    def update(self, samples: Sequence[Sample], references: Sequence[Sample]) -> None:
        """Lets each reward learn from the samples of an update."""
        for reward in self._rewards:
            reward.update(samples, references)


def by_step(score: float | np.ndarray, length: int, label: str, out: np.ndarray) -> None:
    """Writes the score of a sample into `out`, `[T]`; one number is credited to the last step.

    Raises:
      ValueError: it is neither a finite number nor one for each step.
    """
    values = np.asarray(score, np.float64)
    if values.shape not in ((), (length,)) or not np.isfinite(values).all():
        raise ValueError(
            f"expected a reward to be a finite number, or one for each of the {length} steps; "
            f"{short_repr(label)} gave "
            f"{short_repr(values.tolist() if values.ndim == 0 else list(values.shape))}.")
    if values.ndim:
        out[:length] = values
    elif length:
        out[length - 1] = values


def _refuse(constant: str) -> None:
    """Refuses NaN and infinities, which Python reads and JSON does not have."""
    raise ValueError(constant)


def json_parses(text: str) -> float:
    """Returns 1 if a text is a JSON document, otherwise 0."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0


def brackets_close(text: str) -> float:
    """Returns the share of the brackets of a text that have a partner; 1 without any."""
    open_brackets: list[str] = []
    total = matched = 0
    for character in text:
        if character in "([{":
            total += 1
            open_brackets.append(character)
        elif character in _BRACKETS:
            total += 1
            if open_brackets and open_brackets[-1] == _BRACKETS[character]:
                open_brackets.pop()
                matched += 2
    return matched / total if total else 1.0


def matches(pattern: str) -> Callable[[str], float]:
    """Returns a function that is 1 for texts that match a regular expression wholly, otherwise 0.

    Raises:
      ValueError: the expression is not valid.
    """
    expression = _compiled(pattern)
    return lambda text: float(expression.fullmatch(text) is not None)


def lines_match(pattern: str) -> Callable[[str], np.ndarray]:
    """Returns a function that credits each whole line that matches a regular expression.

    Each of the n lines of a text that ends with a line break gives 1/n at its last character if it
    matches, so that the sum is the share of well-formed lines. An unfinished last line does not
    count. The function is for models whose symbols are characters.

    Raises:
      ValueError: the expression is not valid.
    """
    expression = _compiled(pattern)

    def reward(text: str) -> np.ndarray:
        values = np.zeros(len(text))
        ends = [place for place, character in enumerate(text) if character == "\n"]
        start = 0
        for end in ends:
            values[end] = (expression.fullmatch(text[start:end]) is not None) / len(ends)
            start = end + 1
        return values

    return reward


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {short_repr(pattern)}: {error}."
                         ) from None
