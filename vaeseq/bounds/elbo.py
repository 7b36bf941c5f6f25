# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The evidence lower bound (Kingma and Welling, arXiv:1312.6114; over time, arXiv:1605.07571)."""
from __future__ import annotations

import math

import tensorflow as tf

from vaeseq.bounds._averaged import AveragedBound
from vaeseq.bounds._importance import WeightedSamples, check_density
from vaeseq.bounds.base import BoundState
from vaeseq.types import Seed, Tensor
from vaeseq.vae.base import SequenceCore


class ELBO(AveragedBound):
    """The evidence lower bound: mean_s sum_t [log p(x_t | h_t, z_t) - KL(q(z_t) || p(z_t))]."""

    name = "elbo"

    def __init__(
        self, num_samples: int = 1, *, chunked: bool = False, monte_carlo: bool = False,
        free_bits: float = 0.0, free_bits_per: str = "total",
    ):
        """Creates the bound.

        Args:
          num_samples: S, the number of samples of the latents. The mean of the bound is the same
            for any S, its variance falls as 1/S.
          chunked: scores as many samples at a time as the sequences' size allows, which bounds the
            memory; by default all of them.
          monte_carlo: estimates the KL from the samples even where it has a closed form.
          free_bits: bits a step of KL that are free: the objective charges at least this much, so
            that a smaller KL gains nothing (after Kingma et al., arXiv:1606.04934). Where the KL is
            estimated, each estimate is charged so, and a mean below the free bits may still gain.
          free_bits_per: "total": max(KL, free) of all dimensions together; "dimension":
            sum_j max(KL_j, free), so that no dimension gains by being unused; these KL_j are in
            closed form, also with `monte_carlo`.

        Raises:
          ValueError: `num_samples` is below 1, or `free_bits_per` is another word.
        """
        super().__init__(num_samples, chunked=chunked, monte_carlo=monte_carlo)
        if free_bits_per not in ("total", "dimension"):
            raise ValueError(
                f"expected free_bits_per of total or dimension, got {free_bits_per!r}.")
        self._free_nats = free_bits * math.log(2)
        self._per_dimension = free_bits_per == "dimension"

    def check(self, core: SequenceCore) -> SequenceCore:
        return check_density(core, self.name)

    def terms(
        self, core: SequenceCore, samples: WeightedSamples, state: BoundState,
        lengths: Tensor | None, *, kl_weight: float | Tensor, seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        del state, lengths, seed
        return (samples.log_prob - samples.kl,
                samples.log_prob - kl_weight * self._charged(core, samples))

    def _charged(self, core: SequenceCore, samples: WeightedSamples) -> Tensor:
        """Returns the KL with what is free, `[B, S, T]`."""
        if not self._free_nats:
            return samples.kl
        if not self._per_dimension:
            return tf.maximum(samples.kl, self._free_nats)
        if samples.latent_kl.shape[-1] != core.latent_size:
            raise ValueError(
                "free bits per dimension need the KL of each dimension in closed form, which "
                f"{type(core).__name__} does not have. Take free_bits_per=total.")
        return tf.reduce_sum(tf.maximum(samples.latent_kl, self._free_nats), -1)
