# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures forecasts of public series beside the seasonal naive forecast and published figures.

    python -m benchmarks.quality.series run us_births --data us_births.csv --out-dir DIR --seeds 0,1

A row trains `vaeseq-series` on a table without its last windows, and scores forecasts of these
windows once. Validation windows, which lie before them, choose the checkpoint; they also chose the
row's hyperparameters. The seconds are those of the whole `train` command.

    us_births    daily births in the US, 1969 to 1988, one column (GIFT-Eval's "D/short": horizon
                 30, 20 disjoint windows, MASE of season 1)
    elecdemand   half-hourly electricity demand, horizon 48, 28 windows; elecdemand_alone does
                 without the known temperature and working days
    employment   148 monthly series of unequal length, horizon 24, one window
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import provenance
from examples.series.data import columns, roles, table
from examples.series.output import files
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program


class Row(NamedTuple):
    """A data set's protocol, and the recipe.

    Attributes:
      horizon: steps of a forecast.
      windows: forecasts of each series, disjoint, at its end.
      season: of MASE and of the seasonal naive forecast.
      options: of `train`.
      published: other models' scores, for comparison.
    """

    horizon: int
    windows: int
    season: int
    options: tuple[str, ...]
    published: dict[str, dict[str, float]]


_KNOWN = ("--targets", "Demand", "--known", "Temperature,WorkDay")
ROWS = {
    "us_births": Row(
        30, 20, 1,
        ("--num-steps", "1200", "--valid-windows", "2", "--valid-every", "100", "--hparams",
         "output=mixture,context_dropout=0.3"),
        {"seasonal naive": {"mase": 1.8648, "wql": 0.1195}, "DeepAR": {"mase": 0.535,
                                                                       "wql": 0.0275},
         "TFT": {"mase": 0.315, "wql": 0.0161}}),
    "elecdemand": Row(48, 28, 48, (*_KNOWN, "--num-steps", "2000", "--valid-windows", "14"), {}),
    "elecdemand_alone": Row(
        48, 28, 48, ("--targets", "Demand", "--num-steps", "2000", "--valid-windows", "14"), {}),
    "employment": Row(24, 1, 12, ("--num-steps", "3000", "--valid-windows", "1"), {}),
}
_PROGRAM = "from examples.series.cli import main; main()"


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", choices=ROWS, help="the data set")
    add("--data", type=arguments.readable_file, required=True, metavar="FILE", help="its table")
    add("--out-dir", type=Path, required=True, metavar="DIR", help="folder of the results")
    add("--seeds", type=arguments.some_of([str(n) for n in range(100)]), default=["0"],
        metavar="N,N", help="one training run each")
    add("--max-minutes", type=arguments.minutes, default=15.0, metavar="M",
        help="limit of each training run")


def _run(options: argparse.Namespace) -> None:
    options.out_dir.mkdir(parents=True, exist_ok=True)
    row = ROWS[options.name]
    train_data = options.out_dir / f"{options.name}-train.csv"
    _write_training_part(options.data, train_data, row.horizon * row.windows)
    for seed in options.seeds:
        log_dir = options.out_dir / f"{options.name}-{seed}-run"
        start = time.perf_counter()
        _program("train", "--log-dir", log_dir, "--train-data", train_data, "--horizon",
                 row.horizon, "--seed", seed, "--max-minutes", options.max_minutes, *row.options)
        seconds = time.perf_counter() - start
        scores = json.loads(_program(
            "evaluate", "--log-dir", log_dir, "--eval-data", options.data, "--windows",
            row.windows, "--season", row.season, "--json", "--plot",
            options.out_dir / f"{options.name}-{seed}.png"))
        result = {"row": options.name, "seed": int(seed), "seconds": seconds, **row._asdict(),
                  "scores": scores, **provenance("benchmarks.quality.series")}
        path = options.out_dir / f"{options.name}-{seed}.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
        model, naive = scores["model"], scores["seasonal_naive"]
        print(json.dumps({
            "row": options.name, "seed": int(seed), "seconds": round(seconds),
            **{name: model[name] for name in ("mase", "wql", "crps", "coverage")},
            "naive_mase": naive["mase"], "naive_wql": naive["wql"], "naive_crps": naive["crps"]}),
            flush=True)


def _write_training_part(source: Path, target: Path, held_out: int) -> None:
    """Writes the rows of a table without the last `held_out` of each series."""
    read = columns.read(source)
    column_roles = roles.find(read)
    series = table.build([read], column_roles).series
    ends = {one.name: one.end - held_out for one in series}
    times = read.times(column_roles.time)
    assert times is not None
    step = table.build([read], column_roles).step
    names = read.texts(column_roles.series) if column_roles.series else [""] * len(read)
    is_kept = [index < ends[name] for index, name in zip(step.index(times), names)]
    files.write_table(target, {
        name: read.texts(name)[is_kept] for name in read.names if name})


def _program(*words: object) -> str:
    """Runs a command of vaeseq-series; returns what it prints."""
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, *map(str, words)],
                           capture_output=True, text=True, check=False)
    if ended.returncode:
        raise arguments.UsageError(f"{words[0]}: {ended.stderr.strip()[-300:]}")
    return ended.stdout


program = Program("python -m benchmarks.quality.series", "Measures forecasts of public series.", (
    Command("run", "train on a data set and score its last windows", _run_arguments, _run),))

if __name__ == "__main__":
    program.main()
