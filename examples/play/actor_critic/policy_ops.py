# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One update of the policy and the value, from games imagined in the model.

Two gradients of the expected return are here:

    score      (R_t - v_t) d log pi(a_t)      v_t is the baseline; for every action
    pathwise   d R_t, through the model       where actions are differentiable (VAE-Seq's way)

Axes: B batch, H steps imagined, F features.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import seeds
from vaeseq.data import Batch
from vaeseq.nn import initializers
from vaeseq.train import schedules
from vaeseq.types import Seed, Tensor

from ..hparams import PlayHParams
from ..world_model.imagination import Rollout, beliefs, imagine
from ..world_model.model import Belief, World
from .policy import Policy, Value
from .returns import lambda_returns, reach

_SCALE_DECAY = 0.99
_LEAST_SCALE = 0.01  # of returns; where all are alike, their noise is not worth learning


class PolicyStep(NamedTuple):
    """What an update says of itself, averages over imagined steps.

    Attributes:
      imagined_return: in units of reward sizes times (1 - discount).
      value_loss: half the mean square of what the value was off.
      entropy: of the policy, nats.
      policy_gradient_norm: before clipping.
      value_gradient_norm: the same.
    """

    imagined_return: float
    value_loss: float
    entropy: float
    policy_gradient_norm: float
    value_gradient_norm: float


class PolicyOps(snt.Module):
    """Improves a policy.

    Attributes:
      step: how many updates there were, an int64 variable.
      policy: what is improved.
      average: of the policy's weights over updates (Polyak and Juditsky 1992), the steadier player.
      value: what is expected of a state.
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
        self._compiled = tf.function(
            self._update, jit_compile=hparams.jit_compile, autograph=False)

    def build(self) -> None:
        """Makes all variables, with weights from the seed."""
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
        """Makes one update, from imagined games that begin in a batch of `World.batch`."""
        number = int(self.step)
        h = self._hparams
        factor = schedules.exponential(number, half=h.policy_rate_half)
        self._rate.assign(np.float32(h.policy_learning_rate * factor))
        self._value_rate.assign(np.float32(h.value_learning_rate * factor))
        numbers = self._compiled(batch, seeds.fold_in(self._seed, number))
        return PolicyStep(*numbers.numpy().tolist())

    def gradients(self, batch: Batch, seed: Seed) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Of the policy's loss and the value's, by their weights; and averages to report."""
        belief, valid = beliefs(self._world, batch)
        if not self._pathwise:  # Outside of the tape, which would follow every step.
            rollout = self._imagine(belief, seed)
        with tf.GradientTape() as tape:
            if self._pathwise:
                rollout = self._imagine(belief, seed)
            weights = self._weights(rollout, valid)
            returns = self._returns(rollout)
            scale = self._follow_scale(tf.stop_gradient(returns), weights)
            loss, entropy = self._policy_loss(rollout, returns / scale, scale, weights)
        with tf.GradientTape() as value_tape:
            errors = self.value(_given(rollout)) - tf.stop_gradient(returns)
            value_loss = tf.reduce_sum(weights * 0.5 * tf.square(errors))
        averages = tf.stack([tf.reduce_sum(weights * returns), value_loss, entropy])
        return (tape.gradient(loss, self.policy.trainable_variables),
                value_tape.gradient(value_loss, self.value.trainable_variables), averages)

    def _imagine(self, belief: Belief, seed: Seed) -> Rollout:
        return imagine(self._world, self.policy, belief, self._hparams.horizon,
                       memory=self._hparams.memory, seed=seed)

    def _weights(self, rollout: Rollout, valid: Tensor) -> Tensor:
        """How much each imagined step counts, `[B, H]`; the sum is 1."""
        reached = reach(self._hparams.discount * rollout.going)
        weights = reached * tf.cast(valid, tf.float32)[:, None]
        return tf.stop_gradient(weights / tf.maximum(tf.reduce_sum(weights), 1e-6))

    def _returns(self, rollout: Rollout) -> Tensor:
        h = self._hparams
        size = self._world.reward_size
        rewards = rollout.rewards * (1 - h.discount) / size
        # A value is an average of rewards. Beyond them it would feed on itself: returns are made of
        # values, and values are learnt from returns.
        least, most = tf.unstack(self._world.reward_bounds / size)
        values = tf.clip_by_value(self._average_value(rollout.features[:, 1:]), least, most)
        return lambda_returns(rewards, h.discount * rollout.going, values, h.trace)

    def _policy_loss(
        self, rollout: Rollout, returns: Tensor, scale: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss, where returns are in units of `scale`; and the entropy."""
        features = _given(rollout)
        params = self.policy(features)
        drawn = tf.stop_gradient(rollout.drawn)
        entropy = tf.reduce_sum(weights * self.policy.entropy(params, drawn))
        gain = returns
        if not self._pathwise:
            advantages = tf.stop_gradient(returns - self.value(features) / scale)
            gain = advantages * self.policy.log_prob(params, drawn)
        return -tf.reduce_sum(weights * gain) - self._hparams.entropy * entropy, entropy

    def _follow_scale(self, returns: Tensor, weights: Tensor) -> Tensor:
        """The deviation of returns, averaged over updates, the first as much as the latest."""
        mean = tf.reduce_sum(weights * returns)
        deviation = tf.sqrt(tf.reduce_sum(weights * tf.square(returns - mean)))
        self._scale.assign(_SCALE_DECAY * self._scale + (1 - _SCALE_DECAY) * deviation)
        share = 1 - tf.pow(_SCALE_DECAY, tf.cast(self.step + 1, tf.float32))
        return tf.maximum(self._scale / share, _LEAST_SCALE)

    def _update(self, batch: Batch, seed: Seed) -> Tensor:
        policy_gradients, value_gradients, averages = self.gradients(batch, seed)
        norms = []
        for optimizer, module, gradients in (
                (self._optimizer, self.policy, policy_gradients),
                (self._value_optimizer, self.value, value_gradients)):
            clipped, norm = tf.clip_by_global_norm(gradients, self._hparams.policy_clip_norm)
            optimizer.apply(clipped, module.trainable_variables)
            norms.append(norm)
        # What the first updates make of the weights they began with is soon forgotten.
        updates = tf.cast(self.step, tf.float32)
        most = (1 + updates) / (10 + updates)
        for decay, average, weight in self._averaged():
            average.assign(weight + tf.minimum(decay, most) * (average - weight))
        self.step.assign_add(1)
        return tf.concat([averages, tf.stack(norms)], 0)

    def _averaged(self) -> list[tuple[float, tf.Variable, tf.Variable]]:
        """The decay of each average, its variable, and what it is of."""
        h = self._hparams
        return [(decay, average, weight) for decay, averages, module in (
                    (h.policy_average, self.average, self.policy),
                    (h.value_average, self._average_value, self.value))
                for average, weight in zip(averages.trainable_variables,
                                           module.trainable_variables)]


def _given(rollout: Rollout) -> Tensor:
    """The features that were acted on, `[B, H, F]`, as they are: no gradient passes."""
    return tf.stop_gradient(rollout.features[:, :-1])
