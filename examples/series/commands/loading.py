# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Loads a trained model for a command."""
from __future__ import annotations

import argparse

from vaeseq.cli import options
from vaeseq.runs.log_dir import LogDir

from ..hparams import SeriesHParams
from ..model import PROGRAM, SeriesModel


def load_model(args: argparse.Namespace) -> SeriesModel:
    """Restores the model in `args.log_dir`; raises ValueError where --hparams contradict it."""
    options.resolve_hparams(LogDir(args.log_dir, PROGRAM), SeriesHParams, args.hparams)
    return SeriesModel.load(args.log_dir, **args.hparams)

