# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text reconstruct: encodes lines, decodes them again, and measures the difference."""
from __future__ import annotations

import argparse
import json

from vaeseq.autoencoder import measures
from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError

from ._sequences import load_autoencoder, read


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model, autoencoder = load_autoencoder(args)
    sequences = read(model, args)
    if len(sequences) < 2:
        raise UsageError(f"--input: expected at least two {model.hparams.unit}s to compare, got "
                         "one.")
    report = measures.report(autoencoder, sequences, seed=args.seed)
    if args.json:
        values = {**report._asdict(), "sequences": len(sequences), "tokens": model.vocabulary.name,
                  "is_collapsed": report.is_collapsed,
                  "information": report.information and report.information._asdict()}
        print(json.dumps(values, allow_nan=False))
        return
    every = max(1, len(sequences) // args.num_samples)
    shown = sequences[::every][:args.num_samples]
    decoded = autoencoder.reconstruct(
        shown, length=args.length, latent=args.latent, temperature=args.temperature,
        truncation=options.truncation(args), seed=args.seed)
    for original, copy in zip(shown, decoded, strict=True):
        for mark, symbols in (("  ", original), ("->", copy)):
            print(mark, program.one_line(model.vocabulary.decode(symbols).rstrip("\n")))
    _print_report(report, model.unit, model.hparams.unit, len(sequences))


def _print_report(report: measures.Report, unit: str, sequence: str, count: int) -> None:
    print(f"\n{count:,} {sequence}s: {report.nats_per_step:.4f} nats per {unit} from the mean, "
          f"{report.sampled_nats_per_step:.4f} from a sample, "
          f"{report.shuffled_nats_per_step:.4f} from another {sequence}'s mean")
    print(f"free-running: {report.accuracy:.1%} of the {unit}s right, "
          f"{report.edit_distance:.3f} edits per {unit}")
    print(f"latent: worth {report.worth:.2f} nats per {sequence}, {report.active_units} active "
          f"units, MMD^2 to the prior {report.mmd:.4f}")
    if report.information:
        kl, information, aggregate, cap = report.information
        print(f"KL {kl:.2f} nats per {sequence}; mutual information {information:.2f} (at most "
              f"{cap:.2f}, the logarithm of the number of {sequence}s); KL of all posteriors "
              f"together to the prior {aggregate:.2f}")
    if report.is_collapsed:
        print("The decoder ignores the latent: posterior collapse. Try seqae_decoder_dropout, "
              "free_bits with free_bits_per=dimension, or a smaller kl_weight.")
