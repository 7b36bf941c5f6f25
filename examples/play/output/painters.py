# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Drawings of real and imagined observations.

Observed pictures are shown directly. For a few games the observation determines the state, which
the environment renders. For all other games the numbers are drawn as curves.

Axes: L observations, O numbers of one, H height, W width, C channels.
"""
from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vaeseq.cli.arguments import UsageError

from ..envs import env
from ..envs.env import Game
from . import gif

_WIDTH, _HEIGHT, _LABELS = 320, 208, 24  # pixels; _LABELS is the margin
_MAX_CURVES = 8
_PAPER, _GRID, _SEEN, _DREAMT = (255, 255, 255), (222, 226, 230), (31, 90, 148), (192, 87, 43)


class Painter(abc.ABC):
    """Draws the observations of one game; to be closed after use."""

    @abc.abstractmethod
    def paint(self, observations: np.ndarray, at: int, last_real: int) -> np.ndarray:
        """Draws observation `at` of `[L, ...]`, uint8 `[H, W, 3]`; `last_real` is the last real
        one.
        """

    def close(self) -> None:
        """Releases the environment, if there is one."""


def painter(game: Game, shown: np.ndarray, length: int) -> Painter:
    """Creates the painter of a game, with scales for the observations that are shown, `[L, ...]`.

    The time axis has `length` observations.

    Raises:
      UsageError: the environment cannot be made.
    """
    if game.image:
        return _Pixels()
    state_map = _STATE_MAPS.get(game.name.partition("-v")[0])
    indices = game.observed_indices or range(game.observation_shape[0])
    if (state_map is not None and state_map.needed <= set(indices)
            and "rgb_array" in game.render_modes):
        return _Rendered(game, state_map)
    return _Curves(shown, length)


class _StateMap(NamedTuple):
    """The map from an environment's observation to its state."""

    size: int  # O, of the whole observation
    needed: frozenset[int]  # indices of the numbers that the picture depends on
    set_state: Callable[[Any, np.ndarray], None]  # sets an environment's state by an observation


def _set_numbers(state: Callable[[np.ndarray], Any]) -> Callable[[Any, np.ndarray], None]:
    """Returns a `set_state` for environments whose state is an array."""
    def set_state(unwrapped: Any, observation: np.ndarray) -> None:
        unwrapped.state = np.asarray(state(observation), np.float64)

    return set_state


def _set_lander(unwrapped: Any, observation: np.ndarray) -> None:
    """Moves a lander with its legs; the ground, which is not observed, is that of one game."""
    x, y = np.clip(observation[:2], -3, 3)  # farther away nothing is visible, and pixels overflow
    angle = observation[4]
    # Metres, in which the picture is 20 x 13.3 and the lander's centre at rest 0.6 above the pad.
    centre = np.array([10 * (1 + x), unwrapped.helipad_y + 0.6 + 20 / 3 * y])
    cos, sin = np.cos(angle), np.sin(angle)
    unwrapped.lander.position, unwrapped.lander.angle = centre.tolist(), float(angle)
    for leg, side in zip(unwrapped.legs, (1, -1)):
        right, up = 0.83 * side, -0.34  # of the lander's centre, in flight
        leg.position = (centre + [cos * right - sin * up, sin * right + cos * up]).tolist()
        leg.angle = float(angle + 0.35 * side)


_STATE_MAPS = {
    "CartPole": _StateMap(4, frozenset([0, 2]), _set_numbers(lambda o: o)),
    "Pendulum": _StateMap(
        3, frozenset([0, 1]), _set_numbers(lambda o: [np.arctan2(o[1], o[0]), o[2]])),
    "Acrobot": _StateMap(6, frozenset(range(4)), _set_numbers(lambda o: [
        np.arctan2(o[1], o[0]), np.arctan2(o[3], o[2]), o[4], o[5]])),
    "MountainCar": _StateMap(2, frozenset([0]), _set_numbers(lambda o: o)),
    "MountainCarContinuous": _StateMap(2, frozenset([0]), _set_numbers(lambda o: o)),
    "LunarLander": _StateMap(8, frozenset([0, 1, 4]), _set_lander),
    "LunarLanderContinuous": _StateMap(8, frozenset([0, 1, 4]), _set_lander),
}


class _Pixels(Painter):
    """Shows pictures directly; of channels that are not colours, the first."""

    def paint(self, observations: np.ndarray, at: int, last_real: int) -> np.ndarray:
        picture = np.clip(np.rint(observations[at]), 0, 255).astype(np.uint8)
        if picture.shape[2] not in (3, 4):
            picture = np.repeat(picture[..., :1], 3, axis=2)
        return gif.fitted(picture[..., :3])


class _Rendered(Painter):
    """Sets the environment's state and renders it."""

    def __init__(self, game: Game, state_map: _StateMap):
        env.hide_windows()
        self._env = env.make(game.name, render_mode="rgb_array")
        self._env.reset(seed=0)
        self._state_map = state_map
        self._indices = list(game.observed_indices or range(state_map.size))

    def paint(self, observations: np.ndarray, at: int, last_real: int) -> np.ndarray:
        whole = np.zeros([self._state_map.size])
        whole[self._indices] = np.nan_to_num(observations[at])
        self._state_map.set_state(self._env.unwrapped, whole)
        try:
            picture: Any = self._env.render()
        except Exception as error:
            raise UsageError(f"no picture can be drawn: {env.describe_error(error)}") from error
        return gif.fitted(picture)

    def close(self) -> None:
        env.close(self._env)


class _Curves(Painter):
    """Draws each number over time in a strip of its own, on a fixed scale.

    Of many numbers, those with the largest range are shown.
    """

    def __init__(self, shown: np.ndarray, length: int):
        finite = np.where(np.isfinite(shown), shown, 0)
        low, high = finite.min(0), finite.max(0)
        self._numbers = np.sort(np.argsort(low - high, kind="stable")[:_MAX_CURVES])
        self._low = low[self._numbers]
        self._spread = np.maximum(high[self._numbers] - self._low, 1e-6)
        self._xs = np.linspace(_LABELS, _WIDTH - 3, max(2, length))

    def paint(self, observations: np.ndarray, at: int, last_real: int) -> np.ndarray:
        image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
        draw, font = ImageDraw.Draw(image), ImageFont.load_default()
        values = np.nan_to_num(observations[:at + 1, self._numbers])
        share = np.clip((values - self._low) / self._spread, 0, 1)
        strip = _HEIGHT / len(self._numbers)
        for place, number in enumerate(self._numbers):
            top = strip * place
            draw.line([(0, top + strip), (_WIDTH, top + strip)], _GRID)
            draw.text((2, top + strip / 2 - 6), str(number), _SEEN, font)
            points = list(zip(self._xs, top + strip * (0.92 - 0.84 * share[:, place])))
            draw.line(points[:last_real + 1], _SEEN, 2)
            draw.line(points[last_real:], _DREAMT, 2)
        return np.asarray(image)
