# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi reconstruct: plays phrases beside what an autoencoder makes of them."""
from __future__ import annotations

import argparse
from collections.abc import Iterator

from vaeseq.cli.arguments import UsageError

from ..model import phrases
from ..output.html import Sample
from ._phrases import PhraseCoder
from ._shared import playing_grid, write_samples


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    rolls = [roll for roll in phrases.split(coder.read_pieces(args.input), coder.model.hparams)
             if len(roll) == coder.size and roll.any()]
    if not rolls:
        raise UsageError(f"--input: expected a phrase of {coder.size} frames with notes, got none.")
    shown = rolls[::max(1, len(rolls) // args.num_samples)][:args.num_samples]
    copies = coder.decode(coder.encode(shown).mean)

    def samples() -> Iterator[Sample]:
        for number, (roll, copy) in enumerate(zip(shown, copies, strict=True), 1):
            yield Sample(f"phrase-{number:03}", f"phrase {number}", roll)
            yield Sample(f"phrase-{number:03}-decoded", f"phrase {number}, decoded", copy)

    write_samples(args, samples(), grid, "Phrases and their reconstructions",
                  f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}")
