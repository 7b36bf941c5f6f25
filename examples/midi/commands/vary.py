# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi vary: plays variations of a piece, its neighbours in the latent space."""
from __future__ import annotations

import argparse

import numpy as np

from ..output.html import Sample
from ._phrases import PhraseCoder
from ._shared import playing_grid, write_samples


def run(args: argparse.Namespace) -> None:
    """Runs the command: moves all phrases of a variation in one random direction."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    rolls = coder.read(args.piece, args.length)
    means = coder.encode(rolls).mean
    moves = np.random.default_rng(args.seed).standard_normal(
        [args.num_samples, 1, means.shape[1]])
    decoded = coder.decode((means + args.distance * moves).reshape([-1, means.shape[1]]))
    samples = [Sample("piece", f"the piece, {args.piece}", np.concatenate(rolls))]
    samples += [
        Sample(f"variation-{number + 1:03}", f"variation {number + 1}",
               np.concatenate(decoded[number * len(rolls):(number + 1) * len(rolls)]))
        for number in range(args.num_samples)]
    write_samples(args, samples, grid, "Variations",
                  f"{args.log_dir}, distance {args.distance:g}, temperature "
                  f"{args.temperature:g}, seed {args.seed}")
