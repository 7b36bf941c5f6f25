# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rewards of listeners who disagree: preferences with weights of their own for each listener.

One reward for all listeners averages their tastes, and where groups disagree it is right for
none. Here each listener u has a latent, the weights w_u of the features f of sequences, and the
listeners have a prior in common that is learnt:

    w_u ~ N(m, C)        p(a over b | u) = sigmoid(w_u (f(a) - f(b)))

The posterior of w_u is Laplace's approximation (`vaeseq.tuning.logistic`); m and C are found by EM,
empirical Bayes. C has large eigenvalues along the tastes in which listeners differ, so that a few
choices of a new listener say where it stands on them.

Variational preference learning (Poddar et al., arXiv:2408.10075) has the same latent for a
listener. Deviations: the reward is linear in the latent and in fixed features, and the posterior is
computed for each listener, not predicted by a network, which little data does not train.

Axes: U listeners, M pairs, B sequences, F features.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.tuning import logistic
from vaeseq.tuning.features import ScaledFeatures, SequenceFeatures
from vaeseq.tuning.preferences import (
    Accuracy,
    Pair,
    choices_of,
    differences,
    fit_differences,
    score_choices,
)
from vaeseq.tuning.rewards import Reward, Sample
from vaeseq.types import Nest

Combine = Literal["mean", "worst"]
_PRIOR_MEAN = 1.0  # listeners of the mean 0 that count beside the real ones
_PRIOR_COVARIANCE = 0.1  # likewise listeners whose weights in a group are independent
_DIAGONAL_STEPS = 10  # of EM, before correlations of weights are learnt


class ListenerPosterior(NamedTuple):
    """What is known of a listener: a normal distribution of the weights.

    Attributes:
      mean: `[F]`.
      covariance: `[F, F]`.
    """

    mean: np.ndarray
    covariance: np.ndarray


class HierarchicalPreferenceModel(tf.Module):
    """Rewards with weights for each listener, whose common prior is learnt from choices."""

    def __init__(self, features: SequenceFeatures):
        """Args: features: of sequences; their model is not changed."""
        super().__init__(name="listeners")
        self._features = ScaledFeatures(features)
        size = sum(features.sizes)
        self._mean = tf.Variable(tf.zeros([size], tf.float64), trainable=False, name="mean")
        self._covariance = tf.Variable(
            tf.eye(size, dtype=tf.float64), trainable=False, name="covariance")

    def fit(self, pairs: Sequence[Pair], *, num_steps: int = 60) -> list[float]:
        """Learns the prior from the choices of listeners, at least one, by EM of `num_steps`
        iterations.

        Returns:
          The log-evidence of all choices before each iteration, in nats.

        Raises:
          ValueError: there are no pairs.
        """
        inputs, choices = fit_differences(self._features, pairs)
        listeners = [np.array(rows) for rows in by_listener(pairs, range(len(pairs))).values()]
        sizes = self._features.features.sizes
        groups = np.repeat(np.arange(len(sizes)), sizes)
        mean, covariance = np.zeros(len(groups)), np.diag(10.0 / np.maximum(sizes, 1)[groups])
        evidence = []
        for step in range(num_steps):
            factor = _factor(covariance)
            posteriors = [logistic.laplace(inputs[rows], choices[rows], mean, factor)
                          for rows in listeners]
            evidence.append(sum(posterior.log_evidence for posterior in posteriors))
            means = np.stack([posterior.mean for posterior in posteriors])
            mean = means.sum(axis=0) / (len(listeners) + _PRIOR_MEAN)
            # Of the weights around their mean, all listeners together.
            reductions = np.concatenate([posterior.reduction for posterior in posteriors], 1)
            scatter = (
                len(listeners) * covariance - reductions @ reductions.T
                + (means - mean).T @ (means - mean) + _PRIOR_MEAN * np.outer(mean, mean))
            scatter /= len(listeners) + _PRIOR_MEAN
            independent = np.diag((np.bincount(groups, np.diag(scatter), len(sizes))
                                   / np.maximum(sizes, 1))[groups])
            weight = (1.0 if step < _DIAGONAL_STEPS
                      else _PRIOR_COVARIANCE / (len(listeners) + _PRIOR_COVARIANCE))
            covariance = (1 - weight) * scatter + weight * independent
        self._mean.assign(mean)
        self._covariance.assign(covariance)
        return evidence

    def infer(self, pairs: Sequence[Pair]) -> ListenerPosterior:
        """Returns what the choices of one listener say; without any, the prior."""
        covariance = self._covariance.numpy()
        posterior = logistic.laplace(
            differences(self._features, pairs), choices_of(pairs), self._mean.numpy(),
            _factor(covariance))
        return ListenerPosterior(
            posterior.mean, covariance - posterior.reduction @ posterior.reduction.T)

    def probabilities(self, pairs: Sequence[Pair], listener: ListenerPosterior) -> np.ndarray:
        """Returns the probability that a listener chooses the first, `[M]`."""
        inputs = differences(self._features, pairs)
        return logistic.predict(
            inputs @ listener.mean, ((inputs @ listener.covariance) * inputs).sum(axis=1))

    def accuracy(
        self, train: Sequence[Pair], pairs: Sequence[Pair], most: int | None = None
    ) -> Accuracy:
        """Returns how well choices are predicted, each listener's weights inferred from others.

        Args:
          train: choices that the weights are inferred from.
          pairs: choices that are predicted.
          most: largest number of training choices of a listener; all by default.
        """
        pairs = [pair for pair in pairs if pair.choice != 0.5]
        groups = by_listener(train, train)
        probabilities, choices = [np.zeros(0)], [np.zeros(0)]
        for name, held in by_listener(pairs, pairs).items():
            listener = self.infer(groups.get(name, [])[:most])
            probabilities.append(self.probabilities(held, listener))
            choices.append(choices_of(held))
        return score_choices(np.concatenate(probabilities), np.concatenate(choices))

    def rewards(self, sequences: Sequence[Nest], weights: np.ndarray) -> np.ndarray:
        """Returns the rewards of sequences for listeners with weights `[U, F]`, `[U, B]`."""
        return np.asarray(weights) @ self._features(sequences).T


class Listeners(Reward):
    """The reward of one listener, or of several: their mean, or the worst of them.

    Choices say nothing about the origin and little about the scale of a listener's reward, so each
    is brought to mean 0 and variance 1 on given sequences before rewards of listeners are compared.
    The worst of groups is the max-min objective of Chakraborty et al., arXiv:2402.08925.
    """

    def __init__(
        self, model: HierarchicalPreferenceModel, weights: Mapping[str, np.ndarray],
        sequences: Sequence[Nest], *, combine: Combine = "mean", label: str = "listeners",
    ):
        """Creates the reward.

        Args:
          model: learnt from choices.
          weights: of each listener, `[F]`, by name; at least one.
          sequences: on which rewards are brought to one scale, such as those of the choices.
          combine: how the rewards of several listeners become one.
          label: names it in reports.

        Raises:
          ValueError: there is no listener, or `combine` is unknown.
        """
        super().__init__(label)
        if not weights or combine not in ("mean", "worst"):
            raise ValueError("expected at least one listener, and combine 'mean' or 'worst'; got "
                             f"{len(weights)} and {combine!r}.")
        self.model = model
        # A checkpoint may have other listeners: the file of choices has grown since.
        stacked = np.stack(list(weights.values()))
        self._weights = tf.Variable(stacked, dtype=tf.float64, trainable=False, name="weights",
                                    shape=[None, stacked.shape[1]])
        self._combine = combine
        rewards = model.rewards(sequences, stacked)
        self._mean, self._scale = (
            tf.Variable(values, dtype=tf.float32, trainable=False, shape=[None]) for values in (
                rewards.mean(axis=1), np.maximum(rewards.std(axis=1), 1e-6)))

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        rewards = self.model.rewards(
            [sample.observed for sample in samples], self._weights.numpy())
        scaled = (rewards - self._mean.numpy()[:, None]) / self._scale.numpy()[:, None]
        return list(scaled.mean(axis=0) if self._combine == "mean" else scaled.min(axis=0))


def by_listener(pairs: Sequence[Pair], values: Sequence) -> dict[str, list]:
    """Groups values, one for each pair, by the listeners of the pairs, in order."""
    groups: dict[str, list] = {}
    for pair, value in zip(pairs, values, strict=True):
        groups.setdefault(pair.listener, []).append(value)
    return groups


def _factor(covariance: np.ndarray) -> np.ndarray:
    """Returns the Cholesky factor of a covariance, which may lack full rank."""
    jitter = 1e-9 * np.trace(covariance) / len(covariance)
    return np.linalg.cholesky(covariance + jitter * np.eye(len(covariance)))
