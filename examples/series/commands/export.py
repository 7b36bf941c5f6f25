# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series export: writes a trained model as a TensorFlow SavedModel."""
from __future__ import annotations

import argparse
import json

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
                     "space": model.maker.space.name, "xla": not args.no_xla,
                     "spread": [model.spread.first, model.spread.last]},
        files={FILE: json.dumps(model.layout.as_dict()) + "\n"})
    print(f"Step {model.step} is in {args.output}, with the signatures score and forecast.\n"
          f"Their inputs and outputs: {args.output}/assets.extra/model.json")
