# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-series."""
from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from vaeseq.cli import arguments, options
from vaeseq.cli.program import Program, deferred_commands
from vaeseq.fields import Range, short_repr

from .hparams import SeriesHParams

_MOST_STEPS = 1 << 14
_GAPS = ("auto", "missing", "split", "error")
_TABLES = (".csv", ".parquet", ".pq")  # what tables of results are written as
_LEVELS = "0.025,0.1,0.25,0.5,0.75,0.9,0.975"


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_new_run(parser)
    add("--train-data", type=_table, nargs="+", required=True, metavar="FILE",
        help="tables to train on: CSV (also .gz), Parquet or NPZ, long or wide; or "
        "sound: WAV, FLAC, AIFF, Ogg, MP3")
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
    add("--zone", default="", metavar="ZONE",
        help="time zone of local times and of the calendar, such as Europe/Berlin")
    add("--frame", type=arguments.whole(1, 1 << 12), default=80, metavar="N",
        help="samples of sound that make one step")
    add("--freq", default="auto", metavar="STEP",
        help="the step, such as 30min, h, D, B, W, MS; none: rows are numbered")
    add("--season", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of a season (default: by the step: 24 for h, 7 for D, 12 for MS)")
    add("--horizon", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of a forecast (default: by the step: 48 for h, 30 for D, 12 for MS)")
    add("--gaps", choices=_GAPS, default="auto",
        help="steps without a row: missing values, the start of a new series, or an error (auto: "
             "missing, unless they are most of the steps)")
    options.add_init_from(parser)
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
    add("--per-series", type=_table_file, metavar="FILE.csv",
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
    add("--output", type=_table_file, metavar="FILE",
        help="write the forecast as CSV, or as Parquet if the name ends so (default: the "
             "terminal)")
    add("--paths", type=arguments.output_file, metavar="FILE.npz",
        help="write the sample paths, [series, paths, steps, targets]")
    add("--plot", type=arguments.output_file, metavar="FILE.png", help="draw fan charts")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same forecast")
    _add_gaps(parser)


def _impute_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--data", type=_table, nargs="+", metavar="FILE", default=[],
        help="tables to fill (default: the training table)")
    add("--interval", type=arguments.real(Range(0, 1, open_low=True, open_high=True)),
        default=0.8, metavar="P", help="probability of the interval between the columns _lower "
        "and _upper")
    add("--draws", type=arguments.whole(0, 1000), default=0, metavar="N",
        help="columns of completions, each a sample of the filled series")
    add("--num-samples", type=arguments.whole(2, 10**4), default=200, metavar="N",
        help="samples that medians and intervals are computed from")
    add("--num-particles", type=arguments.whole(1, 10**5), default=256, metavar="N",
        help="particles of the filter")
    add("--lookahead", type=arguments.whole(0, 1 << 12), default=8, metavar="N",
        help="steps after a gap that count")
    add("--no-bridge", action="store_true",
        help="completions of the model alone, without straight lines")
    add("--output", type=_table_file, metavar="FILE",
        help="write the filled table as CSV, or as Parquet (default: the terminal)")
    add("--plot", type=arguments.output_file, metavar="FILE.png",
        help="draw fan charts of the first gaps")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same values")
    _add_gaps(parser)


def _anomalies_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--data", type=_table, nargs="+", metavar="FILE", default=[],
        help="tables to search (default: the training table)")
    add("--calibrate", type=_table, nargs="+", metavar="FILE", default=[],
        help="tables of normal data that set the threshold (default: the data held out in "
             "training)")
    add("--rate", type=arguments.real(Range(0, 1, open_low=True, open_high=True)), default=0.01,
        metavar="R", help="false alarms per normal step")
    add("--window", type=arguments.whole(1, 1 << 12), default=1, metavar="N",
        help="steps whose mean score counts; more find long, faint anomalies")
    add("--labels", metavar="COLUMN", default="",
        help="column that is 1 for anomalies: prints the average precision")
    add("--output", type=_table_file, metavar="FILE",
        help="write the scores of all steps as CSV, or as Parquet (default: the terminal)")
    add("--plot", type=arguments.output_file, metavar="FILE.png", help="draw series and scores")
    add("--retrain", choices=("leave-out", "weigh-up"),
        help="train anew without the anomalies in the training data, or with more of them, and "
             "compare the held-out scores")
    add("--retrain-dir", type=arguments.new_directory, metavar="DIR",
        help="directory of the new run")
    add("--num-steps", type=arguments.whole(1, 10**9), metavar="N",
        help="updates of the new run (default: those of the first)")
    options.add_bound(parser)
    add("--seed", type=arguments.seed, default=0, help="seed of the samples")
    _add_gaps(parser)


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--length", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of each sequence (default: the horizon, or the length of a usual training "
             "sequence where these begin at their first step)")
    add("--num-samples", "--samples", type=arguments.whole(1, 10**5), default=16, metavar="N",
        help="number of sequences")
    add("--prime", type=_table, metavar="FILE",
        help="table whose first series all sequences continue")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    add("--output", type=_table_or_archive_file, metavar="FILE",
        help="write CSV, Parquet or NPZ (default: CSV on the terminal, unless a picture or sound "
             "is written)")
    add("--svg", type=arguments.output_file, metavar="FILE.svg", help="draw pen strokes as SVG")
    add("--plot", type=arguments.output_file, metavar="FILE.png",
        help="draw the sequences, or the pen strokes")
    add("--wav", type=arguments.output_file, metavar="FILE.wav",
        help="write sound; of several sequences FILE-1.wav and so on")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same sequences")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    options.add_export(parser, window=None, rows=1)
    parser.add_argument(
        "--horizon", type=arguments.whole(1, _MOST_STEPS), metavar="N",
        help="steps of `forecast` (default: that of training)")


def _add_trained(parser: argparse.ArgumentParser) -> None:
    options.add_trained(parser)
    arguments.add_hparams(parser, SeriesHParams)


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num-paths", type=arguments.whole(2, 10**5), default=200, metavar="N",
                        help="sample paths of each forecast")


def _add_gaps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gaps", choices=_GAPS,
        help="steps without a row, as in `train` (default: what was chosen there)")


def _table(text: str) -> Path:
    """Returns the path of a readable table; NPZ archives may name an array: FILE.npz:NAME."""
    archive, colon, _ = text.partition(".npz:")
    arguments.readable_file(f"{archive}.npz" if colon else text)
    return Path(text)


def _table_file(text: str, suffixes: Sequence[str] = _TABLES) -> Path:
    """Returns the path of a table to write; without a suffix, as of a pipe, it is CSV."""
    path = arguments.output_file(text)
    if path.suffix.lower() not in ("", *suffixes):
        raise argparse.ArgumentTypeError(
            f"expected a name that ends with {', '.join(suffixes)}; got {short_repr(text)}")
    return path


def _table_or_archive_file(text: str) -> Path:
    return _table_file(text, (*_TABLES, ".npz"))


def _names(text: str) -> tuple[str, ...]:
    try:
        cells = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        cells = []
    names = tuple(name.strip() for name in cells)
    if not names or not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(
            "expected different names of columns, such as a,b, in quotation marks where one holds "
            f"a comma; got {short_repr(text)}")
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
    "vaeseq-series", "Models of series of numbers: forecasts, gaps, anomalies, new sequences.",
    (
        *deferred_commands(_COMMANDS, (
            "train", "train a model on a table, or resume its training", _train_arguments)),
        *deferred_commands(
            _COMMANDS,
            ("evaluate", "forecast the end of series and score the forecasts", _evaluate_arguments),
            ("forecast", "forecast what follows in each series", _forecast_arguments),
            ("impute", "fill missing values", _impute_arguments),
            ("anomalies", "mark the steps that surprise a model", _anomalies_arguments),
            ("generate", "sample new sequences", _generate_arguments),
            ("export", "export a trained model for TensorFlow Serving and other programs",
             _export_arguments), saves_at_end=True),
    ))
main = program.main
