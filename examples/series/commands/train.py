# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series train: begins or resumes a training run."""
from __future__ import annotations

import argparse
import math
import tempfile

from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.distribute import Strategy
from vaeseq.train.trainer import Periods

from ..data import sources
from ..data.layout import Layout
from ..data.roles import Options
from ..data.sources import Data
from ..hparams import SeriesHParams
from ..model import PROGRAM, SeriesModel

_TRIAL_STEPS = 150  # updates of each distribution that validation compares


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    log_dir = LogDir(args.log_dir, PROGRAM)
    overrides = dict(args.hparams)
    for name in ("season", "horizon"):
        if getattr(args, name) is not None:
            overrides[name] = getattr(args, name)
    seed = args.seed or 0
    hparams = SeriesHParams().replace(**overrides)
    if log_dir.exists:
        hparams = options.resolve_hparams(log_dir, SeriesHParams, overrides)
        seed = log_dir.seed() if args.seed is None else args.seed
    fixed = list(hparams.as_dict()) if log_dir.exists else list(overrides)
    data = sources.read_training(
        args.train_data, hparams,
        Options(args.time, args.series, args.targets, args.known, args.static),
        freq=args.freq, gaps=args.gaps, categories=args.categories, valid_path=args.valid_data,
        valid_windows=args.valid_windows, fixed=fixed)
    if log_dir.exists:
        Layout.load(log_dir).check_same(data.table)
    strategy = options.start(args, data.hparams, seed, data=data.layout.checksum)
    _print_data(strategy, data)
    if data.hparams.output == "auto":
        data = data._replace(hparams=_choose_output(data, seed, strategy))
    model = SeriesModel(
        data.hparams, data.layout, args.log_dir, seed=seed, table=data.table)
    try:
        model.data_set(data.train)  # reports too little data before making a directory
    except ValueError as error:
        raise UsageError(f"{', '.join(map(str, args.train_data))}: {error}") from None
    with program.stop_on_signal() as should_stop:
        result = model.train(
            data.train, num_steps=args.num_steps, valid=data.valid, valid_steps=args.valid_steps,
            max_minutes=args.max_minutes or math.inf, periods=Periods(valid=args.valid_every),
            should_stop=should_stop, strategy=strategy)
    if strategy.is_chief:
        options.print_end(result, args.log_dir, PROGRAM, model.unit,
                          ("evaluate", "forecast"))


def _print_data(strategy: Strategy, data: Data) -> None:
    hparams = data.hparams
    held_out = sum(map(len, data.valid))
    lines = [
        f"Training on {data.table.describe()}; {held_out:,} steps held out for validation.",
        *data.table.roles.describe(), *(f"  {program.one_line(note)}" for note in data.notes),
        f"  horizon {hparams.horizon}, season {hparams.season}, context {hparams.context}, lags "
        f"{','.join(map(str, hparams.lags))}, scaled by the {hparams.scaling}"]
    options.print_start(strategy, "\n".join(lines))


def _choose_output(data: Data, seed: int, strategy: Strategy) -> SeriesHParams:
    """Returns the hyperparameters with the output that suits the data.

    Of several that do, each trains for a few updates, and validation decides.
    """
    ends = [0] * len(data.table.series)
    for places in data.train:
        ends[int(places[0, 0])] = int(places[-1, 1]) + 1
    outputs = sources.candidates(data.table, ends)
    if len(outputs) == 1 or not data.valid or strategy.num_replicas > 1:
        print(f"The values suit output={outputs[0]}.", flush=True)
        return data.hparams.replace(output=outputs[0])
    scores = {}
    for output in outputs:
        with tempfile.TemporaryDirectory() as folder:
            trial = SeriesModel(data.hparams.replace(output=output), data.layout, folder,
                                seed=seed, table=data.table)
            result = trial.train(
                data.train, num_steps=_TRIAL_STEPS, valid=data.valid,
                periods=Periods(log=_TRIAL_STEPS, valid=_TRIAL_STEPS // 3))
            scores[output] = result.best
    best = min(scores, key=lambda output: scores[output])
    words = ", ".join(f"{output} {score:.3f}" for output, score in scores.items())
    print(f"Chosen output={best}: validation after {_TRIAL_STEPS} updates of each, nats per step: "
          f"{words}.", flush=True)
    return data.hparams.replace(output=best)
