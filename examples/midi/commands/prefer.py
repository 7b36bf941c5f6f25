# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi prefer: learns a reward from listeners' choices, and measures it on others."""
from __future__ import annotations

import argparse
import json

from vaeseq.cli.program import log
from vaeseq.tuning import learning

from ..tuning import rewards
from ._shared import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    domain = rewards.domain(model)
    learnt = learning.learn(
        learning.read_pairs(args.choices, domain), domain, seed=args.seed, log=log)
    print(json.dumps(learning.as_dict(learnt), allow_nan=False) if args.json
          else learning.table(learnt))
