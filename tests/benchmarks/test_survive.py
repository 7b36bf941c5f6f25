# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A short run of `benchmarks.robustness.survive`: a killed run ends as an undisturbed one."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.robustness import survive
from benchmarks.robustness.targets import TARGETS

_STEPS, _EVERY = 54, 6


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Returns the log directories of an undisturbed run, and of one that was killed twice."""
    folder = tmp_path_factory.mktemp("survive")
    target = TARGETS["text"]
    data = target.make_data(folder)

    def command(log_dir):
        return target.command(target.train(
            log_dir, data, target.small, "--num-steps", str(_STEPS), "--valid-fraction", "0",
            save_every=_EVERY))

    survive.complete(command(folder / "whole"), folder)
    kills = survive.interrupt(
        command(folder / "killed"), folder / "killed", np.random.default_rng(22), 2)
    assert kills.kills == 2 and kills.while_saving >= 1
    return folder / "whole", folder / "killed"


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one(runs):
    whole, killed = runs
    assert survive.differences(whole, killed) == []
    assert not list((killed / "checkpoints").glob("writing-*"))
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_no_step_is_missing_or_duplicated(runs):
    lines = [json.loads(line) for line in (runs[1] / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(
        {*range(_EVERY, _STEPS + 1, _EVERY), *range(50, _STEPS + 1, 50)})


@pytest.mark.slow
def test_planted_differences_are_reported(runs, tmp_path):
    whole, killed = runs
    other = tmp_path / "other"
    shutil.copytree(killed, other)
    lines = (other / "metrics.jsonl").read_text().splitlines(keepends=True)
    (other / "metrics.jsonl").write_text("".join([*lines[:3], *lines[4:]]))
    assert any("lines of metrics" in difference for difference in survive.differences(whole, other))
    last = max((other / "checkpoints").glob("step-*"))
    for path in min((other / "checkpoints").glob("step-*")).iterdir():
        shutil.copy(path, last)
    assert any("differs" in difference for difference in survive.differences(whole, other))
    shutil.rmtree(last)
    assert any("checkpoints:" in difference for difference in survive.differences(whole, other))


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
