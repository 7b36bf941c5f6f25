# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Copies of one game, side by side.

Copies are told to begin and to move one by one, so nothing stands between the last observation of
one game and the first of the next: Gymnasium's own vector environments slip a move without meaning
in there. A game that ended for good (`terminated`) is told from one that was cut by a limit of
time (`truncated`), whose last state has a future.

Axes: n copies, A numbers of an action, H height, W width.
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
from vaeseq.fields import shown

from .env import Game, hide_windows, make, said


class GameError(ValueError):
    """An environment failed in the middle of a game."""


class Moves(NamedTuple):
    """What a move of each copy led to; rows that did not move keep what they had.

    Attributes:
      actions: what was done, int32 `[n]` or float32 `[n, A]`.
      observations: `[n, ...]`.
      rewards: float32 `[n]`.
      terminated: bool `[n]`: the game ended for good.
      truncated: bool `[n]`: it was cut by a limit of time.
    """

    actions: np.ndarray
    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class Games:
    """Copies of one game, side by side; close it, or use it in a `with`."""

    def __init__(self, game: Game, num_games: int, *, window: bool = False, frames: bool = False):
        """Makes the copies.

        Args:
          game: which.
          num_games: n.
          window: the first copy shows itself in a window.
          frames: the first copy can be asked for its `frame`.

        Raises:
          UsageError: the environment cannot show itself so.
        """
        self.game = game
        self.num_games = num_games
        self._frames: gymnasium.Env | None = None
        self._envs = [self._shown(window, frames)]
        self._envs += [make(game.name, game.observed_indices) for _ in range(num_games - 1)]
        space = self._envs[0].action_space
        self._first_action = int(space.start) if isinstance(space, spaces.Discrete) else 0
        self._observations = game.zeros(num_games)
        self._seeds = [0] * num_games
        self._moves = [0] * num_games

    def reset(self, row: int, seed: int) -> np.ndarray:
        """Begins a game in one of the copies; the first observation.

        Raises:
          GameError: the environment failed.
        """
        self._seeds[row], self._moves[row] = seed, 0
        try:
            observation, _ = self._envs[row].reset(seed=seed)
        except Exception as error:
            raise self._failed(row, f"raised {said(error)}") from error
        self._observe(row, observation)
        self._check_finite([row], np.zeros([self.num_games]))
        return self._observations[row].copy()

    def step(self, actions: np.ndarray, rows: Sequence[int]) -> Moves:
        """Moves in some of the copies.

        Args:
          actions: int `[n]`, or float `[n, A]`, which is moved to what is allowed.
          rows: the copies that move.

        Raises:
          GameError: the environment failed, or gave what is no number.
        """
        rewards = np.zeros([self.num_games], np.float32)
        ended = np.zeros([2, self.num_games], bool)
        actions = self._allowed(actions)
        taken = self._taken(actions)
        for row in rows:
            self._moves[row] += 1
            try:
                observation, rewards[row], ended[0, row], ended[1, row], _ = (
                    self._envs[row].step(taken[row]))
            except Exception as error:
                raise self._failed(row, f"raised {said(error)}") from error
            self._observe(row, observation)
        self._check_finite(rows, rewards)
        return Moves(actions, self._observations.copy(), rewards, ended[0], ended[1])

    def frame(self) -> np.ndarray:
        """What the first copy looks like, uint8 `[H, W, 3]`."""
        assert self._frames is not None, "Games(frames=True) gives frames"
        picture: Any = self._frames.render()
        if not (isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] == 3):
            raise self._failed(0, f"was asked for a picture [H, W, 3] and gave {shown(picture)}")
        return picture.astype(np.uint8, copy=False)

    def close(self) -> None:
        """Closes every copy."""
        for env in self._envs:
            env.close()

    def __enter__(self) -> Games:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _shown(self, window: bool, frames: bool) -> gymnasium.Env:
        """The first copy: one that draws frames can show them in a window, too."""
        name, indices, modes = self.game.name, self.game.observed_indices, self.game.render_modes
        if not (window or frames):
            return make(name, indices)
        if window:
            _check_display()
        if not frames and "human" in modes:
            return make(name, indices, "human")
        if "rgb_array" not in modes:
            raise UsageError(
                f"game={name} cannot be shown so: expected an environment with the render mode "
                f"'rgb_array'; it has {', '.join(map(repr, modes)) or 'none'}.")
        if not window:
            hide_windows()
        env = self._frames = make(name, indices, "rgb_array")
        if not window:
            return env
        env.metadata = {**env.metadata, "render_fps": self.game.frame_rate}
        return gymnasium.wrappers.HumanRendering(env)

    def _allowed(self, actions: np.ndarray) -> np.ndarray:
        if np.isfinite(actions).all():
            return self.game.actions.allowed(actions)
        raise GameError(f"{self.game.name}: the player chose an action that is no finite number, "
                        f"{shown(np.asarray(actions).tolist())}. What was saved before is kept.")

    def _taken(self, actions: np.ndarray) -> Sequence[Any]:
        """Actions as the environment takes them."""
        if self.game.actions.discrete:
            return (actions + self._first_action).tolist()
        space = self._envs[0].action_space
        return list(actions.astype(space.dtype).reshape(-1, *(space.shape or ())))

    def _observe(self, row: int, observation: Any) -> None:
        array = np.asarray(observation)
        expected = self._observations.shape[1:]
        if array.shape != expected:
            if not (self.game.image and array.shape == expected[:2]):
                raise self._failed(row, f"showed an observation of shape {array.shape}, not "
                                   f"{expected} as it said")
            array = array[..., None]
        self._observations[row] = array

    def _check_finite(self, rows: Sequence[int], rewards: np.ndarray) -> None:
        seen = self._observations.reshape(self.num_games, -1)
        if np.isfinite(seen).all() and np.isfinite(rewards).all():
            return
        row = next(i for i in rows if not (np.isfinite(seen[i]).all() and np.isfinite(rewards[i])))
        what = "a reward" if np.isfinite(seen[row]).all() else "an observation"
        value = rewards[row] if what == "a reward" else self._observations[row]
        raise self._failed(row, f"gave {what} that is no finite number, {shown(value.tolist())},")

    def _failed(self, row: int, what: str) -> GameError:
        return GameError(f"{self.game.name} {what} in move {self._moves[row]} of the game that "
                         f"begins from seed {self._seeds[row]}. What was saved before is kept.")


def _check_display() -> None:
    """Raises UsageError where no window can be: what draws windows does not always say so."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, displays)):
        raise UsageError("--render window: expected a display, found none (DISPLAY is not set). "
                         "--film FILE.gif needs none.")
