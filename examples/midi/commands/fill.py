# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi fill: draws bars of a piece anew, given what is before and after them."""
from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from ..hparams import MAX_SECONDS
from ..model import MidiModel
from ..output.html import Sample
from ._shared import load_model, playing_grid, read_piece, write_samples

_LARGEST_BATCH = 16  # samples drawn at once
_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch's first sample


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    if args.last < args.first:
        raise UsageError(f"--to: expected a bar from --from {args.first} on, got {args.last}.")
    model = load_model(args)
    roll = read_piece(args.piece, MAX_SECONDS, model.hparams.frames)
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
    write_samples(args, _draw(model, args, roll, is_known),
                  playing_grid(args.rate, model.hparams.frames), "Filled", subtitle)


def _draw(
    model: MidiModel, args: argparse.Namespace, roll: np.ndarray, is_known: np.ndarray
) -> Iterator[Sample]:
    digits = len(str(args.num_samples))
    for first in range(0, args.num_samples, _LARGEST_BATCH):
        rolls = model.fill(
            roll, is_known, num_samples=min(_LARGEST_BATCH, args.num_samples - first),
            temperature=args.temperature, seed=args.seed + (first << _SEED_BITS))
        for number, filled in enumerate(rolls, first + 1):
            yield Sample(f"sample-{number:0{digits}}", f"sample {number}", filled)
