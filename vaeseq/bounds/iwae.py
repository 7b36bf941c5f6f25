# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The importance-weighted bound (Burda et al., arXiv:1509.00519)."""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest
from vaeseq.bounds import resampling
from vaeseq.bounds._importance import (
    Densities,
    check_density,
    densities_of,
    encode,
    importance_weights,
)
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore, VAECore, require_steps


class IWAE(Bound):
    """The importance-weighted bound: log mean_s prod_t w_t.

    Its increment at step t is the bound on x_1:t minus the bound on x_1:t-1, so that increments
    also add up over the parts of a sequence.
    """

    name = "iwae"

    def __init__(
        self, num_samples: int = 1, *, chunked: bool = False,
        doubly_reparameterized: bool = False,
    ):
        """Creates the bound.

        Args:
          num_samples: S, the number of samples of the latents.
          chunked: scores as many samples at a time as the sequences' size allows, which bounds the
            memory; by default all of them.
          doubly_reparameterized: uses the DReG estimator of the gradient (Tucker et al.,
            arXiv:1810.04152): the same mean, a smaller variance for the posterior's parameters,
            at the price of scoring each sample twice, all at once.

        Raises:
          ValueError: `num_samples` is below 1, or `chunked` with the DReG estimator.
        """
        super().__init__(num_samples)
        if doubly_reparameterized and chunked:
            raise ValueError("doubly reparameterized gradients score all samples at once; expected "
                             "chunked=False, got True.")
        self._chunked = chunked
        self._doubly_reparameterized = doubly_reparameterized

    def check(self, core: SequenceCore) -> VAECore:
        return require_steps(check_density(core, self.name), f"the bound {self.name!r}")

    def __call__(
        self, core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        core = self.check(core)
        encoded = encode(core, contexts, observed, state, lengths)
        samples = importance_weights(
            core, encoded, state.latent, self.num_samples, lengths,
            chunked=self._chunked, analytic=True, seed=seed)
        log_prob, log_ratio = nest.mask_time(
            (samples.log_prob, samples.log_ratio), lengths, axis=2)  # [B, S, T]
        log_w = log_prob - kl_weight * log_ratio
        before = state.log_weights[..., None]
        log_weights = before + tf.cumsum(log_w, axis=2)
        weights_so_far = tf.concat([before, log_weights], 2)  # [B, S, T + 1]
        log_means = resampling.log_mean_exp(weights_so_far)  # [B, T + 1]; begins with about 0
        increments = log_means[:, 1:] - log_means[:, :-1]
        mean_log_prob, kl, latent_kl = nest.mask_time(tf.nest.map_structure(
            lambda x: tf.reduce_mean(x, 1),
            (samples.log_prob, samples.kl, samples.latent_kl)), lengths)
        last = weights_so_far[..., -1]
        variance = (resampling.log_mean_variance(last)
                    - resampling.log_mean_variance(state.log_weights))
        objective = increments
        if self._doubly_reparameterized and core.latent_size:
            fixed = nest.mask_time(
                densities_of(core, encoded, samples.z, state.latent, lengths), lengths, axis=2)
            objective = _dreg(
                increments, log_w, fixed, tf.nn.softmax(last, 1)[..., None], kl_weight)
        return BoundResult(
            increments, objective, mean_log_prob, kl, latent_kl,
            nest.mask_time(resampling.effective_sample_size(log_weights), lengths),
            variance if core.latent_size else tf.zeros_like(variance),
            BoundState(encoded.context_state, samples.latent, last - log_means[:, -1:]))


def _dreg(
    increments: Tensor, log_w: Tensor, fixed: Densities, share: Tensor, kl_weight: float | Tensor
) -> Tensor:
    """Returns the increments' value with the DReG gradient, `[B, T]`.

    The path gradient of log w, the part that passes through the samples, is the total gradient
    minus the gradient at fixed samples. DReG weighs it by the square of each sample's share in
    the sum of weights and leaves the posterior's score out; the mean is the same. With
    w = p(x) (p(z) / q(z))^kl_weight the score is worth `kl_weight` times as much.

    Args:
      increments: `[B, T]`.
      log_w: log w_t of each sample, `[B, S, T]`.
      fixed: densities with the samples fixed.
      share: of each sample in the sum of weights, `[B, S, 1]`.
      kl_weight: weight of the KL.
    """
    log_p = fixed.p_x + kl_weight * fixed.p_z
    path = log_w - (log_p - kl_weight * fixed.q_z)
    share = tf.stop_gradient(share)
    surrogate = tf.reduce_sum(
        ((1 - kl_weight) * share + kl_weight * share ** 2) * path + share * log_p, 1)
    return tf.stop_gradient(increments - surrogate) + surrogate
