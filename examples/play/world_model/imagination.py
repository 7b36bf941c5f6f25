# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Games that a policy plays in the model, from states inferred on real ones.

Axes: B batch, T time, H steps imagined, A numbers of an action, F features.
"""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.data import Batch
from vaeseq.nn.scan import unroll
from vaeseq.types import Seed, Tensor

from ..actor_critic.agents import Actor
from ..actor_critic.policy import Policy
from .model import Belief, World


class Rollout(NamedTuple):
    """Imagined games.

    Attributes:
      features: what the policy read, and would read after the last step, `[B, H + 1, F]`.
      drawn: `Act.drawn`, `[B, H]` or `[B, H, A]`.
      rewards: means, in the game's units, `[B, H]`.
      going: the probability that the game goes on after each step, `[B, H]`.
    """

    features: Tensor
    drawn: Tensor
    rewards: Tensor
    going: Tensor


def beliefs(world: World, batch: Batch) -> tuple[Belief, Tensor]:
    """What a player knew after each step of recorded games.

    Args:
      world: the model.
      batch: of `World.batch`; rows begin with nothing but their first observation known.

    Returns:
      Beliefs `[B * T, ...]`, and bool `[B * T]`: false for padding and where the game has ended.
    """
    controls, observed = batch.inputs, batch.observed

    def step(inputs: tuple, belief: Belief) -> tuple[Belief, Belief]:
        action, transition = inputs
        belief = world.update(belief, world.context(belief, action), transition)
        return belief, belief

    first = world.first_belief(world.in_units(controls.observation[:, 0]))
    each, _ = unroll.scan(step, (controls.action, observed), first)
    steps = tf.range(nest.leading_dim(controls, 1))
    valid = (steps < batch.lengths[:, None]) & (observed.going > 0.5)
    return nest.merge_leading((each, valid))


def imagine(
    world: World, policy: Policy, belief: Belief, horizon: int, *, memory: bool = True, seed: Seed
) -> Rollout:
    """Plays on from what is known.

    Args:
      world: the model.
      policy: who plays.
      belief: `[B, ...]`.
      horizon: H.
      memory: whether the policy reads the core's state.
      seed: int32 `[2]`.
    """
    def step(step_seed: Tensor, now: Belief) -> tuple[tuple, Belief]:
        act_seed, draw_seed = seeds.split(step_seed[0], 2)
        features = world.features(now, memory)
        act = policy.sample(policy(features), seed=act_seed)
        imagined = world.imagine(now, world.context(now, act.action), seed=draw_seed)
        return (features, act.drawn, imagined.reward, imagined.going), imagined.belief

    steps, last = unroll.scan(step, seeds.per_step(seed, horizon), belief)
    features, drawn, rewards, going = steps
    features = tf.concat([features, world.features(last, memory)[:, None]], 1)
    return Rollout(features, drawn, rewards, going)


class Dreamt(NamedTuple):
    """Games that went on in the model, as the game would show them.

    Attributes:
      observations: after each step, `[B, H, D]`.
      rewards: means, `[B, H]`.
      going: the probability that the game goes on after each step, `[B, H]`.
      actions: encoded, `[B, H, A]`.
    """

    observations: Tensor
    rewards: Tensor
    going: Tensor
    actions: Tensor


def dream(
    actor: Actor, belief: Belief, actions: Tensor, *, own_actions: bool = False,
    temperature: float = 1.0, seed: Seed,
) -> Dreamt:
    """Goes on from what is known, with given actions or an actor's own.

    Args:
      actor: who acts, in its world.
      belief: `[B, ...]`.
      actions: encoded, `[B, H, A]`.
      own_actions: the actor acts; of the actions given only the number counts.
      temperature: of observations; near 0 gives the most likely change of each step.
      seed: int32 `[2]`.
    """
    world = actor.world

    def step(inputs: tuple, now: Belief) -> tuple[Dreamt, Belief]:
        action, step_seed = inputs
        act_seed, draw_seed = seeds.split(step_seed[0], 2)
        if own_actions:
            action = actor.act(now, seed=act_seed)
        imagined = world.imagine(
            now, world.context(now, action), temperature=temperature, seed=draw_seed)
        after = imagined.belief
        return Dreamt(after.observation, imagined.reward, imagined.going, action), after

    return unroll.scan(step, (actions, seeds.per_step(seed, actions.shape[1])), belief)[0]
