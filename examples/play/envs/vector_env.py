# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Vectorised environments with resets and steps of single rows.

Gymnasium's `SyncVectorEnv` steps every environment, although the last episodes of a round end at
different times, and starts episodes without the seeds that make runs resumable.

Axes: n environments, A numbers of an action, H height, W width.
"""
from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from .env import Game, close, describe_error, hide_windows, make


class GameError(ValueError):
    """Raised when an environment fails within an episode."""


class VectorEnv(contextlib.AbstractContextManager):
    """Environments of one game; leaving the `with` block closes them."""

    def __init__(self, game: Game, num_envs: int, *, window: bool = False, frames: bool = False):
        """Creates n environments; the first is shown in a `window` or provides `frame`.

        Raises:
          UsageError: the environment cannot be rendered so, or there is no display.
        """
        self.game = game
        self.num_envs = num_envs
        mode = _render_mode(game, window, frames)
        self._envs = [make(game.name, game.observed_indices, mode if row == 0 else None)
                      for row in range(num_envs)]
        self._camera = self._envs[0]
        if window and mode == "rgb_array":
            self._camera.metadata = {**self._camera.metadata, "render_fps": game.frame_rate}
            self._envs[0] = gymnasium.wrappers.HumanRendering(self._camera)
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

    def step(
        self, actions: np.ndarray, rows: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Steps some of the environments.

        Args:
          actions: int `[n]` or float `[n, A]`, within their bounds.
          rows: the environments to step; the others keep their observation.

        Returns:
          Observations `[n, ...]`, rewards float32 `[n]`, and bool `[n]` each: terminated and
          truncated.

        Raises:
          GameError: the environment failed, or returned a number that is not finite.
        """
        rewards = np.zeros([self.num_envs], np.float32)
        ended = np.zeros([2, self.num_envs], bool)
        # A copy: an environment may change its action in place.
        items = actions.tolist() if self.game.actions.discrete else actions.copy()
        for row in rows:
            self._steps[row] += 1
            try:
                observation, rewards[row], ended[0, row], ended[1, row], _ = (
                    self._envs[row].step(items[row]))
            except Exception as error:
                raise self._failure(row, f"raised {describe_error(error)}") from error
            self._store(row, observation)
        self._check_finite(rows, rewards)
        return self._observations.copy(), rewards, ended[0], ended[1]

    def frame(self) -> np.ndarray:
        """Renders the first environment, uint8 `[H, W, 3]`; raises GameError if that fails."""
        try:
            picture: Any = self._camera.render()
        except Exception as error:
            raise self._failure(0, f"cannot be rendered, raised {describe_error(error)}") from error
        if not (isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 3):
            raise self._failure(
                0, f"should render a picture [H, W, 3], but rendered {short_repr(picture)}")
        return picture.astype(np.uint8, copy=False)

    def __exit__(self, *error: object) -> None:
        for env in self._envs:
            close(env)

    def _store(self, row: int, observation: Any) -> None:
        array, expected = np.asarray(observation), self.game.observation_shape
        if array.shape != expected:
            raise self._failure(row, f"returned an observation of shape {array.shape}, not "
                                f"{expected} as its space says")
        with np.errstate(over="ignore"):  # the check for finite numbers refuses them
            self._observations[row] = array

    def _check_finite(self, rows: Sequence[int], rewards: np.ndarray) -> None:
        if np.isfinite(self._observations).all() and np.isfinite(rewards).all():
            return
        for row in rows:
            for kind, value in (("an observation", self._observations[row]),
                                ("a reward", rewards[row])):
                if not np.isfinite(value).all():
                    raise self._failure(
                        row, f"returned {kind} that is not finite, {short_repr(value.tolist())},")

    def _failure(self, row: int, kind: str) -> GameError:
        return GameError(f"{self.game.name} {kind} in step {self._steps[row]} of the episode "
                         f"with seed {self._seeds[row]}. The last checkpoint is kept.")


def _render_mode(game: Game, window: bool, frames: bool) -> str | None:
    """Returns Gymnasium's render mode for the first environment."""
    if not (window or frames):
        return None
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if not window:
        hide_windows()
    elif sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        # pygame does not always raise.
        raise UsageError("--render window: expected a display, found none (DISPLAY is not set). "
                         "--film FILE.gif needs none.")
    if not frames and "human" in game.render_modes:
        return "human"
    if "rgb_array" in game.render_modes:
        return "rgb_array"
    raise UsageError(
        f"game={game.name} cannot be rendered so: expected an environment with the render mode "
        f"'rgb_array'; it has {', '.join(map(repr, game.render_modes)) or 'none'}.")
