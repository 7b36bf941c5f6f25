# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Games as they are found, played side by side, and recorded."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from examples.play.envs import env
from examples.play.envs.rollout import RandomPlayer, _seed, play
from examples.play.envs.vector_env import GameError, VectorEnv
from tests.examples.play import scripted_games as scripted
from vaeseq.cli.arguments import UsageError


def _played(name, copies, player=None, **options):
    game = env.game(name)
    with VectorEnv(game, copies) as games:
        return list(play(games, player or RandomPlayer(game.actions), seed=3, **options))


class _Noting:
    """Always does the same, and notes what it is asked."""

    def __init__(self, action):
        self.action, self.asked, self.started = action, [], 0

    def start(self, num_games):
        self.started += 1
        return 0

    def step(self, state, observations, rewards, fresh, seed):
        self.asked.append((state, observations.copy(), rewards.copy(), fresh.copy(), seed.copy()))
        return np.array([self.action] * len(observations)), state + 1


def _whole(episode):
    """Checks a game of `Count` move by move."""
    moves = scripted.length(episode.observations[0, 1])
    np.testing.assert_array_equal(episode.observations[:, 0], np.arange(moves + 1))
    assert len(set(episode.observations[:, 1])) == 1
    np.testing.assert_array_equal(episode.rewards, np.arange(1, moves + 1))
    assert episode.terminated == (moves % 2 == 1)
    assert episode.actions.shape == (moves,) and episode.actions.dtype == np.int32
    assert episode.num_steps == moves and episode.score == moves * (moves + 1) / 2


@pytest.mark.parametrize("copies", [1, 3, 8])
def test_every_move_is_recorded_once_and_nothing_between_games(copies):
    episodes = _played(scripted.COUNT, copies, num_episodes=20)
    assert sorted(episode.number for episode in episodes) == list(range(20))
    for episode in episodes:
        _whole(episode)
    assert {episode.terminated for episode in episodes} == {True, False}


def test_a_games_beginning_does_not_depend_on_how_many_play():
    beginnings = [
        {episode.number: episode.observations[0, 1]
         for episode in _played(scripted.COUNT, copies, num_episodes=count, first_episode=first)}
        for copies, count, first in ((1, 12, 0), (5, 12, 0), (3, 4, 8))]
    assert beginnings[0] == beginnings[1]
    assert {number: beginnings[0][number] for number in range(8, 12)} == beginnings[2]
    assert len(set(beginnings[0].values())) == 12


def test_seeds_begin_different_games():
    begun = {(seed, number): _seed(seed, number, 0)
             for seed in (0, 1, 2, 1 << 32, (1 << 32) + 1) for number in range(40)}
    assert len(set(begun.values())) == len(begun)


def test_no_game_begins_after_the_moves_are_made():
    episodes = _played(scripted.COUNT, 3, num_steps=40)
    made = sum(episode.num_steps for episode in episodes)
    assert 40 <= made <= 40 + 3 * scripted.LONGEST
    for episode in episodes:
        _whole(episode)


def test_the_player_is_asked_once_a_move_and_told_what_is_new():
    player = _Noting(1)
    (episode,) = _played(scripted.COUNT, 1, player, num_episodes=1)
    assert len(player.asked) == episode.num_steps and player.started == 1
    for move, (state, observations, rewards, fresh, seed) in enumerate(player.asked):
        assert state == seed[1] == move and seed.dtype == np.int32
        np.testing.assert_array_equal(observations[0], episode.observations[move])
        assert rewards[0] == move and fresh[0] == (move == 0)
    assert (episode.actions == 1).all()


def test_fresh_rows_are_those_that_begin():
    player = _Noting(0)
    episodes = _played(scripted.COUNT, 2, player, num_episodes=9)
    fresh = np.array([asked[3] for asked in player.asked])
    shown = np.array([asked[1][:, 0] for asked in player.asked])
    rewards = np.array([asked[2] for asked in player.asked])
    assert fresh.sum() == 9 and (shown[fresh] == 0).all() and (rewards[fresh] == 0).all()
    longest = max(len(fresh) * 2, sum(episode.num_steps for episode in episodes))
    assert longest == len(fresh) * 2  # two moves at most each time it is asked


def test_a_limit_of_time_is_no_end():
    for name, most, expected in ((scripted.LIMITED, None, 4), (scripted.LIMITED, 3, 3),
                                 (scripted.ENDLESS, 6, 6)):
        (episode,) = _played(name, 1, num_episodes=1, max_steps=most)
        assert (episode.num_steps, episode.terminated) == (expected, False)
    assert env.game(scripted.LIMITED).max_steps == 4
    assert env.game(scripted.ENDLESS).max_steps == env.MAX_STEPS


def test_the_same_seed_plays_the_same_games():
    first, again = (_played("CartPole-v1", 2, num_episodes=3) for _ in range(2))
    for one, other in zip(first, again):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.actions, other.actions)


def test_random_actions_are_uniform():
    actions = env.Actions(True, 4)
    player, state, drawn = RandomPlayer(actions), RandomPlayer(actions).start(50), []
    for move in range(400):
        chosen, state = player.step(
            state, np.zeros([50, 1]), np.zeros(50), np.zeros(50, bool), np.array([7, move]))
        drawn.append(chosen)
    shares = np.bincount(np.ravel(drawn), minlength=4) / 20_000
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 20_000)
    assert len({tuple(row) for row in np.array(drawn).tolist()}) == 400


def test_continuous_actions_are_kept_as_they_were_taken():
    game = env.game(scripted.STEERED)
    assert game.actions == env.Actions(False, 4, (-1, 0, 2, 3), (1, 2, 4, 5))
    (episode,) = _played(scripted.STEERED, 1, _Noting([-9, 1, 9, 4.5]), num_episodes=1)
    np.testing.assert_array_equal(episode.actions, np.float32([[-1, 1, 4, 4.5]] * 5))
    with VectorEnv(game, 1) as games:
        games.reset(0, 1)
        games.step(np.array([[0.5, 1, 3, 4]]), [0])
        (taken,) = games._envs[0].unwrapped.taken
        np.testing.assert_array_equal(taken, [[0.5, 1], [3, 4]])
        assert games._envs[0].action_space.contains(taken)


@pytest.mark.parametrize("name, shape, image", [
    (scripted.PICTURES, (5, 6, 3), True), (scripted.GREY, (5, 6, 1), True),
    (scripted.NAMED, (5,), False), ("Pendulum-v1", (3,), False)])
def test_what_is_observed(name, shape, image):
    game = env.game(name)
    assert (game.observation_shape, game.image) == (shape, image)
    (episode,) = _played(name, 1, num_episodes=1, max_steps=5)
    assert episode.observations.shape == (6, *shape)
    assert episode.observations.dtype == (np.uint8 if image else np.float32)


def test_hidden_numbers_are_hidden():
    seen = {}
    for indices in ((), (2, 0)):
        game = env.game("CartPole-v1", indices)
        with VectorEnv(game, 2) as games:
            seen[indices] = [episode.observations for episode in play(
                games, RandomPlayer(game.actions), num_episodes=2, seed=0)]
    for whole, part in zip(*seen.values()):
        np.testing.assert_array_equal(whole[:, [2, 0]], part)


@pytest.mark.parametrize("indices", [(), (0, 2)])
@pytest.mark.filterwarnings("ignore:.*WARN.*")
def test_gymnasiums_own_checker(indices):
    check_env(env.make("CartPole-v1", indices), skip_render_check=True)
    check_env(gymnasium.wrappers.RecordEpisodeStatistics(env.make("Pendulum-v1")),
              skip_render_check=True)


@pytest.mark.parametrize("name, indices, message", [
    ("cartpole-v1", (), "game: expected a Gymnasium environment.*cartpole-v1.*CartPole"),
    ("No/Such-v0", (), "game: expected a Gymnasium environment.*--game-module"),
    (scripted.UNEVEN, (), "observations are not supported. Expected numbers.*Sequence"),
    (scripted.LARGE, (), "observations are not supported.*128 x 128.*210"),
    (scripted.MANY_BUTTONS, (), "actions are not supported. Expected one of.*MultiBinary"),
    (scripted.UNBOUNDED, (), "actions are not supported.*finite bounds.*Box"),
    (scripted.PICTURES, (0,), "observed_indices.*shows pictures"),
    ("CartPole-v1", (0, 4), r"observed_indices: expected different numbers from 0 to 3.*\[0, 4\]"),
    ("CartPole-v1", (1, 1), "observed_indices.*different")])
def test_games_that_cannot_be_played(name, indices, message):
    with pytest.raises(UsageError, match=message):
        env.game(name, indices)


def test_a_game_that_needs_more_says_what(monkeypatch):
    def missing(name, **options):
        raise ModuleNotFoundError("No module named 'jax'")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(UsageError, match=r"phys2d/CartPole-v1 needs.*'jax'.*gymnasium\[jax\]"):
        env.game("phys2d/CartPole-v1")


@pytest.mark.parametrize("name, message", [
    (scripted.RAISES, "raised ZeroDivisionError: .*fell over.* in step 3 of the episode"),
    (scripted.NAN, r"returned an observation that is not finite, \[3.0, nan\], in step 3"),
    (scripted.NAN_REWARD, "returned a reward that is not finite, inf, in step 3"),
    (scripted.OTHER_SHAPE, r"shape \(1,\), not \(2,\).* in step 3")])
def test_an_environment_that_breaks_in_the_middle_of_a_game(name, message):
    with pytest.raises(GameError, match=message):
        _played(name, 2, num_episodes=2)


def test_a_player_that_chooses_no_number():
    with pytest.raises(GameError, match="the player chose.*nan"):
        _played("Pendulum-v1", 1, _Noting([np.nan]), num_episodes=1)


def test_a_mode_that_an_environment_lacks():
    for mode in ({"frames": True}, {"window": True}):
        with pytest.raises(UsageError, match="expected.*(rgb_array|display)"):
            VectorEnv(env.game(scripted.PICTURES), 1, **mode)


def test_a_window_without_a_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="--render window: expected a display"):
        VectorEnv(env.game("CartPole-v1"), 1, window=True)


def test_either_games_or_moves():
    for options in ({}, {"num_episodes": 1, "num_steps": 1}):
        with pytest.raises(ValueError, match="either num_episodes or num_steps"):
            _played(scripted.COUNT, 1, **options)
