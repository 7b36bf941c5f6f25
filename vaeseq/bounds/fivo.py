# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The filtering bound: a particle filter's estimate (Maddison et al., arXiv:1705.09279)."""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.bounds import resampling
from vaeseq.bounds._importance import analytic_kl, encode, latent_kl
from vaeseq.bounds.base import (
    Bound,
    BoundResult,
    BoundState,
)
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore


class _Filtered(NamedTuple):
    """One step of the filter, each `[B, T, ...]` after the loop."""

    increments: Tensor
    log_prob: Tensor
    kl: Tensor
    latent_kl: Tensor
    effective_sample_size: Tensor
    variance: Tensor
    log_ancestors: Tensor


class FIVO(Bound):
    """sum_t log mean_s w_t, with resampling between the steps.

    The loop over time holds the latents' step, the decoder and the weights; drives and features
    are made before it, once for all samples.
    """

    name = "fivo"

    def __init__(
        self, num_samples: int = 1, *,
        resample_fn: resampling.ResampleFn = resampling.systematic,
        resample_criterion_fn: resampling.ResampleCriterionFn = resampling.when_ess_below(0.5),
        score_term: bool = False,
    ):
        """Creates the bound.

        Args:
          num_samples: S, the particles.
          resample_fn: from log-weights `[B, S]` and a seed to ancestors `[B, S]`.
          resample_criterion_fn: from log-weights `[B, S]` to which rows are resampled, bool `[B]`.
          score_term: adds the gradient of the choice of ancestors to the objective: unbiased (for
            multinomial resampling) but of high variance; the paper trains without it.
        """
        super().__init__(num_samples)
        self._resampler = resample_fn
        self._criterion = resample_criterion_fn
        self._score_term = score_term

    def __call__(
        self, core: VAECore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        context_features, features, observed, context_state = encode(core, contexts, observed, state, lengths)

        def step(inputs: tuple, particles: tuple) -> tuple[_Filtered, tuple]:
            *seen, step_seed = inputs
            return self._step(core, seen, particles, kl_weight, step_seed[0])

        particles = (state.latent, state.log_weights)
        step_seeds = seeds.per_step(seed, nest.leading_dim(contexts, 1))
        steps = (context_features, features, observed, step_seeds)
        filtered, (latent, log_weights) = unroll.scan(step, steps, particles, lengths)
        objective = filtered.increments
        if self._score_term:
            future = tf.cumsum(filtered.increments, axis=1, exclusive=True, reverse=True)
            # Its value is zero, its gradient is the score's.
            score = filtered.log_ancestors - tf.stop_gradient(filtered.log_ancestors)
            objective += tf.stop_gradient(future) * score
        variance = tf.reduce_sum(filtered.variance, 1)
        variance += (resampling.log_mean_variance(log_weights)
                     - resampling.log_mean_variance(state.log_weights))
        return BoundResult(
            filtered.increments, objective, filtered.log_prob, filtered.kl,
            filtered.latent_kl, filtered.effective_sample_size,
            variance if core.latent_size else tf.zeros_like(variance),
            BoundState(context_state, latent, log_weights))

    def _step(
        self, core: VAECore, seen: list, particles: tuple, strength: float | Tensor, seed: Seed
    ) -> tuple[_Filtered, tuple]:
        latent, log_weights = particles
        context_feature, feature, observation = nest.repeat_samples(seen, self.num_samples)
        draw_seed, resample_seed = seeds.split(seed, 2)
        h = core.hidden(context_feature, latent)
        p_z, q_z = core.prior(h), core.posterior(h, feature)
        z = q_z.sample(seed=draw_seed)
        p_x, latent = core.emit(h, z)
        log_prob = p_x.log_prob(observation)  # [B, S]
        log_ratio = q_z.log_prob(z) - p_z.log_prob(z)
        log_weights += log_prob - strength * log_ratio
        increments = resampling.log_mean_exp(log_weights)
        log_weights -= increments[:, None]
        chosen = self._criterion(log_weights)
        ancestors = self._ancestors(log_weights, chosen, seed=resample_seed)
        mean_log_prob, kl, per_latent = tf.nest.map_structure(
            lambda x: tf.reduce_mean(x, 1),
            (log_prob, analytic_kl(q_z, p_z, log_ratio), latent_kl(q_z, p_z)))
        filtered = _Filtered(
            increments, mean_log_prob, kl, per_latent,
            resampling.effective_sample_size(log_weights),
            tf.where(chosen, resampling.log_mean_variance(log_weights), 0.0),
            tf.where(chosen, _log_chosen(log_weights, ancestors), 0.0))
        latent = tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, ancestors, batch_dims=1), latent)
        return filtered, (latent, tf.where(chosen[:, None], 0.0, log_weights))

    def _ancestors(self, log_weights: Tensor, chosen: Tensor, *, seed: Seed) -> Tensor:
        drawn = self._resampler(tf.stop_gradient(log_weights), seed=seed)
        return tf.where(chosen[:, None], drawn, tf.range(self.num_samples))


def _log_chosen(log_weights: Tensor, ancestors: Tensor) -> Tensor:
    """The log-probability of independent draws of these ancestors, `[B]`."""
    log_probs = tf.nn.log_softmax(log_weights, 1)
    return tf.reduce_sum(tf.gather(log_probs, ancestors, batch_dims=1), 1)
