# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Importance weights of latents drawn from the posterior for whole sequences.

Axes: B batch, T time, S samples, Z latent. Log-densities are in nats, summed over the event.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.bounds.base import BoundState
from vaeseq.nn.dropout import segment_dropout
from vaeseq.nn.scan import lookup, unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore

# Sequence steps of all samples together: at 1,000 numbers each, half a gigabyte.
_STEPS_AT_ONCE = 1 << 17


class Chunks(NamedTuple):
    """How many samples are in memory together.

    Attributes:
      num_samples: S.
      at_once: a divisor of S; 0 for all of them; None for as many as suit the sequences.
    """

    num_samples: int
    at_once: int | None

    def check(self) -> Chunks:
        """The same, if the samples divide into such chunks.

        Raises:
          ValueError: they do not.
        """
        if self.at_once is not None and (
                self.at_once < 0 or self.num_samples % (self.at_once or self.num_samples)):
            raise ValueError(
                f"expected samples_at_once to divide num_samples={self.num_samples}, or 0 for all "
                f"of them at once, or None, got {self.at_once}.")
        return self

    def size(self, rows: int | Tensor, steps: int) -> int:
        """The samples of a chunk, for `rows` sequences of so many steps."""
        if self.at_once is not None or not isinstance(rows, int):
            return self.at_once or self.num_samples
        fitting = max(1, _STEPS_AT_ONCE // max(1, rows * steps))
        return max(size for size in range(1, self.num_samples + 1)
                   if self.num_samples % size == 0 and size <= fitting)


class Features(NamedTuple):
    """What the passes over whole sequences give, before any latent is drawn.

    Attributes:
      context_features: of `VAECore.encode_contexts`, a nest of `[B, T, ...]`.
      features: of `VAECore.encode_observed`, the same.
      observed: the observations, zeros after a row's length.
      context_state: the next `CoreState.context`.
    """

    context_features: Nest
    features: Nest
    observed: Nest
    context_state: Nest


def encode(
    core: VAECore, contexts: Tensor, observed: Nest, state: BoundState, lengths: Tensor | None
) -> Features:
    """Runs `encode_contexts` and `encode_observed`.

    Padding is zeros from here on: whatever stood there, a NaN say, would reach gradients.
    """
    contexts, observed = lookup.mask_time(contexts, lengths), nest.mask_time(observed, lengths)
    context_features, context_state = core.encode_contexts(contexts, state.context, lengths)
    features = core.encode_observed(context_features, observed, lengths)
    return Features(context_features, features, observed, context_state)


class WeightedSamples(NamedTuple):
    """Samples of whole sequences and their densities, each `[B, S, T]` unless it says otherwise.

    Attributes:
      z: the samples, `[B, S, T, Z]`.
      log_prob: log p(x_t | h_t, z_t).
      log_ratio: log q(z_t) - log p(z_t) at the sample.
      kl: the same analytically where that exists and was asked for.
      latent_kl: `[B, S, T, Z]` or `[B, S, T, 0]`.
      latent: the next `CoreState.latent`, a nest of `[B, S, ...]`.
    """

    z: Tensor
    log_prob: Tensor
    log_ratio: Tensor
    kl: Tensor
    latent_kl: Tensor
    latent: Nest


def importance_weights(
    core: VAECore, encoded: Features, latent: Nest, num_samples: int, lengths: Tensor | None, *,
    analytic: bool, seed: Seed,
) -> WeightedSamples:
    """Draws latents for whole sequences, all samples at once, and scores them.

    Samples are rows of one large batch in the loop over time; densities are made after it, those
    of a long sequence a segment at a time.
    """
    whole = nest.merge_leading(
        nest.repeat_samples((encoded.context_features, encoded.features, encoded.observed), num_samples))
    row_lengths = None if lengths is None else tf.repeat(lengths, num_samples)
    num_steps = nest.leading_dim(encoded.observed, 1)

    def score(inputs: tuple, latent: Nest, number: Tensor | None) -> tuple[tuple, Nest]:
        context_features, features, observed = inputs
        own_seed = seed if number is None else seeds.fold_in(seed, number)
        with segment_dropout(number):
            inferred = core.infer(
                context_features, features, latent, unroll.segment_lengths(row_lengths, num_steps, number),
                seed=own_seed)
            log_prob = core.log_prob(inferred.outputs, observed)
        log_ratio = (inferred.posterior.log_prob(inferred.latents)
                     - inferred.prior.log_prob(inferred.latents))
        kl = log_ratio
        if analytic:
            kl = analytic_kl(inferred.posterior, inferred.prior, log_ratio)
        per_latent = latent_kl(inferred.posterior, inferred.prior)
        return (inferred.latents, log_prob, log_ratio, kl, per_latent), inferred.state

    parts, latent = unroll.by_segments(score, whole, nest.merge_leading(latent))
    return WeightedSamples(*nest.split_samples((*parts, latent), num_samples))


def weigh_in_chunks(
    core: VAECore, encoded: Features, latent: Nest, chunks: Chunks, lengths: Tensor | None, *,
    analytic: bool, seed: Seed,
) -> WeightedSamples:
    """`importance_weights`, with no more than a chunk of the samples in memory, but for what it returns."""
    num_samples = chunks.num_samples
    at_once = chunks.size(*(nest.leading_dim(encoded.observed, axis) for axis in (0, 1)))
    if at_once == num_samples:
        return importance_weights(core, encoded, latent, num_samples, lengths, analytic=analytic, seed=seed)

    def some(given: tuple[Nest, Seed]) -> WeightedSamples:
        return importance_weights(core, encoded, given[0], at_once, lengths, analytic=analytic, seed=given[1])

    num_chunks = num_samples // at_once
    latents = nest.swap_leading(tf.nest.map_structure(
        lambda x: tf.reshape(x, [-1, num_chunks, at_once, *x.shape[2:]]), latent))
    dtype = tf.nest.flatten(encoded.context_features)[0].dtype
    weighed = tf.map_fn(
        some, (latents, tf.stack(seeds.split(seed, num_chunks))),
        fn_output_signature=WeightedSamples(
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
    core: VAECore, encoded: Features, z: Tensor, latent: Nest, lengths: Tensor | None
) -> Densities:
    """Scores given samples, `[B, S, T, Z]`: gradients do not pass through how they were drawn.

    Raises:
      ValueError: the posterior's samples are not differentiable functions of its parameters.
    """
    num_samples = z.shape[1]
    context_features, features, observed = nest.merge_leading(
        nest.repeat_samples((encoded.context_features, encoded.features, encoded.observed), num_samples))
    z = tf.stop_gradient(nest.merge_leading(z))
    row_lengths = None if lengths is None else tf.repeat(lengths, num_samples)
    inferred = core.infer_given(context_features, features, z, nest.merge_leading(latent), row_lengths)
    kind = inferred.posterior.reparameterization_type
    if kind != tfd.FULLY_REPARAMETERIZED:
        raise ValueError(
            f"doubly reparameterized gradients need a reparameterized posterior; that of "
            f"{type(core).__name__} is {kind!r}. Train without them.")
    scores = (core.log_prob(inferred.outputs, observed), inferred.prior.log_prob(z),
              inferred.posterior.log_prob(z))
    return Densities(*nest.split_samples(scores, num_samples))


def analytic_kl(posterior: Any, prior: Any, log_ratio: Tensor) -> Tensor:
    """KL(q || p) in closed form; where TFP knows none, the sampled `log_ratio`."""
    try:
        return posterior.kl_divergence(prior)
    except NotImplementedError:
        return log_ratio


def latent_kl(posterior: Any, prior: Any) -> Tensor:
    """KL of each latent dimension, `[..., Z]`; `[..., 0]` where there is no closed form."""
    # Only there is `distribution` that of the dimensions; elsewhere it may be a base to transform.
    if isinstance(posterior, tfd.Independent) and isinstance(prior, tfd.Independent):
        try:
            return posterior.distribution.kl_divergence(prior.distribution)
        except NotImplementedError:
            pass
    return tf.zeros([*posterior.batch_shape, 0])
