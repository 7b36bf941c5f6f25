# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The filtering bound: a particle filter's estimate (Maddison et al., arXiv:1705.09279)."""
from __future__ import annotations

import functools
from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.bounds import resampling
from vaeseq.bounds._importance import (
    analytic_kl,
    check_density,
    check_gradient,
    encode,
    kl_per_dimension,
)
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import (
    SequenceCore,
    VAECore,
    require_latent,
    require_one_each,
    require_steps,
)


class _FilterStep(NamedTuple):
    """Outputs of one step of the filter, each `[B, ...]`; after the loop `[B, T, ...]`."""

    increments: Tensor
    log_prob: Tensor
    kl: Tensor
    latent_kl: Tensor
    effective_sample_size: Tensor
    variance: Tensor
    log_ancestors: Tensor


class FIVO(Bound):
    """The filtering variational objective: sum_t log mean_s w_t, resampling between the steps.

    The loop over time holds the latents' step, the decoder and the weights. The encodings of
    contexts and observations are computed before it, once for all particles.
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
          num_samples: S, the number of particles.
          resample_fn: maps log-weights `[B, S]` and a seed to ancestors, int32 `[B, S]`:
            `resampling.systematic` or `resampling.stratified`, or one's own.
          resample_criterion_fn: maps log-weights `[B, S]` to the rows to resample, bool `[B]`.
          score_term: adds the score-function gradient of the ancestors to the objective. The
            gradient is then unbiased for multinomial resampling, but of high variance; the paper
            trains without it.

        Raises:
          ValueError: `num_samples` is below 1.
        """
        super().__init__(num_samples)
        self._resample_fn = resample_fn
        self._resample_criterion_fn = resample_criterion_fn
        self._score_term = score_term

    def check(self, core: SequenceCore) -> VAECore:
        return require_steps(check_density(core, self.name), f"the bound {self.name!r}")

    def __call__(
        self, core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        core = self.check(core)
        context_features, features, observed, context_state = encode(
            core, contexts, observed, state, lengths)
        steps = (context_features, features, observed,
                 seeds.per_step(seed, nest.leading_dim(contexts, 1)))
        filtered, (latent, log_weights) = unroll.scan(
            functools.partial(self._step, core, kl_weight), steps,
            (state.latent, state.log_weights), lengths)
        objective = filtered.increments
        if self._score_term:
            future = tf.cumsum(filtered.increments, axis=1, exclusive=True, reverse=True)
            # Its value is zero and its gradient that of the log-probability of the ancestors.
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
        self, core: VAECore, kl_weight: float | Tensor, inputs: tuple, particles: tuple
    ) -> tuple[_FilterStep, tuple]:
        *encoded, step_seed = inputs
        latent, log_weights = particles
        context_feature, feature, observation = nest.repeat_rows(encoded, self.num_samples)
        sample_seed, resample_seed = seeds.split(step_seed[0], 2)
        h = core.hidden(context_feature, latent)
        p_z = require_latent(core, "prior", core.prior(h), 2)
        q_z = require_latent(core, "posterior", core.posterior(h, feature), 2)
        q_z = check_gradient(core, q_z)
        z = q_z.sample(seed=sample_seed)
        p_x, latent = core.emit(h, z)
        log_prob = require_one_each(core.decoder, p_x.log_prob(observation))  # [B, S]
        log_ratio = q_z.log_prob(z) - p_z.log_prob(z)
        log_weights += log_prob - kl_weight * log_ratio
        increments = resampling.log_mean_exp(log_weights)
        log_weights -= increments[:, None]
        resample = self._resample_criterion_fn(log_weights)
        ancestors = tf.where(
            resample[:, None],
            self._resample_fn(tf.stop_gradient(log_weights), seed=resample_seed),
            tf.range(self.num_samples))
        mean_log_prob, kl, latent_kl = tf.nest.map_structure(
            lambda x: tf.reduce_mean(x, 1),
            (log_prob, analytic_kl(q_z, p_z, log_ratio), kl_per_dimension(q_z, p_z)))
        outputs = _FilterStep(
            increments, mean_log_prob, kl, latent_kl,
            resampling.effective_sample_size(log_weights),
            tf.where(resample, resampling.log_mean_variance(log_weights), 0.0),
            tf.where(resample, _ancestors_log_prob(log_weights, ancestors), 0.0))
        latent = tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, ancestors, batch_dims=1), latent)
        return outputs, (latent, nest.mask(~resample, log_weights))


def _ancestors_log_prob(log_weights: Tensor, ancestors: Tensor) -> Tensor:
    """Returns the log-probability of these ancestors as independent draws, `[B]`."""
    log_probs = tf.nn.log_softmax(log_weights, 1)
    return tf.reduce_sum(tf.gather(log_probs, ancestors, batch_dims=1), 1)
