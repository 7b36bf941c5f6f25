# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A trained model and policy, restored from a run's directory.

Axes: L imagined steps, A numbers of an action.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir

from ..envs import env
from ..envs.env import Game
from ..envs.replay import Episode, Replay
from ..hparams import PlayHParams
from ..world_model.imagination import belief_after, imagine
from ..world_model.model import World
from .agents import AgentPlayer, PolicyActor
from .learner import Learner


class ImaginedEpisode(NamedTuple):
    """The continuation of an episode in the model."""

    observations: np.ndarray  # after each step, in the environment's units, float32 `[L, ...]`
    rewards: np.ndarray  # means, `[L]`
    continues: np.ndarray  # probability that the episode continues after each step, `[L]`
    actions: np.ndarray  # int `[L]` or float `[L, A]`


class TrainedAgent:
    """A trained model of a game and the policy trained in it.

    Attributes:
      hparams: of their training.
      game: the description of the environment.
      world: the model.
    """

    def __init__(self, hparams: PlayHParams, learner: Learner):
        self.hparams = hparams
        self.game: Game = learner.game
        self.world: World = learner.world
        self._policy = learner.policy

    def player(self, *, greedy: bool = True, temperature: float = 1.0) -> AgentPlayer:
        """Returns a player for real environments."""
        return AgentPlayer(self._actor(greedy, temperature), jit_compile=self.hparams.jit_compile)

    def imagine(
        self, episode: Episode, *, num_observed: int, length: int, own_actions: bool, seed: int
    ) -> ImaginedEpisode:
        """Continues an episode by L steps in the model alone, after its first `num_observed` steps.

        The policy acts with `own_actions`; otherwise the recorded actions are repeated.

        Raises:
          ValueError: the episode is too short.
        """
        needed = num_observed if own_actions else num_observed + length
        if num_observed < 0 or length < 1 or needed > episode.num_steps:
            raise ValueError(
                f"expected an episode of at least {needed} steps, to imagine {length} after "
                f"{num_observed}, got one of {episode.num_steps}.")
        actions, act = None, None
        if own_actions:
            act = self._actor(greedy=True).act
        else:
            recorded = episode.actions[num_observed:num_observed + length]
            actions = tf.constant(self.game.actions.encode(recorded)[None])
        belief = belief_after(self.world, [episode], num_observed)
        rollout = imagine(
            self.world, belief, length, act=act, actions=actions, seed=seeds.make(seed))
        observations = rollout.observations[0].numpy()
        return ImaginedEpisode(
            observations.reshape(length, *self.game.observation_shape),
            rollout.rewards[0].numpy(), rollout.continues[0].numpy(),
            self.game.actions.decode(rollout.acts.action[0].numpy()))

    def _actor(self, greedy: bool, temperature: float = 1.0) -> PolicyActor:
        return PolicyActor(self.world, self._policy, greedy=greedy, temperature=temperature,
                           memory=self.hparams.memory)


def load(log_dir: LogDir) -> TrainedAgent:
    """Restores the best agent in `log_dir` by its evaluations, or else the latest.

    Raises:
      ValueError: there is no checkpoint, or it does not fit.
      UsageError: the environment is not registered.
    """
    learner = _learner(log_dir)
    _restore(log_dir, learner.weights, best=True)
    return TrainedAgent(learner.hparams, learner)


def load_with_replay(log_dir: LogDir) -> tuple[TrainedAgent, Replay]:
    """Restores the latest agent and the episodes that it was trained on; raises as `load`."""
    learner = _learner(log_dir)
    _restore(log_dir, {**learner.weights, "replay": learner.replay}, best=False)
    return TrainedAgent(learner.hparams, learner), learner.replay


def _learner(log_dir: LogDir) -> Learner:
    hparams = log_dir.hparams(PlayHParams)
    game = env.game(hparams.game, hparams.observed_indices)
    return Learner(hparams, game, seed=log_dir.seed())


def _restore(log_dir: LogDir, objects: dict[str, tf.Module], *, best: bool) -> None:
    if Checkpoints(log_dir.checkpoints).restore(objects, best=best) is None:
        raise ValueError(
            f"{str(log_dir.path)!r}: expected a checkpoint, found none. Train first.")
