# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Whole runs on games whose best score is known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from examples.play.actor_critic import training
from tests.examples.play.learnable_games import BEST_IN_CORRIDOR, HPARAMS, MEMORY, register
from vaeseq.runs.log_dir import LogDir


@pytest.fixture(autouse=True)
def _games():
    register()


def _run(path, hparams, num_steps, **options):
    log_dir = LogDir(path, training.PROGRAM)
    return training.run(hparams, log_dir, num_steps=num_steps, seed=1, **options)


def _lines(path):
    return [json.loads(line) for line in LogDir(path).metrics.read_text().splitlines()]


@pytest.mark.slow
def test_a_corridor_is_walked_as_quickly_as_can_be_and_a_killed_run_goes_on(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    learned = _run(whole, HPARAMS, 220)
    assert learned.best == learned.last == BEST_IN_CORRIDOR
    assert _lines(whole)[-1]["eval_min"] == BEST_IN_CORRIDOR

    shutil.copytree(whole, killed)
    first, *later = sorted(LogDir(killed).checkpoints.glob("step-*"))
    assert later
    for path in later:  # as if it had been killed before it saved these
        shutil.rmtree(path)
    resumed = _run(killed, HPARAMS, 220)
    assert resumed == learned
    assert _lines(killed) == _lines(whole)
    expected = _saved(whole)
    for name, saved in _saved(killed).items():
        np.testing.assert_array_equal(saved, expected[name], err_msg=name)
    assert int(first.name.removeprefix("step-")) < resumed.real_steps


@pytest.mark.parametrize("memory", [True, False])
def test_what_was_shown_a_move_ago_is_remembered(tmp_path, memory):
    hparams = HPARAMS.replace(game=MEMORY, memory=memory, eval_games=64, games_per_round=8,
                              first_updates=250 if memory else 40)
    learned = _run(tmp_path, hparams, 140)
    if memory:
        assert learned.last == 1
    else:  # always the same answer: right as often as the sign is that one, within 4 deviations
        assert abs(learned.last) <= 4 / np.sqrt(64)


def _saved(path):
    """All numbers of the latest checkpoint, by name."""
    latest = max(LogDir(path).checkpoints.glob("step-*"))
    reader = tf.train.load_checkpoint(str(latest / "state"))
    names = [name for name in reader.get_variable_to_dtype_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names}
