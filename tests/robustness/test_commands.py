# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A command with hostile input fails with one line, soon, and writes nothing elsewhere."""

import importlib
import os
import pathlib
import shutil
import signal
import time

import pytest

from tests.in_process import assert_one_line, runner
from tests.robustness.zip_bomb import write_zip_bomb

_MOST_SECONDS = 20
_GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "runs"
PROGRAMS = {"text": "text-rnn", "midi": "midi-rnn"}  # and a golden run of each
INPUT_OPTIONS = {
    ("text", "train"): "--train-corpus", ("text", "evaluate"): "--eval-corpus",
    ("midi", "train"): "--train-files", ("midi", "evaluate"): "--eval-files",
    ("midi", "generate"): "--prime"}

FILES = {
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "directory": lambda path: path.mkdir(),
    "fifo": os.mkfifo,
    "dangling-link": lambda path: path.symlink_to("missing"),
    "zip-bomb": write_zip_bomb,
}


def _replaced(pattern, make):
    """Returns a function that replaces files or folders of a log directory."""
    def replace(log_dir):
        for path in list(log_dir.glob(pattern)):
            path.rename(log_dir / "original")
            make(path)

    return replace


DAMAGES = {
    "truncated-checkpoint": _replaced(
        "checkpoints/*/*.data*",
        lambda path: path.write_bytes((path.parents[2] / "original").read_bytes()[:-64])),
    "binary-checkpoint-index": _replaced("checkpoints/*/*.index", FILES["binary"]),
    "no-checkpoints": _replaced("checkpoints", FILES["directory"]),
    "checkpoints-link-nowhere": _replaced("checkpoints", FILES["dangling-link"]),
    "binary-hparams": _replaced("hparams.json", FILES["binary"]),
    "hparams-fifo": _replaced("hparams.json", FILES["fifo"]),
    "empty-run-file": _replaced("run.json", FILES["empty"]),
    "run-file-directory": _replaced("run.json", FILES["directory"]),
}


@pytest.fixture
def assert_refused(tmp_path, monkeypatch, capfd):
    """Returns a function that runs a command and asserts that it fails as it should."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("KERAS_HOME", os.path.expanduser("~/.keras"))  # made on its first import
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")

    def raise_timeout(*_):
        raise TimeoutError("the command takes too long")

    def assert_refused(name, *words):
        program = importlib.import_module(f"examples.{name}.cli").program
        before = _contents(tmp_path)
        previous = signal.signal(signal.SIGALRM, raise_timeout)
        signal.alarm(_MOST_SECONDS)
        began = time.monotonic()
        try:
            ended = runner(program, capfd)(*words, "--log-dir", tmp_path / "log")
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        assert time.monotonic() - began < _MOST_SECONDS
        assert_one_line(ended, "")
        # Progress and warnings of damaged checkpoints may come before the error.
        assert ended.err.splitlines()[-1].startswith(f"{program.name}: error: ")
        assert "unexpected" not in ended.err
        assert _contents(tmp_path) == before

    return assert_refused


def _contents(folder):
    """Returns mode, size and time of change of everything in a folder outside "log"."""
    crashes = {}
    for path in folder.rglob("*"):
        if "log" not in path.relative_to(folder).parts:
            status = path.lstat()
            crashes[path] = status.st_mode, status.st_size, status.st_mtime_ns
    return crashes


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize(("name", "command"), INPUT_OPTIONS)
def test_a_hostile_input_file_is_refused(name, command, content, assert_refused, tmp_path):
    if command != "train":
        shutil.copytree(_GOLDEN / PROGRAMS[name], tmp_path / "log")
    is_archive = name == "midi" and content == "zip-bomb"
    path = tmp_path / ("input.npz" if is_archive else "input.mid")
    FILES[content](path)
    assert_refused(name, command, INPUT_OPTIONS[name, command],
                   f"{path}:train" if is_archive and command != "generate" else path)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["evaluate", "generate"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_damaged_run_is_refused(name, command, damage, assert_refused, tmp_path):
    shutil.copytree(_GOLDEN / PROGRAMS[name], tmp_path / "log")
    DAMAGES[damage](tmp_path / "log")
    assert_refused(name, command)
