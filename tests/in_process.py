# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A program's command, run in the process of the test."""

from __future__ import annotations

from typing import NamedTuple


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def runner(program, capsys):
    """Runs the words of a command of `program`."""
    def run(*words):
        capsys.readouterr()
        status = program.run([str(word) for word in words])
        return Ended(status, *capsys.readouterr())

    return run


def assert_one_line(ended, program, message):
    """A command ended in one line of error that says `message`, and in nothing worse."""
    assert ended.status in (1, 2), ended
    told = [line for line in ended.err.splitlines() if line.startswith(f"{program.name}: error: ")]
    assert len(told) == 1 and message in told[0], ended
    assert "Traceback" not in ended.err
