# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Environments: description, vectorised stepping and rollouts."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from examples.play.envs import env
from examples.play.envs.rollout import RandomPlayer, play
from examples.play.envs.vector_env import GameError, VectorEnv
from tests.examples.play import games
from vaeseq.cli.arguments import UsageError


def _play(name, num_envs, player=None, *, indices=(), seed=3, **options):
    game = env.game(name, indices)
    with VectorEnv(game, num_envs) as envs:
        return list(play(envs, player or RandomPlayer(game.actions), seed=seed, **options))


class _Recording:
    """Repeats one action and records the arguments of each step."""

    def __init__(self, action):
        self.action, self.calls, self.starts = action, [], 0

    def start(self, num_envs):
        self.starts += 1
        return 0

    def step(self, state, observations, rewards, is_first, seed):
        self.calls.append((state, observations.copy(), rewards.copy(), is_first.copy(), seed))
        return np.array([self.action] * len(observations)), state + 1


def _check_complete(episode):
    """Checks each step of an episode of `Count`."""
    steps = games.length(episode.observations[0, 1])
    np.testing.assert_array_equal(episode.observations[:, 0], np.arange(steps + 1))
    assert len(set(episode.observations[:, 1])) == 1
    np.testing.assert_array_equal(episode.rewards, np.arange(1, steps + 1))
    assert episode.terminated == (steps % 2 == 1)
    assert episode.actions.shape == (steps,) and episode.actions.dtype == np.int32
    assert episode.num_steps == steps and episode.score == steps * (steps + 1) / 2


@pytest.mark.parametrize("num_envs", [1, 8])
def test_every_step_is_recorded_once_and_none_between_episodes(num_envs):
    episodes = _play(games.COUNT, num_envs, num_episodes=20)
    assert sorted(episode.number for episode in episodes) == list(range(20))
    for episode in episodes:
        _check_complete(episode)
    assert {episode.terminated for episode in episodes} == {True, False}


def test_an_episodes_start_depends_on_its_number_and_the_seed_only():
    starts = [
        {episode.number: episode.observations[0, 1] for episode in _play(
            games.COUNT, num_envs, num_episodes=count, first_episode=first, seed=seed)}
        for num_envs, count, first, seed in (
            (1, 12, 0, 3), (5, 12, 0, 3), (3, 4, 8, 3), (5, 12, 0, 4), (5, 12, 0, 3 + (1 << 32)))]
    assert starts[0] == starts[1]
    assert {number: starts[0][number] for number in range(8, 12)} == starts[2]
    assert len({start for i in (0, 3, 4) for start in starts[i].values()}) == 36


def test_no_episode_starts_after_num_steps():
    episodes = _play(games.COUNT, 3, num_steps=40)
    assert 40 <= sum(each.num_steps for each in episodes) <= 40 + 3 * games.MAX_LENGTH
    for episode in episodes:
        _check_complete(episode)


def test_a_player_is_called_once_a_step_with_the_current_observation():
    player = _Recording(1)
    (episode,) = _play(games.COUNT, 1, player, num_episodes=1)
    assert len(player.calls) == episode.num_steps and player.starts == 1
    for step, (state, observations, rewards, is_first, seed) in enumerate(player.calls):
        assert state == seed[1] == step and seed.dtype == np.int32
        np.testing.assert_array_equal(observations[0], episode.observations[step])
        assert rewards[0] == step and is_first[0] == (step == 0)
    assert (episode.actions == 1).all()


def test_is_first_marks_the_rows_where_an_episode_starts():
    player = _Recording(0)
    _play(games.COUNT, 2, player, num_episodes=9)
    is_first = np.array([call[3] for call in player.calls])
    steps = np.array([call[1][:, 0] for call in player.calls])
    rewards = np.array([call[2] for call in player.calls])
    assert is_first.sum() == 9 and not steps[is_first].any() and not rewards[is_first].any()


def test_a_time_limit_truncates_and_does_not_terminate():
    for name, max_steps, expected in ((games.LIMITED, None, 4), (games.LIMITED, 3, 3),
                                      (games.ENDLESS, 6, 6)):
        (episode,) = _play(name, 1, num_episodes=1, max_steps=max_steps)
        assert (episode.num_steps, episode.terminated) == (expected, False)
    assert env.game(games.LIMITED).max_steps == 4
    assert env.game(games.ENDLESS).max_steps == env.MAX_STEPS


def test_the_same_seed_gives_the_same_episodes():
    for one, other in zip(*(_play("CartPole-v1", 2, num_episodes=3) for _ in range(2))):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.actions, other.actions)


def test_random_actions_are_uniform():
    player = RandomPlayer(env.Actions(True, 4))
    state, all_actions = player.start(50), []
    for step in range(400):
        actions, state = player.step(
            state, np.zeros([50, 1]), np.zeros(50), np.zeros(50, bool), np.array([7, step]))
        all_actions.append(actions)
    shares = np.bincount(np.ravel(all_actions), minlength=4) / 20_000
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 20_000)
    assert len({tuple(row) for row in np.array(all_actions).tolist()}) == 400


def test_continuous_actions_are_clipped_and_recorded_as_clipped():
    game = env.game(games.MATRIX)
    assert game.actions == env.Actions(False, 4, (-1, 0, 2, 3), (1, 2, 4, 5))
    (episode,) = _play(games.MATRIX, 1, _Recording([-9, 1, 9, 4.5]), num_episodes=1)
    np.testing.assert_array_equal(episode.actions, np.float32([[-1, 1, 4, 4.5]] * 5))
    np.testing.assert_array_equal(episode.rewards, np.float32([4.5] * 5))


@pytest.mark.parametrize("bound", [-0.1, 0.1])
def test_a_bound_that_float32_rounds_is_not_exceeded(bound):
    (episode,) = _play(games.TENTHS, 1, _Recording([bound]), num_episodes=1)
    np.testing.assert_allclose(episode.rewards, [bound] * 5, rtol=1e-6)


@pytest.mark.parametrize("actions, encoded", [
    (env.Actions(False, 2, (-2.0, 0.0), (2.0, 1.0)), [[-1, 1], [0.25, -0.5]]),
    (env.Actions(True, 3), [[0, 0, 1], [1, 0, 0]])])
def test_decode_inverts_encode(actions, encoded):
    taken = np.array([2, 0]) if actions.discrete else np.float32([[-2.0, 1.0], [0.5, 0.25]])
    np.testing.assert_allclose(actions.encode(taken), encoded)
    np.testing.assert_allclose(actions.decode(actions.encode(taken)), taken)


def test_a_number_with_one_value_only_and_one_with_all_of_float32_are_encoded():
    actions = env.Actions(False, 2, (2.0, -3e38), (2.0, 3e38))
    np.testing.assert_allclose(actions.encode(np.float32([2, 3e38])), [0, 1])
    np.testing.assert_allclose(actions.decode(np.float32([0, -1])), np.float32([2, -3e38]))


@pytest.mark.parametrize("name, shape, image", [
    (games.PICTURES, (5, 6, 3), True), (games.GREY, (5, 6, 1), True),
    (games.NAMED, (5,), False), ("Pendulum-v1", (3,), False)])
def test_observations_are_vectors_or_pictures(name, shape, image):
    game = env.game(name)
    assert (game.observation_shape, game.image) == (shape, image)
    (episode,) = _play(name, 1, num_episodes=1, max_steps=5)
    assert episode.observations.shape == (6, *shape)
    assert episode.observations.dtype == (np.uint8 if image else np.float32)


def test_observed_indices_select_numbers():
    for whole, part in zip(*(_play("CartPole-v1", 2, indices=indices, num_episodes=2)
                             for indices in ((), (2, 0)))):
        np.testing.assert_array_equal(whole.observations[:, [2, 0]], part.observations)


@pytest.mark.parametrize("name, indices", [
    ("CartPole-v1", ()), ("CartPole-v1", (0, 2)), (games.COUNT, ())])
@pytest.mark.filterwarnings("ignore:.*WARN.*")
def test_environments_pass_gymnasiums_checker(name, indices):
    check_env(env.make(name, indices), skip_render_check=True)


@pytest.mark.parametrize("name, indices, message", [
    ("cartpole-v1", (), "game: expected a Gymnasium environment.*cartpole-v1.*CartPole"),
    ("No/Such-v0", (), "game: expected a Gymnasium environment.*--game-module"),
    ("this:CartPole-v1", (), "expected a name without a module.*--game-module"),
    (games.UNEVEN, (), "observations are not supported. Expected numbers.*Sequence"),
    (games.BARE, (), "cannot be made: expected an environment with an observation_space"),
    (games.LARGE, (), "observations are not supported.*128 x 128.*210"),
    (games.MANY_BUTTONS, (), "actions are not supported. Expected one of.*MultiBinary"),
    (games.UNBOUNDED, (), "actions are not supported.*finite bounds.*Box"),
    (games.PICTURES, (0,), "observed_indices.*shows pictures"),
    ("CartPole-v1", (0, 4), r"observed_indices: expected different numbers from 0 to 3.*\[0, 4\]"),
    ("CartPole-v1", (1, 1), "observed_indices.*different")])
def test_unsupported_environments_are_refused(name, indices, message):
    with pytest.raises(UsageError, match=message):
        env.game(name, indices)


def test_a_missing_dependency_is_named_with_its_extra(monkeypatch):
    def missing(name, **options):
        raise ModuleNotFoundError("No module named 'jax'")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(UsageError, match=r"phys2d/CartPole-v1 needs.*'jax'.*gymnasium\[jax\]"):
        env.game("phys2d/CartPole-v1")


@pytest.mark.parametrize("name, message", [
    (games.RAISES, "raised ZeroDivisionError: .*fell over.* in step 3 of the episode"),
    (games.NAN, r"returned an observation that is not finite, \[3.0, nan\], in step 3"),
    (games.OVERFLOW, r"returned an observation that is not finite, \[3.0, inf\], in step 3"),
    (games.INFINITE_REWARD, "returned a reward that is not finite, inf, in step 3"),
    (games.OTHER_SHAPE, r"shape \(1,\), not \(2,\).* in step 3")])
def test_a_failure_within_an_episode_names_its_step(name, message):
    with pytest.raises(GameError, match=message):
        _play(name, 2, num_episodes=2)


def test_a_failing_picture_names_the_game():
    with VectorEnv(env.game(games.PICTURE_FAILS), 1, frames=True) as envs:
        envs.reset(0, seed=1)
        with pytest.raises(GameError, match="PictureFails-v0 cannot be rendered.*no paint"):
            envs.frame()


def test_an_error_of_closing_loses_no_episode():
    assert [e.score for e in _play(games.CLOSE_FAILS, 2, num_episodes=3)] == [3, 3, 3]


def test_actions_that_are_not_finite_are_refused():
    with pytest.raises(GameError, match="the player chose.*nan"):
        _play("Pendulum-v1", 1, _Recording([np.nan]), num_episodes=1)


def test_rendering_needs_a_render_mode_and_a_window_a_display(monkeypatch):
    with pytest.raises(UsageError, match="render mode 'rgb_array'; it has none"):
        VectorEnv(env.game(games.PICTURES), 1, frames=True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="--render window: expected a display"):
        VectorEnv(env.game("CartPole-v1"), 1, window=True)


def test_play_takes_either_episodes_or_steps():
    for options in ({}, {"num_episodes": 1, "num_steps": 1}):
        with pytest.raises(ValueError, match="either num_episodes or num_steps"):
            _play(games.COUNT, 1, **options)
