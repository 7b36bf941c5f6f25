# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi encode: writes the latents of phrases into a file."""
from __future__ import annotations

import argparse

import numpy as np

from vaeseq.cli import program

from ..model import phrases
from ._phrases import PhraseCoder


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    coder = PhraseCoder(args)
    parts = [phrases.split([roll], coder.model.hparams)
             for roll in coder.read_pieces(args.input)]
    encoded = coder.encode([roll for part in parts for roll in part])
    with open(args.output, "wb") as file:
        np.savez(file, mean=encoded.mean, stddev=encoded.stddev,
                 piece=np.repeat(np.arange(len(parts)), list(map(len, parts))),
                 phrase=np.concatenate([np.arange(len(part)) for part in parts]))
    print(f"{program.one_line(str(args.output))}: the latents of {len(encoded.mean):,} phrases of "
          f"{len(parts):,} pieces, {encoded.mean.shape[1]} numbers each.")
