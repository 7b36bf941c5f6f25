# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series impute: fills the missing values of series."""
from __future__ import annotations

import argparse
import sys
from collections import defaultdict

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.progress import Progress

from .. import gaps
from ..data import Table, sources
from ..data.sources import LEAST_HIDDEN
from ..gaps import Completed
from ..model import SeriesModel
from ..output import files, plots
from .loading import load_model

_MARGIN = 24  # steps beside a gap in a chart
_MOST_CHARTS = 6


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    if args.draws > args.num_samples:
        raise UsageError(f"--draws: expected at most {args.num_samples}, the --num-samples, got "
                         f"{args.draws}. Give more samples.")
    model = load_model(args)
    if args.plot:
        plots.pyplot()
    table = sources.read_for(model.layout, args.data, args.gaps)
    for note in table.notes:
        print(f"  {note}", file=sys.stderr)
    if not table.num_missing:
        raise UsageError("expected a table with missing values to fill, got one without.")
    targets = model.layout.roles.targets
    files.check_targets(targets, [*files.place_columns(table), *(
        f"{target}_{suffix}" for target in targets
        for suffix in ("lower", "upper", "filled", *_draws(args)))])
    bridge = _bridge(model, table, args)
    total = sum(len(gaps.groups(one.values, args.lookahead)) for one in table.series)
    completed = []
    with Progress("impute", total=total, unit="gap", counted="gaps") as progress:
        for one in table.series:
            completed.append(gaps.complete(
                model, one, lookahead=args.lookahead, num_samples=args.num_samples,
                num_particles=args.num_particles, seed=args.seed, bridge=bridge,
                on_group=progress.advance))
    print(f"Filled {table.num_missing:,} values of {len(table.series):,} series.", file=sys.stderr)
    files.write_table(args.output, _columns(model, table, completed, args))
    if args.plot:
        plots.fans(args.plot, _charts(model, table, completed))


def _bridge(model: SeriesModel, table: Table, args: argparse.Namespace) -> gaps.Bridge | None:
    """Returns what values that training did not see say of completions."""
    space, ends = model.maker.space, sources.held_out(model.layout, table)
    if args.no_bridge or space.kind != "scaled" or space.log:
        return None
    places = sources.hidden_steps(model.layout, table) or ends
    hidden = {size: gaps.hidden_gaps(table, places, size)
              for size in gaps.sizes_to_hide(table, model.hparams.horizon)}
    total = sum(map(len, hidden.values()))
    with Progress("hide", total=total, unit="gap", counted="gaps", is_brief=True) as progress:
        bridge = gaps.fit(
            model, table, hidden, lookahead=args.lookahead,
            num_samples=args.num_samples, num_particles=args.num_particles, seed=args.seed,
            on_gap=progress.advance)
    if bridge is None:
        print(f"  Fewer than {LEAST_HIDDEN} held-out values can be hidden: completions are "
              "the model's alone. Train with a greater --valid-windows.", file=sys.stderr)
        return None
    print("  Hidden values tell what completions are:", file=sys.stderr)
    for size, level, spread, count in zip(*bridge):
        print(f"    in gaps of {size}: {level:.0%} the model's and the rest a straight line, mean "
              f"deviation {spread:.2f} mean errors of such lines ({count:,} values)",
              file=sys.stderr)
    return bridge


def _columns(
    model: SeriesModel, table: Table, completed: list[Completed], args: argparse.Namespace
) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = defaultdict(list)
    tail = (1 - args.interval) / 2
    for one, each in zip(table.series, completed):
        size = len(one.values)
        if len(table.series) > 1 or one.name:
            columns["series"] += [one.name] * size
        columns["time"] += model.layout.step.format(one.start + np.arange(size))
        lower, median, upper = each.quantiles([tail, 0.5, 1 - tail])
        draws = [each.sample(number) for number in range(args.draws)]
        for d, target in enumerate(model.layout.roles.targets):
            columns[target] += median[:, d].tolist()
            columns[f"{target}_lower"] += lower[:, d].tolist()
            columns[f"{target}_upper"] += upper[:, d].tolist()
            columns[f"{target}_filled"] += each.filled[:, d].astype(int).tolist()
            for suffix, draw in zip(_draws(args), draws):
                columns[f"{target}_{suffix}"] += draw[:, d].tolist()
    return columns


def _draws(args: argparse.Namespace) -> list[str]:
    return [f"draw{number + 1}" for number in range(args.draws)]


def _charts(model: SeriesModel, table: Table, completed: list[Completed]) -> list[plots.Fan]:
    time, none = model.layout.step.clock, np.array([])
    charts: list[plots.Fan] = []
    for one, (_, spans) in zip(table.series, completed):
        for span in spans:
            if len(charts) == _MOST_CHARTS:
                return charts
            start, stop = span.steps.start, span.steps.stop
            d = int(np.argmax(np.isnan(one.values[start:stop]).sum(0)))
            shown = np.arange(max(0, start - _MARGIN), min(len(one.values), stop + _MARGIN))
            # With the observed neighbours, so that a gap of one step has a visible fan.
            inner = np.arange(max(0, start - 1), min(len(one.values), stop + 1))
            samples = np.repeat(one.values[None, inner, d], len(span.samples), 0)
            samples[:, start - inner[0]:stop - inner[0]] = span.samples[..., d]
            charts.append(plots.Fan(
                f"{one.name} {model.layout.roles.targets[d]}".strip(), time(shown + one.start),
                one.values[shown, d], time(inner + one.start), samples, none, none))
    return charts
