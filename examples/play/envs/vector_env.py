# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Vectorised environments with resets and steps of single rows.

Gymnasium's vector environments do not serve here. `SyncVectorEnv` steps every environment: with
autoreset NEXT_STEP it inserts a transition between two episodes, with DISABLED it asserts that an
ended environment was reset, although the last episodes of a round end at different times, and with
SAME_STEP it starts episodes without the seeds that make runs resumable. An exception of an
environment does not say which row raised it.

Axes: n environments, A numbers of an action, H height, W width.
"""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from .env import Game, describe_error, hide_windows, make


class GameError(ValueError):
    """Raised when an environment fails within an episode."""


class StepResult(NamedTuple):
    """The outcome of a step; rows that were not stepped keep their observation.

    Attributes:
      actions: that were taken, int32 `[n]` or float32 `[n, A]`.
      observations: `[n, ...]`.
      rewards: float32 `[n]`.
      terminated: bool `[n]`: the episode ended in a terminal state.
      truncated: bool `[n]`: a time limit ended it; its last state has a value.
    """

    actions: np.ndarray
    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class VectorEnv:
    """Environments of one game; to be closed, or used in a `with`."""

    def __init__(self, game: Game, num_envs: int, *, window: bool = False, frames: bool = False):
        """Creates the environments.

        Args:
          game: which.
          num_envs: n.
          window: the first one is shown in a window.
          frames: the first one provides `frame`.

        Raises:
          UsageError: the environment cannot be rendered so.
        """
        self.game = game
        self.num_envs = num_envs
        self._frames: gymnasium.Env | None = None
        self._envs = [self._rendered(window, frames)]
        self._envs += [make(game.name, game.observed_indices) for _ in range(num_envs - 1)]
        space = self._envs[0].action_space
        self._first_action = int(space.start) if isinstance(space, spaces.Discrete) else 0
        self._observations = game.zeros(num_envs)
        self._seeds = [0] * num_envs
        self._steps = [0] * num_envs

    def reset(self, row: int, seed: int) -> np.ndarray:
        """Starts an episode in one environment; returns the first observation.

        Raises:
          GameError: the environment failed.
        """
        self._seeds[row], self._steps[row] = seed, 0
        try:
            observation, _ = self._envs[row].reset(seed=seed)
        except Exception as error:
            raise self._failure(row, f"raised {describe_error(error)}") from error
        self._store(row, observation)
        self._check_finite([row], np.zeros([self.num_envs]))
        return self._observations[row].copy()

    def step(self, actions: np.ndarray, rows: Sequence[int]) -> StepResult:
        """Steps some of the environments.

        Args:
          actions: int `[n]`, or float `[n, A]`, which is clipped to the action space.
          rows: the environments to step.

        Raises:
          GameError: the environment failed, or returned a number that is not finite.
        """
        rewards = np.zeros([self.num_envs], np.float32)
        ended = np.zeros([2, self.num_envs], bool)
        actions = self._clip(actions)
        env_actions = self._env_actions(actions)
        for row in rows:
            self._steps[row] += 1
            try:
                observation, rewards[row], ended[0, row], ended[1, row], _ = (
                    self._envs[row].step(env_actions[row]))
            except Exception as error:
                raise self._failure(row, f"raised {describe_error(error)}") from error
            self._store(row, observation)
        self._check_finite(rows, rewards)
        return StepResult(actions, self._observations.copy(), rewards, ended[0], ended[1])

    def frame(self) -> np.ndarray:
        """Renders the first environment, uint8 `[H, W, 3]`."""
        assert self._frames is not None, "expected VectorEnv(frames=True)"
        picture: Any = self._frames.render()
        if not (isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 3):
            raise self._failure(
                0, f"should render a picture [H, W, 3], but rendered {short_repr(picture)}")
        return picture.astype(np.uint8, copy=False)

    def close(self) -> None:
        """Closes the environments."""
        for env in self._envs:
            env.close()

    def __enter__(self) -> VectorEnv:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _rendered(self, window: bool, frames: bool) -> gymnasium.Env:
        """Makes the first environment, rendered to frames, to a window or to both."""
        name, indices, modes = self.game.name, self.game.observed_indices, self.game.render_modes
        if not (window or frames):
            return make(name, indices)
        if window:
            _check_display()
        if not frames and "human" in modes:
            return make(name, indices, "human")
        if "rgb_array" not in modes:
            raise UsageError(
                f"game={name} cannot be rendered so: expected an environment with the render mode "
                f"'rgb_array'; it has {', '.join(map(repr, modes)) or 'none'}.")
        if not window:
            hide_windows()
        env = self._frames = make(name, indices, "rgb_array")
        if not window:
            return env
        env.metadata = {**env.metadata, "render_fps": self.game.frame_rate}
        return gymnasium.wrappers.HumanRendering(env)

    def _clip(self, actions: np.ndarray) -> np.ndarray:
        if np.isfinite(actions).all():
            return self.game.actions.clip(actions)
        raise GameError(f"{self.game.name}: the player chose an action that is not finite, "
                        f"{short_repr(np.asarray(actions).tolist())}. The last checkpoint is kept.")

    def _env_actions(self, actions: np.ndarray) -> Sequence[Any]:
        """Converts actions to the environment's own space."""
        if self.game.actions.discrete:
            return (actions + self._first_action).tolist()
        space = self._envs[0].action_space
        return list(actions.astype(space.dtype).reshape(-1, *(space.shape or ())))

    def _store(self, row: int, observation: Any) -> None:
        array = np.asarray(observation)
        expected = self._observations.shape[1:]
        if array.shape != expected:
            if not (self.game.image and array.shape == expected[:2]):
                raise self._failure(row, f"returned an observation of shape {array.shape}, not "
                                    f"{expected} as its space says")
            array = array[..., None]
        self._observations[row] = array

    def _check_finite(self, rows: Sequence[int], rewards: np.ndarray) -> None:
        flat = self._observations.reshape(self.num_envs, -1)
        if np.isfinite(flat).all() and np.isfinite(rewards).all():
            return
        row = next(i for i in rows if not (np.isfinite(flat[i]).all() and np.isfinite(rewards[i])))
        what = "a reward" if np.isfinite(flat[row]).all() else "an observation"
        value = rewards[row] if what == "a reward" else self._observations[row]
        raise self._failure(row, f"returned {what} that is not finite, "
                                 f"{short_repr(value.tolist())},")

    def _failure(self, row: int, what: str) -> GameError:
        return GameError(f"{self.game.name} {what} in step {self._steps[row]} of the episode "
                         f"with seed {self._seeds[row]}. The last checkpoint is kept.")


def _check_display() -> None:
    """Raises UsageError where no window can open: pygame does not always raise."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        raise UsageError("--render window: expected a display, found none (DISPLAY is not set). "
                         "--film FILE.gif needs none.")
