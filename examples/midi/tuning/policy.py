# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Learning from a reward, held to a trained model: policy gradients with KL control.

The objective of an update, in nats a frame, over music x with latents z (none for an RNN):

      E_p[ strength * reward(x) - log p(x, z) / p_0(x, z) ] / T        over samples of p
    + likelihood * bound on log p(data)                                over training music

p is the model that is tuned and p_0 the one it was, frozen. Without the last line the best p is
p_0(x, z) exp(strength * reward(x)) up to a constant: KL control (Jaques et al., arXiv:1611.02796).
The last line holds the model to the music where its own samples no longer go.

The gradient of the first line is that of sum_t A_t log p(x_t, z_t | x_<t, z_<t), where A_t is what
the frames from t on earn (reward less log-ratio, a frame's at that frame), less the mean of the
same over the other samples of the update. With a discount below 1, what is earned later counts for
less: the optimum is another one, near it where frames are charged with what they do, and the
gradient has far less noise.

Deviations: they learn a Q function off-policy, for one note at a time; here a frame has 2^88
actions, so the policy itself is followed. The likelihood term is an addition.

Axes: B samples, T frames, Z latent.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import seeds
from vaeseq.bounds import Bound
from vaeseq.data import Batch, as_tensors
from vaeseq.nn.dropout import enable_dropout
from vaeseq.train.ops import NumericsError, Schedule
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import GenCore


class Rollouts(NamedTuple):
    """Samples of a policy.

    Attributes:
      observed: a nest of `[B, T, ...]`.
      latents: `[B, T, Z]`.
      log_ratio: log p / p_0 of each frame with its latents, nats, `[B, T]`.
    """

    observed: Nest
    latents: Tensor
    log_ratio: Tensor


class TuneStep(NamedTuple):
    """What an update says of itself.

    Attributes:
      reward: of a sample, on average.
      kl: from the model before, nats a frame, on average.
      nats_per_step: the negative bound of the training music, nats a frame.
      gradient_norm: global, before clipping.
    """

    reward: float
    kl: float
    nats_per_step: float
    gradient_norm: float


def log_density(gen_core: GenCore, observed: Nest, latents: Tensor) -> Tensor:
    """log p(x_t, z_t | x_<t, z_<t) of whole sequences, nats, `[B, T]`."""
    agent, core = gen_core.agent, gen_core.core
    rows = latents.shape[0]
    # No agent of a model of music acts at random.
    contexts, _ = agent.contexts(observed, agent.initial_state(rows), seed=seeds.make(0))
    state = core.initial_state(rows)
    context_features, _ = core.encode_contexts(contexts, state.context)
    features = core.encode_observed(context_features, observed)
    inferred = core.infer_given(context_features, features, latents, state.latent)
    decoded = core.decoder.dist(core.decoder(inferred.outputs))
    return decoded.log_prob(observed) + inferred.prior.log_prob(latents)


def advantages(rewards: np.ndarray, discount: float) -> np.ndarray:
    """What is earned from each frame on, less the other samples' mean, `[B, T]` of `[B, T]`.

    The mean over the others does not depend on the sample: it leaves the gradient as it is.

    Args:
      rewards: of each frame.
      discount: what a reward counts for a frame earlier.
    """
    to_go = np.array(rewards, np.float64)
    for frame in reversed(range(to_go.shape[1] - 1)):
        to_go[:, frame] += discount * to_go[:, frame + 1]
    rows = len(to_go)
    return (to_go - to_go.mean(axis=0)) * (rows / (rows - 1))


class TuneOps(snt.Module):
    """Updates a policy from samples of it, a reward and batches of music.

    Attributes:
      step: how many updates there were, an int64 variable.
    """

    def __init__(
        self, policy: GenCore, prior: GenCore, bound: Bound, *,
        rewards: Callable[[Nest], np.ndarray], num_samples: int, length: int, strength: float,
        discount: float, likelihood: float, learning_rate: Schedule, clip_gradient_norm: float,
        seed: Seed,
    ):
        """Creates the operations; both models have their variables already.

        Args:
          policy: the model that is tuned.
          prior: the model that it was, left as it is.
          bound: of the likelihood.
          rewards: from observations `[B, T, ...]` as NumPy arrays to `[B, T]`.
          num_samples: B, at least 2.
          length: T.
          strength: nats that a reward of 1 is worth.
          discount: see `advantages`.
          likelihood: weight of the bound.
          learning_rate: of Adam, at each update from 0.
          clip_gradient_norm: the greatest global norm of a gradient; 0 for no limit.
          seed: int32 `[2]`, of samples and dropout.
        """
        super().__init__(name="tune_ops")
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self._policy, self._bound = policy, bound
        self._rewards = rewards
        self._num_samples, self._length = num_samples, length
        self._strength, self._discount, self._likelihood = strength, discount, likelihood
        self._clip_gradient_norm = clip_gradient_norm
        self._seed = seed
        self._learning_rate = learning_rate
        self._rate = tf.Variable(0.0, trainable=False, name="learning_rate")
        self._optimizer = snt.optimizers.Adam(self._rate)
        self._optimizer._initialize(policy.trainable_variables)
        # Not by XLA, which takes some ten seconds for each length of the training batches.
        self._prior_density = tf.function(
            functools.partial(log_density, prior), autograph=False)
        self._update = tf.function(self._updated, autograph=False)

    def __call__(self, batch: Batch) -> TuneStep:
        """Makes one update; `batch` is of whole training pieces, or windows of them.

        Raises:
          NumericsError: a gradient is not finite; nothing was changed.
        """
        number = int(self.step)
        self._rate.assign(np.float32(self._learning_rate(number)))
        draw_seed, dropout_seed = seeds.split(seeds.fold_in(self._seed, number), 2)
        drawn = self._draw(draw_seed)
        reward = self._rewards(tf.nest.map_structure(lambda leaf: leaf.numpy(), drawn.observed))
        with np.errstate(over="ignore"):  # what is too large is told as its gradient below
            earned = advantages(
                self._strength * reward - drawn.log_ratio.numpy(), self._discount
            ).astype(np.float32)
        batch = as_tensors(batch, self._policy.core.decoder.event_spec)
        nats, norm, finite = self._update(
            drawn, tf.constant(earned), batch, dropout_seed)
        if not bool(finite):
            raise NumericsError(
                f"step {number}: a gradient is not finite. The weights of the step before are "
                "kept. Try a smaller --learning-rate or --strength.")
        return TuneStep(float(reward.sum(axis=1).mean()), float(tf.reduce_mean(drawn.log_ratio)),
                        float(nats), float(norm))

    def _draw(self, seed: Seed) -> Rollouts:
        state = self._policy.initial_state(self._num_samples)
        generated = next(self._policy.stream(state, chunk=self._length, seed=seed))
        prior = self._prior_density(generated.observed, generated.latents)
        log_ratio = generated.log_prob + generated.latent_log_prob - prior
        return Rollouts(generated.observed, generated.latents, log_ratio)

    def _updated(
        self, drawn: Rollouts, earned: Tensor, batch: Batch, seed: Seed
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = self._policy.trainable_variables
        with tf.GradientTape() as tape:
            log_p = log_density(self._policy, drawn.observed, drawn.latents)
            nats, objective = self._likelihoods(batch, seed)
            loss = -tf.reduce_mean(earned * log_p) - self._likelihood * objective
        gradients = tape.gradient(
            loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm)
        if self._clip_gradient_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self._clip_gradient_norm, use_norm=norm)
        tf.cond(finite, lambda: self._move(gradients), lambda: None)
        return nats, norm, finite

    def _likelihoods(self, batch: Batch, seed: Seed) -> tuple[Tensor, Tensor]:
        """Of training music, nats a frame: the negative bound, and what is maximised."""
        agent, core = self._policy.agent, self._policy.core
        rows = batch.lengths.shape[0]
        agent_seed, bound_seed, dropout_seed = seeds.split(seed, 3)
        with enable_dropout(dropout_seed):
            contexts, _ = agent.contexts(
                batch.observed, agent.initial_state(rows), lengths=batch.lengths, seed=agent_seed)
            result = self._bound(
                core, contexts, batch.observed, self._bound.initial_state(core, rows),
                batch.lengths, seed=bound_seed)
        count = tf.cast(tf.reduce_sum(batch.lengths), tf.float32)
        return (-tf.reduce_sum(result.increments) / count,
                tf.reduce_sum(result.objective) / count)

    def _move(self, gradients: list[Tensor]) -> None:
        self._optimizer.apply(gradients, self._policy.trainable_variables)
        self.step.assign_add(1)
