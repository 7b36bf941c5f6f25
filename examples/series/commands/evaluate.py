# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series evaluate: forecasts the end of series from earlier origins and scores them."""
from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict

import numpy as np

from vaeseq import seeds
from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate.likelihood import Score
from vaeseq.runs.progress import Progress

from .. import backtest
from ..backtest import Item, Scores
from ..data import Table, sources
from ..data.windows import Places, scoring_batches
from ..model import SeriesModel
from ..output import files, plots
from .loading import load_model

_PAST = 3  # horizons of past in a chart


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    if args.plot:
        plots.pyplot()
    table = sources.read_for(model.layout, args.eval_data, args.gaps)
    table, _ = sources.without_ends(table)  # days to come cannot be scored
    horizon = args.horizon or model.hparams.horizon
    season = args.season or model.hparams.season
    stride = args.stride or horizon
    log = print if not args.json else lambda *words: print(*words, file=sys.stderr)
    for note in table.notes:
        log(f"  {note}")
    places = _places(args, model, table, stride, horizon, log)
    total = sum(len(origins) for origins in places.values())
    groups: list[list[Item]] = []
    with Progress("evaluate", total=total, unit="forecast", hidden=args.json) as progress:
        for group in backtest.run(
                model, table, windows=args.windows, stride=stride, horizon=horizon, season=season,
                num_paths=args.num_paths, seed=args.seed):
            groups.append(group)
            progress.advance(1, 1)
    items = [item for group in groups for item in group]
    scores = backtest.score(items), backtest.score(items, of_naive=True)
    nats = _nats(args, model, table, places, horizon)
    energy = math.nan
    if model.layout.num_targets > 1:
        energy = backtest.energy_score(groups, model.layout.spread)
    undefined = sum(math.isnan(item.seasonal) for item in items)
    no_past = sum(bool(np.isnan(item.naive).all()) for item in items)
    if no_past:
        log(f"  {no_past:,} of {len(items):,} forecasts of a target have no value of it before "
            "them; the scores of the seasonal naive forecast leave them out.")
    if args.json:
        print(json.dumps(_as_dict(scores, nats, energy, season, total, undefined)))
    else:
        _print_table(scores, nats, energy, season, total, undefined)
    if args.per_series:
        files.write_table(args.per_series, _per_series(items, model))
    if args.plot:
        plots.backtest(args.plot, _charts(model, table, items, horizon),
                       scores[0].coverage_by_step, scores[0].pit, scores[1].pit)


def _places(
    args: argparse.Namespace, model: SeriesModel, table: Table, stride: int, horizon: int,
    log: object,
) -> dict[str, list[int]]:
    """Returns the origins of each series; raises UsageError where there is none."""
    assert callable(log)
    places = {one.name: backtest.origins(one, args.windows, stride, horizon)
              for one in table.series}
    short = [name for name, origins in places.items() if not origins]
    if len(short) == len(places):
        raise UsageError(f"expected a series of more than {horizon} steps to score, got none. Give "
                         "a smaller --horizon.")
    if short:
        log(f"  {len(short)} series of at most {horizon} steps are left out: "
            f"{', '.join(map(repr, short[:5]))}{' ...' if len(short) > 5 else ''}.")
    ends = dict(zip(model.layout.names, model.layout.ends))
    trained = sum(one.start + origin < ends.get(one.name, one.start)
                  for one in table.series for origin in places[one.name])
    # Numbers of rows do not tell whether those of another table are the ones of training.
    if trained and not (args.eval_data and model.layout.step.unit == "row"):
        total = sum(map(len, places.values()))
        log(f"  {trained} of {total} forecasts begin within the training data, so their scores "
            "flatter the model.")
    return places


def _nats(
    args: argparse.Namespace, model: SeriesModel, table: Table, places: dict[str, list[int]],
    horizon: int,
) -> Score:
    """Returns the log score one step ahead of all steps that are forecast."""
    runs = [Places(number, origin, origin + horizon)
            for number, one in enumerate(table.series) for origin in places[one.name]]
    evaluator = model.evaluator(args.bound, args.num_samples)
    return evaluator.score(scoring_batches(
        model.maker, table, runs, model.hparams.context, horizon, min(len(runs), 32)),
        seed=seeds.make(args.seed))


def _as_dict(
    scores: tuple[Scores, Scores], nats: Score, energy: float, season: int, total: int,
    undefined: int,
) -> dict[str, object]:
    return {"model": {**scores[0].as_dict(), **nats.as_dict(),
                      "energy_score": None if math.isnan(energy) else energy},
            "seasonal_naive": scores[1].as_dict(), "season": season, "forecasts": total,
            "undefined_mase": undefined}


def _print_table(
    scores: tuple[Scores, Scores], nats: Score, energy: float, season: int, total: int,
    undefined: int,
) -> None:
    mase = f"MASE m={season}"
    print(f"{mase:>10} {'WQL':>8} {'CRPS':>10} {'sMAPE':>7} {'MSIS':>8}  inside 50/80/95 %")
    for name, one in zip(("model", f"seasonal naive, m={season}"), scores):
        inside = " ".join(f"{100 * share:5.1f}" for share in one.coverage)
        print(f"{one.mase:10.4f} {one.wql:8.4f} {one.crps:10.4g} {one.smape:7.4f} "
              f"{one.msis:8.3f}  {inside}  {name}")
    widths = ", ".join(f"{width:.4g}" for width in scores[0].width)
    notes = [f"{total:,} forecasts", f"mean widths {widths}",
             f"{nats.nats_per_step:.4f} nats per step, one step ahead",
             *options.bound_notes(nats, "step")]
    if nats.num_missing:
        notes.append(f"{nats.num_missing:,} values missing")
    if not math.isnan(energy):
        notes.append(f"energy score {energy:.4f}")
    if undefined:
        notes.append(f"MASE undefined for {undefined:,} (no change over a season in their history; "
                     "--season gives another lag)")
    print("; ".join(notes))


def _per_series(items: list[Item], model: SeriesModel) -> dict[str, list[object]]:
    groups: dict[tuple[str, int], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.series, item.target].append(item)
    columns: dict[str, list[object]] = defaultdict(list)
    for (name, target), group in groups.items():
        columns["series"].append(name)
        columns["target"].append(model.layout.roles.targets[target])
        columns["forecasts"].append(len(group))
        for prefix, one in (("", backtest.score(group)),
                            ("naive_", backtest.score(group, of_naive=True))):
            for metric in ("mase", "wql", "crps", "smape", "msis"):
                columns[prefix + metric].append(getattr(one, metric))
    return columns


def _charts(
    model: SeriesModel, table: Table, items: list[Item], horizon: int
) -> list[plots.Fan]:
    by_name = {one.name: one for one in table.series}
    chosen = [items[i] for i in np.unique(np.linspace(0, len(items) - 1, 3).astype(int))]
    charts = []
    for item in chosen:
        one = by_name[item.series]
        origin = item.origin - one.start
        past = np.arange(max(0, origin - _PAST * horizon), origin)
        time = model.layout.step.clock
        target = model.layout.roles.targets[item.target]
        charts.append(plots.Fan(
            f"{item.series} {target}".strip(), time(past + one.start),
            one.values[past, item.target], time(item.origin + np.arange(horizon)), item.samples,
            item.observed, np.median(item.naive, 0)))
    return charts
