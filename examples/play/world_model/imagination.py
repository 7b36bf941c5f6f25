# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rollouts in the model, and the beliefs that they start from.

Axes: B batch, T time, H imagined steps, A numbers of an action, N recorded episodes.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.data import Batch
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor

from ..envs.replay import Episode, Windows
from .model import Belief, World


class SampledAction(NamedTuple):
    """An action and the sample that it was computed from.

    Attributes:
      action: encoded, `[..., A]`; differentiable by the policy's weights (a discrete one by the
        straight-through estimator).
      sample: the index, int32 `[...]`, or the normal variable before tanh, `[..., A]`.
    """

    action: Tensor
    sample: Tensor


class Rollout(NamedTuple):
    """Imagined steps.

    Attributes:
      beliefs: before each step and after the last, `[B, H + 1, ...]`.
      actions: encoded, `[B, H, A]`.
      samples: `SampledAction.sample`, `[B, H]` or `[B, H, A]`; () for recorded actions.
      rewards: means, in the environment's units, `[B, H]`.
      continues: probability that the episode continues after each step, `[B, H]`.
    """

    beliefs: Belief
    actions: Tensor
    samples: Nest
    rewards: Tensor
    continues: Tensor


def imagine(
    world: World, belief: Belief, horizon: int, *,
    act: Callable[[Belief, Seed], SampledAction] | None = None, actions: Tensor | None = None,
    temperature: float = 1.0, seed: Seed,
) -> Rollout:
    """Rolls the model out, with actions of a policy or with recorded ones.

    Args:
      world: the model.
      belief: where the rollout starts, `[B, ...]`.
      horizon: H.
      act: chooses an action, given the belief and a seed.
      actions: recorded actions, encoded, `[B, H, A]`; given instead of `act`.
      temperature: of the observations; near 0 it takes the most likely change of each step.
      seed: int32 `[2]`.
    """
    recorded = () if actions is None else actions

    def step(inputs: tuple, before: Belief) -> tuple[tuple, Belief]:
        step_seed, action = inputs
        act_seed, draw_seed = seeds.split(step_seed[0], 2)
        sample: Nest = ()
        if act is not None:
            action, sample = act(before, act_seed)
        imagined = world.imagine_step(
            before, world.context(before, action), temperature=temperature, seed=draw_seed)
        return (before, action, sample, imagined.reward, imagined.continues), imagined.belief

    steps, last = unroll.scan(step, (seeds.per_step(seed, horizon), recorded), belief)
    beliefs = tf.nest.map_structure(
        lambda each, end: tf.concat([each, end[:, None]], 1), steps[0], last)
    return Rollout(beliefs, *steps[1:])


def infer_beliefs(world: World, batch: Batch) -> tuple[Belief, Tensor]:
    """Infers the belief after each step of recorded windows.

    Args:
      world: the model.
      batch: of `World.batch`; each row starts with only its first observation known.

    Returns:
      Beliefs `[B * T, ...]`, and bool `[B * T]`: false for padding and for terminated episodes.
    """
    controls, observed = batch.inputs, batch.observed

    def step(inputs: tuple, belief: Belief) -> tuple[Belief, Belief]:
        action, transition = inputs
        belief = world.update(belief, world.context(belief, action), transition)
        return belief, belief

    first = world.first_belief(world.in_units(controls.observation[:, 0]))
    beliefs, _ = unroll.scan(step, (controls.action, observed), first)
    steps = tf.range(nest.leading_dim(controls, 1))
    valid = (steps < batch.lengths[:, None]) & (observed.continues > 0.5)
    return nest.merge_leading((beliefs, valid))


def belief_after(world: World, episodes: Sequence[Episode], num_steps: int) -> Belief:
    """Infers the beliefs after the first steps of episodes, `[N, ...]`.

    Args:
      world: the model.
      episodes: each of at least `num_steps` steps.
      num_steps: 0 for the belief at the first observation.
    """
    def stack(name: str, start: int = 0, count: int = num_steps) -> np.ndarray:
        return np.stack([getattr(episode, name)[start:start + count] for episode in episodes])

    rows = len(episodes)
    if not num_steps:
        first = stack("observations", count=1).reshape(rows, -1)
        return world.first_belief(tf.constant(first, tf.float32))
    windows = Windows(
        stack("observations"), stack("actions"), stack("observations", 1), stack("rewards"),
        np.zeros([rows, num_steps], bool), np.full([rows], num_steps, np.int32))
    beliefs, _ = infer_beliefs(world, world.batch(windows))
    return tf.nest.map_structure(lambda x: x[num_steps - 1::num_steps], beliefs)
