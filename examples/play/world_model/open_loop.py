# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Open-loop prediction errors on held-out episodes, given their actions.

Errors are root mean squares over episodes and numbers, each number in units of its standard
deviation in the training data. There are two baselines:

    unchanged   x_t+k = x_t
    linear      x_t+1 = x_t + W (x_t, a_t, 1), fitted by least squares to the training data

Axes: G episodes, H steps ahead, D numbers of an observation, A of an action.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds

from ..envs.replay import Episode, Transitions
from .imagination import belief_after, imagine
from .model import World

_NEARLY_ZERO = 1e-6  # temperature: the most likely change of each step


class Errors(NamedTuple):
    """Errors at 1 to H steps ahead, `[H]` each."""

    model: np.ndarray  # of the model
    unchanged: np.ndarray  # of predicting no change
    linear: np.ndarray  # of a linear model


def open_loop_errors(
    world: World, trained_on: Transitions, episodes: Sequence[Episode], *, num_observed: int,
    horizon: int, seed: int = 0,
) -> Errors:
    """Predicts held-out episodes up to `horizon` steps beyond their first `num_observed`.

    Episodes of fewer steps are left out.

    Raises:
      ValueError: no episode is long enough.
    """
    long_enough = [episode for episode in episodes if episode.num_steps >= num_observed + horizon]
    if not long_enough:
        raise ValueError(f"expected an episode of at least {num_observed} + {horizon} steps to "
                         f"predict, got none among {len(episodes)}.")
    end = num_observed + horizon
    actions = np.stack([world.game.actions.encode(episode.actions[num_observed:end])
                        for episode in long_enough])
    observed = np.stack([_flat(episode.observations[num_observed:end + 1])
                         for episode in long_enough])
    linear = _roll_linear(_fit_linear(world, trained_on), observed[:, 0], actions)
    unchanged = np.repeat(observed[:, :1], horizon, 1)
    rollout = imagine(
        world, belief_after(world, long_enough, num_observed), horizon,
        actions=tf.constant(actions), temperature=_NEARLY_ZERO, seed=seeds.make(seed))
    predicted = rollout.observations.numpy()
    deviation = _flat(trained_on.before).std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return Errors(*(np.sqrt(np.mean(((guess - observed[:, 1:]) / scale) ** 2, axis=(0, 2)))
                    for guess in (predicted, unchanged, linear)))


def _fit_linear(world: World, trained_on: Transitions) -> np.ndarray:
    """Fits W, `[D + A + 1, D]`, to the change of each step."""
    x = _flat(trained_on.before)
    action = world.game.actions.encode(trained_on.actions)
    inputs = np.concatenate([x, action, np.ones([len(x), 1])], 1)
    return np.linalg.lstsq(inputs, _flat(trained_on.after) - x, rcond=None)[0]


def _roll_linear(weights: np.ndarray, first: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Rolls the linear model out, `[G, H, D]`."""
    x, steps = first, []
    for action in np.swapaxes(actions, 0, 1):
        x = x + np.concatenate([x, action, np.ones([len(x), 1])], 1) @ weights
        steps.append(x)
    return np.stack(steps, 1)


def _flat(observations: np.ndarray) -> np.ndarray:
    return np.reshape(observations, [len(observations), -1]).astype(np.float64)
