# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Imputation: sequences drawn from the model given what was seen of them.

A particle filter runs through the sequence. Each particle holds the state of an agent and a core.
At a step it samples z_t from the posterior and what is unseen of x_t from the decoder, observes
the completed x_t, and is weighted by

    p(seen part of x_t | h_t, z_t) p(z_t | h_t) / q(z_t | h_t, f_t)

Particles are resampled where few of them carry the weight. A path from a last particle back through
its ancestors is a draw of the whole sequence given everything that was seen (smoothing); after
resampling the paths share their early parts, so that long sequences have few distinct ones. With a
fixed lag L, x_t is taken from the particles of step t + L: more distinct values, which ignore what
comes later than L steps (Kitagawa, 1996).

Axes: B batch, T time, S particles (see `vaeseq.types`).
"""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.bounds import resampling
from vaeseq.codec.missing import MaskedDecoder, fill
from vaeseq.data import Masked
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import require_steps
from vaeseq.vae.gen_core import GenCore, complete

_RESAMPLE_BELOW = 0.5  # effective sample size, as a share of the particles


class Imputed(NamedTuple):
    """Weighted completions of sequences.

    Attributes:
      values: a nest of `[B, S, T, *E]`; seen values are as they were given.
      log_weights: `[B, S, T]`, normalised over S: of the particles that each step's values are
        from. Without a lag they are the same at every step.
      log_prob: an estimate of log p(seen values), nats `[B]`; its exponential is unbiased. Where
        the posterior has no density, log p(seen values | z_1:T). It is NaN or -inf where no
        particle has a probability: the values mean nothing then.
    """

    values: Nest
    log_weights: Tensor
    log_prob: Tensor


def impute(
    gen_core: GenCore, observed: Masked, lengths: Tensor | None = None, *, inputs: Nest = (),
    num_particles: int, lag: int | None = None, seed: int | Seed,
) -> Imputed:
    """Samples the unseen values of sequences.

    Args:
      gen_core: an agent, and a core whose decoder is a `MaskedDecoder`.
      observed: values `[B, T, *E]` and masks, tensors or arrays.
      lengths: int32 `[B]`, valid steps of each row; all T by default.
      inputs: the agent's external inputs, a nest of `[B, T, ...]`.
      num_particles: S.
      lag: how many later steps count; None for all of them.
      seed: a number or int32 `[2]`.

    Raises:
      ValueError: the core has no single steps, the decoder is no `MaskedDecoder`, a number is out
        of its range, or T is 0.
    """
    agent, core = gen_core.agent, require_steps(gen_core.core, "imputation by particles")
    if not isinstance(core.decoder, MaskedDecoder):
        raise ValueError(
            "imputation needs a model of missing values; expected a MaskedDecoder, got "
            f"{type(core.decoder).__name__}. Build it with the hyperparameter "
            "missing_values=values.")
    if num_particles < 1 or (lag is not None and lag < 0):
        raise ValueError("expected at least one particle and a lag of at least 0, got "
                         f"num_particles={num_particles}, lag={lag}.")
    observed = tf.nest.map_structure(
        lambda leaf, spec: leaf if tf.is_tensor(leaf) else tf.cast(leaf, spec.dtype),
        observed, core.observation_spec)
    batch_size, num_steps = (nest.leading_dim(observed.values, axis) for axis in (0, 1))
    if num_steps == 0:
        raise ValueError("expected sequences of at least one step to impute, got 0 steps.")
    feature_seed, scan_seed, last_seed = seeds.split(seeds.make(seed), 3)
    observed = fill(nest.mask_time(observed, lengths))
    features = _features(gen_core, observed, inputs, lengths, feature_seed)
    criterion = resampling.when_ess_below(_RESAMPLE_BELOW)

    def step(step_inputs: tuple, particles: tuple) -> tuple[tuple, tuple]:
        x, feature, external, step_seed = step_inputs
        *states, log_weights = particles
        agent_state, state = nest.merge_leading(states)
        agent_seed, z_seed, x_seed, resample_seed = seeds.split(step_seed[0], 4)
        x, feature, external = nest.merge_leading(
            nest.repeat_rows((x, feature, external), num_particles))
        context = agent.context(agent_state, external, seed=agent_seed)
        completed, state = complete(
            core, context, feature, x, state, latent_seed=z_seed, observed_seed=x_seed)
        log_weights += nest.split_samples(completed.log_weight, num_particles)
        increments = resampling.log_mean_exp(log_weights)
        log_weights -= increments[:, None]
        agent_state = agent.observe(completed.observed, context, agent_state)
        resample = criterion(log_weights)
        ancestors = tf.where(
            resample[:, None], resampling.systematic(log_weights, seed=resample_seed),
            tf.range(num_particles))
        states = nest.split_samples((agent_state, state), num_particles)
        states = tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, ancestors, batch_dims=1), states)
        values = nest.split_samples(completed.observed.values, num_particles)
        outputs_t = (values, ancestors, log_weights, increments)
        return outputs_t, (*states, nest.mask(~resample, log_weights))

    rows = batch_size * num_particles
    start = (*nest.split_samples(
        (agent.initial_state(rows), core.initial_state(rows)), num_particles),
        tf.zeros([batch_size, num_particles], core.dtype))
    (values, ancestors, log_weights, increments), _ = unroll.scan(
        step, (observed, features, inputs, seeds.per_step(scan_seed, num_steps)), start, lengths)
    last = tf.fill([batch_size], num_steps) if lengths is None else tf.cast(lengths, tf.int32)
    values, log_weights = _trace(values, ancestors, log_weights, last, lag)
    return Imputed(values, tf.nn.log_softmax(log_weights, 1), tf.reduce_sum(increments, 1))


def samples(
    gen_core: GenCore, observed: Masked, lengths: Tensor, num_samples: int, num_particles: int,
    lag: int | None, seed: Seed, inputs: Nest = (),
) -> tuple[Nest, Tensor]:
    """Samples completions of one sequence; arguments as for `impute`, of batch size 1.

    Returns:
      A nest of `[num_samples, T, *E]`, equally likely, and `Imputed.log_prob`, a scalar.
    """
    impute_seed, choice_seed = seeds.split(seed, 2)
    imputed = impute(
        gen_core, observed, lengths, inputs=inputs, num_particles=num_particles, lag=lag,
        seed=impute_seed)
    # With the same numbers at every step, so that without a lag whole paths are chosen.
    cumulative = tf.cumsum(tf.exp(imputed.log_weights[0]), 0)  # [S, T]
    points = seeds.uniform([num_samples], choice_seed, cumulative.dtype)
    points *= tf.reduce_min(cumulative[-1])
    index = tf.reduce_sum(tf.cast(
        cumulative[tf.newaxis] <= points[:, tf.newaxis, tf.newaxis], tf.int32), 1)
    values = tf.nest.map_structure(
        lambda leaf: nest.swap_leading(tf.gather(
            nest.swap_leading(leaf[0]), tf.transpose(index), batch_dims=1)), imputed.values)
    return values, imputed.log_prob[0]


def _features(
    gen_core: GenCore, observed: Masked, inputs: Nest, lengths: Tensor | None, seed: Seed
) -> Nest:
    """The features of the posterior, from the sequence as it was seen."""
    agent, core = gen_core.agent, gen_core.core
    batch_size = nest.leading_dim(observed.values)
    contexts, _ = agent.contexts(
        observed, agent.initial_state(batch_size), inputs, lengths, seed=seed)
    context_features, _ = core.encode_contexts(
        contexts, core.initial_state(batch_size).context, lengths)
    return core.encode_observed(context_features, observed, lengths)


def _trace(
    values: Nest, ancestors: Tensor, log_weights: Tensor, lengths: Tensor, lag: int | None
) -> tuple[Nest, Tensor]:
    """Follows the particles of later steps back to their values at each step.

    Args:
      values: of each step's particles before resampling, a nest of `[B, T, S, *E]`.
      ancestors: the particle of step t that each particle of step t + 1 goes on from, `[B, T, S]`.
      log_weights: before resampling, `[B, T, S]`.
      lengths: int32 `[B]`.
      lag: as for `impute`.

    Returns:
      Values `[B, S, T, *E]` and log-weights `[B, S, T]`.
    """
    num_steps, num_particles = ancestors.shape[1], ancestors.shape[2]
    identity = tf.broadcast_to(tf.range(num_particles), tf.shape(ancestors))
    steps = tf.range(num_steps)[tf.newaxis]
    last = tf.maximum(lengths - 1, 0)[:, tf.newaxis]
    ancestors = tf.where((steps < last)[..., tf.newaxis], ancestors, identity)
    if lag is None:
        def back(ancestors_t: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            index = tf.gather(ancestors_t, index, batch_dims=1)
            return index, index

        index, _ = unroll.scan(back, unroll.reverse(ancestors, lengths), identity[:, 0], lengths)
        index = unroll.reverse(index, lengths)  # [B, T, S]
        end = tf.broadcast_to(last, tf.shape(ancestors)[:2])
    else:
        index = identity
        later = tf.concat([ancestors, identity[:, :lag]], 1)  # nothing follows the last step

        def one_back(k: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            shape = [-1, num_steps, num_particles]
            return k - 1, tf.gather(tf.slice(later, [0, k, 0], shape), index, batch_dims=2)

        # A loop of the graph: XLA would fuse a chain of gathers into a program of exponential size.
        _, index = tf.while_loop(
            lambda k, _: k >= 0, one_back, (min(lag, num_steps - 1) - 1, identity))
        end = tf.minimum(steps + lag, last)
    def samples_first(leaf: Tensor) -> Tensor:
        return tf.transpose(leaf, [0, 2, 1, *range(3, leaf.shape.rank)])

    traced = tf.nest.map_structure(
        lambda leaf: samples_first(tf.gather(leaf, index, batch_dims=2)), values)
    return traced, samples_first(tf.gather(log_weights, end, axis=1, batch_dims=1))
