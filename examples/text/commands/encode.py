# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text encode: writes the latents of lines into a file."""
from __future__ import annotations

import argparse

import numpy as np

from vaeseq.cli import program

from ._sequences import load_autoencoder, read


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model, autoencoder = load_autoencoder(args)
    sequences = read(model, args)
    encoded = autoencoder.encode(sequences)
    texts = np.array([model.vocabulary.decode(symbols) for symbols in sequences])
    with open(args.output, "wb") as file:
        np.savez(file, text=texts, mean=encoded.mean, stddev=encoded.stddev)
    print(f"{program.one_line(str(args.output))}: the latents of {len(sequences):,} "
          f"{model.hparams.unit}s, {autoencoder.latent_size} numbers each.")
