# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A runner of commands of vaeseq-midi."""

import pytest

from examples.midi.cli import program
from tests.in_process import runner


@pytest.fixture
def midi(capsys):
    """Runs a command of vaeseq-midi in this process."""
    return runner(program, capsys)
