# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A reward that is learnt beside the policy: a recurrent discriminator of data and samples.

As in sequence GANs (Yu et al., arXiv:1609.05473), a discriminator D learns to tell training
sequences from samples, and the policy is rewarded where it fails. The reward is the logit of D,
whose optimum is log p_data(x) / p(x); it is limited, so that no sample is worth too much. The logit
is a sum over steps, and each step is credited with its term.

What keeps it stable: one-sided label smoothing (Salimans et al., arXiv:1606.03498), clipped
gradients, weight decay, and no updates while D is right nearly always.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq import nest
from vaeseq.tuning.features import pad
from vaeseq.tuning.rewards import Reward, Sample
from vaeseq.tuning.scorer import Minimizer, SequenceScorer
from vaeseq.types import Nest, Tensor

_SURE = 0.95  # accuracy above which D makes no update


class Discriminator(Reward):
    """Rewards samples that look like training data."""

    def __init__(
        self, scorer: SequenceScorer, *, label: str = "discriminator", limit: float = 5.0,
        real_label: float = 0.9, learning_rate: float = 2e-3, weight_decay: float = 1e-2,
        updates: int = 1, sure: float = _SURE,
    ):
        """Creates the reward.

        Args:
          scorer: the network.
          label: names it in reports.
          limit: largest reward, in nats.
          real_label: the target probability of data; below 1 for one-sided label smoothing.
          learning_rate: of Adam.
          weight_decay: see `scorer.Minimizer`.
          updates: of the discriminator for each update of the policy.
          sure: share of right answers above which it makes no update.
        """
        super().__init__(label)
        self._scorer = scorer
        self._limit, self._real_label = limit, real_label
        self._updates, self._sure = updates, sure
        self._bias = tf.Variable(0.0, name="bias")
        self._minimizer = Minimizer([*scorer.trainable_variables, self._bias],
                                    learning_rate=learning_rate, weight_decay=weight_decay)
        self._terms = tf.function(scorer.terms, autograph=False)
        self._train = tf.function(self._make_update, autograph=False)

    def score(
        self, samples: Sequence[Sample], references: Sequence[Sample]
    ) -> Sequence[float | np.ndarray]:
        del references
        observed, lengths = pad(
            [sample.observed for sample in samples], self._scorer.observation_spec)
        rewards = []
        for row, length in zip(self._terms(observed, lengths).numpy(), lengths.numpy()):
            terms = row[:length].astype(np.float64) + float(self._bias) / max(length, 1)
            rewards.append(terms * min(1.0, self._limit / max(abs(terms.sum()), 1e-9)))
        return rewards

    def update(self, samples: Sequence[Sample], references: Sequence[Sample]) -> None:
        """Learns to tell samples from references.

        Sequences are cut to a length that both groups reach, so that references that go on where
        samples are cut off do not give themselves away.
        """
        size = min(max(len(tf.nest.flatten(sample.observed)[0]) for sample in group)
                   for group in (samples, references))
        generated, real = (pad([
            tf.nest.map_structure(lambda leaf: leaf[:size], sample.observed) for sample in group],
            self._scorer.observation_spec, size) for group in (samples, references))
        for _ in range(self._updates):
            self._train(*generated, *real)

    def _compute_logits(self, observed: Nest, lengths: Tensor) -> Tensor:
        return self._scorer(observed, lengths) + self._bias

    def _make_update(
        self, generated: Nest, generated_lengths: Tensor, real: Nest, real_lengths: Tensor
    ) -> None:
        def loss() -> Tensor:
            return 0.5 * (
                _mean_cross_entropy(self._compute_logits(generated, generated_lengths), 0.0)
                + _mean_cross_entropy(self._compute_logits(real, real_lengths), self._real_label))

        right = 0.5 * (
            _mean(self._compute_logits(generated, generated_lengths) < 0)
            + _mean(self._compute_logits(real, real_lengths) > 0))
        tf.cond(right <= self._sure, lambda: self._minimizer.step(loss), lambda: 0.0)


def _mean_cross_entropy(logits: Tensor, target: float) -> Tensor:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.fill(nest.shape_of(logits), target), logits=logits))


def _mean(flags: Tensor) -> Tensor:
    return tf.reduce_mean(tf.cast(flags, tf.float32))
