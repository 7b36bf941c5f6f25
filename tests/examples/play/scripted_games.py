# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Games whose every move is known beforehand, and games that break."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces

COUNT, LIMITED, ENDLESS = "vaeseq-test/Count-v0", "vaeseq-test/Limited-v0", "vaeseq-test/Endless-v0"
PICTURES, GREY = "vaeseq-test/Pictures-v0", "vaeseq-test/Grey-v0"
RAISES, NAN, NAN_REWARD = "vaeseq-test/Raises-v0", "vaeseq-test/Nan-v0", "vaeseq-test/NanReward-v0"
OTHER_SHAPE = "vaeseq-test/OtherShape-v0"
NAMED, UNEVEN = "vaeseq-test/Named-v0", "vaeseq-test/Uneven-v0"
LARGE, MANY_BUTTONS = "vaeseq-test/Large-v0", "vaeseq-test/ManyButtons-v0"
UNBOUNDED, STEERED = "vaeseq-test/Unbounded-v0", "vaeseq-test/Steered-v0"
LONGEST = 7
BREAKS_AT = 3


class Count(gymnasium.Env):
    """Shows how many moves were made and which game it is; move t gives t.

    A game has 1 to 7 moves and ends for good where that number is odd; else it is truncated.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(3, start=5)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._moves, self._game = 0, int(self.np_random.integers(1 << 20))
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self._moves += 1
        over = self._moves == length(self._game)
        ends = self._moves % 2 == 1
        return self._seen(), float(self._moves), over and ends, over and not ends, {}

    def render(self):
        return np.full([20, 30, 3], 10 * self._moves, np.uint8)

    def _seen(self):
        return np.array([self._moves, self._game], np.float32)


def length(game):
    """How many moves a game of `Count` has."""
    return 1 + int(game) % LONGEST


class Endless(Count):
    """Never over by itself."""

    def step(self, action):
        observation, reward, *_ = super().step(action)
        return observation, reward, False, False, {}


class Broken(Count):
    """Fails in the third move."""

    def __init__(self, how, render_mode=None):
        super().__init__(render_mode)
        self._how = how

    def step(self, action):
        self._moves += 1
        observation, reward = self._seen(), 1.0
        if self._moves == BREAKS_AT:
            if self._how == "raises":
                raise ZeroDivisionError("the table\nfell over")
            if self._how == "nan":
                observation[1] = np.nan
            if self._how == "nan reward":
                reward = np.inf
            if self._how == "other shape":
                observation = observation[:1]
        return observation, reward, False, False, {}


class Shown(gymnasium.Env):
    """Shows anything of a space, and takes anything of another, for five moves."""

    def __init__(self, observed, actions=None):
        self.observation_space = observed
        self.action_space = actions or spaces.Discrete(2)
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.taken = []
        return self.observation_space.sample(), {}

    def step(self, action):
        self.taken.append(action)
        return self.observation_space.sample(), 0.0, len(self.taken) == 5, False, {}


def _box(*shape, dtype=np.uint8):
    return spaces.Box(0, 255, shape, dtype)


_PLAIN = _box(2, dtype=np.float32)
_STEERED = spaces.Box(np.array([[-1, 0], [2, 3]]), np.array([[1, 2], [4, 5]]), dtype=np.float64)
for _name, _made, _options in (
        (COUNT, Count, {}), (ENDLESS, Endless, {}),
        (RAISES, Broken, {"how": "raises"}), (NAN, Broken, {"how": "nan"}),
        (NAN_REWARD, Broken, {"how": "nan reward"}),
        (OTHER_SHAPE, Broken, {"how": "other shape"}),
        (PICTURES, Shown, {"observed": _box(5, 6, 3)}), (GREY, Shown, {"observed": _box(5, 6)}),
        (NAMED, Shown, {"observed": spaces.Dict({"a": spaces.Discrete(3), "b": _PLAIN})}),
        (UNEVEN, Shown, {"observed": spaces.Sequence(spaces.Discrete(2))}),
        (LARGE, Shown, {"observed": _box(210, 160, 3)}),
        (MANY_BUTTONS, Shown, {"observed": _PLAIN, "actions": spaces.MultiBinary(3)}),
        (UNBOUNDED, Shown, {"observed": _PLAIN,
                            "actions": spaces.Box(-np.inf, np.inf, (2,), np.float32)}),
        (STEERED, Shown, {"observed": _PLAIN, "actions": _STEERED})):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, _made, kwargs=_options)
if LIMITED not in gymnasium.registry:
    gymnasium.register(LIMITED, Endless, max_episode_steps=4)
