# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How far ahead a model sees: what it says of games it does not know, given their actions alone.

Errors are root mean squares over games and numbers, each number in units of its standard deviation
in the games that were learnt from. Beside the model stand two that anybody can make:

    nothing changes     x_t+k = x_t
    linear              x_t+1 = W (x_t, a_t, 1), fitted by least squares to the same games

Axes: G games, H steps ahead, M recorded steps, D numbers of an observation, A of an action.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds

from ..actor_critic.agents import RandomActor
from ..envs.replay import Episode, Transitions, Windows
from . import imagination
from .controls import encode
from .model import World

_NEARLY_CERTAIN = 1e-6  # temperature: the most likely change of each step


class Errors(NamedTuple):
    """Of each number of steps ahead, from 1 to H: `[H]` each.

    Attributes:
      model: of the model.
      unchanged: of the guess that nothing changes.
      linear: of a linear model.
    """

    model: np.ndarray
    unchanged: np.ndarray
    linear: np.ndarray


def open_loop(
    world: World, learnt_from: Transitions, games: Sequence[Episode], *, given: int, horizon: int,
    seed: int = 0,
) -> Errors:
    """Predicts what held-out games came to, `horizon` steps on from their first `given`.

    Args:
      world: the model.
      learnt_from: what the model was trained on.
      games: held out; those of fewer than `given` + `horizon` moves are left out.
      given: moves that the model sees, at least 1.
      horizon: H.
      seed: of the model's latents.

    Raises:
      ValueError: no game is long enough.
    """
    long_enough = [game for game in games if game.num_moves >= given + horizon]
    if not long_enough:
        raise ValueError(f"expected a game of at least {given} + {horizon} moves to predict, got "
                         f"none among {len(games)}.")
    windows = _windows(long_enough, given)
    actions = np.stack([encode(world.game.actions, game.actions[given:given + horizon])
                        for game in long_enough])
    seen = np.stack([_flat(game.observations[given:given + horizon + 1]) for game in long_enough])
    linear = _rolled(_fitted(world, learnt_from), seen[:, 0], actions)
    unchanged = np.repeat(seen[:, :1], horizon, 1)
    predicted = _dreamt(world, windows, actions, seed)
    deviation = _flat(learnt_from.before).std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return Errors(*(np.sqrt(np.mean(((guess - seen[:, 1:]) / scale) ** 2, axis=(0, 2)))
                    for guess in (predicted, unchanged, linear)))


def _windows(games: Sequence[Episode], given: int) -> Windows:
    """The beginnings of games, `[G, given]`."""
    def stack(name: str, start: int = 0) -> np.ndarray:
        return np.stack([getattr(game, name)[start:start + given] for game in games])

    rows = len(games)
    return Windows(
        stack("observations"), stack("actions"), stack("observations", 1), stack("rewards"),
        np.zeros([rows, given], bool), np.ones([rows], bool), np.full([rows], given, np.int32))


def _dreamt(world: World, windows: Windows, actions: np.ndarray, seed: int) -> np.ndarray:
    """What the model says, `[G, H, D]`."""
    given = windows.before.shape[1]
    each, _ = imagination.beliefs(world, world.batch(windows))
    last = tf.nest.map_structure(lambda x: x[given - 1::given], each)
    dreamt = imagination.dream(RandomActor(world), last, tf.constant(actions),
                               temperature=_NEARLY_CERTAIN, seed=seeds.make(seed))
    return dreamt.observations.numpy()


def _fitted(world: World, learnt_from: Transitions) -> np.ndarray:
    """W, `[D + A + 1, D]`, of the change that a step makes."""
    x = _flat(learnt_from.before)
    taken = encode(world.game.actions, learnt_from.actions)
    inputs = np.concatenate([x, taken, np.ones([len(x), 1])], 1)
    return np.linalg.lstsq(inputs, _flat(learnt_from.after) - x, rcond=None)[0]


def _rolled(weights: np.ndarray, first: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """What the linear model says, `[G, H, D]`."""
    x, steps = first, []
    for taken in np.swapaxes(actions, 0, 1):
        x = x + np.concatenate([x, taken, np.ones([len(x), 1])], 1) @ weights
        steps.append(x)
    return np.stack(steps, 1)


def _flat(observations: np.ndarray) -> np.ndarray:
    return np.reshape(observations, [len(observations), -1]).astype(np.float64)
