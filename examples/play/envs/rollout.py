# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Playing whole episodes in vectorised environments.

Axes: n environments, A numbers of an action, N steps of one episode.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from vaeseq.fields import short_repr

from .env import Actions
from .replay import Episode
from .vector_env import GameError, VectorEnv

_RESET, _PLAYER = 0, 1  # purposes of a seed
_BLOCK = 256  # steps whose random actions are drawn at once


class Player(Protocol):
    """Chooses the actions of n environments at once."""

    def start(self, num_envs: int) -> Any:
        """Returns the state before the first observation."""

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, is_first: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """Chooses the next action of each environment; called once a step.

        Args:
          state: what `start` or the last `step` returned.
          observations: the current ones, `[n, ...]`.
          rewards: float32 `[n]`, of the previous step; 0 where there was none.
          is_first: bool `[n]`: an episode starts here, so the row's state is to be reset.
          seed: int32 `[2]`; the second number counts the steps.

        Returns:
          Actions, int `[n]` or float `[n, A]`, and the next state. The actions of rows that do not
          play any more are ignored.
        """


class RandomPlayer:
    """Draws actions uniformly."""

    def __init__(self, actions: Actions):
        """Args: actions: the action space."""
        self._actions = actions

    def start(self, num_envs: int) -> Any:
        """Returns an empty block of actions and its number, -1."""
        return self._actions.zeros(0, num_envs), -1

    def step(
        self, state: Any, observations: np.ndarray, rewards: np.ndarray, is_first: np.ndarray,
        seed: np.ndarray,
    ) -> tuple[np.ndarray, Any]:
        """Draws actions from the seed."""
        del rewards, is_first
        actions, last_block = state
        block, place = divmod(int(seed[1]), _BLOCK)
        if block != last_block:  # a generator for each step would take longer than the step
            actions = self._draw(len(observations), [int(seed[0]), block])
        return actions[place], (actions, block)

    def _draw(self, num_envs: int, seed: list[int]) -> np.ndarray:
        rng, actions = np.random.default_rng(seed), self._actions
        if actions.discrete:
            return rng.integers(actions.size, size=[_BLOCK, num_envs])
        return rng.uniform(actions.low, actions.high, [_BLOCK, num_envs, actions.size])


def play(
    envs: VectorEnv, player: Player, *, num_episodes: int | None = None,
    num_steps: int | None = None, max_steps: int | None = None, seed: int, first_episode: int = 0,
    on_step: Callable[[int], None] = lambda number: None,
) -> Iterator[Episode]:
    """Plays whole episodes and yields each as it ends.

    The start of an episode is a function of the seed and the episode's number, not of n.

    Args:
      envs: the environments.
      player: chooses the actions.
      num_episodes: how many, numbered from `first_episode`. Exactly these are yielded, however
        long they are.
      num_steps: instead of `num_episodes`: no episode starts after so many steps in all; those
        that have started are played to their end.
      max_steps: truncates an episode there; by default only the environment does.
      seed: of the episodes' starts and of the player.
      first_episode: the number of the first.
      on_step: called with the number of the first environment's episode, after each of its resets
        and steps.

    Raises:
      GameError: the environment failed.
      ValueError: neither or both of `num_episodes` and `num_steps` are given.
    """
    if (num_episodes is None) == (num_steps is None):
        raise ValueError("expected either num_episodes or num_steps, got "
                         f"num_episodes={num_episodes}, num_steps={num_steps}.")
    stop_episode = math.inf if num_episodes is None else first_episode + num_episodes
    stop_step = math.inf if num_steps is None else num_steps
    max_steps = max_steps or envs.game.max_steps
    observations = envs.game.zeros(envs.num_envs)
    rewards = np.zeros([envs.num_envs], np.float32)
    is_first = np.zeros([envs.num_envs], bool)
    recorders: dict[int, _Recorder] = {}
    next_episode, steps, env_steps = first_episode, 0, 0

    def reset(row: int) -> None:
        nonlocal next_episode
        observations[row] = envs.reset(row, _seed(seed, next_episode, _RESET))
        rewards[row], is_first[row] = 0, True
        recorders[row] = _Recorder(next_episode, observations[row].copy())
        if row == 0:
            on_step(next_episode)
        next_episode += 1

    for row in range(envs.num_envs):
        if next_episode < stop_episode:
            reset(row)
    player_seed = _seed(seed, first_episode, _PLAYER)
    state = player.start(envs.num_envs)
    while recorders:
        rows = sorted(recorders)
        actions, state = player.step(
            state, observations, rewards, is_first, np.array([player_seed, steps], np.int32))
        if not np.isfinite(actions).all():
            raise GameError(
                f"{envs.game.name}: the player chose an action that is not finite, "
                f"{short_repr(np.asarray(actions).tolist())}. The last checkpoint is kept.")
        actions = envs.game.actions.clip(actions)
        observations, rewards, terminated, truncated = envs.step(actions, rows)
        is_first = np.zeros([envs.num_envs], bool)
        steps, env_steps = steps + 1, env_steps + len(rows)
        for row in rows:
            recorders[row].add(actions[row], rewards[row], observations[row].copy())
        if 0 in recorders:
            on_step(recorders[0].number)
        for row in rows:
            ended = terminated[row] or truncated[row]
            if ended or len(recorders[row].rewards) >= max_steps:
                yield recorders.pop(row).episode(bool(terminated[row]))
                if next_episode < stop_episode and env_steps < stop_step:
                    reset(row)


class _Recorder:
    """Collects the steps of one episode."""

    def __init__(self, number: int, observation: np.ndarray):
        self.number = number
        self.rewards: list[np.ndarray] = []
        self._observations = [observation]
        self._actions: list[np.ndarray] = []

    def add(self, action: np.ndarray, reward: np.ndarray, observation: np.ndarray) -> None:
        self._actions.append(action)
        self.rewards.append(reward)
        self._observations.append(observation)

    def episode(self, terminated: bool) -> Episode:
        return Episode(np.array(self._observations), np.array(self._actions),
                       np.array(self.rewards), terminated, self.number)


def _seed(seed: int, number: int, purpose: int) -> int:
    """Derives a seed of 31 bits from an episode's number and a purpose."""
    high, low = divmod(seed, 1 << 32)
    # SeedSequence would split a large seed in two and mistake the first for a small seed.
    words = np.random.SeedSequence([low, number, purpose], spawn_key=(high,) if high else ())
    return int(words.generate_state(1)[0] >> 1)
