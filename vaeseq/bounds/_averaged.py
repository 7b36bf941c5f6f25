# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds and objectives that are averages over independent samples."""
from __future__ import annotations

import abc
import math

import tensorflow as tf

from vaeseq import nest
from vaeseq.bounds._importance import WeightedSamples, encode, importance_weights
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore


class AveragedBound(Bound):
    """Averages what `terms` computes for each sample and step."""

    def __init__(
        self, num_samples: int = 1, *, chunked: bool = False, monte_carlo: bool = False
    ):
        """Creates the bound.

        Args:
          num_samples: S, the number of samples of the latents.
          chunked: scores as many samples at a time as the sequences' size allows, which bounds the
            memory; by default all of them.
          monte_carlo: estimates the KL from the samples even where it has a closed form.

        Raises:
          ValueError: `num_samples` is below 1.
        """
        super().__init__(num_samples)
        self._chunked = chunked
        self._monte_carlo = monte_carlo

    @abc.abstractmethod
    def terms(
        self, core: SequenceCore, samples: WeightedSamples, state: BoundState,
        lengths: Tensor | None, *, kl_weight: float | Tensor, seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        """Returns the increment and the objective of each sample and step, `[B, S, T]` each.

        Args:
          core: the model.
          samples: the samples and their densities; in padding they mean nothing.
          state: the state before the first step.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          kl_weight: weight of the KL or another penalty in the objective.
          seed: int32 `[2]`.
        """

    def __call__(
        self, core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        self.check(core)
        encoded = encode(core, contexts, observed, state, lengths)
        samples = importance_weights(
            core, encoded, state.latent, self.num_samples, lengths,
            chunked=self._chunked, analytic=not self._monte_carlo, seed=seed)
        if not core.has_density:
            samples = samples._replace(kl=tf.zeros_like(samples.kl))
        terms = self.terms(core, samples, state, lengths, kl_weight=kl_weight, seed=seed)
        steps = (*terms, samples.log_prob, samples.kl, samples.latent_kl)
        steps = tf.nest.map_structure(lambda x: tf.reduce_mean(x, 1), steps)
        sizes = self.num_samples * tf.ones_like(steps[0])
        increments, objective, log_prob, kl, latent_kl, sizes = nest.mask_time(
            (*steps, sizes), lengths)
        # The parts of a sequence are not independent: each sample's total is carried, and the
        # variance of a part is its contribution to the variance of the totals.
        totals = state.log_weights + tf.reduce_sum(
            nest.mask_time(terms[0], lengths, axis=2), 2)  # [B, S]
        totals -= tf.reduce_mean(totals, 1, keepdims=True)
        variance = _mean_variance(totals) - _mean_variance(state.log_weights)
        return BoundResult(
            increments, objective, log_prob, kl, latent_kl, sizes,
            variance if core.latent_size else tf.zeros_like(variance),
            BoundState(encoded.context_state, samples.latent, totals))


def _mean_variance(totals: Tensor) -> Tensor:
    """Returns the variance of the mean over samples, `[B, S] -> [B]`; NaN for S = 1."""
    num_samples = totals.shape[1]
    if num_samples == 1:
        return tf.fill(tf.shape(totals)[:1], tf.constant(math.nan, totals.dtype))
    return tf.math.reduce_variance(totals, 1) / (num_samples - 1)
