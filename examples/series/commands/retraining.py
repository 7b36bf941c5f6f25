# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A second training that leaves out or weighs up what surprised the first model."""
from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.trainer import Periods

from .. import detection
from ..data import Table, sources
from ..data.layout import checksum
from ..data.windows import Places, positions
from ..model import PROGRAM, SeriesModel
from . import calibrating

_COPIES = 3  # of a surprising stretch among the training windows, with weigh-up


def run(
    args: argparse.Namespace, model: SeriesModel, table: Table, flags: Sequence[np.ndarray]
) -> None:
    """Trains anew, and prints the held-out scores before and after.

    The table has the held-out end; `flags` tell which steps of its series surprise, bool `[N]`
    each.
    """
    if LogDir(args.retrain_dir, PROGRAM).exists:
        raise UsageError(f"--retrain-dir: expected a new directory, got {str(args.retrain_dir)!r}, "
                         "which holds a run. One that was interrupted cannot be resumed: remove "
                         "it, or give another directory.")
    ends = dict(zip(model.layout.names, model.layout.ends))
    sizes = [max(0, ends.get(one.name, one.end) - one.start) for one in table.series]
    train, valid = positions(sizes), sources.held_out(model.layout, table)
    if not valid:
        raise UsageError("--retrain: expected steps that training held out, to compare both models "
                         "on; got none. Train with --valid-windows 1.")
    train_flags = [f & (np.arange(len(f)) < size) for f, size in zip(flags, sizes)]
    count = sum(int(f.sum()) for f in train_flags)
    if not count:
        print("No step of the training data is surprising; nothing to train anew.")
        return
    trained_on = table
    if args.retrain == "leave-out":
        trained_on = dataclasses.replace(table, series=tuple(
            one._replace(values=np.where(f[:, None], np.nan, one.values))
            for one, f in zip(table.series, train_flags)))
    else:
        train = [*train, *_surprising(train_flags, sizes, model.hparams.sequence_size)]
    sources.hide(model.layout, trained_on)
    layout = dataclasses.replace(model.layout, checksum=checksum(trained_on))
    other = SeriesModel(model.hparams, layout, args.retrain_dir,
                        seed=model.log_dir.seed(), table=trained_on)
    steps = args.num_steps or Checkpoints(model.log_dir.checkpoints).steps()[-1]
    verb = "left out" if args.retrain == "leave-out" else "weighed up"
    print(f"Training anew for {steps} updates with {count:,} of {sum(sizes):,} steps {verb}.",
          flush=True)
    other.train(train, num_steps=steps, valid=valid,
                periods=Periods(valid=max(1, min(200, steps // 5))))
    calibrating.run(other, valid, lambda: False)
    print("held-out nats per step, mean and worst tenth:")
    for name, one in (("before", model), ("after", other)):
        scores = [-part for part in one.log_densities(table, valid)]
        print(f"  {name:>6} {np.nanmean(np.concatenate(scores)):10.4f} "
              f"{detection.worst_tenth(scores):10.4f}")


def _surprising(
    flags: Sequence[np.ndarray], sizes: Sequence[int], length: int
) -> list[Places]:
    """Returns further runs of places: windows of `length` steps in them overlap a stretch."""
    runs = []
    for number, (each, size) in enumerate(zip(flags, sizes)):
        for start, stop in detection.stretches(each, length):
            runs += [Places(number, max(0, start - length + 1),
                            min(size, stop + length - 1))] * _COPIES
    return runs
