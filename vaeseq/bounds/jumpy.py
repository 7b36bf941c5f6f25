# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The objective of TD-VAE over jumps (Gregor et al., arXiv:1806.03107, section 4)."""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.bounds._importance import encode
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.bounds.elbo import ELBO
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore
from vaeseq.vae.tdvae import TDVAE


class Jumpy(Bound):
    """Trains a `TDVAE` on jumps of random length; reports the ELBO of its one-step form.

    For each step t and sample, a gap g is drawn uniformly from 1 to `TDVAE.max_gap` (a share
    `TDVAE.far_share` of them from 1 to `TDVAE.far_gap`), or to t where that is less. With log w
    over the gap (see `vaeseq.vae.tdvae`),

        objective_t = log p_D(x_t | z_t) - kl_weight * [the other terms of -log w]

    At gaps above 1 it is no bound on the likelihood of the sequence, since b_t has read the steps
    in between; the reported increments are one.
    """

    name = "jumpy"

    def __init__(self, num_samples: int = 1, *, chunked: bool = False):
        """Creates the bound.

        Args:
          num_samples: S, of the latents and of the gaps.
          chunked: as for `ELBO`.

        Raises:
          ValueError: `num_samples` is below 1.
        """
        super().__init__(num_samples)
        self._elbo = ELBO(num_samples, chunked=chunked)

    def check(self, core: SequenceCore) -> TDVAE:
        if not isinstance(core, TDVAE):
            raise ValueError(
                f"the bound 'jumpy' trains jumps; expected vae_type=TDVAE without posterior_flows, "
                f"got {type(core).__name__}. Take train_bound=elbo.")
        return core

    def __call__(
        self, core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        core = self.check(core)
        elbo_seed, gap_seed, sample_seed = seeds.split(seed, 3)
        result = self._elbo(
            core, contexts, observed, state, lengths, kl_weight=kl_weight, seed=elbo_seed)
        encoded = encode(core, contexts, observed, state, lengths)
        context_features, features, observed = nest.merge_leading(nest.repeat_rows(
            (encoded.context_features, encoded.features, encoded.observed), self.num_samples))
        rows, num_steps = (nest.leading_dim(features, axis) for axis in (0, 1))
        longest = tf.fill([rows, num_steps], core.max_gap)
        if core.far_share:
            is_far = seeds.uniform(
                [rows, num_steps], seeds.fold_in(gap_seed, 1)) < core.far_share
            longest = tf.where(is_far, core.far_gap, longest)
        longest = tf.minimum(tf.range(1, num_steps + 1), longest)
        uniform = seeds.uniform([rows, num_steps], gap_seed)
        gaps = 1 + tf.minimum(  # a uniform number near 1 may be rounded up
            tf.cast(uniform * tf.cast(longest, uniform.dtype), tf.int32), longest - 1)
        h = core.over_gaps(context_features, features, gaps)
        q_z = core.posterior(h, features)
        z = q_z.sample(seed=sample_seed)
        log_prob = core.log_prob(core.update(h, z)[0], observed)
        log_ratio = q_z.log_prob(z) - core.prior(h).log_prob(z)
        objective = nest.split_samples(log_prob - kl_weight * log_ratio, self.num_samples)
        return result._replace(
            objective=nest.mask_time(tf.reduce_mean(objective, 1), lengths))
