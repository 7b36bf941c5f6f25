# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gymnasium environments: their description and their construction.

An observation is a vector of numbers or a small picture; other spaces that Gymnasium can flatten
are flattened. An action is discrete, or a vector of numbers between bounds.

Axes: O numbers of an observation, A of an action, H height, W width, C channels.
"""
from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

MAX_STEPS = 10_000  # of an episode where the environment sets no limit
_MAX_ACTIONS = 1 << 12
_MAX_NUMBERS = 1 << 14  # of an observation that is not a picture
_MAX_PIXELS = 128  # along one side of a picture
_MAX_CHANNELS = 16
_FRAME_RATE = 30.0  # frames a second where the environment does not say
# Gymnasium's families of environments, and the extras that install their dependencies.
_EXTRAS = {"classic_control": "classic-control", "box2d": "box2d", "mujoco": "mujoco",
           "toy_text": "toy-text", "phys2d": "jax", "tabular": "jax"}


class Actions(NamedTuple):
    """An action space.

    Attributes:
      discrete: an action is an integer from 0 to `size` - 1; otherwise `size` numbers.
      size: the number of discrete actions, or A.
      low: the lower bound of each number, finite; () for discrete actions.
      high: the upper bound of each number.
    """

    discrete: bool
    size: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def zeros(self, *leading: int) -> np.ndarray:
        """Returns zeros: actions int32 `[...]` or float32 `[..., A]`."""
        if self.discrete:
            return np.zeros(leading, np.int32)
        return np.zeros([*leading, self.size], np.float32)

    def clip(self, actions: np.ndarray) -> np.ndarray:
        """Clips actions to the bounds; int32 `[...]` or float32 `[..., A]`."""
        if self.discrete:
            return np.asarray(actions, np.int32)
        return np.clip(actions, self.low, self.high).astype(np.float32)


class Game(NamedTuple):
    """The description of a Gymnasium environment.

    Attributes:
      name: of the environment.
      observed_indices: indices of the observation's numbers that are visible; () for all.
      observation_shape: of one observation: `[O]`, or `[H, W, C]` of a picture.
      image: observations are pictures, uint8; otherwise float32 numbers.
      actions: the action space.
      max_steps: the time limit of an episode.
      render_modes: Gymnasium's names of how the environment can be rendered.
      frame_rate: frames a second.
    """

    name: str
    observed_indices: tuple[int, ...]
    observation_shape: tuple[int, ...]
    image: bool
    actions: Actions
    max_steps: int
    render_modes: tuple[str, ...] = ()
    frame_rate: float = _FRAME_RATE

    def zeros(self, *leading: int) -> np.ndarray:
        """Returns zeros: observations `[..., *observation_shape]`."""
        return np.zeros([*leading, *self.observation_shape], np.uint8 if self.image else np.float32)


class ObservedNumbers(gymnasium.ObservationWrapper, gymnasium.utils.RecordConstructorArgs):
    """Keeps some numbers of a vector only, which makes the environment partially observed."""

    def __init__(self, env: gymnasium.Env, indices: Sequence[int]):
        """Args: env: its observations are a Box of one axis. indices: the numbers to keep."""
        gymnasium.utils.RecordConstructorArgs.__init__(self, indices=indices)
        gymnasium.ObservationWrapper.__init__(self, env)
        self._indices = list(indices)
        space = env.observation_space
        assert isinstance(space, spaces.Box)
        self.observation_space = spaces.Box(
            space.low[self._indices], space.high[self._indices], dtype=space.dtype.type)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Returns the visible numbers."""
        return observation[self._indices]


def game(name: str, observed_indices: Sequence[int] = ()) -> Game:
    """Describes an environment.

    Args:
      name: of a Gymnasium environment.
      observed_indices: indices of the observation's numbers that are visible; () for all.

    Raises:
      UsageError: there is no such environment, a dependency of it is not installed, or its
        observations or actions are not supported.
    """
    env = make(name, observed_indices)
    try:
        image = _is_image(env.observation_space)
        shape = _picture_shape(env.observation_space) if image else env.observation_space.shape
        modes = env.metadata.get("render_modes") or ()
        rate = env.metadata.get("render_fps") or _FRAME_RATE
        assert shape is not None and env.spec is not None
        return Game(name, tuple(observed_indices), tuple(shape), image,
                    _actions(name, env.action_space), int(env.spec.max_episode_steps or 0),
                    tuple(modes), float(rate))
    finally:
        env.close()


def make(
    name: str, observed_indices: Sequence[int] = (), render_mode: str | None = None
) -> gymnasium.Env:
    """Makes an environment that observes a vector of numbers or a picture; raises as `game`."""
    options: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # coloured warnings of old versions
            env = gymnasium.make(name, disable_env_checker=True, **options)
    except gymnasium.error.UnregisteredEnv as error:
        raise UsageError(
            f"game: expected a Gymnasium environment that is installed, such as CartPole-v1; got "
            f"{short_repr(name)}. {error} For one of another package or your own, give "
            "--game-module MODULE.") from None
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        hint = "" if "pip install" in str(error) else _extra(name)
        raise UsageError(
            f"game={name} needs a package that is not installed: {error}{hint}") from None
    except Exception as error:
        raise UsageError(f"game={name} cannot be made: {describe_error(error)}") from error
    if env.spec is None or not env.spec.max_episode_steps:
        env = gymnasium.wrappers.TimeLimit(env, MAX_STEPS)
    return _with_observed(_as_supported(name, env), name, observed_indices)


def hide_windows() -> None:
    """Lets environments render without a display, and without a warning on stderr."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def describe_error(error: Exception) -> str:
    """Formats an environment's error in one short line."""
    return f"{type(error).__name__}: {short_repr(str(error), 200)}"


def _extra(name: str) -> str:
    """Returns how to install an environment's dependencies; "" if that is unknown."""
    spec = gymnasium.registry.get(name)
    parts = str(spec.entry_point).split(".") if spec is not None else []
    extra = next((_EXTRAS[part] for part in parts if part in _EXTRAS), None)
    return f" (pip install 'gymnasium[{extra}]')" if extra else ""


def _is_image(space: spaces.Space) -> bool:
    """Returns whether observations are pictures: bytes in two or three axes."""
    return (isinstance(space, spaces.Box) and space.dtype == np.uint8
            and len(space.shape) in (2, 3))


def _picture_shape(space: spaces.Space) -> tuple[int, ...]:
    """Returns `[H, W, C]` of a space of pictures."""
    assert space.shape is not None
    return (*space.shape, 1) if len(space.shape) == 2 else space.shape


def _as_supported(name: str, env: gymnasium.Env) -> gymnasium.Env:
    """Flattens observations that are neither vectors nor pictures."""
    space = env.observation_space
    if _is_image(space):
        height, width, channels = _picture_shape(space)
        if max(height, width) <= _MAX_PIXELS and channels <= _MAX_CHANNELS:
            return env
    elif isinstance(space, spaces.Box) and len(space.shape) == 1:
        if 0 < space.shape[0] <= _MAX_NUMBERS:
            return env
    elif space.is_np_flattenable and 0 < spaces.flatdim(space) <= _MAX_NUMBERS:
        return gymnasium.wrappers.FlattenObservation(env)
    raise UsageError(
        f"game={name}: its observations are not supported. Expected numbers (a Box, Discrete, "
        "MultiDiscrete or MultiBinary space, or a Dict or Tuple of these), at most "
        f"{_MAX_NUMBERS} of them, or uint8 pictures [height, width, channels] of at most "
        f"{_MAX_PIXELS} x {_MAX_PIXELS} x {_MAX_CHANNELS}; got {short_repr(space)}.")


def _with_observed(env: gymnasium.Env, name: str, indices: Sequence[int]) -> gymnasium.Env:
    if not indices:
        return env
    shape = env.observation_space.shape or ()
    if _is_image(env.observation_space):
        raise UsageError(f"observed_indices: expected a game whose observation is numbers; "
                         f"{name} shows pictures.")
    if len(set(indices)) < len(indices) or not all(0 <= index < shape[0] for index in indices):
        raise UsageError(
            f"observed_indices: expected different numbers from 0 to {shape[0] - 1}, as {name} "
            f"shows {shape[0]} numbers; got {list(indices)}.")
    return ObservedNumbers(env, indices)


def _actions(name: str, space: spaces.Space) -> Actions:
    if isinstance(space, spaces.Discrete) and 0 < space.n <= _MAX_ACTIONS:
        return Actions(True, int(space.n))
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        size = math.prod(space.shape)
        if 0 < size <= _MAX_ACTIONS and space.is_bounded():
            return Actions(False, size, *(tuple(map(float, bound.ravel()))
                                          for bound in (space.low, space.high)))
    raise UsageError(
        f"game={name}: its actions are not supported. Expected one of at most {_MAX_ACTIONS} "
        f"choices (a Discrete space), or numbers between finite bounds (a Box); got "
        f"{short_repr(space)}.")
