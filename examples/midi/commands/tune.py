# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi tune: begins or resumes the tuning of a trained model."""
from __future__ import annotations

import argparse
import json
import math
import os
from typing import Any

from vaeseq import fields
from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from ..data import sources
from ..hparams import MidiHParams
from ..model import PROGRAM, saved_mean
from ..tuning import rewards, settings
from ..tuning.run import Report, Tuning
from ..tuning.settings import TuneSettings, TuningRecord
from ._shared import check_installed, log


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    check_installed()
    log_dir = LogDir(args.log_dir, PROGRAM)
    record = _record(log_dir, _record_options(args))
    source = log_dir if log_dir.exists else LogDir(record.start, PROGRAM)
    hparams = source.hparams(MidiHParams)
    grid = hparams.frames
    reward = rewards.find(record.reward, record.settings.bar or grid.bar)
    mean = saved_mean(source, hparams)
    music = sources.reload(source, grid, log)
    if args.seed is not None:
        seed = args.seed
    else:
        seed = log_dir.seed() if log_dir.exists else 0
    tuning = Tuning(log_dir, record, reward, music, hparams, mean, num_steps=args.num_steps,
                    seed=seed)
    with program.stop_on_signal() as should_stop:
        result, report = tuning.run(
            save_every=args.save_every, max_minutes=args.max_minutes or math.inf,
            should_stop=should_stop)
    if args.json:
        print(json.dumps(report.as_dict() if report else {"step": result.step}, allow_nan=False))
        return
    if report:
        _print_table(report, record)
    options.print_end(result, args.log_dir, PROGRAM, tuning.model.unit)


def _record_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that `TuningRecord` holds, without those that were not used."""
    values = {"start": args.start and os.path.abspath(args.start), "reward": args.reward}
    values |= {name: getattr(args, name) for name in fields.of(TuneSettings)}
    return {name: value for name, value in values.items() if value is not None}


def _record(log_dir: LogDir, values: dict[str, Any]) -> TuningRecord:
    """Returns the record of the run in `log_dir`, checked against options, or a new one."""
    if settings.exists(log_dir):
        record = TuningRecord.load(log_dir)
        record.check_same(log_dir, values)
        if record.reward != values.get("reward", rewards.COUNTERPOINT):
            raise UsageError(
                f"{str(log_dir.path)!r} holds a model tuned with the reward "
                f"{short_repr(record.reward)}. Give it again with --reward: code that a log "
                "directory names is not run.")
        return record
    if log_dir.exists:
        raise UsageError(f"{str(log_dir.path)!r} holds a run that was not begun by tune. Give "
                         "another --log-dir, and this one after --from.")
    start = values.pop("start", None)
    if start is None:
        raise UsageError("--from: expected the log directory of the model to tune; got none.")
    reward = values.pop("reward", rewards.COUNTERPOINT)
    return TuningRecord(start, reward, TuneSettings(**values))


def _print_table(report: Report, record: TuningRecord) -> None:
    """Prints the metrics before and after, side by side."""
    before, after = report.before, report.after
    print(f"{f'{report.samples} samples of {record.settings.bars} bars':32} {'before':>8} "
          f"{'after':>8}")
    print(f"{'reward':32} {before.reward:8.3f} {after.reward:8.3f}")
    for name, share in [*before.rules.items(), ("all rules, on average", before.rules_kept)]:
        new = after.rules.get(name, after.rules_kept)
        gain = f"{(new - share) / (1 - share):+7.0%} of the possible gain" if share < 1 else ""
        print(f"{f'bars: {name}':32} {share:8.1%} {new:8.1%} {gain}")
    if before.nats_per_step is not None and after.nats_per_step is not None:
        change = after.nats_per_step / before.nats_per_step - 1
        print(f"{'held-out nats per frame':32} {before.nats_per_step:8.4f} "
              f"{after.nats_per_step:8.4f} {change:+7.1%}")
