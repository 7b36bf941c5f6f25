# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What results record, and which ones are taken for those of a command."""
import json
import sys

import pytest

from benchmarks import report
from benchmarks.quality import run_program
from vaeseq.cli.arguments import UsageError


@pytest.mark.parametrize(("word", "recorded"), [
    ("/data/text.txt", "text.txt"), ("/tmp/out/", "out"), ("../runs/a=b", "a=b"), ("/", "/"),
    ("--corpus=/data/text.txt", "--corpus=text.txt"), ("--out-dir=./runs/", "--out-dir=runs"),
    ("corpus=a/b,lr=1", "corpus=a/b,lr=1"), ("--rate=.5", "--rate=.5"), ("--json", "--json")])
def test_the_command_keeps_its_options_and_the_last_names_of_its_paths(
        monkeypatch, word, recorded):
    monkeypatch.setattr(sys, "argv", ["program", "run", word])
    assert report.provenance("a.b")["command"] == f"python -m a.b run {recorded}"


def test_a_result_is_that_of_the_expected_values_alone(tmp_path):
    path = tmp_path / "one.json"
    assert report.existing_result(path, updates=3) is None
    row = {"updates": 3, "sizes": [1, 2], "nats": 1.5}
    path.write_text(json.dumps(row))
    assert report.existing_result(path, updates=3, sizes=(1, 2)) == row
    for wrong in ({"updates": 4}, {"sizes": (1,)}, {"absent": 0}):
        with pytest.raises(UsageError, match=f"got one with other {next(iter(wrong))}. Remove it"):
            report.existing_result(path, **wrong)


def test_a_command_of_an_example_that_fails_is_refused_with_its_message():
    with pytest.raises(UsageError, match="^absent: .*'absent'"):
        run_program("series", "absent")


def test_interrupted_sessions_count_as_well(tmp_path, monkeypatch):
    now = iter([10.0, 13.0, 100.0, 104.0, 0.0, 1.0])
    monkeypatch.setattr(report.time, "monotonic", lambda: next(now))
    with pytest.raises(KeyboardInterrupt), report.Sessions(tmp_path):
        raise KeyboardInterrupt
    with report.Sessions(tmp_path) as sessions:
        pass
    assert sessions.seconds == 7.0
    with report.Sessions(tmp_path / "none") as sessions:
        pass
    assert sessions.seconds == 1.0 and not (tmp_path / "none").exists()
