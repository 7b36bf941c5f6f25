# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi generate: samples music from a trained model."""
from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from vaeseq.cli.arguments import UsageError

from ..data.piano_roll import Grid
from ..hparams import MAX_SECONDS
from ..model import MidiModel
from ..output.html import Sample
from ._shared import count_frames, load_model, playing_grid, read_piece, write_samples

_LARGEST_BATCH = 16  # samples drawn at once
_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch's first sample


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    prime = _read_prime(args, model.hparams.frames)
    grid = playing_grid(args.rate, model.hparams.frames)
    length = count_frames(args.length, grid)
    prime_seconds = 0.0 if prime is None else len(prime) * grid.frame_seconds
    if prime_seconds + args.length > MAX_SECONDS:
        raise UsageError(
            f"expected a prime and a --length of at most {MAX_SECONDS} seconds together, got "
            f"{prime_seconds:.0f} and {args.length:g}. Give a --prime-length.")
    subtitle = f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}"
    write_samples(args, _draw(model, args, prime, length), grid, "Samples", subtitle)


def _draw(
    model: MidiModel, args: argparse.Namespace, prime: np.ndarray | None, length: int
) -> Iterator[Sample]:
    digits = len(str(args.num_samples))
    for first in range(0, args.num_samples, _LARGEST_BATCH):
        rolls = model.compose(
            num_samples=min(_LARGEST_BATCH, args.num_samples - first), length=length,
            prime=prime, temperature=args.temperature,
            seed=args.seed + (first << _SEED_BITS))
        for number, roll in enumerate(rolls, first + 1):
            whole = roll if prime is None else np.concatenate([prime, roll])
            yield Sample(f"sample-{number:0{digits}}", f"sample {number}", whole,
                         len(whole) - len(roll))


def _read_prime(args: argparse.Namespace, grid: Grid) -> np.ndarray | None:
    if args.prime:
        return read_piece(args.prime, args.prime_length or float("inf"), grid)
    if args.prime_length:
        raise UsageError("--prime-length: expected a --prime to take it of, got none.")
    return None
