# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Policy gradients with KL control: tunes a trained model towards a reward.

The objective of an update, in nats per frame, over music x with latents z (none for an RNN):

      E_p[ strength * reward(x) - log p(x, z) / p_0(x, z) ] / T        over samples of p
    + likelihood * bound on log p(data)                                over training music

p is the policy, the tuned model; p_0 is the prior, the model before tuning, which is fixed. Without
the last line the optimum is p_0(x, z) exp(strength * reward(x)) up to a constant: KL control
(Jaques et al., arXiv:1611.02796). The last line keeps the likelihood of music that the policy no
longer samples.

The gradient of the first line is that of sum_t A_t log p(x_t, z_t | x_<t, z_<t), where A_t is the
return of the frames from t on (the sum of reward minus log-ratio) minus the mean return of the
other samples of the update. With a discount below 1 later rewards count less: the gradient has far
less variance, and the optimum differs a little if rewards are credited to the frames that cause
them.

Deviations: Jaques et al. learn a Q function off-policy, one note at a time. Here a frame has 2^88
actions, so the policy gradient is used. The likelihood term is an addition.

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
    """Samples of the policy.

    Attributes:
      observed: a nest of `[B, T, ...]`.
      latents: `[B, T, Z]`.
      log_ratio: log p / p_0 of each frame and its latents in nats, `[B, T]`.
    """

    observed: Nest
    latents: Tensor
    log_ratio: Tensor


class TuneMetrics(NamedTuple):
    """Metrics of an update.

    Attributes:
      reward: mean reward of a sample.
      kl: mean KL from the prior, in nats per frame.
      nats_per_step: negative bound on the training music, in nats per frame.
      gradient_norm: global norm of the gradients before clipping.
    """

    reward: float
    kl: float
    nats_per_step: float
    gradient_norm: float


def log_density(gen_core: GenCore, observed: Nest, latents: Tensor) -> Tensor:
    """Returns log p(x_t, z_t | x_<t, z_<t) of whole sequences in nats, `[B, T]`."""
    agent, core = gen_core.agent, gen_core.core
    rows = latents.shape[0]
    # The agents of a model of music are deterministic: any seed does.
    contexts, _ = agent.contexts(observed, agent.initial_state(rows), seed=seeds.make(0))
    state = core.initial_state(rows)
    context_features, _ = core.encode_contexts(contexts, state.context)
    features = core.encode_observed(context_features, observed)
    inferred = core.infer_given(context_features, features, latents, state.latent)
    decoded = core.decoder.dist(core.decoder(inferred.outputs))
    return decoded.log_prob(observed) + inferred.prior.log_prob(latents)


def advantages(rewards: np.ndarray, discount: float) -> np.ndarray:
    """Returns the return from each frame on, minus the mean of the other samples, `[B, T]`.

    The baseline does not depend on the sample itself, so the gradient stays unbiased.

    Args:
      rewards: rewards of each frame, `[B, T]`.
      discount: factor on a reward for each frame before it.
    """
    to_go = np.array(rewards, np.float64)
    for frame in reversed(range(to_go.shape[1] - 1)):
        to_go[:, frame] += discount * to_go[:, frame + 1]
    rows = len(to_go)
    return (to_go - to_go.mean(axis=0)) * (rows / (rows - 1))


class TuneOps(snt.Module):
    """Updates a policy from samples of it, a reward and batches of music.

    Attributes:
      step: number of updates so far, an int64 variable.
    """

    def __init__(
        self, policy: GenCore, prior: GenCore, bound: Bound, *,
        rewards: Callable[[Nest], np.ndarray], num_samples: int, length: int, strength: float,
        discount: float, likelihood: float, learning_rate: Schedule, clip_gradient_norm: float,
        seed: Seed,
    ):
        """Creates the operations; both models must have their variables already.

        Args:
          policy: the model that is tuned.
          prior: the model before tuning; it is not changed.
          bound: the bound on the likelihood of training music.
          rewards: maps observations, NumPy arrays `[B, T, ...]`, to rewards `[B, T]`.
          num_samples: number of samples of an update, B; at least 2.
          length: frames of a sample, T.
          strength: factor on rewards, in nats.
          discount: factor on a reward for each frame before it.
          likelihood: weight of the bound.
          learning_rate: maps the number of an update, from 0, to the learning rate of Adam.
          clip_gradient_norm: maximum of the gradients' global norm; 0 for none.
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
        # XLA would compile for about ten seconds for each length of the training batches.
        self._prior_density = tf.function(
            functools.partial(log_density, prior), autograph=False)
        self._update = tf.function(self._make_update, autograph=False)

    def __call__(self, batch: Batch) -> TuneMetrics:
        """Makes one update.

        Args:
          batch: whole pieces of training music, or windows of them.

        Raises:
          NumericsError: a gradient is not finite; no weight was changed.
        """
        number = int(self.step)
        self._rate.assign(np.float32(self._learning_rate(number)))
        draw_seed, dropout_seed = seeds.split(seeds.fold_in(self._seed, number), 2)
        rollouts = self._draw(draw_seed)
        reward = self._rewards(tf.nest.map_structure(lambda leaf: leaf.numpy(), rollouts.observed))
        with np.errstate(over="ignore"):  # an overflow gives a gradient that is not finite, below
            advantage = advantages(
                self._strength * reward - rollouts.log_ratio.numpy(), self._discount
            ).astype(np.float32)
        batch = as_tensors(batch, self._policy.core.decoder.event_spec)
        nats, norm, finite = self._update(
            rollouts, tf.constant(advantage), batch, dropout_seed)
        if not bool(finite):
            raise NumericsError(
                f"step {number}: a gradient is not finite. The weights are those "
                "of the step before. Try a smaller --learning-rate or --strength.")
        return TuneMetrics(
            float(reward.sum(axis=1).mean()), float(tf.reduce_mean(rollouts.log_ratio)),
            float(nats), float(norm))

    def _draw(self, seed: Seed) -> Rollouts:
        state = self._policy.initial_state(self._num_samples)
        generated = next(self._policy.stream(state, chunk=self._length, seed=seed))
        prior = self._prior_density(generated.observed, generated.latents)
        log_ratio = generated.log_prob + generated.latent_log_prob - prior
        return Rollouts(generated.observed, generated.latents, log_ratio)

    def _make_update(
        self, rollouts: Rollouts, advantage: Tensor, batch: Batch, seed: Seed
    ) -> tuple[Tensor, Tensor, Tensor]:
        weights = self._policy.trainable_variables
        with tf.GradientTape() as tape:
            log_p = log_density(self._policy, rollouts.observed, rollouts.latents)
            nats, objective = self._likelihood_terms(batch, seed)
            loss = -tf.reduce_mean(advantage * log_p) - self._likelihood * objective
        gradients = tape.gradient(
            loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm)
        if self._clip_gradient_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self._clip_gradient_norm, use_norm=norm)
        tf.cond(finite, lambda: self._apply(gradients), lambda: None)
        return nats, norm, finite

    def _likelihood_terms(self, batch: Batch, seed: Seed) -> tuple[Tensor, Tensor]:
        """Returns the negative bound and the objective of training music, in nats per frame."""
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

    def _apply(self, gradients: list[Tensor]) -> None:
        self._optimizer.apply(gradients, self._policy.trainable_variables)
        self.step.assign_add(1)
