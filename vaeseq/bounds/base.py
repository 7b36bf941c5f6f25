# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a bound on log p(x_1:T | c_1:T).

A bound samples S sequences of latents from the posterior and computes their importance weights,

    w_t = p(x_t | h_t, z_t) p(z_t | h_t) / q(z_t | h_t, f_t),

The bounds differ in the order of the logarithm and the mean over samples:

    ELBO  mean_s sum_t log w_t            one sample, or several averaged
    IWAE  log mean_s prod_t w_t           importance sampling
    FIVO  sum_t log mean_s w_t            a particle filter, resampled between steps

With one sample all three are the ELBO; FIVO without resampling is IWAE.

Axes: B batch, T time, S samples. Log-densities are in nats, summed over the event.
"""
from __future__ import annotations

import abc
from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore


class BoundState(NamedTuple):
    """The state that a bound carries from one part of a sequence to the next.

    Attributes:
      context: `CoreState.context`, a nest of `[B, ...]`, the same for all samples.
      latent: `CoreState.latent` of each sample, a nest of `[B, S, ...]`.
      log_weights: `[B, S]`, the log of each sample's weight over the parts so far, relative to
        the mean weight (for ELBO, to the mean log-weight).
    """

    context: Nest
    latent: Nest
    log_weights: Tensor


class BoundResult(NamedTuple):
    """A bound for each step; zeros after a row's length.

    Attributes:
      increments: nats, `[B, T]`; their sum over time is a lower bound on log p(x_1:T | c_1:T) (for
        IWAE and FIVO, at a `kl_weight` of 1).
      objective: `[B, T]`, the quantity to maximise in training: the increments with the KL weighed
        by `kl_weight` and, if requested, surrogate terms for the gradient.
      log_prob: log p(x_t | h_t, z_t) averaged over samples, nats, `[B, T]`.
      kl: KL(q(z_t) || p(z_t)) averaged over samples, nats, `[B, T]`.
      latent_kl: the KL of each latent dimension, nats, `[B, T, Z]`, if the latents' distributions
        factorise over dimensions; otherwise `[B, T, 0]`.
      effective_sample_size: of the importance weights of IWAE and FIVO, 1 to S, `[B, T]`, before
        any resampling. The ELBO weighs samples equally, so there it is S.
      variance: an estimate of the variance of the sum over time of the increments, `[B]`; the
        parts of a sequence add up. NaN for S = 1, 0 for a model without latents.
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
      name: in reports and in `bounds.make`.
      num_samples: S.
    """

    name: str

    def __init__(self, num_samples: int = 1):
        if num_samples < 1:
            raise ValueError(
                f"{type(self).__name__} averages over num_samples; expected at least 1, got "
                f"{num_samples}.")
        self.num_samples = num_samples

    def check(self, core: SequenceCore) -> SequenceCore:
        """Returns the core; raises ValueError if the bound is not defined for it."""
        return core

    def initial_state(self, core: SequenceCore, batch_size: int | Tensor) -> BoundState:
        """Returns the state before the first step of `batch_size` sequences."""
        state = core.initial_state(batch_size)
        return BoundState(
            state.context, nest.repeat_rows(state.latent, self.num_samples),
            tf.zeros([batch_size, self.num_samples], core.dtype))

    @abc.abstractmethod
    def __call__(
        self, core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, kl_weight: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        """Computes the bound on the log-likelihood of `observed`.

        Args:
          core: the model.
          contexts: the agent's contexts, `[B, T, F]`.
          observed: a nest of `[B, T, ...]`.
          state: the result of `initial_state`, or the state after the preceding part.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          kl_weight: weight of the KL in `objective` (KL annealing).
          seed: int32 `[2]`.
        """
