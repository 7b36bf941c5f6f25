# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi generate: samples music from a trained model."""
from __future__ import annotations

import argparse
import functools

import numpy as np

from vaeseq.cli.arguments import UsageError

from ..data.piano_roll import Grid
from ..hparams import MAX_SECONDS
from ._shared import (
    count_frames,
    load_model,
    numbered_samples,
    playing_grid,
    read_piece,
    write_samples,
)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    grid = playing_grid(args.rate, model.hparams.frames)
    prime = _read_prime(args, model.hparams.frames, grid)
    length = count_frames(args.length, grid)
    prime_seconds = 0.0 if prime is None else len(prime) * grid.frame_seconds
    if prime_seconds + args.length > MAX_SECONDS:
        raise UsageError(
            f"expected a prime and a --length of at most {MAX_SECONDS} seconds together, got "
            f"{prime_seconds:.0f} and {args.length:g}. Give a --prime-length.")
    subtitle = f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}"
    draw = functools.partial(model.compose, length=length, prime=prime)
    write_samples(args, numbered_samples(args, draw, prime), grid, "Samples", subtitle,
                  total=args.num_samples)


def _read_prime(args: argparse.Namespace, grid: Grid, playing: Grid) -> np.ndarray | None:
    length = (count_frames(args.prime_length, playing, "--prime-length") if args.prime_length
              else None)
    if args.prime:
        return read_piece(args.prime, grid, length)
    if length:
        raise UsageError("--prime-length: expected a --prime to take it of, got none.")
    return None
