# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi tune: begins or resumes the tuning of a trained model."""
from __future__ import annotations

import argparse
import functools
import json
import math
import os

from vaeseq import fields
from vaeseq.cli import options, program
from vaeseq.runs.log_dir import LogDir
from vaeseq.tuning.run import original_features
from vaeseq.tuning.settings import TuningRecord

from ..data import sources
from ..hparams import MidiHParams
from ..model import PROGRAM, MidiModel, saved_mean
from ..tuning import rewards
from ..tuning.run import MidiTuning
from ..tuning.settings import MidiTuneSettings
from ._shared import check_installed, log


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    check_installed()
    log_dir = LogDir(args.log_dir, PROGRAM)
    chosen = {name: getattr(args, name) for name in fields.of(MidiTuneSettings)}
    record = TuningRecord.resolve(
        log_dir, MidiTuneSettings,
        {"start": args.start and os.path.abspath(args.start), "reward": args.reward, **chosen},
        (rewards.COUNTERPOINT,))
    assert isinstance(record.settings, MidiTuneSettings)
    source = log_dir if log_dir.exists else LogDir(record.start, PROGRAM)
    hparams = source.hparams(MidiHParams)
    grid = hparams.frames
    if args.seed is not None:
        seed = args.seed
    else:
        seed = log_dir.seed() if log_dir.exists else 0
    mean = saved_mean(source, hparams)
    original = MidiModel(hparams, log_dir.path, mean=mean, seed=seed)
    sequences = rewards.domain(
        original, functools.partial(original_features, original, record, log_dir))
    reward = rewards.find(
        record.reward, record.settings.bar or grid.bar, sequences, seed, log)
    music = sources.reload(source, grid, log)
    tuning = MidiTuning(log_dir, record, reward, music, hparams, mean, num_steps=args.num_steps,
                        valid_steps=args.valid_steps, seed=seed)
    with program.stop_on_signal() as should_stop:
        result, report = tuning.run(
            save_every=args.save_every, max_minutes=args.max_minutes or math.inf,
            should_stop=should_stop)
    if args.json:
        print(json.dumps(report.as_dict() if report else {"step": result.step}, allow_nan=False))
        return
    if report:
        print(report.table(tuning.model.unit, f"{record.settings.bars} bars"))
    options.print_end(result, args.log_dir, PROGRAM, tuning.model.unit)
