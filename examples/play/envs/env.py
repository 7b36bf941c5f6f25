# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gymnasium environments: their description and their construction.

Wrappers give every environment plain spaces. An observation is a vector of numbers or a small
picture; other spaces that Gymnasium can flatten are flattened. An action is an integer from 0, or a
vector of numbers between bounds.

Axes: [...] leading dimensions, O numbers of an observation, A of an action, H height, W width,
C channels.
"""
from __future__ import annotations

import contextlib
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
    """An action space."""

    discrete: bool  # an action is an integer from 0 to `size` - 1; otherwise `size` numbers
    size: int  # the number of discrete actions, or A
    low: tuple[float, ...] = ()  # the lower bound of each number, finite; () for discrete actions
    high: tuple[float, ...] = ()  # the upper bound of each number

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

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Encodes actions for networks: one-hot, or scaled to [-1, 1]; float32 `[..., A]`."""
        if self.discrete:
            return np.eye(self.size, dtype=np.float32)[actions]
        middle, half = self._middle_and_half()
        return np.float32((actions - middle) / half)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Inverts `encode`: int `[...]` or float32 `[..., A]`."""
        if self.discrete:
            return np.argmax(encoded, axis=-1)
        middle, half = self._middle_and_half()
        return np.float32(middle + half * encoded)

    def _middle_and_half(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = (np.array(bound, np.float32) / 2 for bound in (self.low, self.high))
        half = high - low  # of halves, as the whole range may exceed float32
        return low + high, np.where(half > 0, half, 1)


class Game(NamedTuple):
    """The description of a Gymnasium environment."""

    name: str  # of the environment
    # Indices of the observation's numbers that are visible; () for all
    observed_indices: tuple[int, ...]
    observation_shape: tuple[int, ...]  # of one observation: `[O]`, or `[H, W, C]` of a picture
    image: bool  # observations are pictures, uint8; otherwise float32 numbers
    actions: Actions  # the action space
    max_steps: int  # the time limit of an episode
    render_modes: tuple[str, ...] = ()  # Gymnasium's names of how the environment can be rendered
    frame_rate: float = _FRAME_RATE  # frames a second

    def zeros(self, *leading: int) -> np.ndarray:
        """Returns zeros: observations `[..., *observation_shape]`."""
        return np.zeros([*leading, *self.observation_shape], np.uint8 if self.image else np.float32)


def game(name: str, observed_indices: Sequence[int] = ()) -> Game:
    """Describes a Gymnasium environment with the numbers of its observations that are visible.

    Raises:
      UsageError: there is no such environment, a dependency of it is not installed, or its
        observations or actions are not supported.
    """
    env = make(name, observed_indices)
    try:
        space: Any = env.observation_space
        actions: Any = env.action_space
        assert env.spec is not None
        return Game(
            name, tuple(observed_indices), space.shape, _is_image(space),
            Actions(True, int(actions.n)) if isinstance(actions, spaces.Discrete) else Actions(
                False, *actions.shape, *(tuple(bound.tolist())
                                         for bound in (actions.low, actions.high))),
            int(env.spec.max_episode_steps or 0), tuple(env.metadata.get("render_modes") or ()),
            float(env.metadata.get("render_fps") or _FRAME_RATE))
    finally:
        close(env)


def make(
    name: str, observed_indices: Sequence[int] = (), render_mode: str | None = None
) -> gymnasium.Env:
    """Makes a Gymnasium environment with plain spaces; see `game` for the arguments and errors."""
    if ":" in name:  # Gymnasium would import what is before it, and log directories are data
        raise UsageError(f"game: expected a name without a module, got {short_repr(name)}. Import "
                         "it with --game-module MODULE.")
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
    if not all(hasattr(env, space) for space in ("observation_space", "action_space")):
        raise UsageError(f"game={name} cannot be made: expected an environment with an "
                         "observation_space and an action_space.")
    env = _with_plain_actions(name, _with_plain_observations(name, env))
    return _with_visible(name, env, observed_indices) if observed_indices else env


def close(env: gymnasium.Env) -> None:
    """Closes an environment; ignores an error of it, as all results are there by then."""
    with contextlib.suppress(Exception):
        env.close()


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
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def _with_plain_observations(name: str, env: gymnasium.Env) -> gymnasium.Env:
    """Returns an environment that observes a vector `[O]` or a picture `[H, W, C]`."""
    space = env.observation_space
    if _is_image(space):
        height, width, channels = shape = (*(space.shape or ()), 1)[:3]
        if max(height, width) <= _MAX_PIXELS and channels <= _MAX_CHANNELS:
            return env if shape == space.shape else gymnasium.wrappers.ReshapeObservation(
                env, shape)
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


def _with_plain_actions(name: str, env: gymnasium.Env) -> gymnasium.Env:
    """Returns an environment whose actions are integers from 0, or a vector `[A]`."""
    space = env.action_space
    if isinstance(space, spaces.Discrete) and 0 < space.n <= _MAX_ACTIONS:
        start = int(space.start)
        return env if not start else gymnasium.wrappers.TransformAction(
            env, lambda action: action + start, spaces.Discrete(space.n))
    if (isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
            and 0 < math.prod(space.shape) <= _MAX_ACTIONS and space.is_bounded()):
        shape, dtype = space.shape, space.dtype
        plain = len(shape) == 1 and dtype == np.float32
        # float32 rounds a bound such as 0.1 beyond it, which environments may refuse.
        return env if plain else gymnasium.wrappers.TransformAction(
            env, lambda action: np.clip(
                action.astype(dtype).reshape(shape), space.low, space.high),
            spaces.Box(space.low.ravel(), space.high.ravel(), dtype=dtype.type))
    raise UsageError(
        f"game={name}: its actions are not supported. Expected one of at most {_MAX_ACTIONS} "
        f"choices (a Discrete space), or numbers between finite bounds (a Box); got "
        f"{short_repr(space)}.")


def _with_visible(name: str, env: gymnasium.Env, indices: Sequence[int]) -> gymnasium.Env:
    """Returns an environment that observes some numbers only."""
    space: Any = env.observation_space
    if _is_image(space):
        raise UsageError(f"observed_indices: expected a game whose observation is numbers; "
                         f"{name} shows pictures.")
    if len(set(indices)) < len(indices) or not all(0 <= i < space.shape[0] for i in indices):
        raise UsageError(
            f"observed_indices: expected different numbers from 0 to {space.shape[0] - 1}, as "
            f"{name} shows {space.shape[0]} numbers; got {list(indices)}.")
    visible = list(indices)
    return gymnasium.wrappers.TransformObservation(
        env, lambda observation: observation[visible],
        spaces.Box(space.low[visible], space.high[visible], dtype=space.dtype.type))
