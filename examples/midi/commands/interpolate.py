# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi interpolate: plays what lies between two pieces."""
from __future__ import annotations

import argparse

import numpy as np

from vaeseq.autoencoder import spherical

from ..output.html import Sample
from ._phrases import PhraseCoder
from ._shared import playing_grid, write_samples


def run(args: argparse.Namespace) -> None:
    """Runs the command: moves each phrase of the one piece to the same phrase of the other."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    start, end = (coder.read(name, args.length) for name in (args.start, args.end))
    count = min(len(start), len(end))
    ends = (coder.encode(rolls[:count]).mean for rolls in (start, end))
    paths = np.stack([spherical(a, b, args.num_samples) for a, b in zip(*ends)], 1)  # [S, N, Z]
    decoded = coder.decode(paths.reshape([-1, paths.shape[-1]]))
    samples = [Sample("from", f"the first piece, {args.start}", np.concatenate(start[:count]))]
    for number, weight in enumerate(np.linspace(0, 1, args.num_samples)):
        samples.append(Sample(
            f"step-{number + 1:03}", f"{100 * weight:.0f} % of the way",
            np.concatenate(decoded[number * count:(number + 1) * count])))
    samples.append(Sample("to", f"the last piece, {args.end}", np.concatenate(end[:count])))
    write_samples(args, samples, grid, "Between two pieces",
                  f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}")
