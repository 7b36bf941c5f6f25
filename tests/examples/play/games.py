# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Environments for tests: with known episodes, with failures, and with a known best score."""

import gymnasium
import numpy as np
from gymnasium import spaces

from examples.play.envs.env import Actions, Game
from examples.play.hparams import PlayHParams

MAX_LENGTH = 7  # of an episode of `Count`
FAILING_STEP = 3
CELLS = 4  # of the corridor
BEST_IN_CORRIDOR = 1 - CELLS  # one step for each cell but the first


class Count(gymnasium.Env):
    """Observes (step, episode's number drawn from the seed); the reward of step t is t.

    An episode has 1 to 7 steps; it terminates where their number is odd, else it is truncated.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Discrete(3, start=5)

    def __init__(self, render_mode=None, endless=False):
        self.render_mode = render_mode
        self._endless = endless

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps, self._number = 0, int(self.np_random.integers(1 << 20))
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self._steps += 1
        ended = not self._endless and self._steps == length(self._number)
        odd = self._steps % 2 == 1
        return self._observation(), float(self._steps), ended and odd, ended and not odd, {}

    def render(self):
        return np.full([20, 30, 3], 10 * self._steps, np.uint8)

    def _observation(self):
        return np.array([self._steps, self._number], np.float32)


def length(number):
    """Returns the number of steps of an episode of `Count`."""
    return 1 + int(number) % MAX_LENGTH


class Failing(Count):
    """Fails in the third step, or when it is rendered or closed."""

    def __init__(self, failure, render_mode=None):
        super().__init__(render_mode, endless=True)
        self._failure = failure

    def step(self, action):
        observation, reward, *rest = super().step(action)
        if self._steps == FAILING_STEP:
            if self._failure == "raises":
                raise ZeroDivisionError("the table\nfell over")
            if self._failure == "nan":
                observation[1] = np.nan
            if self._failure == "infinite reward":
                reward = np.inf
            if self._failure == "shape":
                observation = observation[:1]
            if self._failure == "overflow":
                observation = np.array([3, 1e300])
        return observation, reward, *rest

    def render(self):
        if self._failure == "picture":
            raise ZeroDivisionError("no paint")
        return super().render()

    def close(self):
        if self._failure == "close":
            raise ZeroDivisionError("the door is stuck")


class Bare(gymnasium.Env):
    """Does not say what it observes."""

    action_space = spaces.Discrete(2)


class Samples(gymnasium.Env):
    """Observes samples of a space for five steps; the reward is the last number of an action."""

    def __init__(self, observations, actions=None):
        self.observation_space = observations
        self.action_space = actions or spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self._steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self._steps += 1
        reward = float(np.ravel(action)[-1])
        if isinstance(action, np.ndarray):
            action *= 5  # players may not rely on their arrays
        return self.observation_space.sample(), reward, self._steps == 5, False, {}


class Corridor(gymnasium.Env):
    """Cells in a row; each step costs 1 until the last cell is reached."""

    observation_space = spaces.Box(0, CELLS, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._cell = 0
        return np.zeros([1], np.float32), {}

    def step(self, action):
        self._cell = max(0, self._cell + (1 if action == 1 else -1))
        return np.float32([self._cell]), -1.0, self._cell == CELLS - 1, False, {}


class Memory(gymnasium.Env):
    """Shows a sign once; the second action repeats it: the reward is 1 if it is right, else -1."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._sign = int(self.np_random.integers(2)) * 2 - 1
        self._steps = 0
        return np.array([self._sign], np.float32), {}

    def step(self, action):
        self._steps += 1
        right = 1.0 if self._sign == 2 * action - 1 else -1.0
        reward = 0.0 if self._steps == 1 else right
        return np.zeros([1], np.float32), reward, self._steps == 2, False, {}


def _register(name, env, max_steps=None, **kwargs):
    name = f"vaeseq-test/{name}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(name, env, max_episode_steps=max_steps, kwargs=kwargs)
    return name


def _bytes(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


_NUMBERS = spaces.Box(0, 255, (2,), np.float32)
_MATRIX = spaces.Box(np.array([[-1, 0], [2, 3]]), np.array([[1, 2], [4, 5]]), dtype=np.float64)

COUNT = _register("Count", Count)
ENDLESS = _register("Endless", Count, endless=True)
LIMITED = _register("Limited", Count, 4, endless=True)
RAISES = _register("Raises", Failing, failure="raises")
NAN = _register("Nan", Failing, failure="nan")
INFINITE_REWARD = _register("InfiniteReward", Failing, failure="infinite reward")
OTHER_SHAPE = _register("OtherShape", Failing, failure="shape")
OVERFLOW = _register("Overflow", Failing, failure="overflow")
PICTURE_FAILS = _register("PictureFails", Failing, 2, failure="picture")
CLOSE_FAILS = _register("CloseFails", Failing, 2, failure="close")
BARE = _register("Bare", Bare)
PICTURES = _register("Pictures", Samples, observations=_bytes(5, 6, 3))
GREY = _register("Grey", Samples, observations=_bytes(5, 6))
NAMED = _register(
    "Named", Samples, observations=spaces.Dict({"a": spaces.Discrete(3), "b": _NUMBERS}))
UNEVEN = _register("Uneven", Samples, observations=spaces.Sequence(spaces.Discrete(2)))
LARGE = _register("Large", Samples, observations=_bytes(210, 160, 3))
MANY_BUTTONS = _register(
    "ManyButtons", Samples, observations=_NUMBERS, actions=spaces.MultiBinary(3))
UNBOUNDED = _register("Unbounded", Samples, observations=_NUMBERS,
                      actions=spaces.Box(-np.inf, np.inf, (2,), np.float32))
MATRIX = _register("Matrix", Samples, observations=_NUMBERS, actions=_MATRIX)
# float32 rounds these bounds away from 0.
TENTHS = _register("Tenths", Samples, observations=_NUMBERS,
                   actions=spaces.Box(-0.1, 0.1, (1,), np.float64))
CORRIDOR = _register("Corridor", Corridor, 3 * CELLS)
MEMORY = _register("Memory", Memory, 10)

# Small enough to learn `Corridor` and `Memory` in a test.
HPARAMS = PlayHParams(
    game=CORRIDOR, jit_compile=False, first_steps=120, first_updates=250, games_per_round=2,
    eval_every=100, eval_games=4, horizon=4, discount=0.9, entropy=0.03, batch_size=16,
    sequence_size=4, rnn_hidden_sizes=(8,), obs_encoder_fc_layers=(16,),
    obs_decoder_fc_hidden_layers=(16,), policy_layers=(16,), learning_rate=0.01, positive_eps=0.2,
    policy_learning_rate=0.003, value_learning_rate=0.01, latent_size=2,
    latent_decoder_fc_layers=(4,))


def game(*, discrete=True, size=2):
    """Returns the description of an environment with observations `[2]`, which is never played."""
    bounds = () if discrete else ((-2.0,) * size, (2.0,) * size)
    return Game("none", (), (2,), False, Actions(discrete, size, *bounds), 10)
