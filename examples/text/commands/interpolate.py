# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text interpolate: decodes what lies between two lines."""
from __future__ import annotations

import argparse

from vaeseq.cli import options, program

from ._sequences import encode_text, load_autoencoder


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model, autoencoder = load_autoencoder(args)
    start, end = (encode_text(model, text, option) for text, option in (
        (args.start, "--from"), (args.end, "--to")))
    for symbols in autoencoder.interpolate(
            start, end, args.num_samples, length=args.length, temperature=args.temperature,
            truncation=options.truncation(args), seed=args.seed):
        print(program.one_line(model.vocabulary.decode(symbols).rstrip("\n")))
