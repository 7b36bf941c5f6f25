# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi tune: begins or resumes the tuning of a trained model."""
from __future__ import annotations

import argparse
import dataclasses
import functools
import os

from vaeseq import fields
from vaeseq.cli import options, tuning_options
from vaeseq.cli.program import log
from vaeseq.runs.log_dir import LogDir
from vaeseq.tuning.run import original_features
from vaeseq.tuning.settings import TuningRecord

from ..data import sources
from ..hparams import MidiHParams
from ..model import PROGRAM, MidiModel, saved_mean
from ..tuning import rewards
from ..tuning.run import MidiTuning
from ..tuning.settings import MidiTuneSettings
from ._shared import check_installed


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    check_installed()
    log_dir = LogDir(args.log_dir, PROGRAM)
    chosen = {name: getattr(args, name) for name in fields.of(MidiTuneSettings)}
    record = TuningRecord.resolve(
        log_dir, MidiTuneSettings,
        {"start": args.start and os.path.abspath(args.start), "reward": args.reward, **chosen},
        (rewards.COUNTERPOINT,))
    settings = record.settings
    assert isinstance(settings, MidiTuneSettings)
    source = log_dir if log_dir.exists else LogDir(record.start, PROGRAM)
    hparams = source.hparams(MidiHParams).replace(weight_average=0.0)
    grid = hparams.frames
    bar = settings.bar or grid.bar
    if hparams.phrase_frames and args.bars is None and not log_dir.exists:  # at most a phrase
        settings = dataclasses.replace(
            settings, bars=min(settings.bars, max(1, hparams.phrase_frames // bar)))
        record = dataclasses.replace(record, settings=settings)
    seed = options.resolve_seed(log_dir, args.seed)
    mean = saved_mean(source, hparams)
    original = MidiModel(hparams, log_dir.path, mean=mean, seed=seed)
    sequences = rewards.domain(
        original, functools.partial(original_features, original, record, log_dir))
    reward = rewards.find(record.reward, bar, grid, sequences, seed, log)
    music = sources.reload(source, grid, log)
    tuning = MidiTuning(log_dir, record, reward, music, hparams, mean, num_steps=args.num_steps,
                        valid_steps=args.valid_steps, seed=seed)
    tuning_options.run(args, tuning, PROGRAM, f"{settings.bars} bars")
