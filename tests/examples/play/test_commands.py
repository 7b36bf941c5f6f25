# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands of vaeseq-play."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from examples.play.commands import program
from examples.play.envs import env
from examples.play.envs.rollout import RandomPlayer, play
from examples.play.envs.vector_env import VectorEnv
from examples.play.hparams import PlayHParams
from examples.play.output import gif, painters
from tests.examples.play import games
from tests.in_process import assert_refused, runner
from vaeseq.runs.log_dir import LogDir

_COUNT = f"game={games.COUNT}"


@pytest.fixture
def run(capsys):
    """Runs a command of vaeseq-play in this process."""
    return runner(program, capsys)


@pytest.fixture
def log_dir(tmp_path):
    """Returns the log directory of a run on `Count` without checkpoints."""
    directory = LogDir(tmp_path / "log", "vaeseq-play")
    directory.create(PlayHParams(game=games.COUNT), 3)
    return directory.path


def _scores(count):
    """Returns the scores of the first episodes of `Count` with --seed 0."""
    game = env.game(games.COUNT)
    with VectorEnv(game, 1) as envs:
        return [episode.score for episode in play(
            envs, RandomPlayer(game.actions), num_episodes=count, seed=1 << 32)]


def test_run_prints_each_score_and_a_summary(run):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 30)
    assert ended.status == 0 and ended.err == ""
    lines = re.findall(r"^game (\d+): score (\d+) in (\d+) moves$", ended.out, re.M)
    assert sorted(int(number) for number, _, _ in lines) == list(range(1, 31))
    by_number = {int(number): float(score) for number, score, _ in lines}
    expected = _scores(30)
    assert [by_number[number] for number in range(1, 31)] == expected
    assert ended.out.splitlines()[-1] == (
        f"30 games: mean {np.mean(expected):.6g}, median {np.median(expected):.6g}, standard "
        f"deviation {np.std(expected):.6g}, from {min(expected):g} to {max(expected):g}.")


def test_json_prints_one_object_only(run):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 30, "--json")
    expected = _scores(30)
    assert json.loads(ended.out) == {
        "games": 30, "mean": pytest.approx(np.mean(expected)), "median": np.median(expected),
        "std": pytest.approx(np.std(expected)), "min": min(expected), "max": max(expected)}
    assert ended.out.count("\n") == 1 and ended.err == ""


def test_max_moves_cuts_an_episode(run):
    ended = run("run", "--agent", "random", "--hparams", f"game={games.ENDLESS}", "--max-moves",
                6, "--num-games", 1)
    assert ended.out.startswith("game 1: score 21 in 6 moves, cut there\n1 games: mean 21,")


def test_a_random_agent_plays_the_game_of_the_run(run, log_dir):
    words = ["run", "--agent", "random", "--log-dir", log_dir, "--num-games", 9, "--json"]
    ended = run(*words)
    assert json.loads(ended.out)["mean"] == pytest.approx(np.mean(_scores(9)))
    assert_refused(run(*words, "--hparams", "game=CartPole-v1"),
                   "holds a run with game=vaeseq-test")


def test_a_film_has_one_frame_for_each_observation(run, tmp_path):
    ended = run("run", "--agent", "random", "--hparams", _COUNT, "--num-games", 3, "--film",
                tmp_path / "a.gif")
    moves = sum(int(number) for number in re.findall(r"in (\d+) moves", ended.out))
    assert ended.status == 0 and ended.out.endswith("a.gif'.\n"), ended
    with Image.open(tmp_path / "a.gif") as film:
        # A GIF stores the last frame and its held copy as one.
        assert film.n_frames == moves + 3 and film.size == (30 * 6, 20 * 6 + 16)


@pytest.mark.parametrize("words, message", [
    (["run"], "--agent trained: expected --log-dir"),
    (["run", "--agent", "random", "--film", "a.png"], "FILE.gif; got 'a.png'"),
    (["run", "--agent", "clever"], "clever"),
    (["run", "--agent", "random", "--temperature", "2"], "--temperature: of the trained agent's"),
    (["run", "--agent", "random", "--log-dir", "."], "found no run.json"),
    (["run", "--agent", "random", "--hparams", "game=CartPole-v7"], "`v0`, `v1`"),
    (["run", "--agent", "random", "--hparams", "gane=CartPole-v1"], "Did you mean 'game'?"),
    (["run", "--agent", "random", "--hparams", f"game={games.UNEVEN}"], "are not supported"),
    (["run", "--agent", "random", "--hparams", f"game={games.RAISES}"], "ZeroDivisionError"),
    (["run", "--agent", "random", "--hparams", f"game={games.NAN}"], "is not finite"),
    (["run", "--agent", "random", "--hparams", f"game={games.PICTURES}", "--film", "a.gif"],
     "render mode 'rgb_array'; it has none"),
    (["run", "--agent", "random", "--game-module", "no_such_module"], "no_such_module"),
    (["run", "--num-games", "0"], "at least 1"),
    (["train", "--log-dir", "new", "--hparams", "observed_indices=[7]"], "from 0 to 3"),
    (["train", "--log-dir", "new", "--hparams", f"game={games.UNBOUNDED}"], "finite bounds"),
    (["dream", "--log-dir", "new", "--film", "a.gif"], "no such directory: 'new'")])
def test_a_wrong_command_is_refused_in_one_line(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*words), message)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_refused(run("run", "--agent", "random"),
                   "needs gymnasium and Pillow: pip install 'vaeseq[play]'")


def test_game_module_registers_games(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "registers_games_for_a_test.py").write_text(
        "import gymnasium\nfrom tests.examples.play.games import Count\n"
        "gymnasium.register('vaeseq-test/Own-v0', Count)\n")
    ended = run("run", "--agent", "random", "--game-module", "registers_games_for_a_test",
                "--hparams", "game=vaeseq-test/Own-v0", "--num-games", 9, "--json")
    assert json.loads(ended.out)["mean"] == pytest.approx(np.mean(_scores(9)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The log directory of a short run on `Limited`, whose episodes have 4 steps and score 10."""
    directory = tmp_path_factory.mktemp("trained") / "log"
    small = ("jit_compile=false,first_steps=30,first_updates=2,eval_every=40,eval_games=2,"
             "model_ratio=0.05,policy_ratio=0.05,batch_size=4,sequence_size=4,horizon=2,"
             "rnn_hidden_sizes=[4],obs_encoder_fc_layers=[4],obs_decoder_fc_hidden_layers=[4],"
             f"policy_layers=[4],game={games.LIMITED}")
    assert program.run(["train", "--log-dir", str(directory), "--hparams", small,
                        "--num-steps", "50"]) == 0
    return directory


def test_training_is_resumed_and_says_why_it_ended(run, trained, tmp_path):
    directory = shutil.copytree(trained, tmp_path / "log")
    ended = run("train", "--log-dir", directory, "--num-steps", 50)
    assert ended.out.startswith(
        f"Training on {games.LIMITED}: observations [2], 3 discrete actions.\n")
    assert "Step 52: nothing to do" in ended.out and "Best mean score: 10." in ended.out
    assert f"\n  vaeseq-play run --log-dir {directory}\n" in ended.out
    ended = run("train", "--log-dir", directory, "--num-steps", 500, "--max-minutes", 1e-6)
    assert "Step 52: time is up, everything is saved." in ended.out
    ended = run("train", "--log-dir", directory, "--num-steps", 60)
    assert "Step 60: done. Best mean score: 10.\nNext:\n" in ended.out, ended


def test_a_trained_agent_plays(run, trained):
    for words in ([], ["--temperature", 0.5]):
        ended = run("run", "--log-dir", trained, "--num-games", 2, *words)
        assert "2 games: mean 10, median 10, standard deviation 0, from 10 to 10." in ended.out


@pytest.mark.parametrize("actions, num_given", [("game", 1), ("own", 0), ("own", 3)])
def test_dream_films_the_episode_and_its_continuation(run, trained, tmp_path, actions, num_given):
    film = tmp_path / "d.gif"
    ended = run("dream", "--log-dir", trained, "--film", film, "--given", num_given, "--length", 9,
                "--actions", actions, status=0)
    assert ended.out.startswith("The game: 4 moves, score 10.\nThe dream, after ")
    imagined = int(re.search(rf"after {num_given} of them: (\d+) more", ended.out)[1])
    assert 1 <= imagined <= (4 - num_given if actions == "game" else 9)
    with Image.open(film) as image:
        assert image.n_frames == 1 + max(4, num_given + imagined)
        assert image.size == (2 * 320 + 4, 208 + 16)


def test_a_dream_that_is_longer_than_a_film_is_cut(run, trained, tmp_path, monkeypatch):
    painted = []
    paint = painters._Curves.paint
    monkeypatch.setattr(gif, "_MAX_FRAMES", 3)
    monkeypatch.setattr(painters._Curves, "paint",
                        lambda self, *words: painted.append(words) or paint(self, *words))
    ended = run("dream", "--log-dir", trained, "--film", tmp_path / "d.gif", "--given", 1, status=0)
    assert ended.out.endswith(
        "d.gif'; it shows the beginning, as there was more than fits in one.\n")
    assert len(painted) == 2 * (3 + 1)  # one more shows that the film is cut


def test_dream_needs_an_episode_longer_than_given(run, trained, tmp_path):
    assert_refused(
        run("dream", "--log-dir", trained, "--film", tmp_path / "d.gif", "--given", 4),
        "--given: expected fewer moves than the game had, 4; got 4")


def test_a_run_refuses_another_seed_or_game(run, log_dir):
    assert_refused(run("train", "--log-dir", log_dir, "--seed", 4),
                   "with seed 3, but seed 4 was given")
    assert_refused(run("train", "--log-dir", log_dir, "--hparams", "game=CartPole-v1"),
                   "game=CartPole-v1 was given")
