# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards learnt from choices between pairs of sequences.

The model of Bradley, Terry and Luce: the first of two sequences is chosen with probability

    p(a over b) = sigmoid(r(a) - r(b))        r(x) = w f(x)

with fixed features f of a trained model (`vaeseq.tuning.features`), and a normal prior of the
weights w whose variances maximise the evidence (`vaeseq.tuning.logistic`). A choice of neither
counts as half a choice of each. The posterior of w says how uncertain a reward is. Probabilities
are means over it, which keeps them from being too sure without held-out choices.

Deviation: Christiano et al. (arXiv:1706.03741) train an ensemble of networks. A network of its own
learns a few hundred choices by heart, and predicts others worse than the linear reward does.

Axes: B sequences, M pairs, F features.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.tuning import logistic
from vaeseq.tuning.features import ScaledFeatures, SequenceFeatures
from vaeseq.tuning.rewards import Reward, Sample
from vaeseq.types import Nest

_CANDIDATES = 1000  # random pairs among which the most informative are taken
# Standard deviations of a reward that are subtracted from its mean, so that tuning does not seek
# what choices say nothing of (Coste et al., arXiv:2310.02743).
_PESSIMISM = 0.5


class Pair(NamedTuple):
    """Two sequences, and which of them a listener chose.

    Attributes:
      first: NumPy arrays, a nest of `[N, ...]`.
      second: likewise; N may differ.
      choice: 1 if the first was chosen, 0 if the second, 0.5 for neither.
      listener: who chose.
    """

    first: Nest
    second: Nest
    choice: float
    listener: str = ""


class Accuracy(NamedTuple):
    """How well choices are predicted.

    Attributes:
      accuracy: share of choices in which the likelier sequence was chosen; NaN without any.
      standard_error: of that share; NaN without any.
      nats: mean negative log-probability of a choice.
      pairs: number of choices of one of both; choices of neither do not count.
    """

    accuracy: float
    standard_error: float
    nats: float
    pairs: int


class Estimates(NamedTuple):
    """Normal distributions of rewards or of their differences, in nats of log-odds.

    Attributes:
      mean: `[B]`.
      variance: `[B]`.
    """

    mean: np.ndarray
    variance: np.ndarray


class PreferenceModel(tf.Module):
    """A reward learnt from choices, linear in fixed features."""

    def __init__(self, features: SequenceFeatures):
        """Args: features: of sequences; their model is not changed."""
        super().__init__(name="preferences")
        self._features = ScaledFeatures(features)
        size = sum(features.sizes)
        self._weights = tf.Variable(
            tf.zeros([size], tf.float64), trainable=False, name="weights")
        self._covariance = tf.Variable(
            tf.eye(size, dtype=tf.float64), trainable=False, name="covariance")

    def fit(self, pairs: Sequence[Pair]) -> None:
        """Learns from choices, at least one; the mean reward of their sequences is 0.

        Raises:
          ValueError: there are no pairs.
        """
        differences, choices = fit_differences(self._features, pairs)
        variances = logistic.fit_variances(differences, choices, self._features.features.sizes)
        posterior = logistic.laplace(
            differences, choices, np.zeros(len(variances)), np.sqrt(variances))
        self._weights.assign(posterior.mean)
        self._covariance.assign(
            np.diag(variances) - posterior.reduction @ posterior.reduction.T)

    def rewards(self, sequences: Sequence[Nest]) -> Estimates:
        """Returns the rewards of sequences, nests of `[N, ...]`, and their uncertainty."""
        return self._estimates(self._features(sequences))

    def compare(
        self, sequences: Sequence[Nest], first: np.ndarray, second: np.ndarray
    ) -> Estimates:
        """Returns the log-odds that the first of a pair is chosen, and their uncertainty.

        Args:
          sequences: B of them.
          first: numbers of sequences, int `[M]`.
          second: likewise.
        """
        features = self._features(sequences)
        return self._estimates(features[first] - features[second])

    def probabilities(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Returns the probability that the first is chosen, `[M]`."""
        return logistic.predict(*self._estimates(differences(self._features, pairs)))

    def accuracy(self, pairs: Sequence[Pair]) -> Accuracy:
        """Returns how well choices are predicted."""
        pairs = [pair for pair in pairs if pair.choice != 0.5]
        return score_choices(self.probabilities(pairs), choices_of(pairs))

    def _estimates(self, features: np.ndarray) -> Estimates:
        variance = ((features @ self._covariance.numpy()) * features).sum(axis=1)
        return Estimates(features @ self._weights.numpy(), np.maximum(variance, 0))


class Preference(Reward):
    """The reward of a `PreferenceModel`, with a penalty on its uncertainty."""

    def __init__(self, model: PreferenceModel, *, label: str = "choices"):
        """Creates the reward.

        Args:
          model: learnt from choices.
          label: names the reward in reports.
        """
        super().__init__(label)
        self.model = model

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        mean, variance = self.model.rewards([sample.observed for sample in samples])
        return list(mean - _PESSIMISM * np.sqrt(variance))


def next_pairs(
    model: PreferenceModel, sequences: Sequence[Nest], count: int = 1, *, seed: int = 0
) -> list[tuple[int, int]]:
    """Returns pairs of numbers of sequences whose comparisons give the most information.

    Args:
      model: what was learnt so far.
      sequences: candidates, at least 2.
      count: number of pairs; no sequence is in two of them.
      seed: of the random pairs among which these are taken.

    Raises:
      ValueError: there are fewer than 2 sequences for each pair.
    """
    if len(sequences) < 2 * count:
        raise ValueError(f"expected at least {2 * count} sequences, got {len(sequences)}.")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(sequences), _CANDIDATES)
    second = (first + rng.integers(1, len(sequences), _CANDIDATES)) % len(sequences)
    value = logistic.information(*model.compare(sequences, first, second))
    pairs: list[tuple[int, int]] = []
    members: set[int] = set()
    for row in np.argsort(-value):
        pair = int(first[row]), int(second[row])
        if not members & set(pair):
            members |= set(pair)
            pairs.append(pair)
    # Where few candidates are left without a member of an earlier pair, any two will do.
    rest = rng.permutation([number for number in range(len(sequences)) if number not in members])
    pairs += zip(rest[::2].tolist(), rest[1::2].tolist())
    return pairs[:count]


def split(pairs: Sequence[Pair], fraction: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Returns choices to learn from and held-out ones, drawn at random.

    All choices between the same two sequences are on one side, whoever made them, and whichever was
    shown first. `fraction` is of the distinct pairs.
    """
    def octets(sequence: Nest) -> bytes:
        return b"".join(np.asarray(leaf).tobytes() for leaf in tf.nest.flatten(sequence))

    keys = [tuple(sorted((octets(pair.first), octets(pair.second)))) for pair in pairs]
    distinct = sorted(set(keys))
    order = np.random.default_rng(seed).permutation(len(distinct))
    held = {distinct[row] for row in order[:round(fraction * len(distinct))]}
    return ([pair for pair, key in zip(pairs, keys) if key not in held],
            [pair for pair, key in zip(pairs, keys) if key in held])


def score_choices(probabilities: np.ndarray, choices: np.ndarray) -> Accuracy:
    """Returns how well probabilities predict choices.

    Args:
      probabilities: that the first is chosen, `[M]`.
      choices: 1 where the first was chosen, 0 where the second, `[M]`.
    """
    count = len(choices)
    if not count:
        return Accuracy(math.nan, math.nan, math.nan, 0)
    right = (probabilities > 0.5) == (choices > 0.5)
    share = float(right.mean())
    chosen = np.where(choices > 0.5, probabilities, 1 - probabilities)
    return Accuracy(share, math.sqrt(share * (1 - share) / count),
                    float(-np.log(np.maximum(chosen, 1e-12)).mean()), count)


def fit_differences(
    features: ScaledFeatures, pairs: Sequence[Pair]
) -> tuple[np.ndarray, np.ndarray]:
    """Scales features to the sequences of choices.

    Returns:
      The differences of the scaled features, first minus second, `[M, F]`, and the choices, `[M]`.

    Raises:
      ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("expected at least one choice to learn from, got none.")
    scaled = features.fit(sequences_of(pairs))
    return scaled[:len(pairs)] - scaled[len(pairs):], choices_of(pairs)


def differences(features: ScaledFeatures, pairs: Sequence[Pair]) -> np.ndarray:
    """Returns the differences of the features of pairs, first minus second, `[M, F]`."""
    scaled = features(sequences_of(pairs))
    return scaled[:len(pairs)] - scaled[len(pairs):]


def sequences_of(pairs: Sequence[Pair]) -> list[Nest]:
    """Returns the first sequences of pairs, and behind them the second ones."""
    return [pair.first for pair in pairs] + [pair.second for pair in pairs]


def choices_of(pairs: Sequence[Pair]) -> np.ndarray:
    """Returns the choices of pairs, `[M]`."""
    return np.array([pair.choice for pair in pairs], np.float64)
