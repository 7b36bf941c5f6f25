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
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, networks, seeds, unroll
from vaeseq.bounds.chunks import Chunks
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore


class BoundState(NamedTuple):
    """What a bound carries from one part of a sequence to the next.

    Attributes:
      drive: `CoreState.drive`, a nest of `[B, ...]`; latents do not reach it.
      latent: `CoreState.latent` of each sample, a nest of `[B, S, ...]`.
      log_weights: `[B, S]`, of each sample so far, relative to their mean (ELBO: to the mean of
        the logarithms).
    """

    drive: Nest
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
      divergence: of q(z_t) from p(z_t) averaged over samples, nats, `[B, T]`.
      latent_divergence: the same for each latent dimension, nats, `[B, T, Z]`, where the latents'
        distributions are factorised; otherwise `[B, T, 0]`.
      effective_sample_size: 1 to S, `[B, T]`, before any resampling.
      variance: an estimate of the variance of the sum over time of the increments, `[B]`; the
        parts of a sequence add up. NaN where S = 1 does not tell, 0 for an exact value.
      state: the `BoundState` after each row's last valid step.
    """

    increments: Tensor
    objective: Tensor
    log_prob: Tensor
    divergence: Tensor
    latent_divergence: Tensor
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
            state.drive, nest.repeat_samples(state.latent, self.num_samples),
            tf.zeros([batch_size, self.num_samples]))

    @abc.abstractmethod
    def __call__(
        self, core: VAECore, contexts: Tensor, observed: Nest, state: BoundState,
        lengths: Tensor | None = None, *, divergence_strength: float | Tensor = 1.0, seed: Seed,
    ) -> BoundResult:
        """Bounds the log-likelihood of `observed`.

        Args:
          core: the model.
          contexts: what the agent gives, `[B, T, F]`.
          observed: a nest of `[B, T, ...]`.
          state: what `initial_state` or the call on the part before returned.
          lengths: int32 `[B]`, valid steps of each row; all of them by default.
          divergence_strength: weight of the divergence in `objective`.
          seed: int32 `[2]`.
        """


class Passes(NamedTuple):
    """What the passes over whole sequences give, before any latent is drawn.

    Attributes:
      drives: of `VAECore.drive`, a nest of `[B, T, ...]`.
      features: of `VAECore.summarize`, the same.
      observed: the observations, zeros after a row's length.
      drive_state: the next `CoreState.drive`.
    """

    drives: Nest
    features: Nest
    observed: Nest
    drive_state: Nest


def passes(
    core: VAECore, contexts: Tensor, observed: Nest, state: BoundState, lengths: Tensor | None
) -> Passes:
    """Runs `drive` and `summarize`.

    Padding is zeros from here on: whatever stood there, a NaN say, would reach gradients.
    """
    contexts, observed = nest.mask_time((contexts, observed), lengths)
    drives, drive_state = core.drive(contexts, state.drive, lengths)
    return Passes(drives, core.summarize(drives, observed, lengths), observed, drive_state)


class Weighed(NamedTuple):
    """Samples of whole sequences and their densities, each `[B, S, T]` unless it says otherwise.

    Attributes:
      z: the samples, `[B, S, T, Z]`.
      log_prob: log p(x_t | h_t, z_t).
      log_ratio: log q(z_t) - log p(z_t) at the sample.
      divergence: the same analytically where that exists and was asked for.
      latent_divergence: `[B, S, T, Z]` or `[B, S, T, 0]`.
      latent: the next `CoreState.latent`, a nest of `[B, S, ...]`.
    """

    z: Tensor
    log_prob: Tensor
    log_ratio: Tensor
    divergence: Tensor
    latent_divergence: Tensor
    latent: Nest


def weigh(
    core: VAECore, passed: Passes, latent: Nest, num_samples: int, lengths: Tensor | None, *,
    analytic: bool, seed: Seed,
) -> Weighed:
    """Draws latents for whole sequences, all samples at once, and scores them.

    Samples are rows of one large batch in the loop over time; densities are made after it, those
    of a long sequence a segment at a time.
    """
    whole = nest.merge_leading(
        nest.repeat_samples((passed.drives, passed.features, passed.observed), num_samples))
    row_lengths = None if lengths is None else tf.repeat(lengths, num_samples)
    num_steps = nest.leading_dim(passed.observed, 1)

    def score(inputs: tuple, latent: Nest, number: Tensor | None) -> tuple[tuple, Nest]:
        drives, features, observed = inputs
        own_seed = seed if number is None else seeds.fold_in(seed, number)
        with networks.segment_dropout(number):
            inferred = core.infer(
                drives, features, latent, unroll.segment_lengths(row_lengths, num_steps, number),
                seed=own_seed)
            log_prob = core.log_prob(inferred.outputs, observed)
        log_ratio = (inferred.posterior.log_prob(inferred.latents)
                     - inferred.prior.log_prob(inferred.latents))
        divergence = log_ratio
        if analytic:
            divergence = analytic_divergence(inferred.posterior, inferred.prior, log_ratio)
        per_latent = latent_divergence(inferred.posterior, inferred.prior)
        return (inferred.latents, log_prob, log_ratio, divergence, per_latent), inferred.state

    parts, latent = unroll.by_segments(score, whole, nest.merge_leading(latent))
    return Weighed(*nest.split_samples((*parts, latent), num_samples))


def weigh_in_chunks(
    core: VAECore, passed: Passes, latent: Nest, chunks: Chunks, lengths: Tensor | None, *,
    analytic: bool, seed: Seed,
) -> Weighed:
    """`weigh`, with no more than a chunk of the samples in memory, but for what it returns."""
    num_samples = chunks.num_samples
    at_once = chunks.size(*(nest.leading_dim(passed.observed, axis) for axis in (0, 1)))
    if at_once == num_samples:
        return weigh(core, passed, latent, num_samples, lengths, analytic=analytic, seed=seed)

    def some(given: tuple[Nest, Seed]) -> Weighed:
        return weigh(core, passed, given[0], at_once, lengths, analytic=analytic, seed=given[1])

    num_chunks = num_samples // at_once
    latents = nest.swap_leading(tf.nest.map_structure(
        lambda x: tf.reshape(x, [-1, num_chunks, at_once, *x.shape[2:]]), latent))
    dtype = tf.nest.flatten(passed.drives)[0].dtype
    weighed = tf.map_fn(
        some, (latents, tf.stack(seeds.split(seed, num_chunks))),
        fn_output_signature=Weighed(
            dtype, dtype, dtype, dtype, dtype, tf.nest.map_structure(lambda x: x.dtype, latent)))
    return tf.nest.map_structure(  # [C, B, S / C, ...] -> [B, S, ...]
        lambda x: tf.reshape(x, [x.shape[0], num_samples, *x.shape[3:]]),
        nest.swap_leading(weighed))


class Densities(NamedTuple):
    """Of given samples, each `[B, S, T]`.

    Attributes:
      p_x: log p(x_t | h_t, z_t).
      p_z: log p(z_t | h_t).
      q_z: log q(z_t | h_t, f_t).
    """

    p_x: Tensor
    p_z: Tensor
    q_z: Tensor


def densities(
    core: VAECore, passed: Passes, z: Tensor, latent: Nest, lengths: Tensor | None
) -> Densities:
    """Scores given samples, `[B, S, T, Z]`: gradients do not pass through how they were drawn.

    Raises:
      ValueError: the posterior's samples are not differentiable functions of its parameters.
    """
    num_samples = z.shape[1]
    drives, features, observed = nest.merge_leading(
        nest.repeat_samples((passed.drives, passed.features, passed.observed), num_samples))
    z = tf.stop_gradient(nest.merge_leading(z))
    row_lengths = None if lengths is None else tf.repeat(lengths, num_samples)
    replayed = core.replay(drives, features, z, nest.merge_leading(latent), row_lengths)
    kind = replayed.posterior.reparameterization_type
    if kind != tfd.FULLY_REPARAMETERIZED:
        raise ValueError(
            f"doubly reparameterized gradients need a reparameterized posterior; that of "
            f"{type(core).__name__} is {kind!r}. Train without them.")
    scores = (core.log_prob(replayed.outputs, observed), replayed.prior.log_prob(z),
              replayed.posterior.log_prob(z))
    return Densities(*nest.split_samples(scores, num_samples))


def analytic_divergence(posterior: Any, prior: Any, log_ratio: Tensor) -> Tensor:
    """KL(q || p) in closed form; where TFP knows none, the sampled `log_ratio`."""
    try:
        return posterior.kl_divergence(prior)
    except NotImplementedError:
        return log_ratio


def latent_divergence(posterior: Any, prior: Any) -> Tensor:
    """KL of each latent dimension, `[..., Z]`; `[..., 0]` where there is no closed form."""
    # Only there is `distribution` that of the dimensions; elsewhere it may be a base to transform.
    if isinstance(posterior, tfd.Independent) and isinstance(prior, tfd.Independent):
        try:
            return posterior.distribution.kl_divergence(prior.distribution)
        except NotImplementedError:
            pass
    return tf.zeros([*posterior.batch_shape, 0])
