# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The importance-weighted bound (Burda et al., arXiv:1509.00519)."""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest
from vaeseq.bounds import resampling
from vaeseq.bounds.base import Bound, BoundResult, BoundState, passes, weigh
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore


class IWAE(Bound):
    """log mean_s prod_t w_t.

    The increments are those of the same bound on ever longer beginnings, so that they add up over
    the parts of a sequence too.
    """

    name = "iwae"

    def __call__(
        self, core: VAECore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, divergence_strength: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        passed = passes(core, contexts, observed, state, lengths)
        weighed = weigh(core, passed, state.latent, self.num_samples, lengths, analytic=False,
                        seed=seed)
        log_prob, log_ratio = nest.mask_time(
            (weighed.log_prob, weighed.log_ratio), lengths, axis=2)  # [B, S, T]
        log_weights = (state.log_weights[..., None]
                       + tf.cumsum(log_prob - divergence_strength * log_ratio, axis=2))
        log_means = resampling.log_mean_exp(log_weights)  # [B, T]
        start = resampling.log_mean_exp(state.log_weights)  # 0 up to rounding
        increments = log_means - tf.concat([start[:, None], log_means[:, :-1]], 1)
        averages = nest.mask_time(tf.nest.map_structure(
            lambda x: tf.reduce_mean(x, 1),
            (weighed.log_prob, weighed.divergence, weighed.latent_divergence)), lengths)
        last = log_weights[..., -1]
        variance = (resampling.log_mean_variance(last)
                    - resampling.log_mean_variance(state.log_weights))
        return BoundResult(
            increments, increments, *averages,
            nest.mask_time(resampling.effective_sample_size(log_weights), lengths),
            variance if core.latent_size else tf.zeros_like(variance),
            BoundState(passed.drive_state, weighed.latent, last - log_means[:, -1:]))
