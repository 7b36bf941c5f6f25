# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Runs on environments with a known best score."""

import functools
import json
import shutil

import numpy as np
import pytest

from examples.play.actor_critic import training
from examples.play.actor_critic.learner import Learner
from examples.play.envs import env
from examples.play.envs.vector_env import VectorEnv
from tests.examples.play.games import BEST_IN_CORRIDOR, HPARAMS, MEMORY
from tests.in_process import saved
from vaeseq.runs.log_dir import LogDir


def _run(path, hparams, num_steps, **options):
    log_dir = LogDir(path, training.PROGRAM)
    return training.run(hparams, log_dir, num_steps=num_steps, seed=1, **options)


def _lines(path):
    return [json.loads(line) for line in LogDir(path).metrics.read_text().splitlines()]


@pytest.mark.slow
def test_a_run_finds_the_best_policy_and_resumes_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    learned = _run(whole, HPARAMS, 220)
    assert learned.best == learned.last == BEST_IN_CORRIDOR
    assert _lines(whole)[-1]["eval_min"] == BEST_IN_CORRIDOR

    shutil.copytree(whole, killed)
    first, *later = sorted(LogDir(killed).checkpoints.glob("step-*"))
    assert later
    for path in later:  # as if the run had been killed before these checkpoints
        shutil.rmtree(path)
    resumed = _run(killed, HPARAMS, 220)
    assert resumed == learned
    assert _lines(killed) == _lines(whole)
    expected = saved(whole)
    for name, value in saved(killed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert int(first.name.removeprefix("step-")) < resumed.real_steps


def test_a_session_that_ends_within_a_round_leaves_its_updates_to_the_next(tmp_path):
    hparams = HPARAMS.replace(first_updates=4, first_steps=20, eval_every=20)
    whole = _run(tmp_path / "whole", hparams, 60)
    sessions, ended = 0, whole._replace(reason="")
    while ended.reason != "done":
        calls = iter([False] * 8)  # eight updates in a session
        ended = _run(tmp_path / "parts", hparams, 60,
                     should_stop=functools.partial(next, calls, True))
        sessions += 1
    assert sessions > 2 and ended == whole
    assert _lines(tmp_path / "parts") == _lines(tmp_path / "whole")
    expected = saved(tmp_path / "whole")
    for name, value in saved(tmp_path / "parts").items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert _run(tmp_path / "parts", hparams, 60).nothing_to_do


def test_a_run_of_other_hyperparameters_is_not_resumed(tmp_path):
    LogDir(tmp_path / "log", training.PROGRAM).create(HPARAMS, 1)
    with pytest.raises(ValueError, match="holds a run with learning_rate=.* was given"):
        _run(tmp_path / "log", HPARAMS.replace(learning_rate=0.5), 220)


@pytest.mark.parametrize("end_share", [0.0, 1.0])
def test_a_learner_trains_on_the_ends_of_episodes_as_often_as_asked(end_share, monkeypatch):
    hparams = HPARAMS.replace(end_share=end_share, first_updates=1, sequence_size=1)
    learner = Learner(hparams, env.game(hparams.game), seed=1)
    with VectorEnv(learner.game, 2) as games:
        learner.collect(games)
    monkeypatch.setattr(learner.world, "batch", lambda steps, lengths: steps)
    ends = np.concatenate([learner._batch([0, number]).terminated for number in range(50)])
    replay = learner.replay
    expected = replay.arrays().terminated.sum() / (
        replay.num_episodes if end_share else replay.num_steps)
    assert abs(ends.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(ends))


@pytest.mark.parametrize("memory", [True, False])
def test_only_a_policy_with_memory_acts_on_an_earlier_observation(tmp_path, memory):
    hparams = HPARAMS.replace(game=MEMORY, memory=memory, eval_games=64, games_per_round=8,
                              first_updates=250 if memory else 40)
    learned = _run(tmp_path, hparams, 140)
    if memory:
        assert learned.last == 1
    else:  # the score of a constant action: 0 within 4 standard errors
        assert abs(learned.last) <= 4 / np.sqrt(64)


@pytest.mark.parametrize("max_game_steps", [0, 2])
def test_collected_games_are_cut_and_evaluations_are_not(max_game_steps):
    hparams = HPARAMS.replace(max_game_steps=max_game_steps)
    learner = Learner(hparams, env.game(hparams.game), seed=1)
    with VectorEnv(learner.game, 8) as games:
        episodes = learner.collect(games) + learner.collect(games)
        lasting = max(episode.num_steps for episode in episodes)
        scores = learner.evaluate(games)
    assert lasting == 2 if max_game_steps else lasting > 2
    cut = [episode for episode in episodes if episode.num_steps == max_game_steps]
    assert not any(episode.terminated for episode in cut)  # their ends are not the game's
    assert scores.min() < -2  # a reward of -1 for each step: they last longer
