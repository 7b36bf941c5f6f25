# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A tiny trained model for the tests of the programs, and runners of commands."""

import pathlib
from typing import NamedTuple

import pytest

from examples.midi.cli import program as midi_program
from examples.text.cli import program
from tests import tiny_text
from tests.in_process import runner


class Run(NamedTuple):
    """The text and the log directory of a trained run."""

    corpus: pathlib.Path
    log_dir: pathlib.Path


@pytest.fixture
def run(capsys):
    """Returns a function that runs a command of vaeseq-text in this process."""
    return runner(program, capsys)


@pytest.fixture
def midi(capsys):
    """Returns a function that runs a command of vaeseq-midi in this process."""
    return runner(midi_program, capsys)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run that tests only read; a test that writes copies it."""
    folder = tmp_path_factory.mktemp("trained")
    log_dir = tiny_text.train(folder, "--num-steps", "60", "--valid-every", "30")
    return Run(folder / "corpus.txt", log_dir)
