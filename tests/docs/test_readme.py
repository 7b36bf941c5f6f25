# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the README shows is run: its model of one's own, and its commands."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tests.tiny_text import SMALL, TEXT

ROOT = pathlib.Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 40


def _example(name):
    """The Python block after `<!-- example: name -->`."""
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md: expected a Python block after <!-- example: {name} -->"
    return found[1]


def _commands():
    """The lines of vaeseq-text in the README's shell blocks, split as a shell does."""
    blocks = re.findall(r"```shell\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line[1:], comments=True)[1:] for line in lines
            if re.match(r"\$\s*vaeseq-text ", line)]


def test_a_model_of_ones_own(tmp_path):
    code = _example("own_model")
    assert len(code.splitlines()) < MOST_LINES
    pytest.importorskip("matplotlib")
    quick, replaced = re.subn(r"num_steps=\d+", "num_steps=3", code)
    assert replaced == 1
    (tmp_path / "own.py").write_text(quick, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "own.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"})
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout.splitlines()[-1])
    picture = (tmp_path / "swing.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_the_commands_of_vaeseq_text(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("input.txt", "foo.txt", "bar.txt"):
        (tmp_path / name).write_text(TEXT + "ROMEO:\n", encoding="utf-8")
    commands = _commands()
    assert {command[0] for command in commands} == {"train", "evaluate", "generate", "export"}
    for command in commands:
        if command[0] == "train":
            command += ["--hparams", SMALL, "--num-steps", "2"]
        ended = run(*command)
        assert ended.status == 0, (command, ended.err)
        assert ended.out
    assert (tmp_path / "surprise.html").stat().st_size > 1000
