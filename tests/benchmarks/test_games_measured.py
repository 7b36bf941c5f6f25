# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The benchmarks of games: when one is solved, the table, and play without learning."""

import json
import math
import shutil
from pathlib import Path

import pytest

from benchmarks.performance import collecting
from benchmarks.quality import play
from examples.play.hparams import PlayHParams
from tests.in_process import runner


def test_every_recipe_can_be_read():
    for recipe in play.RECIPES.values():
        assert PlayHParams().parse(recipe.overrides).first_steps < recipe.steps


@pytest.mark.parametrize(("scores", "first", "for_good"), [
    ([1, 5, 5], 20, 20), ([5, 1, 5], 10, 30), ([5, 5, 1], 10, math.inf),
    ([1, 1, 4.9], math.inf, math.inf), ([5, 5, 5], 10, 10)])
def test_when_a_game_is_solved(scores, first, for_good):
    curve = [[10 * (place + 1), score] for place, score in enumerate(scores)]
    assert play._solved(curve, 5) == (first, for_good)


def test_the_table_tells_median_and_worst(tmp_path, capsys):
    for seed, at in enumerate((1000, 3000, 2000)):
        row = {"game": "cartpole", "seed": seed, "last": 500 - seed, "wall_seconds": 60 * seed,
               "curve": [[step, 500 if step >= at else 20] for step in (1000, 2000, 3000)],
               "prediction": {name: [seed] * 50 for name in ("model", "unchanged", "linear")}}
        (tmp_path / f"cartpole-{seed}.json").write_text(json.dumps(row))
    pictures = tmp_path / "pictures"
    ended = runner(play.program, capsys)(
        "table", "--log-dir", tmp_path, "--pictures", pictures)
    assert ended.status == 0
    assert ("| cartpole | 475 within 20,000 | 2,000 (3,000) | 2,000 (3,000) | 499.0 (498.0) | 2.0 |"
            in ended.out)
    assert "| cartpole, model | 1 | 1 | 1 |" in ended.out
    assert (pictures / "cartpole.png").stat().st_size > 1000


def test_figures_of_other_hyperparameters_are_refused(tmp_path, monkeypatch, capsys):
    folder = Path(play.__file__).parents[1] / "results" / "play"
    for path in folder.glob("*.json"):
        shutil.copy(path, tmp_path)

    def no_learning(*_):
        raise LookupError

    monkeypatch.setattr(play, "_learn", no_learning)
    run = runner(play.program, capsys)
    games = [name for name in play.RECIPES if name != "lunarlander"]
    assert run("run", "--log-dir", tmp_path, "--games", ",".join(games)).status == 0
    words = "run", "--log-dir", tmp_path, "--games", "lunarlander", "--seeds", "0"
    assert run(*words).status == 0
    ended = run(*words, "--hparams", "horizon=3")
    assert ended.status == 2 and "got one with other hparams. Remove it" in ended.err


def test_play_without_learning_is_measured(capsys):
    ended = runner(collecting.program, capsys)(
        "run", "--copies", "2", "--moves", "200", "--rounds", "1")
    assert ended.status == 0
    row = json.loads(ended.out)
    assert row["copies"] == 2
    assert set(row["moves_per_second"]) == {"SyncVectorEnv", "random", "policy"}
    assert all(rate > 0 for rate in row["moves_per_second"].values())
