# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi train: begins or resumes a training run."""
from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import counted, log
from vaeseq.runs import warm_start
from vaeseq.runs.log_dir import LogDir
from vaeseq.train import distribute
from vaeseq.train.trainer import Periods
from vaeseq.tuning import settings
from vaeseq.vae import pretrained

from ..data import sources
from ..hparams import MidiHParams
from ..model import PROGRAM, MidiModel, observations, saved_mean
from ._shared import check_installed


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    check_installed()
    log_dir = LogDir(args.log_dir, PROGRAM)
    if settings.exists(log_dir):
        raise UsageError(f"{str(log_dir.path)!r} holds a tuned model. Resume with "
                         f"`{PROGRAM} tune`, or give another --log-dir.")
    overrides = options.overrides_of(args, "grid")
    source = warm_start.resolve_source(log_dir, args.init_from)
    if log_dir.exists:
        hparams = options.resolve_hparams(log_dir, MidiHParams, overrides)
    else:
        if source is None and not {"rate", "grid"} & overrides.keys():
            overrides |= sources.clock(args.train_files, log)
        hparams = _default_hparams(source).replace(**overrides)
    seed = options.resolve_seed(log_dir, args.seed)
    music = sources.read(
        args.train_files, args.valid_files, args.valid_fraction, hparams.frames, log)
    rolls = [piece.roll for piece in music.train]
    if log_dir.exists:
        sources.check_same(log_dir, music.description)
        mean = saved_mean(log_dir, hparams)
    else:
        if not hparams.programs:
            hparams = hparams.replace(programs=sources.programs(music.train, hparams.parts))
        mean = _initial_mean(rolls, hparams, source)
    frames = sum(map(len, rolls))
    strategy = options.start(
        args, hparams, seed, data=music.description.train_checksum, size=frames)
    model = MidiModel(
        hparams, args.log_dir, mean=mean, seed=seed, trained_on=music.description)
    if source is not None:
        _initialize_from(source, model, strategy)
    options.print_start(
        strategy, f"Training on {counted(len(music.train), 'piece')} of "
        f"{counted(frames, 'frame')}; validating on {len(music.valid):,}.")
    with program.stop_on_signal() as should_stop:
        result = model.train(
            rolls, num_steps=args.num_steps, valid=[piece.roll for piece in music.valid],
            valid_steps=args.valid_steps, max_minutes=args.max_minutes or math.inf,
            periods=Periods(valid=args.valid_every), should_stop=should_stop, strategy=strategy)
    if strategy.is_chief:
        options.print_end(result, args, PROGRAM, model.unit)


def _default_hparams(source: Path | None) -> MidiHParams:
    """Returns the hyperparameters of a new run without --hparams: those of `source`, if any.

    The programs are not taken: they are those of the music.
    """
    if source is None:
        return MidiHParams()
    return warm_start.source_hparams(LogDir(source, PROGRAM), MidiHParams).replace(programs=())


def _initial_mean(
    rolls: Sequence[np.ndarray], hparams: MidiHParams, source: Path | None
) -> np.ndarray:
    """Returns the means `[P]` that center notes: those of `source` if its columns are the same."""
    if source is not None:
        with warm_start.as_init_from_error():
            other = LogDir(source, PROGRAM)
            theirs = other.hparams(MidiHParams)
            if theirs.frames.columns == hparams.frames.columns:
                return saved_mean(other, theirs)
    return observations.means(rolls, hparams)


def _initialize_from(source: Path, model: MidiModel, strategy: distribute.Strategy) -> None:
    """Gives a model the weights of the run in `source`, and prints which were taken."""
    with strategy.scope():
        model.build()
    if strategy.is_chief:
        with warm_start.as_init_from_error():
            other = MidiModel.load(source)
        model.origin = warm_start.begin(
            model.log_dir, source, other.step, other.gen_core, model.gen_core,
            values=pretrained.weights(other.gen_core, model.gen_core))
        print(model.origin.summary())
