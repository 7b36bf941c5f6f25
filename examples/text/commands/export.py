# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text export: writes a trained model as a TensorFlow SavedModel."""
from __future__ import annotations

import argparse

from vaeseq.cli import options
from vaeseq.evaluate import export

from ..model import PROGRAM
from .loading import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    export.check_free(args.output)  # before the slow loading of a model
    model = load_model(args)
    export.save(
        model.gen_core, model.evaluator(args.bound, args.num_samples).bound, args.output,
        rows=args.rows, window=args.window, jit_compile=not args.no_xla,
        truncation=options.truncation(args),
        check=model.expect_symbols, files={"vocabulary.json": model.vocabulary.to_json()},
        description=export.about(PROGRAM, model.step, model.unit, model.hparams))
    options.print_exported(args.output, model.step)
