# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series forecast: samples what follows in each series."""
from __future__ import annotations

import argparse
import sys
from collections import defaultdict

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.progress import Progress

from ..data import Table, sources
from ..data.table import num_unknown
from ..model import SeriesModel
from ..output import files, plots
from .loading import load_model

_PAST = 3  # horizons of past in a chart


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    if args.plot:
        plots.pyplot()
    whole = sources.read_for(model.layout, args.data, args.gaps)
    table, num_after = sources.without_ends(whole)
    for note in whole.notes:
        print(f"  {note}", file=sys.stderr)
    horizon = args.horizon or model.hparams.horizon
    ahead: dict[str, np.ndarray] = {}
    if model.layout.roles.known:
        if args.known is None and not num_after:
            raise UsageError(
                f"expected --known FILE with {', '.join(model.layout.roles.known)} of the "
                f"{horizon} steps to forecast, as the model reads them ahead; got none.")
        ahead = sources.known_ahead(model.layout, table, whole, args.known, horizon)
        unknown = sum(num_unknown(model.layout.roles.known, model.layout.levels, values)
                      for values in ahead.values())
        if unknown:
            print(f"  {unknown:,} categories of the steps to forecast are unknown to the model.",
                  file=sys.stderr)
    elif args.known:
        raise UsageError("--known: the run has no covariates that are known ahead; expected no "
                         "file of them.")
    paths = []
    with Progress("forecast", total=len(table.series), unit="forecast",
                  counted="series") as progress:
        for one in table.series:
            paths.append(model.forecast(
                one, len(one.values), horizon=horizon, num_paths=args.num_paths,
                known=ahead.get(one.name), seed=args.seed))
            progress.advance(1, 1)
    lasts = {one.end for one in table.series}
    last = model.layout.step.format(np.array([max(lasts) - 1]))[0]
    print(f"The forecast begins after the last value, {last}"
          f"{' (of the longest series)' if len(lasts) > 1 else ''}.", file=sys.stderr)
    files.write_table(args.output, _columns(model, table, paths, args.quantiles))
    if args.paths:
        with open(args.paths, "wb") as file:  # NumPy would add .npz to a name without it
            np.savez_compressed(
                file, paths=np.stack(paths), series=[one.name for one in table.series],
                targets=list(model.layout.roles.targets))
    if args.plot:
        plots.fans(args.plot, _charts(model, table, paths, horizon))


def _columns(
    model: SeriesModel, table: Table, paths: list[np.ndarray], levels: tuple[float, ...]
) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = defaultdict(list)
    targets = model.layout.roles.targets
    for one, samples in zip(table.series, paths):
        horizon = samples.shape[1]
        times = model.layout.step.format(one.end + np.arange(horizon))
        quantiles = np.quantile(samples, levels, axis=0)
        for d, target in enumerate(targets):
            if len(table.series) > 1 or one.name:
                columns["series"] += [one.name] * horizon
            columns["time"] += times
            columns["target"] += [target] * horizon
            columns["mean"] += samples[:, :, d].mean(0).tolist()
            for level, row in zip(levels, quantiles[:, :, d]):
                columns[f"q{level:g}"] += row.tolist()
    return columns


def _charts(
    model: SeriesModel, table: Table, paths: list[np.ndarray], horizon: int
) -> list[plots.Fan]:
    time, none = model.layout.step.clock, np.array([])
    charts = []
    for one, samples in zip(table.series, paths):
        past = np.arange(max(0, len(one.values) - _PAST * horizon), len(one.values))
        for d, target in enumerate(model.layout.roles.targets):
            charts.append(plots.Fan(
                f"{one.name} {target}".strip(), time(past + one.start), one.values[past, d],
                time(one.end + np.arange(horizon)), samples[:, :, d], none, none))
    return charts
