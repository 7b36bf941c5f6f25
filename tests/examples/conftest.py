# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A tiny trained model for the tests of the programs, and a runner of commands."""

import pathlib
from typing import NamedTuple

import pytest

from examples.text.cli import program
from tests.in_process import runner
from tests.tiny_text import SMALL, TEXT


class Run(NamedTuple):
    """The text and the log directory of a trained run."""

    corpus: pathlib.Path
    log_dir: pathlib.Path


@pytest.fixture
def run(capsys):
    """Returns a function that runs a command of vaeseq-text in this process."""
    return runner(program, capsys)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run that tests only read; a test that writes copies it."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = folder / "corpus.txt"
    corpus.write_text(TEXT, encoding="utf-8")
    status = program.run([
        "train", "--log-dir", str(folder / "log"), "--train-corpus", str(corpus), "--hparams",
        SMALL, "--num-steps", "60", "--valid-every", "30"])
    assert status == 0
    return Run(corpus, folder / "log")
