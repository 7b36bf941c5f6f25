# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series train: begins or resumes a training run."""
from __future__ import annotations

import argparse
import math
import tempfile
import time

import numpy as np
import tensorflow as tf

from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.runs import warm_start
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.distribute import Strategy
from vaeseq.train.trainer import Periods

from ..data import sources
from ..data.layout import Layout
from ..data.roles import Options
from ..data.sources import Data
from ..hparams import OUTPUTS, RELATIVE_OUTPUTS, SeriesHParams
from ..model import PROGRAM, SeriesModel
from ..warm_start import initialize_from
from . import calibrating

_RESOLVED = ("horizon", "season", "context", "lags", "scaling", "output")  # where unset, by data
_TRIAL_STEPS = 150  # updates of each distribution that validation compares
_TRIAL_SHARE = 1 / 4  # of --max-minutes, for all of these together
_LEAST_MINUTES = 0.5  # for two of them, most of it to compile
_CALIBRATION_SHARE = 0.1  # of --max-minutes
_BLOCK = 1 << 20  # steps that are checked at once


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    start_time = time.monotonic()
    log_dir = LogDir(args.log_dir, PROGRAM)
    source = warm_start.resolve_source(log_dir, args.init_from)
    overrides = options.overrides_of(args, "season", "horizon")
    defaults = SeriesHParams()
    hparams = defaults.replace(**overrides)
    if log_dir.exists:
        hparams = options.resolve_hparams(log_dir, SeriesHParams, {
            name: value for name, value in overrides.items()
            if name not in _RESOLVED or value != getattr(defaults, name)})
    elif source is not None:
        hparams = warm_start.source_hparams(
            LogDir(source, PROGRAM), SeriesHParams).replace(**overrides)
    seed = options.resolve_seed(log_dir, args.seed)
    is_fixed = log_dir.exists or source is not None
    is_chosen = hparams.output != "auto" and not log_dir.exists  # for data that may not suit it
    fixed = list(hparams.as_dict()) if is_fixed else list(overrides)
    data = sources.read_training(
        args.train_data, hparams,
        Options(args.time, args.series, args.targets, args.known, args.static, args.zone),
        freq=args.freq, gaps=args.gaps, categories=args.categories, valid_path=args.valid_data,
        valid_windows=args.valid_windows, fixed=fixed, frame=args.frame)
    if log_dir.exists:
        Layout.load(log_dir).check_same(data.layout)
    # Workers compare the output of the command: the chief alone knows the one chosen for "auto".
    strategy = options.start(args, data.hparams, seed, data=data.layout.checksum,
                             output=overrides.get("output", "auto"))
    _print_data(strategy, data)
    if data.hparams.output == "auto":
        data = data._replace(hparams=_choose_output(data, seed, strategy, args.max_minutes))
    data = data._replace(hparams=_as_chief(data.hparams, strategy))
    model = SeriesModel(
        data.hparams, data.layout, args.log_dir, seed=seed, table=data.table)
    try:
        model.data_set(data.train)  # reports too little data before making a directory
    except ValueError as error:
        raise UsageError(f"{', '.join(map(str, args.train_data))}: {error}") from None
    if is_chosen:
        _check_output(model, data)
    if source is not None:
        initialize_from(source, model, strategy)
    with program.stop_on_signal() as should_stop:
        result = model.train(
            data.train, num_steps=args.num_steps, valid=data.valid, valid_steps=args.valid_steps,
            max_minutes=_minutes_left(args.max_minutes, start_time),
            periods=Periods(valid=args.valid_every), should_stop=should_stop, strategy=strategy)
        if strategy.is_chief and data.valid and not should_stop():
            calibrating.run(model, data.valid, should_stop)
    if strategy.is_chief:
        options.print_end(result, args, PROGRAM, model.unit,
                          ("evaluate", "forecast"))


def _check_output(model: SeriesModel, data: Data) -> None:
    """Raises UsageError where the output cannot have a value of the training steps."""
    parts = (places[first:first + _BLOCK] for places in data.train
             for first in range(0, len(places), _BLOCK))
    for part in parts:
        series = data.table.series[part.series]
        values = series.values[part.start:part.stop]
        bad = np.argwhere(~model.maker.is_possible(values))
        if len(bad):
            row, d = bad[0]
            time = model.layout.step.format(np.array([series.start + part.start + row]))[0]
            raise UsageError(
                f"column {model.layout.roles.targets[d]!r}: expected values that "
                f"output={model.hparams.output} can have, got {values[row, d]:g} at {time}. "
                "--hparams output=auto finds one that suits the data.")


def _as_chief(hparams: SeriesHParams, strategy: Strategy) -> SeriesHParams:
    """Returns the hyperparameters with the chief's output; all workers must call it.

    The chief alone reads the log directory, so it alone knows the output of a run that it resumes.
    """
    with strategy.scope(), strategy.peer_errors():
        number = tf.Variable(OUTPUTS.index(hparams.output))
        strategy.broadcast([number])
    return hparams.replace(output=OUTPUTS[int(number.numpy())])


def _minutes_left(max_minutes: float | None, start_time: float) -> float:
    """Returns the minutes for updates: the rest of the limit, without calibration's share."""
    if not max_minutes:
        return math.inf
    spent = (time.monotonic() - start_time) / 60
    return max(0.0, max_minutes * (1 - _CALIBRATION_SHARE) - spent)


def _print_data(strategy: Strategy, data: Data) -> None:
    hparams = data.hparams
    held_out = sum(map(len, data.valid))
    lines = [
        f"Training on {data.table.describe()}; {held_out:,} steps held out for validation.",
        *map(program.one_line, data.table.roles.describe()),
        *(f"  {program.one_line(note)}" for note in data.notes),
        f"  horizon {hparams.horizon}, season {hparams.season}, context {hparams.context}, lags "
        f"{','.join(map(str, hparams.lags))}, scaled by the {hparams.scaling}"]
    options.print_start(strategy, "\n".join(lines))


def _choose_output(
    data: Data, seed: int, strategy: Strategy, max_minutes: float | None
) -> SeriesHParams:
    """Returns the hyperparameters with the output that suits the data.

    Of several that do, each trains for a few updates, and validation decides. Under a limit of time
    they share a part of it; those that come too late are not compared. Where that part is too short
    for two of them, it is left for training, and the values alone decide.
    """
    start_time = time.monotonic()
    limit = (max_minutes or math.inf) * _TRIAL_SHARE
    outputs = sources.candidates(data.table)
    if data.hparams.base != "none":
        relative = tuple(output for output in outputs if output in RELATIVE_OUTPUTS)
        if not relative:
            raise UsageError(f"base={data.hparams.base}: expected real numbers, got values that "
                             f"suit output={outputs[0]}.")
        outputs = relative
    if len(outputs) == 1 or not data.valid or strategy.num_replicas > 1:
        if strategy.is_chief:
            print(f"The values suit output={outputs[0]}.", flush=True)
        return data.hparams.replace(output=outputs[0])
    if limit < _LEAST_MINUTES:
        print(f"Chosen output={outputs[0]} by the values alone: --max-minutes {max_minutes:g} "
              f"leaves no time to compare it with {', '.join(outputs[1:])}.", flush=True)
        return data.hparams.replace(output=outputs[0])
    scores: dict[str, float] = {}
    for output in outputs:
        minutes = limit - (time.monotonic() - start_time) / 60
        if minutes <= 0 and scores:
            break
        with tempfile.TemporaryDirectory() as folder:
            trial = SeriesModel(data.hparams.replace(output=output), data.layout, folder,
                                seed=seed, table=data.table)
            result = trial.train(
                data.train, num_steps=_TRIAL_STEPS, valid=data.valid,
                max_minutes=max(minutes, 0.0),
                periods=Periods(log=_TRIAL_STEPS, valid=_TRIAL_STEPS // 3))
            scores[output] = result.best
    best = min(scores, key=lambda output: scores[output])
    finite = {output: score for output, score in scores.items() if math.isfinite(score)}
    if len(finite) < 2:
        print(f"Chosen output={best}, the first that suits the values: --max-minutes leaves no "
              "time to compare others.", flush=True)
        return data.hparams.replace(output=best)
    words = ", ".join(f"{output} {score:.3f}" for output, score in finite.items())
    too_late = [output for output in outputs if output not in finite]
    end = f" --max-minutes left no time for {', '.join(too_late)}." if too_late else ""
    print(f"Chosen output={best}: validation within {_TRIAL_STEPS} updates of each, nats per step: "
          f"{words}.{end}", flush=True)
    return data.hparams.replace(output=best)
