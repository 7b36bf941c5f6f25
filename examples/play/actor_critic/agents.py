# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Agents that act: each observes, keeps a state, and its action is the context of the next step.

The state is a `Belief`. An action that comes from outside, a recorded one, is taken instead of
the agent's own: the same object serves recorded games and play.

Axes: B batch, T time, A numbers of an action, F features.
"""
from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.agent import Agent
from vaeseq.types import Nest, Seed, Tensor

from ..world_model.controls import decode
from ..world_model.model import Belief, Transition, World
from .policy import Policy


class Actor(Agent):
    """An agent in a game: what it knows is a belief, its context what the world makes of an action.

    Attributes:
      world: the model of the game.
    """

    def __init__(self, world: World, name: str | None = None):
        super().__init__(name=name)
        self.world = world

    @property
    def context_size(self) -> int:
        return self.world.context_size

    def initial_state(self, batch_size: int | Tensor) -> Belief:
        """Of a game whose first observation is zeros; see `World.first_belief` for another."""
        return self.world.first_belief(tf.zeros([batch_size, self.world.size]))

    @abc.abstractmethod
    def act(self, belief: Belief, *, seed: Seed) -> Tensor:
        """The next action, encoded, `[B, A]`."""

    def context(self, state: Belief, inputs: Nest = (), *, seed: Seed) -> Tensor:
        action = self.act(state, seed=seed) if isinstance(inputs, tuple) else inputs
        return self.world.context(state, action)

    def observe(self, observation: Transition, context: Tensor, state: Belief) -> Belief:
        return self.world.update(state, context, observation)


class RandomActor(Actor):
    """Acts uniformly at random, whatever it knows."""

    def act(self, belief: Belief, *, seed: Seed) -> Tensor:
        shape = [tf.shape(belief.observation)[0], self.world.game.actions.size]
        uniform = seeds.uniform(shape, seed)
        if self.world.game.actions.discrete:
            return tf.one_hot(tf.argmax(uniform, -1), shape[1])
        return 2 * uniform - 1


class PolicyActor(Actor):
    """Acts as a policy says."""

    def __init__(
        self, world: World, policy: Policy, *, greedy: bool = False, temperature: float = 1.0,
        memory: bool = True, name: str | None = None,
    ):
        """Creates the agent.

        Args:
          world: the model of the game.
          policy: from what `World.features` gives.
          greedy: take the most likely action; otherwise draw it.
          temperature: of the draw.
          memory: whether the policy reads the core's state.
        """
        super().__init__(world, name=name)
        self._policy = policy
        self._greedy = greedy
        self._temperature = temperature
        self._memory = memory

    def act(self, belief: Belief, *, seed: Seed) -> Tensor:
        params = self._policy(self.world.features(belief, self._memory))
        if self._greedy:
            return self._policy.mode(params)
        return self._policy.sample(params, temperature=self._temperature, seed=seed).action


class Player:
    """An agent at real games: one compiled call a step (a `playing.Player`)."""

    def __init__(self, actor: Actor, *, jit_compile: bool = True):
        """Args: actor: who plays. jit_compile: compile with XLA."""
        self._actor = actor
        self._game = actor.world.game
        self._step = tf.function(
            self._observe_and_act, jit_compile=jit_compile, autograph=False)

    def start(self, num_games: int) -> Any:
        """The state before the first step of `num_games` games side by side."""
        zeros = tf.zeros([num_games, self._actor.context_size])
        return self._actor.initial_state(num_games), zeros

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, fresh: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """Observes what the last actions led to, and acts.

        Args:
          state: what `start` or the step before returned.
          observations: of the game, `[B, ...]`.
          rewards: for the last actions, `[B]`.
          fresh: bool `[B]`: a game begins in this row.
          seed: int32 `[2]`.

        Returns:
          The game's actions, int `[B]` or float `[B, A]`, and the next state.
        """
        seen = np.float32(observations).reshape(len(observations), -1)
        action, *state = self._step(tuple(state), seen, rewards, fresh, seed)
        return decode(self._game.actions, action.numpy()), tuple(state)

    def _observe_and_act(
        self, state: tuple[Belief, Tensor], seen: Tensor, rewards: Tensor, fresh: Tensor,
        seed: Seed,
    ) -> tuple[Tensor, Belief, Tensor]:
        belief, context = state
        world = self._actor.world
        transition = world.transition(
            belief.observation, context, seen, rewards, tf.ones_like(rewards))
        belief = nest.where(fresh, world.first_belief(seen),
                            self._actor.observe(transition, context, belief))
        action = self._actor.act(belief, seed=seed)
        return action, belief, world.context(belief, action)
