# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Rollouts in the model, and the beliefs that they start from.

Axes: B batch, T time, H imagined steps, D numbers of an observation, A of an action, F features,
N recorded episodes.
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

from ..envs.replay import Episode, Transitions
from .model import Belief, World


class SampledAction(NamedTuple):
    """An action and the sample that it was computed from."""

    # Encoded, `[..., A]`; differentiable by the policy's weights (a discrete one by the
    # straight-through estimator)
    action: Tensor
    sample: Nest = ()  # the index, int32 `[...]`, or the normal variable before tanh, `[..., A]`
    features: Nest = ()  # the policy's input, `[..., F]`; () where there is none


class Rollout(NamedTuple):
    """Imagined steps."""

    acts: SampledAction  # the actions, `[B, H, *]`
    observations: Tensor  # after each step, in the environment's units, `[B, H, D]`
    rewards: Tensor  # means, in the environment's units, `[B, H]`
    continues: Tensor  # probability that the episode continues after each step, `[B, H]`
    last: Belief  # the belief after the last step, `[B, ...]`


def imagine(
    world: World, belief: Belief, horizon: int, *,
    act: Callable[[Belief, Seed], SampledAction] | None = None, actions: Tensor | None = None,
    temperature: float = 1.0, seed: Seed,
) -> Rollout:
    """Rolls the model out for H steps, with actions of a policy or with recorded ones.

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
        sampled = SampledAction(action) if act is None else act(before, act_seed)
        imagined = world.imagine_step(
            before, world.context(before, sampled.action), temperature=temperature, seed=draw_seed)
        after = imagined.belief
        return (sampled, after.observation, imagined.reward, imagined.continues), after

    (sampled, observation, reward, continues), last = unroll.scan(
        step, (seeds.per_step(seed, horizon), recorded), belief)
    return Rollout(sampled, observation, reward, continues, last)


def infer_beliefs(world: World, batch: Batch) -> tuple[Belief, Tensor]:
    """Infers the belief after each step of recorded windows, batches of `World.batch`.

    A window of one terminal step, a whole game, has the belief before it instead.

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
    over = ~tf.reduce_any(valid, 1)  # nothing could be imagined from such a window
    beliefs = tf.nest.map_structure(
        lambda before, after: tf.concat([before[:, None], after[:, 1:]], 1),
        nest.where(over, first, tf.nest.map_structure(lambda x: x[:, 0], beliefs)), beliefs)
    valid |= over[:, None] & (steps == 0)
    return nest.merge_leading((beliefs, valid))


def belief_after(world: World, episodes: Sequence[Episode], num_steps: int) -> Belief:
    """Infers the beliefs after the first `num_steps` steps, 0 or more, of N episodes, `[N, ...]`.
    """
    def stack(name: str, start: int = 0, count: int = num_steps) -> np.ndarray:
        return np.stack([getattr(episode, name)[start:start + count] for episode in episodes])

    rows = len(episodes)
    if not num_steps:
        first = stack("observations", count=1).reshape(rows, -1)
        return world.first_belief(tf.constant(first, tf.float32))
    steps = Transitions(
        stack("observations"), stack("actions"), stack("observations", 1), stack("rewards"),
        np.zeros([rows, num_steps], bool))
    beliefs, _ = infer_beliefs(world, world.batch(steps, np.full([rows], num_steps, np.int32)))
    return tf.nest.map_structure(lambda x: x[num_steps - 1::num_steps], beliefs)
