# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Importance weights of latents sampled from the posterior for whole sequences.

Axes: B batch, T time, S samples, Z latent. Log-densities are in nats, summed over the event.
"""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds, trace_context
from vaeseq.bounds.base import BoundState
from vaeseq.codec import missing
from vaeseq.data import Masked
from vaeseq.nn.dropout import segment_dropout
from vaeseq.nn.scan import lookup, unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore, VAECore

# The most steps scored together, over all rows and samples: with 1,000 float32 numbers a step,
# half a gigabyte.
_STEPS_AT_ONCE = 1 << 17


def chunk_size(
    num_samples: int, chunked: bool, rows: int | Tensor, steps: int | Tensor
) -> int:
    """Returns how many of S samples of each of B rows of T steps are in memory together.

    All, or with `chunked` the largest divisor of S that the sequences' size allows.
    """
    if not chunked or not (isinstance(rows, int) and isinstance(steps, int)):
        return num_samples
    limit = max(1, _STEPS_AT_ONCE // max(1, rows * steps))
    return max(size for size in range(1, num_samples + 1)
               if num_samples % size == 0 and size <= limit)


def check_density(core: SequenceCore, bound: str) -> SequenceCore:
    """Returns the core; raises ValueError if its posterior has no density."""
    if not core.has_density:
        raise ValueError(
            f"the bound {bound!r} needs the density of the posterior, and that of "
            f"{type(core).__name__} is a point (seqae_posterior=deterministic), so there is no "
            "bound on the likelihood. Take the bound 'reconstruction', or train with "
            "seqae_posterior=gaussian.")
    return core


def check_gradient(core: SequenceCore, posterior: tfd.Distribution) -> tfd.Distribution:
    """Returns the posterior.

    Raises:
      ValueError: while training, samples of a step's latents carry no gradient to the posterior.
    """
    is_training = trace_context.current().dropout is not None
    kind = posterior.reparameterization_type
    if is_training and isinstance(core, VAECore) and core.latent_size and (
            kind != tfd.FULLY_REPARAMETERIZED):
        raise ValueError(
            f"expected a posterior of {type(core).__name__} whose samples carry its gradient, got "
            f"{kind!r}, which the KL alone would train, and wrongly. Take a reparameterized "
            "distribution, such as tfd.RelaxedOneHotCategorical for classes. Scores need none.")
    return posterior


class Features(NamedTuple):
    """The result of the whole-sequence passes, which see no latents."""

    context_features: Nest  # of `SequenceCore.encode_contexts`, a nest of `[B, T, ...]`
    features: Nest  # of `SequenceCore.encode_observed`, the same
    observed: Nest  # the observations, with another valid one where there is none
    context_state: Nest  # the next `CoreState.context`


def encode(
    core: SequenceCore, contexts: Tensor, observed: Nest, state: BoundState, lengths: Tensor | None
) -> Features:
    """Runs `encode_contexts` and `encode_observed`, once for all samples.

    Padding is replaced first, because a NaN in it would reach the gradients. So is what stands
    behind a mask, which may be any number: by zeros where nothing of a dimension is seen.
    """
    contexts, observed = lookup.mask_time(contexts, lengths), nest.fill_time(observed, lengths)
    if isinstance(observed, Masked):
        observed = observed._replace(
            values=missing.fill_seen(*missing.fill(observed), core.observation_spec.values))
    context_features, context_state = core.encode_contexts(contexts, state.context, lengths)
    features = core.encode_observed(context_features, observed, lengths)
    return Features(context_features, features, observed, context_state)


class WeightedSamples(NamedTuple):
    """Samples of whole sequences and their densities, `[B, S, T]` unless noted."""

    z: Tensor  # the samples, `[B, S, T, Z]`
    log_prob: Tensor  # log p(x_t | h_t, z_t)
    log_ratio: Tensor  # log q(z_t) - log p(z_t) at the sample
    kl: Tensor  # KL(q(z_t) || p(z_t)), in closed form if requested and known; otherwise `log_ratio`
    latent_kl: Tensor  # KL of each latent dimension, `[B, S, T, Z]`, or `[B, S, T, 0]`
    latent: Nest  # the next `CoreState.latent`, a nest of `[B, S, ...]`


def importance_weights(
    core: SequenceCore, encoded: Features, latent: Nest, num_samples: int,
    lengths: Tensor | None, *, chunked: bool, analytic: bool, seed: Seed,
) -> WeightedSamples:
    """Samples latents of whole sequences from the posterior and scores them.

    Samples become rows of one large batch in the loop over time. Densities are computed after it,
    a segment at a time where sequences are long. With chunks of samples, only the results of all
    samples are in memory together.

    Args:
      core: the model.
      encoded: the result of `encode`.
      latent: `CoreState.latent` before the first step, a nest of `[B, S, ...]`.
      num_samples: S.
      lengths: int32 `[B]`, valid steps of each row.
      chunked: as for `chunk_size`.
      analytic: whether `kl` is in closed form where one is known.
      seed: int32 `[2]`.
    """
    num_rows, num_steps = (nest.leading_dim(encoded.observed, axis) for axis in (0, 1))
    size = chunk_size(num_samples, chunked, num_rows, num_steps)
    row_lengths = None if lengths is None else tf.repeat(lengths, size)

    def score_chunk(inputs: tuple[Nest, Seed]) -> WeightedSamples:
        chunk_latent, chunk_seed = inputs

        def score_segment(inputs: tuple, state: Nest, number: Tensor | None) -> tuple[tuple, Nest]:
            context_features, features, observed = inputs
            segment_seed = chunk_seed if number is None else seeds.fold_in(chunk_seed, number)
            with segment_dropout(number):
                inferred = core.infer(
                    context_features, features, state,
                    unroll.segment_lengths(row_lengths, num_steps, number), seed=segment_seed)
                log_prob = core.log_prob(inferred.outputs, observed)
            q_z, p_z = check_gradient(core, inferred.posterior), inferred.prior
            log_ratio = q_z.log_prob(inferred.latents) - p_z.log_prob(inferred.latents)
            kl = analytic_kl(q_z, p_z, log_ratio) if analytic else log_ratio
            densities = inferred.latents, log_prob, log_ratio, kl, kl_per_dimension(q_z, p_z)
            return densities, inferred.state

        rows = nest.merge_leading(nest.repeat_rows(
            (encoded.context_features, encoded.features, encoded.observed), size))
        densities, state = unroll.by_segments(
            score_segment, rows, nest.merge_leading(chunk_latent))
        return WeightedSamples(*nest.split_samples((*densities, state), size))

    if size == num_samples:
        return score_chunk((latent, seed))
    num_chunks = num_samples // size
    chunk_latents = nest.swap_leading(tf.nest.map_structure(
        lambda x: tf.reshape(x, [nest.shape_of(x)[0], num_chunks, size, *x.shape[2:]]), latent))
    dtype = tf.nest.flatten(encoded.context_features)[0].dtype
    chunks = tf.map_fn(
        score_chunk, (chunk_latents, tf.stack(seeds.split(seed, num_chunks))),
        fn_output_signature=WeightedSamples(
            dtype, dtype, dtype, dtype, dtype, tf.nest.map_structure(lambda x: x.dtype, latent)))
    return tf.nest.map_structure(  # [S / size, B, size, ...] -> [B, S, ...]
        lambda x: tf.reshape(x, [x.shape[0], num_samples, *x.shape[3:]]),
        nest.swap_leading(chunks))


class Densities(NamedTuple):
    """Densities of fixed samples, each `[B, S, T]`."""

    p_x: Tensor  # log p(x_t | h_t, z_t)
    p_z: Tensor  # log p(z_t | h_t)
    q_z: Tensor  # log q(z_t | h_t, f_t)


def densities_of(
    core: VAECore, encoded: Features, z: Tensor, latent: Nest, lengths: Tensor | None
) -> Densities:
    """Scores samples `[B, S, T, Z]` with their path gradient stopped.

    Raises:
      ValueError: the posterior's samples are not reparameterized.
    """
    num_samples, num_steps = z.shape[1], nest.leading_dim(z, 2)
    row_lengths = None if lengths is None else tf.repeat(lengths, num_samples)

    def score_segment(inputs: tuple, state: Nest, number: Tensor | None) -> tuple[tuple, Nest]:
        context_features, features, observed, z = inputs
        with segment_dropout(number):  # the masks with which the samples were drawn
            inferred = core.infer_given(
                context_features, features, z, state,
                unroll.segment_lengths(row_lengths, num_steps, number))
            p_x = core.log_prob(inferred.outputs, observed)
        kind = inferred.posterior.reparameterization_type
        if kind != tfd.FULLY_REPARAMETERIZED:
            raise ValueError(
                f"doubly reparameterized gradients need a reparameterized posterior; that of "
                f"{type(core).__name__} is {kind!r}. Train without them.")
        return (p_x, inferred.prior.log_prob(z), inferred.posterior.log_prob(z)), inferred.state

    rows = nest.merge_leading(nest.repeat_rows(
        (encoded.context_features, encoded.features, encoded.observed), num_samples))
    scores, _ = unroll.by_segments(
        score_segment, (*rows, tf.stop_gradient(nest.merge_leading(z))),
        nest.merge_leading(latent))
    return Densities(*nest.split_samples(scores, num_samples))


def analytic_kl(
    posterior: tfd.Distribution, prior: tfd.Distribution, log_ratio: Tensor
) -> Tensor:
    """Returns KL(q || p) in closed form; where TFP knows none, the sampled `log_ratio`."""
    try:
        return posterior.kl_divergence(prior)
    except NotImplementedError:
        return log_ratio


def kl_per_dimension(posterior: tfd.Distribution, prior: tfd.Distribution) -> Tensor:
    """Returns the KL of each latent dimension, `[..., Z]`; `[..., 0]` without a closed form."""
    # Of `tfd.Independent` alone is `distribution` that of the dimensions: that of a transformed
    # distribution is its base.
    is_point = isinstance(getattr(posterior, "distribution", None), tfd.Deterministic)
    if isinstance(posterior, tfd.Independent) and isinstance(prior, tfd.Independent) and (
            not is_point):
        try:
            return posterior.distribution.kl_divergence(prior.distribution)
        except NotImplementedError:
            pass
    # The number of rows may be unknown, where a model is exported.
    zeros = tf.zeros(tf.concat([posterior.batch_shape_tensor(), [0]], 0), posterior.dtype)
    return tf.ensure_shape(zeros, [*posterior.batch_shape, 0])
