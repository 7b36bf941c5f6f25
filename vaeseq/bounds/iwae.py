# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The importance-weighted bound (Burda et al., arXiv:1509.00519)."""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest
from vaeseq.bounds import resampling
from vaeseq.bounds._importance import Chunks, Densities, densities, encode, weigh_in_chunks
from vaeseq.bounds.base import (
    Bound,
    BoundResult,
    BoundState,
)
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore


class IWAE(Bound):
    """log mean_s prod_t w_t.

    The increments are those of the same bound on ever longer beginnings, so that they add up over
    the parts of a sequence too.
    """

    name = "iwae"

    def __init__(
        self, num_samples: int = 1, *, samples_at_once: int | None = 0,
        doubly_reparameterized: bool = False,
    ):
        """Creates the bound.

        Args:
          num_samples: S.
          samples_at_once: how many of them are in memory together; 0 for all; None for as many as
            suit the sequences.
          doubly_reparameterized: the gradient of DReG (Tucker et al., arXiv:1810.04152): the same
            in the mean, of less variance for the posterior, at the price of scoring twice.
        """
        super().__init__(num_samples)
        self._chunks = Chunks(num_samples, samples_at_once).check()
        self._doubly_reparameterized = doubly_reparameterized

    def __call__(
        self, core: VAECore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        features = encode(core, contexts, observed, state, lengths)
        weighed = weigh_in_chunks(
            core, features, state.latent, self._chunks, lengths, analytic=True,
            seed=seed)
        log_prob, log_ratio = nest.mask_time(
            (weighed.log_prob, weighed.log_ratio), lengths, axis=2)  # [B, S, T]
        log_weights = (state.log_weights[..., None]
                       + tf.cumsum(log_prob - kl_weight * log_ratio, axis=2))
        log_means = resampling.log_mean_exp(log_weights)  # [B, T]
        start = resampling.log_mean_exp(state.log_weights)  # 0 up to rounding
        increments = log_means - tf.concat([start[:, None], log_means[:, :-1]], 1)
        mean_log_prob, kl, latent_kl = nest.mask_time(tf.nest.map_structure(
            lambda x: tf.reduce_mean(x, 1),
            (weighed.log_prob, weighed.kl, weighed.latent_kl)), lengths)
        last = log_weights[..., -1]
        variance = (resampling.log_mean_variance(last)
                    - resampling.log_mean_variance(state.log_weights))
        objective = increments
        if self._doubly_reparameterized and core.latent_size:
            again = nest.mask_time(
                densities(core, features, weighed.z, state.latent, lengths), lengths, axis=2)
            objective = _dreg(increments, log_prob - kl_weight * log_ratio, again,
                              tf.nn.softmax(last, 1)[..., None], kl_weight)
        return BoundResult(
            increments, objective, mean_log_prob, kl, latent_kl,
            nest.mask_time(resampling.effective_sample_size(log_weights), lengths),
            variance if core.latent_size else tf.zeros_like(variance),
            BoundState(features.context_state, weighed.latent, last - log_means[:, -1:]))


def _dreg(
    increments: Tensor, log_w: Tensor, held: Densities, share: Tensor, strength: float | Tensor
) -> Tensor:
    """The increments' value with the gradient of DReG, `[B, T]`.

    Of the gradient of log w, what passes through the samples is the whole less what there is with
    the samples held. It is weighed by the square of each sample's share, and the score of the
    posterior is left out: in the mean that is the same. (With w = p(x) (p(z) / q(z))^strength the
    score is worth `strength` times as much.)

    Args:
      increments: `[B, T]`.
      log_w: log w_t of each sample, `[B, S, T]`.
      held: densities with the samples held.
      share: of each sample in the sum of weights, `[B, S, 1]`.
      strength: weight of the divergence.
    """
    log_p = held.p_x + strength * held.p_z
    path = log_w - (log_p - strength * held.q_z)
    share = tf.stop_gradient(share)
    surrogate = tf.reduce_sum(
        ((1 - strength) * share + strength * share ** 2) * path + share * log_p, 1)
    return tf.stop_gradient(increments - surrogate) + surrogate
