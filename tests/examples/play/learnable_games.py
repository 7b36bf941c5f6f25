# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Games whose best score is known, and hyperparameters small enough to learn them in a test."""

from __future__ import annotations

import gymnasium
import numpy as np

from examples.play.envs.env import Actions, Game
from examples.play.hparams import PlayHParams

CORRIDOR, MEMORY = "vaeseq-test/Corridor-v0", "vaeseq-test/Memory-v0"
CELLS = 4  # of the corridor
BEST_IN_CORRIDOR = 1 - CELLS  # a move for each cell but the first

HPARAMS = PlayHParams(
    game=CORRIDOR,
    jit_compile=False,
    first_steps=120,
    first_updates=250,
    games_per_round=2,
    eval_every=100,
    eval_games=4,
    model_ratio=0.5,
    policy_ratio=0.5,
    horizon=4,
    discount=0.9,
    entropy=0.03,
    batch_size=16,
    sequence_size=4,
    rnn_hidden_sizes=(8,),
    obs_encoder_fc_layers=(16,),
    obs_decoder_fc_hidden_layers=(16,),
    policy_layers=(16,),
    learning_rate=0.01,
    clip_gradient_norm=10.0,
    positive_eps=0.2,  # what is sure is not worth more digits here
    policy_learning_rate=0.003,
    value_learning_rate=0.01,
    latent_size=2,
    latent_decoder_fc_layers=(4,),
)


class Corridor(gymnasium.Env):
    """Cells in a row; each move costs 1 until the last cell is reached."""

    observation_space = gymnasium.spaces.Box(0, CELLS, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._cell = 0
        return self._seen(), {}

    def step(self, action):
        self._cell = max(0, self._cell + (1 if action == 1 else -1))
        return self._seen(), -1.0, self._cell == CELLS - 1, False, {}

    def _seen(self):
        return np.array([self._cell], np.float32)


class Memory(gymnasium.Env):
    """A sign is shown once, and has to be told one move later: 1 if it is right, else -1."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._sign = int(self.np_random.integers(2)) * 2 - 1
        self._moves = 0
        return np.array([self._sign], np.float32), {}

    def step(self, action):
        self._moves += 1
        told = self._sign == 2 * action - 1
        reward = 0.0 if self._moves == 1 else 1.0 if told else -1.0
        return np.zeros([1], np.float32), reward, self._moves == 2, False, {}


def register():
    """Makes the games known to Gymnasium."""
    for name, kind, most in ((CORRIDOR, Corridor, 3 * CELLS), (MEMORY, Memory, 10)):
        if name not in gymnasium.registry:
            gymnasium.register(name, kind, max_episode_steps=most)


def game(*, discrete=True, size=2):
    """A game that nobody plays, of observations `[2]`."""
    bounds = () if discrete else ((-2.0,) * size, (2.0,) * size)
    return Game("none", (), (2,), False, Actions(discrete, size, *bounds), 10)
