# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What was learnt, ready to play and to dream.

Axes: N moves of a recorded game, L steps dreamt, D numbers of an observation, A of an action.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.types import Tensor

from ..envs import env
from ..envs.env import Game
from ..envs.replay import Episode, Replay, Windows
from ..hparams import PlayHParams
from ..world_model import imagination
from ..world_model.controls import decode, encode
from ..world_model.model import Belief, World
from .agents import Player, PolicyActor
from .learner import Learner


class Dream(NamedTuple):
    """A game as the model goes on with it.

    Attributes:
      observations: after each step, in the game's units, float32 `[L, ...]`.
      rewards: means, `[L]`.
      going: the probability that the game goes on after each step, `[L]`.
      actions: that were taken, int `[L]` or float `[L, A]`.
    """

    observations: np.ndarray
    rewards: np.ndarray
    going: np.ndarray
    actions: np.ndarray


class TrainedAgent:
    """A trained model of a game and the policy learnt in it.

    Attributes:
      hparams: they were trained with.
      game: which.
      world: the model.
    """

    def __init__(self, hparams: PlayHParams, learner: Learner):
        self.hparams = hparams
        self.game: Game = learner.game
        self.world: World = learner.world
        self._policy = learner.policy

    def player(self, *, greedy: bool = True, temperature: float = 1.0) -> Player:
        """Plays real games."""
        return Player(self._actor(greedy, temperature), jit_compile=self.hparams.jit_compile)

    def dream(
        self, episode: Episode, *, given: int, length: int, own_actions: bool, seed: int
    ) -> Dream:
        """Goes on with a recorded game in the model alone.

        Args:
          episode: the game.
          given: how many of its moves are known; the model has seen what followed them.
          length: L.
          own_actions: the policy acts; otherwise the game's own actions are taken.
          seed: of what is random.

        Raises:
          ValueError: the game has too few moves.
        """
        needed = given if own_actions else given + length
        if given < 0 or length < 1 or needed > episode.num_moves:
            raise ValueError(
                f"expected a game of at least {needed} moves, to dream {length} after {given}, "
                f"got one of {episode.num_moves}.")
        belief = self._known(episode, given)
        actions = np.zeros([1, length, self.game.actions.size], np.float32)
        if not own_actions:
            actions[0] = encode(self.game.actions, episode.actions[given:given + length])
        dreamt = imagination.dream(self._actor(), belief, tf.constant(actions),
                                   own_actions=own_actions, seed=seeds.make(seed))
        observations, rewards, going, taken = (step[0].numpy() for step in dreamt)
        return Dream(observations.reshape(length, *self.game.observation_shape), rewards, going,
                     decode(self.game.actions, taken))

    def _actor(self, greedy: bool = True, temperature: float = 1.0) -> PolicyActor:
        return PolicyActor(self.world, self._policy, greedy=greedy, temperature=temperature,
                           memory=self.hparams.memory)

    def _known(self, episode: Episode, given: int) -> Belief:
        """What a player knew after so many moves, `[1, ...]`."""
        first = self.world.first_belief(self._as_seen(episode.observations[:1]))
        if not given:
            return first
        rewards, terminated = episode.rewards[None, :given], np.zeros([1, given], bool)
        windows = Windows(
            episode.observations[None, :given], episode.actions[None, :given],
            episode.observations[None, 1:given + 1], rewards, terminated, np.ones([1], bool),
            np.array([given], np.int32))
        each, _ = imagination.beliefs(self.world, self.world.batch(windows))
        return tf.nest.map_structure(lambda x: x[-1:], each)

    def _as_seen(self, observations: np.ndarray) -> Tensor:
        return tf.constant(np.float32(observations).reshape(len(observations), -1))


def load(log_dir: LogDir) -> TrainedAgent:
    """What was learnt in `log_dir`: the best by its evaluations, or else the latest.

    Raises:
      ValueError: nothing was saved there, or it does not fit.
      UsageError: the game is not known.
    """
    learner = _learner(log_dir)
    _restore(log_dir, learner.weights, best=True)
    return TrainedAgent(learner.hparams, learner)


def load_with_games(log_dir: LogDir) -> tuple[TrainedAgent, Replay]:
    """The latest of what was learnt, and the games it was learnt from; raises as `load`."""
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
