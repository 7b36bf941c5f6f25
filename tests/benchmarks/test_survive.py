# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A training run that is killed and started again ends as one that was not, to the last bit.

The short form of `benchmarks.robustness.survive`:
each start is a fork of a process that has imported all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest

from benchmarks.robustness import survive
from benchmarks.robustness.driven import DRIVEN

_STEPS, _EVERY = 54, 6


def _train(words):
    """A training run, in a process of its own."""
    from examples.text.cli import program
    from examples.text.model import TextModel
    TextModel.after_validation = lambda *_: None  # a sample costs seconds and changes nothing
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        os._exit(program.run(words))


class _Forked:
    """A process, as `survive.Running` wants one."""

    def __init__(self, context, *arguments):
        self._process = context.Process(target=_train, args=arguments)
        self._process.start()

    def poll(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def wait(self):
        self._process.join()
        return self._process.exitcode


@pytest.fixture(scope="module")
def context():
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["examples.text.commands.train"])
    return made


@pytest.fixture(scope="module")
def runs(context, tmp_path_factory):
    """The log directories of a run that ended by itself, and of one that was killed twice."""
    folder = tmp_path_factory.mktemp("survive")
    driven = DRIVEN["text"]
    data = driven.make_data(folder)

    def start(log_dir):
        return _Forked(context, driven.train(
            log_dir, data, driven.small, "--num-steps", str(_STEPS), "--valid-fraction", "0",
            save_every=_EVERY))

    assert start(folder / "whole").wait() == 0
    killed = survive.interrupt(
        lambda: start(folder / "killed"), folder / "killed", np.random.default_rng(22), 2)
    assert killed.kills == 2 and killed.while_saving >= 1
    return folder / "whole", folder / "killed"


@pytest.mark.slow
def test_nothing_differs(runs):
    whole, killed = runs
    assert survive.differences(whole, killed) == []
    assert not list((killed / "checkpoints").glob("writing-*"))
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_no_step_is_missing_or_there_twice(runs):
    lines = [json.loads(line) for line in (runs[1] / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(
        {*range(_EVERY, _STEPS + 1, _EVERY), *range(50, _STEPS + 1, 50)})


@pytest.mark.slow
def test_a_difference_is_seen(runs, tmp_path):
    whole, killed = runs
    other = tmp_path / "other"
    shutil.copytree(killed, other)
    lines = (other / "metrics.jsonl").read_text().splitlines(keepends=True)
    (other / "metrics.jsonl").write_text("".join([*lines[:3], *lines[4:]]))
    assert any("lines of metrics" in found for found in survive.differences(whole, other))
    last = max((other / "checkpoints").glob("step-*"))
    for path in min((other / "checkpoints").glob("step-*")).iterdir():
        shutil.copy(path, last)
    assert any("differs" in found for found in survive.differences(whole, other))
    shutil.rmtree(last)
    assert any("checkpoints:" in found for found in survive.differences(whole, other))


def test_samples_are_compared_byte_by_byte(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    assert survive.different_files(tmp_path / "one", tmp_path / "other") == [
        "no sample was written"]
    (tmp_path / "one" / "sample").write_bytes(b"abc")
    assert survive.different_files(tmp_path / "one", tmp_path / "other") == ["samples: sample"]
    (tmp_path / "other" / "sample").write_bytes(b"abd")
    assert survive.different_files(tmp_path / "one", tmp_path / "other") == ["samples: sample"]
    (tmp_path / "other" / "sample").write_bytes(b"abc")
    assert survive.different_files(tmp_path / "one", tmp_path / "other") == []
