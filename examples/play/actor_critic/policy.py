# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A policy: what to do next, given what is known.

Discrete actions are drawn from a categorical distribution. Continuous ones are the tanh of a
normal variable, so that they stay inside their bounds.

Axes: [...] any leading dimensions, B batch, A numbers of an action, F features.
"""
from __future__ import annotations

import math
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq.codec import decoders
from vaeseq.dist_module import DistModule
from vaeseq.nn.networks import MLP
from vaeseq.types import Nest, Seed, Tensor

from ..envs.env import Actions
from ..hparams import PlayHParams

_LEAST_SCALE = 0.05  # of the normal variable: a continuous policy never stops trying


class Act(NamedTuple):
    """An action and how it was drawn.

    Attributes:
      action: encoded, `[..., A]`; differentiable by the policy's weights (of a choice: by the
        straight-through estimate, which takes the choice for its probabilities).
      drawn: what it is a function of: the choice, int32 `[...]`, or the normal variable
        `[..., A]`.
    """

    action: Tensor
    drawn: Tensor


class Policy(snt.Module):
    """Features to a distribution over actions."""

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
                activation=hparams.activation, positive_eps=_LEAST_SCALE)

    def __call__(self, features: Tensor) -> Nest:
        """Parameters of the distribution over actions: `[..., F]` -> a nest of `[..., *]`."""
        return self._head(features)

    def sample(self, params: Nest, *, temperature: float | Tensor = 1.0, seed: Seed) -> Act:
        """Draws an action; a temperature above 1 tries more."""
        params = self._head.temper(params, temperature)
        drawn = self._head.dist(params).sample(seed=seed)
        if not self._actions.discrete:
            return Act(tf.tanh(drawn), drawn)
        probabilities = tf.nn.softmax(params)
        choice = tf.one_hot(drawn, self._actions.size)
        return Act(choice + probabilities - tf.stop_gradient(probabilities), drawn)

    def mode(self, params: Nest) -> Tensor:
        """The most likely action, encoded, `[..., A]`."""
        if self._actions.discrete:
            return tf.one_hot(tf.argmax(params, -1), self._actions.size)
        return tf.tanh(params.loc)

    def log_prob(self, params: Nest, drawn: Tensor) -> Tensor:
        """Of `Act.drawn`, in nats, `[...]`; its gradient by the weights is that of the action's."""
        return self._head.dist(params).log_prob(drawn)

    def entropy(self, params: Nest, drawn: Tensor) -> Tensor:
        """In nats, `[...]`: of a choice exactly, of a continuous action estimated from `drawn`."""
        if self._actions.discrete:
            return self._head.dist(params).entropy()
        noise = tf.stop_gradient((drawn - params.loc) / params.scale)
        u = params.loc + noise * params.scale
        # log(1 - tanh(u)^2), which is finite where tanh(u) rounds to 1.
        shrinkage = 2 * (math.log(2) - u - tf.nn.softplus(-2 * u))
        return self._head.dist(params).entropy() + tf.reduce_sum(shrinkage, -1)


class Value(snt.Module):
    """Features to the discounted return that is expected, in units of one reward's size."""

    def __init__(self, hparams: PlayHParams, name: str | None = None):
        super().__init__(name=name)
        self._mlp = MLP([*hparams.policy_layers, 1], activation=hparams.activation)

    def __call__(self, features: Tensor) -> Tensor:
        """`[..., F]` -> `[...]`."""
        return self._mlp(features)[..., 0]
