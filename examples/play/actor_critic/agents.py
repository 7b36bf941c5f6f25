# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""An agent that acts by a policy, in the model and in real environments.

Axes: B batch, A numbers of an action, F features.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import Agent
from vaeseq.compilation import compiled
from vaeseq.types import Nest, Seed, Tensor

from ..world_model.imagination import SampledAction
from ..world_model.model import Belief, Transition, World
from .policy import Policy


class PolicyActor(Agent):
    """An `Agent` whose state is a belief and whose context encodes the action of a policy.

    A recorded action, given as `inputs`, takes the place of the policy's.

    Attributes:
      world: the model of the game.
    """

    def __init__(
        self, world: World, policy: Policy, *, greedy: bool = False, temperature: float = 1.0,
        memory: bool = True, name: str | None = None,
    ):
        """Creates the agent, which acts by a policy, a map from `World.features` to a distribution.

        Takes the mode of the distribution if it is `greedy`, and otherwise samples at
        `temperature`. With `memory` the policy reads the core's state.
        """
        super().__init__(name=name)
        self.world = world
        self._policy = policy
        self._greedy = greedy
        self._temperature = temperature
        self._memory = memory

    @property
    def context_size(self) -> int:
        return self.world.context_size

    def initial_state(self, batch_size: int | Tensor) -> Belief:
        """Returns the belief at a first observation of zeros; see also `World.first_belief`."""
        return self.world.first_belief(tf.zeros([batch_size, self.world.size]))

    def act(self, belief: Belief, seed: Seed) -> SampledAction:
        """Chooses the next action, `[B, A]`."""
        features = self.world.features(belief, self._memory)
        params = self._policy(features)
        act = self._policy.mode(params) if self._greedy else self._policy.sample(
            params, temperature=self._temperature, seed=seed)
        return act._replace(features=features)

    def context(self, state: Belief, inputs: Nest = (), *, seed: Seed) -> Tensor:
        action = self.act(state, seed).action if isinstance(inputs, tuple) else inputs
        return self.world.context(state, action)

    def observe(self, observation: Transition, context: Tensor, state: Belief) -> Belief:
        return self.world.update(state, context, observation)


class AgentPlayer:
    """Plays real environments with an agent, one compiled call a step (a `rollout.Player`)."""

    def __init__(self, actor: PolicyActor, *, jit_compile: bool = True):
        """Args: actor: the agent. jit_compile: compile with XLA."""
        self._actor = actor
        self._game = actor.world.game
        self._step = compiled(self._observe_and_act, jit_compile=jit_compile)

    def start(self, num_envs: int) -> Any:
        """Returns the state before the first step of `num_envs` environments."""
        zeros = tf.zeros([num_envs, self._actor.context_size])
        return self._actor.initial_state(num_envs), zeros

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, is_first: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """Observes the outcome of the last actions, and acts, as `Player.step`."""
        flat = np.float32(observations).reshape(len(observations), -1)
        action, *state = self._step(tuple(state), flat, rewards, is_first, seed)
        return self._game.actions.decode(action.numpy()), tuple(state)

    def _observe_and_act(
        self, state: tuple[Belief, Tensor], observation: Tensor, rewards: Tensor,
        is_first: Tensor, seed: Seed,
    ) -> tuple[Tensor, Belief, Tensor]:
        belief, context = state
        world = self._actor.world
        transition = world.transition(
            belief.observation, context, observation, rewards, tf.ones_like(rewards))
        belief = nest.where(is_first, world.first_belief(observation),
                            self._actor.observe(transition, context, belief))
        action = self._actor.act(belief, seed).action
        return action, belief, world.context(belief, action)
