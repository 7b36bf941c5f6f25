# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi evaluate --samples: measures what a trained model plays; symbols are frames."""
from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from vaeseq.cli import sample_report
from vaeseq.cli.program import log
from vaeseq.evaluate import samples
from vaeseq.runs.progress import Progress

from ..data import piano_roll, sources
from ..model import MidiModel

_BATCH = 16  # samples drawn at once
_LENGTHS = (10, 30, *samples.LENGTHS)  # frames


def run(model: MidiModel, args: argparse.Namespace) -> None:
    """Draws samples, and prints and draws their metrics beside those of real music.

    A symbol is the set of notes that sound in a frame, if it occurs in the training music; all
    other sets are one symbol.
    """
    grid = model.hparams.frames

    def sounding(rolls: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [piano_roll.sounding(roll, grid) for roll in rolls]

    train = sounding([piece.roll for piece in sources.reload(model.log_dir, grid, log).train])
    if args.eval_files:
        real = sources.load(args.eval_files, grid, log, "to compare samples with").rolls
    else:
        real = [piece.roll for piece in sources.held_out(model.log_dir, grid, log)]
    frames = samples.FrameSymbols(train)
    length = min(_LENGTHS[-1], sum(map(len, real)))
    generated: list[np.ndarray] = []
    with Progress("draw", total=args.samples, unit="sample", counted="samples") as progress:
        for first in range(0, args.samples, _BATCH):
            rows = min(_BATCH, args.samples - first)
            generated += sounding(model.compose(
                num_samples=rows, length=length, seed=args.seed + (first << 31)))
            progress.advance(rows, rows)
    generated, train, held_out = (
        [frames.encode(roll) for roll in rolls] for rolls in (generated, train, sounding(real)))
    shares = {"unknown_share": frames.unknown_share(generated),
              "real_unknown_share": frames.unknown_share(held_out)}
    log("Frames that do not occur in the training music, and count as one symbol: {:.0%} of the "
        "samples', {:.0%} of the real ones.".format(*shares.values()))
    sample_report.report(args, generated, train, held_out, len(frames), unit=model.unit,
                         lengths=_LENGTHS, labels=shares)
