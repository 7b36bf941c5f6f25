# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands of vaeseq-play as a person types them."""

from __future__ import annotations

import json
import math
import re
import sys

import numpy as np
import pytest
from PIL import Image

from examples.play.actor_critic import trained_agent, training
from examples.play.actor_critic.trained_agent import ImaginedEpisode
from examples.play.actor_critic.training import TrainingResult as Result
from examples.play.commands import program
from examples.play.commands import run as run_command
from examples.play.commands import train as train_command
from examples.play.envs import env
from examples.play.envs.rollout import RandomPlayer
from examples.play.hparams import PlayHParams
from tests.examples.play import scripted_games as scripted
from tests.in_process import runner
from vaeseq.runs.log_dir import LogDir

_COUNT = f"game={scripted.COUNT}"


@pytest.fixture
def run(capsys):
    """Runs a command of vaeseq-play in this process."""
    return runner(program, capsys)


@pytest.fixture
def log_dir(tmp_path):
    """Of a run on `Count`, in which nothing was learned."""
    directory = LogDir(tmp_path / "log", "vaeseq-play")
    directory.create(PlayHParams(game=scripted.COUNT), 3)
    return directory.path


def _refused(ended, *words):
    """One line on stderr that holds the words, and no other."""
    assert ended.status in (1, 2) and ended.err.count("\n") == 1, ended
    assert ended.err.startswith("vaeseq-play: "), ended.err
    for word in words:
        assert word in ended.err


def _scores(count):
    """The scores of the first games of `Count` with --seed 0, by another way."""
    from examples.play.envs.rollout import play
    from examples.play.envs.vector_env import VectorEnv
    game = env.game(scripted.COUNT)
    with VectorEnv(game, 1) as games:
        return [episode.score for episode in play(
            games, RandomPlayer(game.actions), num_episodes=count, seed=1 << 32)]


def test_scores_are_printed_as_they_come_and_summed_up(run):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 30)
    assert ended.status == 0 and ended.err == ""
    told = re.findall(r"^game (\d+): score (\d+) in (\d+) moves$", ended.out, re.M)
    assert sorted(int(number) for number, _, _ in told) == list(range(1, 31))
    by_number = {int(number): float(score) for number, score, _ in told}
    expected = _scores(30)
    assert [by_number[number] for number in range(1, 31)] == expected
    assert ended.out.splitlines()[-1] == (
        f"30 games: mean {np.mean(expected):.6g}, median {np.median(expected):.6g}, standard "
        f"deviation {np.std(expected):.6g}, from {min(expected):g} to {max(expected):g}.")


def test_json_is_one_object_and_nothing_else(run):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 30, "--json")
    expected = _scores(30)
    assert json.loads(ended.out) == {
        "games": 30, "mean": pytest.approx(np.mean(expected)), "median": np.median(expected),
        "std": pytest.approx(np.std(expected)), "min": min(expected), "max": max(expected)}
    assert ended.out.count("\n") == 1 and ended.err == ""


def test_a_long_game_is_cut(run):
    ended = run("run", "--agent", "random", "--hparams", f"game={scripted.ENDLESS}", "--max-moves",
                6, "--num-games", 1)
    assert ended.out.startswith("game 1: score 21 in 6 moves, cut there\n1 games: mean 21,")


def test_a_random_agent_takes_the_game_of_the_run(run, log_dir):
    words = ["run", "--agent", "random", "--log-dir", log_dir, "--num-games", 9, "--json"]
    ended = run(*words)
    assert json.loads(ended.out)["mean"] == pytest.approx(np.mean(_scores(9)))
    _refused(run(*words, "--hparams", "game=CartPole-v1"), "holds a run with game=vaeseq-test")


def test_a_film_has_a_frame_for_each_move_and_each_beginning(run, tmp_path):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 3, "--film",
                tmp_path / "a.gif")
    moves = sum(int(number) for number in re.findall(r"in (\d+) moves", ended.out))
    assert ended.status == 0 and ended.out.endswith("a.gif'.\n"), ended
    with Image.open(tmp_path / "a.gif") as film:
        # The picture that a game ends with and the one that is held are the same.
        assert film.n_frames == moves + 3 and film.size == (30 * 6, 20 * 6 + 16)


def test_ctrl_c_in_the_middle_of_a_film(run, tmp_path, monkeypatch):
    def interrupted(camera, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command._Camera, "take", interrupted)
    (tmp_path / "a.gif").write_bytes(b"an older film")
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--film", tmp_path / "a.gif")
    _refused(ended, "interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    assert (tmp_path / "a.gif").read_bytes() == b"an older film"


@pytest.mark.parametrize("words, said", [
    (["run"], "--agent trained: expected --log-dir"),
    (["run", "--agent", "random", "--film", "a.png"], "FILE.gif; got 'a.png'"),
    (["run", "--agent", "clever"], "clever"),
    (["run", "--agent", "random", "--hparams", "game=CartPole-v7"], "`v0`, `v1`"),
    (["run", "--agent", "random", "--hparams", "gane=CartPole-v1"], "Did you mean 'game'?"),
    (["run", "--agent", "random", "--hparams", f"game={scripted.UNEVEN}"], "are not supported"),
    (["run", "--agent", "random", "--hparams", f"game={scripted.RAISES}"], "ZeroDivisionError"),
    (["run", "--agent", "random", "--hparams", f"game={scripted.NAN}"], "is not finite"),
    (["run", "--agent", "random", "--hparams", f"game={scripted.PICTURES}", "--film", "a.gif"],
     "render mode 'rgb_array'; it has none"),
    (["run", "--agent", "random", "--game-module", "no_such_module"], "no_such_module"),
    (["run", "--num-games", "0"], "at least 1"),
    (["train", "--log-dir", "new", "--hparams", "observed_indices=[7]"], "from 0 to 3"),
    (["train", "--log-dir", "new", "--hparams", f"game={scripted.UNBOUNDED}"], "finite bounds"),
    (["dream", "--log-dir", "new", "--film", "a.gif"], "no such directory: 'new'")])
def test_wrong_use_is_one_line(run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    _refused(run(*words), said)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_told(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _refused(run("run", "--agent", "random"),
             "needs gymnasium and Pillow: pip install vaeseq[play]")


def test_games_of_ones_own(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "own_games_of_a_test.py").write_text(
        "import gymnasium\nfrom tests.examples.play.scripted_games import Count\n"
        "gymnasium.register('vaeseq-test/Own-v0', Count)\n")
    ended = run("run", "--agent", "random", "--game-module", "own_games_of_a_test", "--hparams",
                "game=vaeseq-test/Own-v0", "--num-games", 9, "--json")
    assert json.loads(ended.out)["mean"] == pytest.approx(np.mean(_scores(9)))


class _Agent:
    """A fake trained agent: plays at random, and imagines that nothing changes."""

    def __init__(self, game):
        self.game, self.asked = game, []

    def player(self, *, greedy, temperature):
        self.asked.append((greedy, temperature))
        return RandomPlayer(self.game.actions)

    def imagine(self, episode, *, given, length, own_actions, seed):
        self.asked.append((given, length, own_actions))
        continues = np.full([length], 0.9)
        continues[3:] = 0.1
        return ImaginedEpisode(
            np.repeat(episode.observations[given:given + 1], length, 0),
            np.ones([length], np.float32), continues, episode.actions[:length])


@pytest.fixture
def agent(monkeypatch, log_dir):
    """What is loaded from any log directory."""
    agent = _Agent(env.game(scripted.LIMITED))
    monkeypatch.setattr(trained_agent, "load", lambda directory: agent)
    return agent


def test_a_trained_agent_plays(run, agent, log_dir):
    ended = run("run", "--log-dir", log_dir, "--num-games", 2)
    assert "2 games: mean 10, median 10, standard deviation 0, from 10 to 10." in ended.out
    assert run("run", "--log-dir", log_dir, "--temperature", 0.5).status == 0
    assert agent.asked == [(True, 1.0), (False, 0.5)]


def test_a_dream_beside_the_game(run, agent, log_dir, tmp_path):
    film = tmp_path / "d.gif"
    for actions, length in (("game", 3), ("own", 9)):
        ended = run("dream", "--log-dir", log_dir, "--film", film, "--given", 1, "--length", 9,
                    "--actions", actions)
        assert ended.status == 0, ended.err
        assert agent.asked[-1] == (1, length, actions == "own")
        assert ended.out.startswith("The game: 4 moves, score 10.\nThe dream, after 1 of them: ")
        with Image.open(film) as image:
            # As long as the game, or to where the dream is over: 0.9 ** 3 * 0.1 is below 1/2.
            assert image.n_frames == {"game": 5, "own": 6}[actions]
            assert image.size == (2 * 320 + 4, 208 + 16)
    assert "4 more, then it is over, score 5.\n" in ended.out
    _refused(run("dream", "--log-dir", log_dir, "--film", film, "--given", 4),
             "--given: expected fewer moves than the game had, 4; got 4")


@pytest.mark.parametrize("learned, said", [
    (Result(500, "done", 21.5, 20.0, False), "Step 500: done. Best mean score: 21.5.\nNext:\n"),
    (Result(500, "done", math.nan, math.nan, True), "Step 500: nothing to do"),
    (Result(80, "stopped", math.nan, math.nan, False), "Step 80: stopped, everything is saved.\n"),
    (Result(80, "time", 3.0, 3.0, False), "Step 80: time is up, everything is saved. Best")])
def test_how_training_is_told(run, tmp_path, monkeypatch, learned, said):
    given = {}

    def trained(hparams, log_dir, **options):
        given.update(options, hparams=hparams, log_dir=log_dir)
        return learned

    monkeypatch.setattr(training, "run", trained)
    ended = run("train", "--log-dir", tmp_path / "new", "--hparams", "batch_size=7", "--num-steps",
                500, "--seed", 4, "--max-minutes", 2)
    assert ended.out.startswith("Learning CartPole-v1: 4 numbers are seen, 2 actions")
    assert said in ended.out
    assert f"\n  vaeseq-play run --log-dir {tmp_path / 'new'}\n" in ended.out
    assert (given["hparams"], given["num_steps"], given["seed"], given["max_minutes"]) == (
        PlayHParams(batch_size=7), 500, 4, 2)
    assert not given["should_stop"]()


@pytest.mark.parametrize("name,indices,described", [
    ("CartPole-v1", (), "4 numbers are seen, 2 actions to choose from"),
    ("CartPole-v1", (0,), "one number is seen, 2 actions to choose from"),
    ("Pendulum-v1", (), "3 numbers are seen, an action is one number")])
def test_how_a_game_is_described(name, indices, described):
    game = env.game(name, observed_indices=indices)
    assert train_command._description(game) == described


def test_another_seed_or_game_than_the_runs(run, log_dir):
    _refused(run("train", "--log-dir", log_dir, "--seed", 4), "with seed 3, but 4 was given")
    _refused(run("train", "--log-dir", log_dir, "--hparams", "game=CartPole-v1"),
             "game=CartPole-v1 was given")


def test_from_training_to_a_dream(run, tmp_path):
    """Nothing stands in for anything here."""
    log_dir, film = tmp_path / "log", tmp_path / "a.gif"
    small = ("jit_compile=false,first_steps=30,first_updates=2,eval_every=40,eval_games=2,"
             "model_ratio=0.05,policy_ratio=0.05,batch_size=4,sequence_size=4,horizon=2,"
             "rnn_hidden_sizes=[4],obs_encoder_fc_layers=[4],obs_decoder_fc_hidden_layers=[4],"
             f"policy_layers=[4],{_COUNT}")
    ended = run("train", "--log-dir", log_dir, "--hparams", small, "--num-steps", 50)
    assert ended.status == 0, ended.err
    step = int(re.search(r"^Step (\d+): done. Best mean score: ", ended.out, re.M)[1])
    assert 50 <= step < 50 + 8 * scripted.LONGEST
    ended = run("run", "--log-dir", log_dir, "--num-games", 9, "--json")
    # Whoever plays, a game of `Count` gives the same.
    assert json.loads(ended.out)["mean"] == pytest.approx(np.mean(_scores(9)))
    ended = run("dream", "--log-dir", log_dir, "--film", film, "--given", 0)
    assert ended.status == 0 and "The dream, after 0 of them: " in ended.out, ended.err
    assert film.read_bytes().startswith(b"GIF89a")
