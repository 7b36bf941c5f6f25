# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi prefer: learns a reward from listeners' choices, and measures it on others."""
from __future__ import annotations

import argparse

from vaeseq.cli import tuning_options

from ..tuning import rewards
from ._shared import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    tuning_options.run_prefer(args, rewards.domain(load_model(args)))
