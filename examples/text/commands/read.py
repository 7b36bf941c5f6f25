# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text read: a page on which a reader chooses between samples."""
from __future__ import annotations

import argparse
from collections.abc import Callable

from vaeseq.cli import program, tuning_options
from vaeseq.cli.arguments import UsageError
from vaeseq.tuning import collect
from vaeseq.tuning.choices import Choice
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
    prime = model.vocabulary.encode(args.prime) if args.prime else None

    def draw(count: int, batch: int) -> list[str]:
        samples = model.generate(
            num_samples=count, length=args.length, prime=prime, temperature=args.temperature,
            seed=args.seed + (batch << _SEED_BITS))
        return [args.prime + model.vocabulary.decode(sample) for sample in samples]

    def make_pairs(choices: Callable[[], list[Choice]]) -> collect.SamplePairs:
        return collect.SamplePairs(
            draw, lambda text: Shown(text, text), domain=rewards.domain(model), choices=choices,
            is_active=args.active, seed=args.seed)

    path = args.choices or args.log_dir / "choices.jsonl"
    with program.stop_on_signal() as should_stop:
        count = collect.serve(
            path, args.listener, make_pairs, total=args.pairs, title="Which text is better?",
            port=args.port, should_stop=should_stop, announce=tuning_options.announce_page)
    tuning_options.print_choices(count, path, PROGRAM)
