# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text as a process of its own: its start, pipes and signals."""

import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys

import pytest

from tests.in_process import wait_for
from tests.tiny_text import SMALL

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def program():
    """The console script beside this Python; where none is installed, what it would call."""
    beside = shutil.which("vaeseq-text", path=str(pathlib.Path(sys.executable).parent))
    if beside:
        return [beside]
    return [sys.executable, "-c", "from examples.text.cli import main; main()"]


def _ended(command, **options):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=120, **options)


def _processor_seconds():
    """Of all processes that have ended: other work beside them does not count."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_help_is_there_at_once(program):
    seconds = []
    for _ in range(3):
        began = _processor_seconds()
        ended = _ended([*program, "train", "--help"])
        seconds.append(_processor_seconds() - began)
        assert ended.returncode == 0 and "--train-corpus" in ended.stdout and not ended.stderr
    assert statistics.median(seconds) < 0.5


def test_wrong_use_is_status_2_and_one_line(program):
    ended = _ended([*program, "generate", "--log-dir", os.devnull + "x"])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("vaeseq-text: error: ") and ended.stderr.count("\n") == 1


def test_a_reader_that_has_read_enough(program, trained):
    with subprocess.Popen([*program, "generate", "--log-dir", trained.log_dir, "--length", "10000"],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        stderr = process.stderr.read()
        process.wait(120)
    assert process.returncode in (0, 1) and stderr == b""


@pytest.mark.parametrize("number", [
    signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_and_says_how_to_go_on(program, trained, tmp_path, number):
    command = [*program, "train", "--log-dir", str(tmp_path / "log"), "--train-corpus",
               str(trained.corpus), "--hparams", SMALL, "--num-steps", "1000000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        wait_for(tmp_path / "log" / "events")
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "stopped, everything is saved." in out
    assert "The same command again resumes here." in out
    assert len(list((tmp_path / "log" / "checkpoints").glob("step-*"))) == 1
    for noise in ("INFO", "cuda", "oneDNN", "cpu_feature_guard", "Traceback", "Sharding"):
        assert noise not in err
