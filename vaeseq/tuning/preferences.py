# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards learnt from choices between pairs of sequences.

The model of Bradley, Terry and Luce: the first of two sequences is chosen with probability

    p(a over b) = sigmoid((r(a) - r(b)) / temperature)

where the reward r is a recurrent network (Christiano et al., arXiv:1706.03741). A choice of neither
counts as half a choice of each. An ensemble, of networks with other initial weights and bootstrap
samples of the choices, says how uncertain a reward is. The temperature is fitted on held-out
choices (Guo et al., arXiv:1706.04599), so that probabilities are calibrated.

Axes: K members of the ensemble, B sequences, M pairs.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.tuning.rewards import Reward, Sample
from vaeseq.tuning.scorer import Minimizer, SequenceScorer
from vaeseq.types import Nest, Tensor

_BATCH = 64  # pairs of an update
_CHUNK = 64  # sequences scored at once


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
      accuracy: share of choices of which the likelier sequence was chosen; NaN without any.
      standard_error: of that share; NaN without any.
      nats: mean negative log-probability of a choice.
      pairs: number of choices of one of both; choices of neither do not count.
    """

    accuracy: float
    standard_error: float
    nats: float
    pairs: int


class PreferenceModel(tf.Module):
    """An ensemble of rewards learnt from choices.

    Attributes:
      members: the networks, K.
      temperature: divides differences of rewards; see `calibrate`.
    """

    def __init__(
        self, make_scorer: Callable[[int], SequenceScorer], *, members: int = 4,
        bootstrap: bool = True,
    ):
        """Creates the model.

        Args:
          make_scorer: creates a network of one output whose weights depend on a seed.
          members: number of networks, K.
          bootstrap: whether each of several networks has a bootstrap sample of the choices.
        """
        super().__init__(name="preferences")
        self.members = [make_scorer(number) for number in range(members)]
        self.temperature = tf.Variable(1.0, trainable=False, name="temperature")
        self._bootstrap = bootstrap and members > 1
        # Choices say nothing about a constant that is added to all rewards of a member.
        self._offsets = tf.Variable(tf.zeros([members]), trainable=False, name="offsets")
        self._compute = tf.function(self._raw, autograph=False)

    def fit(
        self, pairs: Sequence[Pair], *, num_steps: int = 300, learning_rate: float = 5e-3,
        weight_decay: float = 0.1, seed: int = 0,
    ) -> None:
        """Learns from choices, and sets the mean reward of their sequences to 0.

        Args:
          pairs: at least one.
          num_steps: number of updates.
          learning_rate: of Adam.
          weight_decay: see `scorer.Minimizer`.
          seed: of the batches and bootstrap samples.

        Raises:
          ValueError: there are no pairs.
        """
        if not pairs:
            raise ValueError("expected at least one choice to learn from, got none.")
        rng = np.random.default_rng(seed)
        count, size = len(pairs), min(_BATCH, len(pairs))
        choices = np.array([pair.choice for pair in pairs], np.float32)
        weights = np.ones([len(self.members), count], np.float32)
        if self._bootstrap:
            draws = rng.integers(0, count, [len(self.members), count])
            weights = np.stack([np.bincount(row, minlength=count) for row in draws])
        minimizer = Minimizer(
            [v for member in self.members for v in member.trainable_variables],
            learning_rate=learning_rate, weight_decay=weight_decay,
            clip_gradient_norm=float(len(self.members)))
        observed, lengths = self.members[0].batch(
            [pair.first for pair in pairs] + [pair.second for pair in pairs])

        def update(rows: Tensor, choice: Tensor, weight: Tensor) -> Tensor:
            both = tf.concat([rows, rows + count], 0)
            part = tf.nest.map_structure(lambda leaf: tf.gather(leaf, both), observed)
            part_lengths = tf.gather(lengths, both)

            def loss() -> Tensor:
                rewards = self._raw(part, part_lengths)
                entropy = tf.nn.sigmoid_cross_entropy_with_logits(
                    labels=tf.broadcast_to(choice, weight.shape),
                    logits=rewards[:, :size] - rewards[:, size:])
                return tf.reduce_sum(tf.reduce_mean(weight * entropy, axis=1))

            return minimizer.step(loss)

        compiled = tf.function(update, autograph=False)
        order = np.array([], int)
        for _ in range(num_steps):
            if len(order) < size:
                order = np.concatenate([order, rng.permutation(count)])
            rows, order = order[:size], order[size:]
            compiled(tf.constant(rows, tf.int32), tf.constant(choices[rows]),
                     tf.constant(weights[:, rows], tf.float32))
        self._offsets.assign(tf.zeros_like(self._offsets))
        self._offsets.assign(self._rewards(
            [sequence for pair in pairs for sequence in pair[:2]]).mean(axis=1))

    def calibrate(self, pairs: Sequence[Pair]) -> None:
        """Fits the temperature to choices that were not learnt from; without any, it stays."""
        pairs = [pair for pair in pairs if pair.choice != 0.5]
        if pairs:
            differences = self._differences(pairs)
            choices = np.array([pair.choice for pair in pairs])
            grid = np.exp(np.linspace(math.log(0.1), math.log(20), 200))
            nats = [_nats(_sigmoid(differences / value).mean(axis=0), choices) for value in grid]
            self.temperature.assign(grid[int(np.argmin(nats))])

    def rewards(self, sequences: Sequence[Nest]) -> np.ndarray:
        """Returns the reward of sequences by each member, in nats of log-odds, `[K, B]`."""
        return self._rewards(sequences) / float(self.temperature)

    def probabilities(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Returns the probability that the first is chosen, by each member, `[K, M]`."""
        return _sigmoid(self._differences(pairs) / float(self.temperature))

    def accuracy(self, pairs: Sequence[Pair]) -> Accuracy:
        """Returns how well the ensemble's mean probability predicts choices."""
        pairs = [pair for pair in pairs if pair.choice != 0.5]
        return score_choices(
            self.probabilities(pairs).mean(axis=0) if pairs else np.zeros(0),
            np.array([pair.choice for pair in pairs]))

    def _differences(self, pairs: Sequence[Pair]) -> np.ndarray:
        rewards = self._rewards([pair.first for pair in pairs] + [pair.second for pair in pairs])
        return rewards[:, :len(pairs)] - rewards[:, len(pairs):]

    def _rewards(self, sequences: Sequence[Nest]) -> np.ndarray:
        return by_chunks(self._compute, self.members[0], sequences).T - self._offsets.numpy()[
            :, None]

    def _raw(self, observed: Nest, lengths: Tensor) -> Tensor:
        """Returns the rewards without offsets and temperature, `[K, B]`."""
        return tf.stack([member(observed, lengths)[:, 0] for member in self.members])


class Preference(Reward):
    """The reward of a `PreferenceModel`, with a penalty on its uncertainty."""

    def __init__(
        self, model: PreferenceModel, *, label: str = "choices", pessimism: float = 0.5
    ):
        """Creates the reward.

        Args:
          model: learnt from choices.
          label: names it in reports.
          pessimism: standard deviations of the ensemble that are subtracted from its mean, so that
            tuning does not seek what the members know nothing of (Coste et al., arXiv:2310.02743).
        """
        super().__init__(label)
        self.model = model
        self._pessimism = pessimism

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        rewards = self.model.rewards([sample.observed for sample in samples])
        return list(rewards.mean(axis=0) - self._pessimism * rewards.std(axis=0))


def information(probabilities: np.ndarray) -> np.ndarray:
    """Returns the information in nats that a choice gives about which member is right, `[M]`.

    It is the mutual information of the choice and the member: high where the members are sure and
    disagree (Houlsby et al., arXiv:1112.5745).

    Args:
      probabilities: that the first is chosen, by each member, `[K, M]`.
    """
    return _entropy(probabilities.mean(axis=0)) - _entropy(probabilities).mean(axis=0)


def next_pair(
    model: PreferenceModel, sequences: Sequence[Nest], *, num_pairs: int = 1000, seed: int = 0
) -> tuple[int, int]:
    """Returns the numbers of two sequences whose comparison gives the most information.

    Args:
      model: what was learnt so far.
      sequences: candidates, at least 2.
      num_pairs: number of random pairs among which the best is taken.
      seed: of these pairs.

    Raises:
      ValueError: there are fewer than 2 sequences.
    """
    if len(sequences) < 2:
        raise ValueError(f"expected at least 2 sequences, got {len(sequences)}.")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(sequences), num_pairs)
    second = (first + rng.integers(1, len(sequences), num_pairs)) % len(sequences)
    rewards = model.rewards(sequences)
    best = int(np.argmax(information(_sigmoid(rewards[:, first] - rewards[:, second]))))
    return int(first[best]), int(second[best])


def split(pairs: Sequence[Pair], fraction: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Returns choices to learn from and held-out ones, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    held = round(fraction * len(pairs))
    return [pairs[row] for row in order[held:]], [pairs[row] for row in order[:held]]


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
    return Accuracy(share, math.sqrt(share * (1 - share) / count),
                    _nats(probabilities, choices), count)


def by_chunks(
    compute: Callable[[Nest, Tensor], Tensor], scorer: SequenceScorer, sequences: Sequence[Nest]
) -> np.ndarray:
    """Returns what `compute` gives for sequences in chunks of one size, `[B, *]`.

    Args:
      compute: maps padded sequences and lengths to a tensor `[*, chunk]`.
      scorer: pads them.
      sequences: B of them.
    """
    results = []
    for first in range(0, len(sequences), _CHUNK):
        part = list(sequences[first:first + _CHUNK])
        filled = part + [part[0]] * (_CHUNK - len(part))
        results.append(compute(*scorer.batch(filled)).numpy().T[:len(part)])
    return np.concatenate(results).astype(np.float64)


def _nats(probabilities: np.ndarray, choices: np.ndarray) -> float:
    chosen = np.where(choices > 0.5, probabilities, 1 - probabilities)
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -p * np.log(p) - (1 - p) * np.log1p(-p)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * values))
