# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The policy and the value function.

Discrete actions have a categorical distribution. Continuous ones are the tanh of a normal variable,
which keeps them inside their bounds.

Axes: [...] any leading dimensions, B batch, A numbers of an action, F features.
"""
from __future__ import annotations

import math

import sonnet as snt
import tensorflow as tf

from vaeseq.codec import decoders
from vaeseq.dist_module import DistModule
from vaeseq.nn.networks import MLP
from vaeseq.types import Nest, Seed, Tensor

from ..envs.env import Actions
from ..hparams import PlayHParams
from ..world_model.imagination import SampledAction

_MIN_SCALE = 0.05  # of the normal variable: a continuous policy keeps exploring


class Policy(snt.Module):
    """Maps features to a distribution over actions."""

    def __init__(self, hparams: PlayHParams, actions: Actions, name: str | None = None):
        super().__init__(name=name)
        self._actions = actions
        self._head: DistModule
        if actions.discrete:
            self._head = decoders.Categorical(
                actions.size, hidden_sizes=hparams.policy_layers, activation=hparams.activation)
        else:
            self._head = decoders.Normal(
                tf.TensorSpec([actions.size]), hidden_sizes=hparams.policy_layers,
                activation=hparams.activation, positive_eps=_MIN_SCALE)

    def __call__(self, features: Tensor) -> Nest:
        """Returns the parameters of the distribution: `[..., F]` -> a nest of `[..., *]`."""
        return self._head(features)

    def sample(
        self, params: Nest, *, temperature: float | Tensor = 1.0, seed: Seed
    ) -> SampledAction:
        """Samples an action; a temperature above 1 explores more."""
        params = self._head.temper(params, temperature)
        sample = self._head.dist(params).sample(seed=seed)
        if not self._actions.discrete:
            return SampledAction(tf.tanh(sample), sample)
        probabilities = tf.nn.softmax(params)
        one_hot = tf.one_hot(sample, self._actions.size)
        return SampledAction(
            one_hot + probabilities - tf.stop_gradient(probabilities), sample)

    def mode(self, params: Nest) -> SampledAction:
        """Returns the most likely action."""
        if self._actions.discrete:
            index = tf.argmax(params, -1, tf.int32)
            return SampledAction(tf.one_hot(index, self._actions.size), index)
        return SampledAction(tf.tanh(params.loc), params.loc)

    def log_prob(self, params: Nest, sample: Tensor) -> Tensor:
        """Returns the log-density of `SampledAction.sample` in nats, `[...]`."""
        return self._head.dist(params).log_prob(sample)

    def entropy(self, params: Nest, sample: Tensor) -> Tensor:
        """Returns the entropy in nats, `[...]`; of continuous actions an estimate from `sample`."""
        if self._actions.discrete:
            return self._head.dist(params).entropy()
        noise = tf.stop_gradient((sample - params.loc) / params.scale)
        u = params.loc + noise * params.scale
        # log(1 - tanh(u)^2), which is finite where tanh(u) rounds to 1.
        shrinkage = 2 * (math.log(2) - u - tf.nn.softplus(-2 * u))
        return self._head.dist(params).entropy() + tf.reduce_sum(shrinkage, -1)


class Value(snt.Module):
    """Maps features to the expected discounted return, in units of `World.reward_size`."""

    def __init__(self, hparams: PlayHParams, name: str | None = None):
        super().__init__(name=name)
        self._mlp = MLP([*hparams.policy_layers, 1], activation=hparams.activation)

    def __call__(self, features: Tensor) -> Tensor:
        """`[..., F]` -> `[...]`."""
        return self._mlp(features)[..., 0]
