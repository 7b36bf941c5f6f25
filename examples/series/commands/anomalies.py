# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series anomalies: marks the steps that surprise a model."""
from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.progress import Progress

from .. import detection
from ..data import Table, sources
from ..data.windows import Places, positions
from ..detection import Threshold
from ..model import SeriesModel
from ..output import files, plots
from . import retraining
from .loading import load_model

_COMPUTED = ("score", "tail_probability", "anomaly")  # columns of the output


class _Scored(NamedTuple):
    """The scores of a table: smoothed, their tail probabilities and flags, each of each series."""

    scores: list[np.ndarray]
    tails: list[np.ndarray]
    flags: list[np.ndarray]


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    if (args.retrain is None) != (args.retrain_dir is None):
        raise UsageError("expected --retrain and --retrain-dir together, got one of them.")
    if args.retrain and args.data:
        raise UsageError("--retrain: expected the training data, which it weighs anew; got --data. "
                         "Leave --data out.")
    if args.num_steps and not args.retrain:
        raise UsageError("--num-steps: expected it together with --retrain, whose updates it "
                         "counts. Leave it out.")
    model = load_model(args)
    if args.plot:
        plots.pyplot()
    table, labels = _read(args, model)
    is_written = bool(args.output or not (args.plot or args.retrain))
    if is_written:
        files.check_targets(
            model.layout.roles.targets, [*files.place_columns(table), *_COMPUTED])
    for note in table.notes:
        print(f"  {note}", file=sys.stderr)
    calibration = _calibration(args, model, table)
    limit = detection.threshold(calibration, args.rate, args.window)
    _print_threshold(args, limit)
    places = positions([len(one.values) for one in table.series])
    impossible = [_impossible(model, one.values) for one in table.series]
    possible = _without(table, impossible)
    raw = _scores(args, model, possible, places, "anomalies")
    for score, steps in zip(raw, impossible, strict=True):
        score[steps.any(1)] = np.inf
    scores = [detection.smooth(each, args.window) for each in raw]
    scored = _Scored(scores, [detection.tail_probability(s, calibration) for s in scores],
                     [np.nan_to_num(s, nan=-np.inf) > limit.value for s in scores])
    _print_impossible(impossible)
    _print_found(model, table, scored, labels)
    if is_written:
        files.write_table(args.output, _columns(model, table, scored))
    if args.plot:  # an impossible value is a line across; drawn, it would flatten the others
        plots.anomalies(args.plot, [plots.Scored(
            one.name or ", ".join(model.layout.roles.targets),
            model.layout.step.clock(one.start + np.arange(len(one.values))), one.values, score,
            flags, limit.value)
            for one, score, flags in zip(possible.series, scores, scored.flags)])
    if args.retrain:
        retraining.run(args, model, table, scored.flags)


def _read(
    args: argparse.Namespace, model: SeriesModel
) -> tuple[Table, list[np.ndarray] | None]:
    """Returns the table and, with `--labels`, the labels of each series."""
    if not args.labels:
        return sources.read_for(model.layout, args.data, args.gaps, allow_far=True), None
    known = model.layout.roles.known
    roles = dataclasses.replace(model.layout.roles, known=(*known, args.labels))
    table = sources.read_for(
        dataclasses.replace(model.layout, roles=roles), args.data, args.gaps, allow_far=True)
    labels = [one.known[:, len(known)] for one in table.series]
    series = tuple(one._replace(known=one.known[:, :len(known)]) for one in table.series)
    return dataclasses.replace(table, series=series), labels


def _impossible(model: SeriesModel, values: np.ndarray) -> np.ndarray:
    """Returns which values `[N, D]` the model does not allow for, or are far outside of training.

    Far values would be the level and scale of what comes after them.
    """
    return ~model.maker.is_possible(values) | sources.is_far(model.layout, values)


def _without(table: Table, impossible: Sequence[np.ndarray]) -> Table:
    """Returns the table without impossible values: the model reads them as missing."""
    return dataclasses.replace(table, series=tuple(
        one._replace(values=np.where(each, np.nan, one.values)) if each.any() else one
        for one, each in zip(table.series, impossible)))


def _calibration(args: argparse.Namespace, model: SeriesModel, table: Table) -> np.ndarray:
    """Returns the scores of normal steps: of `--calibrate`, or held out in training.

    `table` is the one to search: that of training without `--data`.
    """
    if args.calibrate:
        table = sources.read_for(model.layout, args.calibrate, args.gaps)
        places = positions([len(one.values) for one in table.series])
    else:
        if args.data:
            table = sources.read_for(model.layout, [], args.gaps, allow_far=True)
        places = sources.held_out(model.layout, table)
        if not places:
            raise UsageError("expected held-out steps to calibrate the false-alarm rate on, but "
                             "training held out none of this table. Give --calibrate FILE.")
    table = _without(table, [_impossible(model, one.values) for one in table.series])
    scores = _scores(args, model, table, places, "calibrate")
    means = np.concatenate([detection.smooth(each, args.window) for each in scores])
    if np.isnan(means).all() and args.window > 1:
        raise UsageError(f"--window: expected at most {max(map(len, scores))}, the steps in a row "
                         f"that there are to calibrate on, got {args.window}.")
    return means


def _scores(
    args: argparse.Namespace, model: SeriesModel, table: Table, places: Sequence[Places],
    description: str,
) -> list[np.ndarray]:
    """Returns -log p of each run of places, nats; NaN where nothing was observed."""
    total = sum(map(len, places))
    parts = []
    with Progress(description, total=total, unit="step") as progress:
        for part in model.log_densities(
                table, places, bound=args.bound, num_samples=args.num_samples, seed=args.seed):
            parts.append(-part)
            progress.advance(len(part))
    return np.split(np.concatenate(parts), np.cumsum([len(each) for each in places])[:-1])


def _print_threshold(args: argparse.Namespace, limit: Threshold) -> None:
    what = "steps of --calibrate" if args.calibrate else "held-out steps"
    print(f"Threshold {limit.value:.4g} nats: a false-alarm rate of {limit.rate:.2g}, calibrated "
          f"on {limit.size:,} {what}.", file=sys.stderr)
    if limit.rate > args.rate:
        print(f"  {limit.size:,} scores cannot tell a rate of {args.rate:g}; the threshold is "
              "their maximum. --calibrate FILE with "
              f"{int(args.window / args.rate):,} normal steps can.",
              file=sys.stderr)


def _print_impossible(impossible: Sequence[np.ndarray]) -> None:
    count = sum(int(each.any(1).sum()) for each in impossible)
    if count:
        print(f"  {count:,} steps have a value that the model's output cannot have or far outside "
              "of the training data: their score is infinite.", file=sys.stderr)


def _print_found(
    model: SeriesModel, table: Table, scored: _Scored, labels: list[np.ndarray] | None
) -> None:
    total = sum(int((~np.isnan(score)).sum()) for score in scored.scores)
    flagged = sum(int(flags.sum()) for flags in scored.flags)
    print(f"{flagged:,} of {total:,} steps are anomalies.", file=sys.stderr)
    if not total:
        return
    highest = int(np.argmax([np.nanmax(s, initial=-np.inf) for s in scored.scores]))
    one, at = table.series[highest], int(np.nanargmax(scored.scores[highest]))
    place = model.layout.step.format(np.array([one.start + at]))[0]
    name = f" of series {one.name!r}" if one.name else ""
    print(f"The highest score, {scored.scores[highest][at]:.4g} nats, is at {place}{name}.",
          file=sys.stderr)
    if labels is None:
        return
    label, scores = np.concatenate(labels), np.concatenate(scored.scores)
    chance = float((label[np.isfinite(label)] > 0).mean())
    events = detection.stretches(np.nan_to_num(labels[highest]) > 0, 1)
    is_hit = any(start - (stop - start) <= at < stop + (stop - start) for start, stop in events)
    normal = np.concatenate(scored.flags)[label == 0]
    print(f"Average precision {detection.average_precision(label, scores):.4f}, chance level "
          f"{chance:.4f}; the highest score is {'at' if is_hit else 'not at'} a labelled event; "
          f"{normal.mean() if len(normal) else np.nan:.4f} of the other steps are flagged.",
          file=sys.stderr)


def _columns(model: SeriesModel, table: Table, scored: _Scored) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = defaultdict(list)
    for one, score, tail, flags in zip(table.series, *scored):
        size = len(one.values)
        if len(table.series) > 1 or one.name:
            columns["series"] += [one.name] * size
        columns["time"] += model.layout.step.format(one.start + np.arange(size))
        for d, target in enumerate(model.layout.roles.targets):
            columns[target] += one.values[:, d].tolist()
        for name, computed in zip(_COMPUTED, (score, tail, flags.astype(int)), strict=True):
            columns[name] += computed.tolist()
    return columns
