# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-series: train, evaluate, forecast."""
from __future__ import annotations

import argparse
from pathlib import Path

from vaeseq.cli import arguments, options
from vaeseq.cli.program import Command, Program, deferred
from vaeseq.fields import Range, short_repr

from .hparams import SeriesHParams

_MOST_STEPS = 1 << 14
_LEVELS = "0.025,0.1,0.25,0.5,0.75,0.9,0.975"


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_new_run(parser)
    add("--train-data", type=_table, nargs="+", required=True, metavar="FILE",
        help="tables to train on: CSV (also .gz), Parquet or NPZ, long or wide")
    add("--valid-data", type=_table, metavar="FILE",
        help="a table to validate on (default: the last horizon of each series)")
    add("--valid-windows", type=arguments.whole(0, 1000), default=1, metavar="N",
        help="horizons at the end of each series that are held out for validation")
    add("--time", metavar="COLUMN", default="", help="column of the times (default: found)")
    add("--series", metavar="COLUMN", default="",
        help="column that tells series apart (default: found)")
    add("--targets", type=_names, metavar="A,B", default=(),
        help="columns to model (default: all other columns of numbers)")
    add("--known", type=_names, metavar="A,B", default=(),
        help="covariates that are known ahead, such as holidays")
    add("--static", type=_names, metavar="A,B", default=(), help="properties of a series")
    add("--categories", type=_names, metavar="A,B", default=(),
        help="covariates whose numbers are categories")
    add("--freq", default="auto", metavar="STEP",
        help="the step, such as 30min, h, D, B, W, MS; none: rows are numbered")
    add("--season", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of a season (default: by the step: 24 for h, 7 for D, 12 for MS)")
    add("--horizon", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of a forecast (default: by the step: 48 for h, 30 for D, 12 for MS)")
    _add_gaps(parser)
    options.add_training(parser, SeriesHParams, valid_every=200)
    options.add_strategy(parser)


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--eval-data", type=_table, nargs="+", metavar="FILE", default=[],
        help="tables to forecast the end of (default: the training table and its held-out end)")
    add("--windows", type=arguments.whole(1, 10**6), default=1, metavar="N",
        help="forecasts of each series, from origins --stride apart, the last at its end")
    add("--stride", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps between origins (default: the horizon)")
    add("--horizon", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of each forecast (default: that of training)")
    add("--season", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="lag of the seasonal naive forecast and of MASE (default: that of training)")
    _add_paths(parser)
    options.add_scoring(parser, "table")
    add("--per-series", type=arguments.output_file, metavar="FILE.csv",
        help="write the scores of each series")
    add("--plot", type=arguments.output_file, metavar="FILE.png",
        help="draw forecasts, coverage and the PIT")
    _add_gaps(parser)


def _forecast_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--data", type=_table, nargs="+", metavar="FILE", default=[],
        help="tables to continue (default: the training table)")
    add("--known", type=_table, metavar="FILE",
        help="table of the covariates that are known ahead, with the steps of the forecast")
    add("--horizon", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps to forecast (default: that of training)")
    _add_paths(parser)
    add("--quantiles", type=_quantiles, default=_quantiles(_LEVELS), metavar="Q,Q",
        help=f"levels of the quantiles in the output (default: {_LEVELS})")
    add("--output", type=arguments.output_file, metavar="FILE",
        help="write the forecast as CSV, or as Parquet if the name ends so (default: the "
             "terminal)")
    add("--paths", type=arguments.output_file, metavar="FILE.npz",
        help="write the sample paths, [series, paths, steps, targets]")
    add("--plot", type=arguments.output_file, metavar="FILE.png", help="draw fan charts")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same forecast")
    _add_gaps(parser)


def _add_trained(parser: argparse.ArgumentParser) -> None:
    options.add_trained(parser)
    arguments.add_hparams(parser, SeriesHParams)


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num-paths", type=arguments.whole(2, 10**5), default=200, metavar="N",
                        help="sample paths of each forecast")


def _add_gaps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gaps", choices=("auto", "missing", "split", "error"), default="auto",
        help="steps without a row: missing values, the start of a new series, or an error (auto: "
             "missing, unless they are most of the steps)")


def _table(text: str) -> Path:
    """Returns the path of a readable table; NPZ archives may name an array: FILE.npz:NAME."""
    archive, colon, _ = text.partition(".npz:")
    arguments.readable_file(f"{archive}.npz" if colon else text)
    return Path(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            f"expected different names of columns, such as a,b; got {short_repr(text)}")
    return names


def _quantiles(text: str) -> tuple[float, ...]:
    read = arguments.real(Range(0, 1, open_low=True, open_high=True))
    levels = tuple(read(part.strip()) for part in text.split(","))
    if list(levels) != sorted(set(levels)):
        raise argparse.ArgumentTypeError(
            f"expected levels in increasing order, such as 0.1,0.5,0.9; got {short_repr(text)}")
    return levels


_COMMANDS = f"{__package__}.commands"
program = Program(
    "vaeseq-series", "Models of series of numbers: train one on a table, score it, forecast.",
    (
        Command("train", "train a model on a table, or resume its training", _train_arguments,
                deferred(f"{_COMMANDS}.train")),
        Command("evaluate", "forecast the end of series and score the forecasts",
                _evaluate_arguments, deferred(f"{_COMMANDS}.evaluate")),
        Command("forecast", "forecast what follows in each series", _forecast_arguments,
                deferred(f"{_COMMANDS}.forecast")),
    ))
main = program.main
