# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text prefer: learns a reward from readers' choices, and measures it on others."""
from __future__ import annotations

import argparse
import json

from vaeseq.cli import program
from vaeseq.tuning import learning

from ..tuning import rewards
from .loading import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    domain = rewards.domain(load_model(args))
    learnt = learning.learn(
        learning.read_pairs(args.choices, domain), domain, seed=args.seed, log=program.log)
    print(json.dumps(learning.as_dict(learnt), allow_nan=False) if args.json
          else learning.table(learnt))
