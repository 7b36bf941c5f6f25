# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What every bound on log p(x_1:T | c_1:T) takes and returns.

A bound draws S sequences of latents from the posterior and weighs them,

    w_t = p(x_t | h_t, z_t) p(z_t | h_t) / q(z_t | h_t, f_t),

and the bounds differ in where the logarithm and the mean over samples stand:

    ELBO  mean_s sum_t log w_t            one sample, or several averaged
    IWAE  log mean_s prod_t w_t           importance sampling
    FIVO  sum_t log mean_s w_t            a particle filter, resampled between steps

With one sample all three are the ELBO; FIVO that never resamples is IWAE.

Axes: B batch, T time, S samples. Log-densities are in nats, summed over the event.
"""
from __future__ import annotations

import abc
from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore


class BoundState(NamedTuple):
    """What a bound carries from one part of a sequence to the next.

    Attributes:
      context: `CoreState.context`, a nest of `[B, ...]`; latents do not reach it.
      latent: `CoreState.latent` of each sample, a nest of `[B, S, ...]`.
      log_weights: `[B, S]`, of each sample so far, relative to their mean (ELBO: to the mean of
        the logarithms).
    """

    context: Nest
    latent: Nest
    log_weights: Tensor


class BoundResult(NamedTuple):
    """A bound, step by step; zeros after a row's length.

    Attributes:
      increments: nats, `[B, T]`; their sum over time bounds log p(x_1:T | c_1:T) from below (IWAE
        and FIVO: where the divergence is charged in full, at a strength of 1).
      objective: `[B, T]`, what training maximises: the increments with the divergence weighed by
        its strength and, where asked for, surrogate terms for the gradient.
      log_prob: log p(x_t | h_t, z_t) averaged over samples, nats, `[B, T]`.
      kl: of q(z_t) from p(z_t) averaged over samples, nats, `[B, T]`.
      latent_kl: the same for each latent dimension, nats, `[B, T, Z]`, where the latents'
        distributions are factorised; otherwise `[B, T, 0]`.
      effective_sample_size: 1 to S, `[B, T]`, before any resampling.
      variance: an estimate of the variance of the sum over time of the increments, `[B]`; the
        parts of a sequence add up. NaN where S = 1 does not tell, 0 for an exact value.
      state: the `BoundState` after each row's last valid step.
    """

    increments: Tensor
    objective: Tensor
    log_prob: Tensor
    kl: Tensor
    latent_kl: Tensor
    effective_sample_size: Tensor
    variance: Tensor
    state: BoundState


class Bound(abc.ABC):
    """A lower bound on the log-likelihood of sequences, and an objective for training.

    Attributes:
      name: as it is reported.
      num_samples: S.
    """

    name: str

    def __init__(self, num_samples: int = 1):
        if num_samples < 1:
            raise ValueError(
                f"{type(self).__name__} averages over num_samples; expected at least 1, got "
                f"{num_samples}.")
        self.num_samples = num_samples

    def initial_state(self, core: VAECore, batch_size: int | Tensor) -> BoundState:
        """The state before the first step."""
        state = core.initial_state(batch_size)
        return BoundState(
            state.context, nest.repeat_samples(state.latent, self.num_samples),
            tf.zeros([batch_size, self.num_samples]))

    @abc.abstractmethod
    def __call__(
        self, core: VAECore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        """Bounds the log-likelihood of `observed`.

        Args:
          core: the model.
          contexts: what the agent gives, `[B, T, F]`.
          observed: a nest of `[B, T, ...]`.
          state: what `initial_state` or the call on the part before returned.
          lengths: int32 `[B]`, valid steps of each row; all of them by default.
          kl_weight: weight of the divergence in `objective`.
          seed: int32 `[2]`.
        """
