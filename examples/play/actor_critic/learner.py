# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The state of a training run: the model, the policy, the replay buffer and the counters.

`Learner.objects` holds everything that determines the rest of a run; random numbers derive from the
seed and the numbers of updates and episodes.

Axes: B batch, T time.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds
from vaeseq.data import Batch
from vaeseq.runs.checkpoint import SavedNest
from vaeseq.train.loss import TrainState
from vaeseq.train.ops import TrainMetrics

from ..envs.env import Game
from ..envs.replay import Episode, Replay
from ..envs.rollout import Player, RandomPlayer, play
from ..envs.vector_env import VectorEnv
from ..hparams import PlayHParams
from ..world_model.model import World
from .agents import AgentPlayer, PolicyActor
from .policy import Policy
from .policy_ops import PolicyOps, PolicyStep

_MODEL, _POLICY = 0, 1  # purposes of a batch's seed
_EVALUATION = 1_000_000_007  # added to the seed, so that evaluations start like no training episode
_GROWTH = 1.1  # of the replay buffer, after which its statistics are fitted again


class Counts(NamedTuple):
    """The counters of a run."""

    real_steps: int  # of the environment, without evaluations
    fitted_steps: int  # the real steps that the statistics were fitted to


class Learner:
    """Trains a model of a game and a policy in it.

    Attributes:
      game: the description of the environment.
      world: the model.
      policy: the average of its weights over updates.
      replay: the episodes played.
    """

    def __init__(self, hparams: PlayHParams, game: Game, *, seed: int):
        """Creates everything, with weights from the seed."""
        self.game = game
        self.hparams = hparams
        self._seed = seed
        self.world = World(hparams, game)
        self.replay = Replay(game, hparams.replay_steps)
        world_seed, policy_seed = seeds.split(seeds.make(seed), 2)
        self._model_ops = self.world.train_ops(world_seed)
        self._model_ops.build(self.world.empty_batch())
        latest = Policy(hparams, game.actions)
        self._policy_ops = PolicyOps(hparams, self.world, latest, seed=policy_seed)
        self._policy_ops.build()
        self.policy = self._policy_ops.average
        self._counts = SavedNest(Counts(*np.zeros([2], np.int64)))
        self._collector = self._player(
            latest, greedy=False, temperature=hparams.action_temperature)
        self._greedy = self._player(self.policy, greedy=True)

    @property
    def objects(self) -> dict[str, tf.Module]:
        """Everything that a checkpoint saves."""
        return {**self.weights, "model_ops": self._model_ops, "policy_ops": self._policy_ops,
                "replay": self.replay, "counts": self._counts}

    @property
    def weights(self) -> dict[str, tf.Module]:
        """The part of it that plays."""
        return {"world": self.world, "policy": self.policy}

    @property
    def real_steps(self) -> int:
        """Steps of the environment so far, without evaluations."""
        return int(self._counts.value().real_steps)

    def collect(self, envs: VectorEnv) -> list[Episode]:
        """Plays the episodes of a round, the first round at random, and stores them."""
        first, max_steps = self.replay.episodes_added, self.hparams.max_game_steps or None
        if not first:
            player: Player = RandomPlayer(self.game.actions)
            played = play(envs, player, num_steps=self.hparams.first_steps, max_steps=max_steps,
                          seed=self._seed)
        else:
            played = play(envs, self._collector, num_episodes=self.hparams.games_per_round,
                          max_steps=max_steps, seed=self._seed, first_episode=first)
        episodes = sorted(played, key=lambda episode: episode.number)
        for episode in episodes:
            self.replay.add(episode)
        counts = self._counts.value()
        steps = int(counts.real_steps) + sum(episode.num_steps for episode in episodes)
        self._counts.assign(Counts(steps, counts.fitted_steps))
        self._fit_statistics()
        return episodes

    def updates(self) -> Iterator[tuple[str, TrainMetrics | PolicyStep]]:
        """Makes the updates that are due, one by one.

        First come those of the model, in which the policy is trained. What is due follows from the
        steps played and the updates made, so that it does no harm to leave some for later.

        Yields:
          "model" or "policy", and the metrics of the update.
        """
        h = self.hparams
        if not self.replay.episodes_added:
            return
        for name, ratio, ops, update in (
                ("model", h.model_ratio, self._model_ops, self._update_model),
                ("policy", h.policy_ratio, self._policy_ops, self._update_policy)):
            total = round(h.first_updates + ratio * (self.real_steps - h.first_steps))
            for _ in range(total - int(ops.step)):
                yield name, update()

    def evaluate(self, envs: VectorEnv) -> np.ndarray:
        """Returns the scores of greedy episodes, `[N]`, which are not trained on."""
        number = self.hparams.eval_games
        played = play(envs, self._greedy, num_episodes=number, seed=self._seed + _EVALUATION,
                      first_episode=self.real_steps)
        by_number = sorted(played, key=lambda episode: episode.number)
        return np.array([episode.score for episode in by_number])

    def _player(self, policy: Policy, *, greedy: bool, temperature: float = 1.0) -> AgentPlayer:
        actor = PolicyActor(self.world, policy, greedy=greedy, temperature=temperature,
                            memory=self.hparams.memory)
        return AgentPlayer(actor, jit_compile=self.hparams.jit_compile)

    def _update_model(self) -> TrainMetrics:
        state: TrainState = self._model_ops.initial_state(self.hparams.batch_size)
        return self._model_ops(self._batch([_MODEL, int(self._model_ops.step)]), state)[0]

    def _update_policy(self) -> PolicyStep:
        return self._policy_ops(self._batch([_POLICY, int(self._policy_ops.step)]))

    def _batch(self, number: Sequence[int]) -> Batch:
        return self.world.batch(*self.replay.sample(
            self.hparams.batch_size, self.hparams.sequence_size,
            end_share=self.hparams.end_share, seed=[self._seed, *number]))

    def _fit_statistics(self) -> None:
        steps, fitted = (int(count) for count in self._counts.value())
        if steps < _GROWTH * fitted:
            return
        self.world.fit_statistics(self.replay.transitions())
        self._counts.assign(Counts(steps, steps))
