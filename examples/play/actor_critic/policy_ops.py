# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One update of the policy and the value function on imagined rollouts.

There are two estimators of the gradient of the expected return:

    score      (R_t - v_t) d log pi(a_t)      REINFORCE with v_t as baseline; for all actions
    pathwise   d R_t, through the model       backpropagated; the estimator of VAE-Seq

Axes: B batch, H imagined steps, F features.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import seeds
from vaeseq.compilation import compiled
from vaeseq.data import Batch
from vaeseq.nn import initializers
from vaeseq.train import schedules
from vaeseq.train.ops import NumericsError
from vaeseq.types import Seed, Tensor

from ..hparams import PlayHParams
from ..world_model.imagination import Rollout, imagine, infer_beliefs
from ..world_model.model import Belief, World
from .agents import PolicyActor
from .policy import Policy, Value

_SCALE_DECAY = 0.99
_MIN_SCALE = 0.01  # of returns; below it their differences are noise


class PolicyStep(NamedTuple):
    """The metrics of an update, averaged over imagined steps."""

    imagined_return: float  # in units of reward sizes times (1 - discount)
    value_loss: float  # half the mean squared error of the value
    entropy: float  # of the policy, nats
    policy_gradient_norm: float  # before clipping
    value_gradient_norm: float  # before clipping


class PolicyOps(snt.Module):
    """Trains a policy and its value function.

    Attributes:
      step: the number of updates, an int64 variable.
      policy: the latest weights.
      average: the average of the policy's weights over updates (Polyak and Juditsky 1992).
      value: the value function.
    """

    def __init__(
        self, hparams: PlayHParams, world: World, policy: Policy, *, seed: Seed,
        name: str | None = None,
    ):
        """Creates the operations; the variables come with `build`."""
        super().__init__(name=name)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.policy = policy
        self.average = Policy(hparams, world.game.actions, name="average_policy")
        self.value = Value(hparams, name="value")
        self._average_value = Value(hparams, name="average_value")
        self._scale = tf.Variable(0.0, trainable=False, name="scale")
        self._hparams = hparams
        self._world = world
        self._seed = seed
        self._pathwise = hparams.policy_gradient == "pathwise"
        self._rate = tf.Variable(0.0, trainable=False, name="policy_rate")
        self._value_rate = tf.Variable(0.0, trainable=False, name="value_rate")
        self._optimizer = snt.optimizers.Adam(self._rate)
        self._value_optimizer = snt.optimizers.Adam(self._value_rate)
        self._compiled = compiled(self._update, jit_compile=hparams.jit_compile)

    def build(self) -> None:
        """Creates all variables, with weights from the seed."""
        belief = self._world.first_belief(tf.zeros([1, self._world.size]))
        features = self._world.features(belief, self._hparams.memory)
        with initializers.weights_seed(self._seed):
            for module in (self.policy, self.average, self.value, self._average_value):
                module(features)
        self._optimizer._initialize(self.policy.trainable_variables)
        self._value_optimizer._initialize(self.value.trainable_variables)
        for _, average, weight in self._averaged():
            average.assign(weight)

    def __call__(self, batch: Batch) -> PolicyStep:
        """Makes one update on rollouts that start from a batch of `World.batch`.

        Raises:
          NumericsError: a loss or gradient is not finite; the weights are lost.
        """
        number = int(self.step)
        h = self._hparams
        factor = schedules.exponential(number, half=h.policy_rate_half)
        self._rate.assign(np.float32(h.policy_learning_rate * factor))
        self._value_rate.assign(np.float32(h.value_learning_rate * factor))
        numbers = self._compiled(batch, seeds.fold_in(self._seed, number)).numpy()
        if not np.isfinite(numbers).all():
            raise NumericsError(f"update {number} of the policy is not finite. The last checkpoint "
                                "is as it was; try a smaller policy_learning_rate.")
        return PolicyStep(*numbers.tolist())

    def gradients(self, batch: Batch, seed: Seed) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Returns the gradients of the policy, those of the value, and metrics `[3]`."""
        belief, valid = infer_beliefs(self._world, batch)
        if not self._pathwise:  # outside the tape, which would record every step
            rollout = self._imagine(belief, seed)
        with tf.GradientTape() as tape:
            if self._pathwise:
                rollout = self._imagine(belief, seed)
            weights = self._weights(rollout, valid)
            features = self._features(rollout)
            returns = self._returns(rollout, features)
            features = tf.stop_gradient(features[:, :-1])
            scale = self._update_scale(tf.stop_gradient(returns), weights)
            loss, entropy = self._policy_loss(
                rollout.acts.sample, features, returns / scale, scale, weights)
        with tf.GradientTape() as value_tape:
            errors = self.value(features) - tf.stop_gradient(returns)
            value_loss = tf.reduce_sum(weights * 0.5 * tf.square(errors))
        averages = tf.stack([tf.reduce_sum(weights * returns), value_loss, entropy])
        return (tape.gradient(loss, self.policy.trainable_variables),
                value_tape.gradient(value_loss, self.value.trainable_variables), averages)

    def _imagine(self, belief: Belief, seed: Seed) -> Rollout:
        actor = PolicyActor(self._world, self.policy, memory=self._hparams.memory)
        return imagine(self._world, belief, self._hparams.horizon, act=actor.act, seed=seed)

    def _features(self, rollout: Rollout) -> Tensor:
        """Returns the features before each step and after the last, `[B, H + 1, F]`."""
        last = self._world.features(rollout.last, self._hparams.memory)
        return tf.concat([rollout.acts.features, last[:, None]], 1)

    def _weights(self, rollout: Rollout, valid: Tensor) -> Tensor:
        """Returns the weights of imagined steps, `[B, H]`, which sum to 1."""
        weights = discount_weights(self._hparams.discount * rollout.continues)
        weights *= tf.cast(valid, tf.float32)[:, None]
        return tf.stop_gradient(weights / tf.maximum(tf.reduce_sum(weights), 1e-6))

    def _returns(self, rollout: Rollout, features: Tensor) -> Tensor:
        h = self._hparams
        size = self._world.reward_size
        rewards = rollout.rewards * (1 - h.discount) / size
        # A value is an average of rewards, so it lies between their bounds. Bootstrapping from
        # values beyond them would diverge.
        least, most = tf.unstack(self._world.reward_bounds / size)
        values = tf.clip_by_value(self._average_value(features[:, 1:]), least, most)
        return lambda_returns(rewards, h.discount * rollout.continues, values, h.lambda_)

    def _policy_loss(
        self, samples: Tensor, features: Tensor, returns: Tensor, scale: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the loss, for returns in units of `scale`, and the entropy."""
        params = self.policy(features)
        samples = tf.stop_gradient(samples)
        entropy = tf.reduce_sum(weights * self.policy.entropy(params, samples))
        gain = returns
        if not self._pathwise:
            advantages = tf.stop_gradient(returns - self.value(features) / scale)
            gain = advantages * self.policy.log_prob(params, samples)
        return -tf.reduce_sum(weights * gain) - self._hparams.entropy * entropy, entropy

    def _update_scale(self, returns: Tensor, weights: Tensor) -> Tensor:
        """Updates the moving average of the returns' deviation; returns it, bias-corrected."""
        mean = tf.reduce_sum(weights * returns)
        deviation = tf.sqrt(tf.reduce_sum(weights * tf.square(returns - mean)))
        self._scale.assign(_SCALE_DECAY * self._scale + (1 - _SCALE_DECAY) * deviation)
        correction = 1 - tf.pow(_SCALE_DECAY, tf.cast(self.step + 1, tf.float32))
        return tf.maximum(self._scale / correction, _MIN_SCALE)

    def _update(self, batch: Batch, seed: Seed) -> Tensor:
        policy_gradients, value_gradients, averages = self.gradients(batch, seed)
        norms = []
        for optimizer, module, gradients in (
                (self._optimizer, self.policy, policy_gradients),
                (self._value_optimizer, self.value, value_gradients)):
            clipped, norm = tf.clip_by_global_norm(gradients, self._hparams.policy_clip_norm)
            optimizer.apply(clipped, module.trainable_variables)
            norms.append(norm)
        # The averages start with a smaller decay, which forgets the initial weights.
        updates = tf.cast(self.step, tf.float32)
        max_decay = (1 + updates) / (10 + updates)
        for decay, average, weight in self._averaged():
            average.assign(weight + tf.minimum(decay, max_decay) * (average - weight))
        self.step.assign_add(1)
        return tf.concat([averages, tf.stack(norms)], 0)

    def _averaged(self) -> list[tuple[float, tf.Variable, tf.Variable]]:
        """Returns (decay, average, weight) of each averaged variable."""
        h = self._hparams
        return [(decay, average, weight) for decay, averages, module in (
                    (h.policy_average, self.average, self.policy),
                    (h.value_average, self._average_value, self.value))
                for average, weight in zip(averages.trainable_variables,
                                           module.trainable_variables)]


def lambda_returns(rewards: Tensor, continues: Tensor, values: Tensor, lambda_: float) -> Tensor:
    """Computes R_0 to R_H-1 (Sutton and Barto, Reinforcement Learning, 2nd ed., section 12.1).

        R_t = r_t + c_t ((1 - lambda) v_t+1 + lambda R_t+1)      R_H = v_H

    Args:
      rewards: r_t, `[B, H]`.
      continues: c_t, the probability that the episode continues times the discount, `[B, H]`.
      values: v_1 to v_H, `[B, H]`: of the states after each step.
      lambda_: in [0, 1].

    Returns:
      `[B, H]`.
    """
    after = values[:, -1]
    returns = []
    for t in reversed(range(rewards.shape[1])):
        after = rewards[:, t] + continues[:, t] * ((1 - lambda_) * values[:, t] + lambda_ * after)
        returns.append(after)
    return tf.stack(returns[::-1], axis=1)


def discount_weights(continues: Tensor) -> Tensor:
    """Returns the weight of each step, `[B, H]`: the product of c before it, 1 for the first."""
    return tf.math.cumprod(continues, axis=1, exclusive=True)
