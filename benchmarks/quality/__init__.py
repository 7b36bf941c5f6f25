# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Likelihoods and scores: text, polyphonic music, games."""
from __future__ import annotations

import subprocess
import sys

from vaeseq.cli.arguments import UsageError


def run_program(name: str, *words: object) -> str:
    """Runs a command of an example, such as "text"; returns what it prints.

    Raises UsageError if the command fails.
    """
    ended = subprocess.run(
        [sys.executable, "-c", f"from examples.{name}.cli import main; main()", *map(str, words)],
        capture_output=True, text=True, check=False)
    if ended.returncode:
        raise UsageError(f"{words[0]}: {ended.stderr.strip()[-300:]}")
    return ended.stdout
