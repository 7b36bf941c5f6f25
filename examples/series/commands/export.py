# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series export: writes a trained model as a TensorFlow SavedModel."""
from __future__ import annotations

import argparse
import json

from vaeseq.cli import options
from vaeseq.evaluate import export

from .. import serving
from ..data.layout import FILE
from ..model import PROGRAM
from .loading import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    export.check_free(args.output)  # before the slow loading of a model
    model = load_model(args)
    evaluator = model.evaluator(args.bound, args.num_samples)
    horizon = args.horizon or model.hparams.horizon
    export.save_signatures(
        model.gen_core, evaluator.bound, args.output,
        serving.signatures(model, evaluator, rows=args.rows, horizon=horizon,
                           jit_compile=not args.no_xla),
        description={**export.about(PROGRAM, model.step, model.unit, model.hparams),
                     "rows": args.rows, "context": model.hparams.context, "horizon": horizon,
                     "space": model.maker.space.name, "xla": not args.no_xla},
        files={FILE: json.dumps(model.layout.as_dict()) + "\n"})
    options.print_exported(args.output, model.step, "score and forecast")
