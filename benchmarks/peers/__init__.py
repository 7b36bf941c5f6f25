# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of other projects, run by a Python of their own."""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from vaeseq.cli import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("--peers", type=arguments.readable_file, metavar="FILE",
                        help="script of the models to compare with")
    parser.add_argument("--peer-python", default=sys.executable, metavar="PROGRAM",
                        help="Python that runs the script")


def run(options: argparse.Namespace, *words: object) -> list[dict[str, Any]]:
    """Runs the peers' script and returns the JSON lines that it prints.

    Raises UsageError if the script fails.
    """
    result = subprocess.run([options.peer_python, options.peers, *map(str, words)],
                            capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no error message"])[-1]
        raise arguments.UsageError(f"{str(options.peers)!r} {words[0]} failed: {last}")
    return [json.loads(line) for line in result.stdout.splitlines()]
