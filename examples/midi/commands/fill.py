# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi fill: draws bars of a piece anew, given what is before and after them."""
from __future__ import annotations

import argparse
import functools

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from ._shared import (
    load_model,
    numbered_samples,
    playing_grid,
    read_whole_piece,
    write_samples,
)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    if args.last < args.first:
        raise UsageError(f"--to: expected a bar from --from {args.first} on, got {args.last}.")
    model = load_model(args)
    grid = playing_grid(args.rate, model.hparams.frames)
    roll = read_whole_piece(args.piece, model.hparams.frames, grid)
    bar = model.hparams.frames.bar
    start, end = (args.first - 1) * bar, args.last * bar
    if start >= len(roll):
        raise UsageError(
            f"--from: expected a bar of {short_repr(args.piece)}, which has "
            f"{-(-len(roll) // bar)} bars of {bar} frames; got {args.first}.")
    is_known = np.ones(len(roll), bool)
    is_known[start:end] = False
    subtitle = (f"{args.log_dir}, bars {args.first} to {args.last} of {args.piece}, temperature "
                f"{args.temperature:g}, seed {args.seed}")
    write_samples(args, numbered_samples(args, functools.partial(model.fill, roll, is_known)),
                  grid, "Filled", subtitle, total=args.num_samples)
