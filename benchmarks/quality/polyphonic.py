# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures models of polyphonic music: test nats per frame against the published figures.

    python -m benchmarks.quality.polyphonic run ARCHIVE.npz --log-dir DIR
        [--models rnn,srnn] [--seeds 0,1]
    python -m benchmarks.quality.polyphonic table [--results DIR]
    python -m benchmarks.quality.polyphonic convert IN.mat OUT.npz

`run` trains and scores each model with each seed, all models with the first seed first, and prints
one JSON line for each, then the table. Each result is a small file in the folder --results, by
default the repository's own. Existing results are kept, and interrupted runs are resumed: give
another folder to measure again.

Figures are pooled: the sum over all frames of the split divided by their number; every frame is
scored, the first included, and each piece starts from the initial state. The weights with the best
validation score are scored once on the test split. For models without latents, the table also has
the average over seeds: the mean of their probabilities at each frame, which is a density as well.
"""
from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import free_running, polyphonic_models
from benchmarks.quality.polyphonic_models import RECIPES, Pieces
from benchmarks.report import existing_result, provenance, results_in
from examples.midi.data import archives
from vaeseq.cli import arguments
from vaeseq.cli.program import Command, Program

_MODULE = "benchmarks.quality.polyphonic"
_RESULTS = Path(__file__).parents[1] / "results" / "polyphonic"
_MAX_MINUTES = 30.0
_FRAMES = "test.npy"  # in the log directory of a run: log p of each frame


def _results_argument(parser: argparse.ArgumentParser, kind: Any) -> None:
    parser.add_argument("--results", type=kind, default=_RESULTS, metavar="DIR",
                        help="folder of the results")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("archive", type=arguments.readable_file, help="piano rolls (.npz)")
    add("--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="folder of the runs, which a repeated command resumes")
    _results_argument(parser, arguments.new_directory)
    add("--models", type=arguments.some_of(RECIPES), default=list(RECIPES), metavar="A,B",
        help="models to run (default: all)")
    add("--seeds", type=arguments.list_of(arguments.seed), default="0,1,2", metavar="N,N",
        help="seeds of the runs of each model")
    add("--max-minutes", type=arguments.minutes, default=_MAX_MINUTES, metavar="M",
        help="limit of the training of one run")
    add("--scale-steps", type=float, default=1.0, metavar="X",
        help="multiplies every number of updates, for a trial with other --results")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    _results_argument(parser, arguments.directory)


def _convert_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=arguments.readable_file, help="MATLAB file of piano rolls")
    parser.add_argument("output", type=arguments.output_file, help="archive to write (.npz)")


def _run(options: argparse.Namespace) -> None:
    pieces = archives.load(options.archive)
    options.results.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in options.models:
            print(json.dumps(_row(name, seed, pieces, options)), flush=True)
    for name in options.models:
        _average(name, options.seeds, options)
    print()
    _table(options)


def _row(name: str, seed: int, pieces: Pieces, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the result of one run, from its file if there is one."""
    path = options.results / f"{name}-{seed}.json"
    recipe = RECIPES[name]
    hparams = recipe.hparams(options.scale_steps)
    settings = {"hparams": {d.name: d.theirs for d in type(hparams)().diff(hparams)},
                "updates": recipe.num_steps(options.scale_steps),
                "music": polyphonic_models.checksum(pieces)}
    if (row := existing_result(path, **settings)) is not None:
        return row
    log_dir = options.log_dir / path.stem
    result = polyphonic_models.run(
        recipe, seed, pieces, log_dir, max_minutes=options.max_minutes,
        scale_steps=options.scale_steps)
    if result.nats is not None:
        np.save(log_dir / _FRAMES, result.nats)
    command = f"python -m {_MODULE} run {options.archive.name} --models {name} --seeds {seed}"
    if options.max_minutes != _MAX_MINUTES:
        command += f" --max-minutes {options.max_minutes:g}"
    row = {"model": name, "seed": seed, **result.figures, **settings, **provenance(_MODULE),
           "command": command}
    _write(path, row)
    return row


def _average(name: str, seeds: list[int], options: argparse.Namespace) -> None:
    """Writes the result of the average over seeds, for a model without latents."""
    frames = [options.log_dir / f"{name}-{seed}" / _FRAMES for seed in seeds]
    if len(seeds) < 2 or not all(path.is_file() for path in frames):
        return
    rows = [json.loads((options.results / f"{name}-{seed}.json").read_text()) for seed in seeds]
    _write(options.results / f"{name}-average.json", {
        "model": f"{name}, {len(seeds)} averaged", "of": name, "seeds": seeds,
        "nats_per_step": polyphonic_models.averaged([np.load(path) for path in frames]),
        "train_seconds": sum(row["train_seconds"] for row in rows)})


def _write(path: Path, row: dict[str, Any]) -> None:
    path.write_text(json.dumps(row, indent=1) + "\n")


def _table(options: argparse.Namespace) -> None:
    rows = results_in(options.results)
    print(_figures(rows))
    print("\nFree-running samples: how far each statistic is from the training set's, (!) where "
          "that is\nfurther than 95 % of as many pieces of the training set are.\n")
    print(free_running.table([
        (f"{row['model']}, seed {row['seed']}", row["free_running"])
        for name in RECIPES for row in rows if row["model"] == name]))


def _figures(rows: list[dict[str, Any]]) -> str:
    """Returns the table of medians over seeds and published figures."""
    lines = ["| model | test nats per frame, median (seeds) | bound | best step | training | "
             "published |", "| --- | --- | --- | --- | --- | --- |"]
    for name, recipe in RECIPES.items():
        runs = [row for row in rows if row["model"] == name]
        if runs:
            lines.append(_line(name, runs, recipe.published))
        for row in rows:
            if row.get("of") == name:
                lines.append(f"| {row['model']} | {row['nats_per_step']:.3f} | exact | | "
                             f"{row['train_seconds'] / 60:.0f} min | {recipe.published} |")
    return "\n".join(lines)


def _line(name: str, runs: list[dict[str, Any]], published: str) -> str:
    """Returns the row of one model."""
    figures = [run["nats_per_step"] for run in runs]
    bound = runs[0]["bound"]
    if bound != "exact":
        bound += f", {runs[0]['num_samples']} samples"
    seeds = ", ".join(f"{figure:.3f}" for figure in figures)
    return (f"| {name} | {statistics.median(figures):.3f} ({seeds}) | {bound} | "
            f"{statistics.median(run['best_step'] for run in runs):.0f} | "
            f"{statistics.median(run['train_seconds'] for run in runs) / 60:.0f} min | "
            f"{published} |")


def _convert(options: argparse.Namespace) -> None:
    """Converts the variables traindata, validdata and testdata of the published sets."""
    from scipy import io
    try:
        source = io.loadmat(options.source, squeeze_me=True)
    except (ValueError, TypeError, NotImplementedError, OSError) as error:
        raise arguments.UsageError(
            f"{str(options.source)!r}: expected a MATLAB file; {error}") from None
    pieces = {}
    for split in archives.SPLITS:
        key = f"{split}data"
        if key not in source:
            raise arguments.UsageError(
                f"{str(options.source)!r}: expected a variable {key!r}, one cell a piece; found "
                f"{', '.join(k for k in source if not k.startswith('__')) or 'none'}.")
        pieces[split] = [np.atleast_2d(piece).astype(np.uint8) for piece in source[key]]
    archives.save(options.output, pieces)
    archives.load(options.output)


program = Program(f"python -m {_MODULE}", "Measures models of polyphonic music.", (
    Command("run", "train and score models, and print the table", _run_arguments, _run),
    Command("table", "print the table of existing results", _table_arguments, _table),
    Command("convert", "make an archive from a published MATLAB file", _convert_arguments,
            _convert),
))

if __name__ == "__main__":
    program.main()
