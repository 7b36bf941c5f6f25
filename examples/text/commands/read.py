# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text read: a page on which a reader chooses between samples."""
from __future__ import annotations

import argparse
import functools

from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError
from vaeseq.tuning import collect
from vaeseq.tuning.page import Shown

from ..model import PROGRAM
from ..tuning import rewards
from .loading import load_model

_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    unknown = model.vocabulary.unknown(args.prime)
    if unknown:
        raise UsageError(f"--prime: {unknown[0]!r} is not in the model's vocabulary.")
    prime = model.encode_prime(args.prime)

    def draw(count: int, batch: int) -> list[str]:
        samples = model.generate(
            num_samples=count, length=args.length, prime=prime, temperature=args.temperature,
            seed=args.seed + (batch << _SEED_BITS))
        return [args.prime + model.vocabulary.decode(sample) for sample in samples]

    collect.serve(
        args.choices or args.log_dir / "choices.jsonl", args.listener, draw,
        lambda text: Shown(text, text), rewards.domain(model), total=args.pairs,
        is_active=args.active, seed=args.seed, title="Which text is better?", port=args.port,
        print_next=functools.partial(options.print_next_steps, PROGRAM, args))
