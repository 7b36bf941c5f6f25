# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi prefer: learns a reward from listeners' choices, and measures it on others."""
from __future__ import annotations

import argparse

from vaeseq.cli.program import log
from vaeseq.tuning import learning

from ..tuning import rewards
from ._shared import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    print(learning.report(args.choices, rewards.domain(load_model(args)), seed=args.seed,
                          as_json=args.json, log=log))
