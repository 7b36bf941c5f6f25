# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures the dynamical VAEs on data with known answers, and on music.

    python -m benchmarks.quality.dynamics run linear_gaussian [--models ST-R,ST-L] [--seeds 0,1,2]
        [--updates N] [--max-minutes M] [--data FILE] [--results DIR]
    python -m benchmarks.quality.dynamics table [NAME]

`run` trains and scores the models of a table, all of them with the first seed first, and prints one
JSON line for each. Each model has its own number of updates, that of its published row, unless
--updates is given. A result is a small file in a folder --results, by default the repository's own;
existing results are kept, and interrupted runs are resumed. `table` prints the tables: the median
of up to three seeds, with their figures in parentheses, and the mean of more, with its standard
error; a model without results is "not run".

Each table is a module of `benchmarks.quality.dynamics_tables`, whose description says how the data
are made and what is measured.
"""
from __future__ import annotations

import argparse
import importlib
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import existing_result, markdown_table, provenance, require
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

if TYPE_CHECKING:
    from benchmarks.quality.dynamics_tables.table import Table

_MODULE = "benchmarks.quality.dynamics"
_RESULTS = Path(__file__).parents[1] / "results" / "dynamics"
_MAX_MINUTES = 30.0
_MOST_LISTED = 3  # seeds, whose figures a table lists
NAMES = ("linear_gaussian", "recovery", "lorenz", "oscillator", "memory", "pendulum", "box",
         "balls", "chorales", "weights", "strokes")


def load(name: str) -> Table:
    """Returns a table by name; imports TensorFlow."""
    return importlib.import_module(f"benchmarks.quality.dynamics_tables.{name}").TABLE


def _results_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=arguments.new_directory, default=_RESULTS, metavar="DIR",
                        help="folder of the results")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", choices=NAMES, help="the table")
    add("--models", metavar="A,B", help="models to run (default: all)")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0,1,2", metavar="N,N",
        help="seeds of the runs of each model")
    add("--updates", type=arguments.whole(1, 1 << 40), metavar="N",
        help="number of updates (default: the model's); with other --results for a trial")
    add("--max-minutes", type=arguments.minutes, default=_MAX_MINUTES, metavar="M",
        help="limit of the training of one run")
    add("--data", type=arguments.readable_file, metavar="FILE",
        help="piano rolls or pen strokes (.npz), for the tables of music and of strokes")
    add("--log-dir", type=arguments.new_directory, metavar="DIR",
        help="folder of the training runs (default: a temporary one)")
    _results_argument(parser)


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", choices=NAMES, help="the table (default: all)")
    _results_argument(parser)


def _run(options: argparse.Namespace) -> None:
    table = load(options.name)
    recorded = {}
    if table.checksum is not None:
        if options.data is None:
            raise arguments.UsageError(f"{options.name}: expected its data, --data FILE.npz.")
        recorded["data"] = table.checksum(options.data)
    models = arguments.some_of(table.models)(options.models) if options.models else table.models
    with tempfile.TemporaryDirectory() as temporary:
        for seed in options.seeds:
            for model in models:
                log_dir = (options.log_dir or Path(temporary)) / f"{options.name}-{model}-{seed}"
                row = _row(table, model, seed, log_dir, options, recorded)
                print(json.dumps({key: row[key] for key in ("model", "seed", *table.columns)
                                  if key in row}), flush=True)


def _row(
    table: Table, model: str, seed: int, log_dir: Path, options: argparse.Namespace,
    recorded: dict[str, str],
) -> dict[str, Any]:
    """Returns the result of one run, from its file if there is one.

    `recorded` is what a result says of its data, which must be the same in the file.
    """
    from benchmarks.quality.dynamics_tables.table import Settings
    path = options.results / options.name / f"{model}-{seed}.json"
    if (row := existing_result(path, **recorded)) is not None:
        _check(path, row, table, options)
        return row
    settings = Settings(
        seed, options.updates or table.num_updates(model), options.max_minutes, log_dir,
        options.data)
    figures = table.run(model, settings)
    row = {"table": options.name, "model": model, "seed": seed, "hparams": table.models[model],
           **figures, **recorded, **provenance(_MODULE), "command": _command(options, model, seed)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n")
    return row


def _check(path: Path, row: dict[str, Any], table: Table, options: argparse.Namespace) -> None:
    """Raises UsageError if a result is of other hyperparameters, or of other --updates if any."""
    def assignments(hparams: str | None) -> list[str]:
        return sorted(re.split(r",(?=\w+=)", hparams or ""))

    # From the command, as the time limit may have ended the run before
    by_option = re.search(r"--updates (\d+)", row["command"])
    updates = int(by_option[1]) if by_option else table.num_updates(row["model"])
    is_trained = row["hparams"] is not None
    require(path, {"hparams": assignments(row["hparams"]), "updates": updates},
            {"hparams": assignments(table.models[row["model"]]),
             "updates": options.updates if options.updates and is_trained else updates})


def _command(options: argparse.Namespace, model: str, seed: int) -> str:
    """Returns the command that repeats a run."""
    words = [f"python -m {_MODULE} run {options.name} --models {model} --seeds {seed}"]
    words += [f"--updates {options.updates}"] if options.updates else []
    words += ([f"--max-minutes {options.max_minutes:g}"]
              if options.max_minutes != _MAX_MINUTES else [])
    words += [f"--data {options.data.name}"] if options.data else []
    return " ".join(words)


def _table(options: argparse.Namespace) -> None:
    for name in [options.name] if options.name else NAMES:
        print(f"{markdown(name, options.results / name)}\n")


def markdown(name: str, results: Path) -> str:
    """Returns the table of a name in Markdown, from the folder of its results."""
    table = load(name)
    lines = []
    for model in table.models:
        rows = [json.loads(path.read_text()) for path in sorted(results.glob(f"{model}-*.json"))]
        rows = sorted((row for row in rows if row["model"] == model), key=lambda row: row["seed"])
        lines.append([model, *(_cell([row[key] for row in rows if key in row])
                               for key in table.columns), _runs(rows)])
    header = ["model", *table.columns.values(), "runs"]
    return f"**{table.title}** (aim: {table.aim})\n\n{markdown_table(header, lines)}"


def _runs(rows: list[dict[str, Any]]) -> str:
    """Describes the runs of a model: number, median time, and unequal numbers of updates."""
    if not rows:
        return "not run"
    seconds = [row["train_seconds"] for row in rows if "train_seconds" in row]
    minutes = f", {statistics.median(seconds) / 60:.1f} min" if seconds else ""
    updates = [row[key] for row in rows for key in ("updates", "step") if key in row]
    lengths = f", {min(updates)} to {max(updates)} updates" if len(set(updates)) > 1 else ""
    return f"{len(rows)}{minutes}{lengths}"


def _cell(figures: list[float]) -> str:
    """Returns the median of figures, with them all, or of many the mean with its standard error."""
    if not figures:
        return ""
    if len(set(figures)) == 1:
        return f"{figures[0]:.4g}"
    if len(figures) <= _MOST_LISTED:
        return (f"{statistics.median(figures):.4g} "
                f"({', '.join(f'{figure:.4g}' for figure in figures)})")
    error = statistics.stdev(figures) / len(figures) ** 0.5
    return f"{statistics.fmean(figures):.4g} ± {error:.2g}"


program = Program(f"python -m {_MODULE}", "Measures the dynamical VAEs.", (
    Command("run", "train and score the models of a table", _run_arguments, _run),
    Command("table", "print the tables of existing results", _table_arguments, _table),
))

if __name__ == "__main__":
    program.main()
