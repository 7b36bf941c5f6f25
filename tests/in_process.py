# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Runs a program's command in the process of the test."""

from __future__ import annotations

from typing import NamedTuple


class Ended(NamedTuple):
    """The exit status of a command and its output."""

    status: int
    out: str
    err: str


def runner(program, capsys):
    """Returns a function that runs a command of `program`, given its words."""
    def run(*words):
        capsys.readouterr()
        status = program.run([str(word) for word in words])
        return Ended(status, *capsys.readouterr())

    return run


def assert_one_line(ended, program, message):
    """Asserts that a command failed with one line of error, which contains `message`."""
    assert ended.status in (1, 2), ended
    errors = [line for line in ended.err.splitlines()
              if line.startswith(f"{program.name}: error: ")]
    assert len(errors) == 1 and message in errors[0], ended
    assert "Traceback" not in ended.err
