# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-series generate: samples new sequences."""
from __future__ import annotations

import argparse
import sys

import numpy as np

from vaeseq.cli.arguments import UsageError, check_output
from vaeseq.runs.progress import Progress

from ..data import Series, sources
from ..model import SeriesModel
from ..output import files, plots, sound, strokes
from .loading import load_model

_AT_ONCE = 256  # sequences
_SEED_BITS = 31


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    roles, rate = model.layout.roles, model.layout.sample_rate
    is_drawing = model.hparams.output == "strokes"
    if args.plot:
        plots.pyplot()
    if args.svg and not is_drawing:
        raise UsageError("--svg: expected a model of strokes (output=strokes), got one with "
                         f"output={model.hparams.output}. --plot draws its sequences.")
    if args.wav and not rate:
        raise UsageError("--wav: expected a model that was trained on sound, got one of "
                         f"{', '.join(roles.targets[:5])}.")
    for name in sound.names(args.wav, args.num_samples) if args.wav else ():
        check_output("--wav", name, [*model.layout.files, *([args.prime] if args.prime else [])])
    is_written = bool(args.output or not (args.svg or args.plot or args.wav))
    if is_written:
        files.check_targets(roles.targets, ("series", "time"))
    series, dropped = _beginning(args, model)
    length = args.length or _usual_length(model)
    samples = _sample(args, model, series, dropped + length)[:, dropped:]
    index = series.end + dropped + np.arange(length)
    if is_written:
        _write(args, model, samples, index)
    drawings = list(samples) if is_drawing else []
    if args.svg:
        strokes.write_svg(args.svg, drawings)
    if args.plot and is_drawing:
        strokes.write_png(args.plot, drawings)
    elif args.plot:
        plots.lines(args.plot, samples, model.layout.step.clock(index), roles.targets)
    if args.wav:
        sound.save_all(args.wav, samples.reshape(len(samples), -1), rate)


def _beginning(args: argparse.Namespace, model: SeriesModel) -> tuple[Series, int]:
    """Returns the series to continue, and how many steps after it are sampled and dropped.

    A model that scales by history has never seen a beginning, so a new sequence runs in first.
    """
    layout = model.layout
    if args.prime:
        table, _ = sources.without_ends(sources.read_for(layout, [args.prime]))
        for note in table.notes:
            print(f"  {note}", file=sys.stderr)
        return table.series[0], 0
    sizes = len(layout.roles.known), len(layout.roles.static)
    empty = Series("", min(layout.ends), np.zeros([0, layout.num_targets]),
                   np.zeros([0, sizes[0]]), np.full([sizes[1]], np.nan))
    if model.hparams.scaling == "training":
        # Of dates, calendars are inputs: a sequence begins about where the last series did.
        is_numbered = layout.step.unit in ("int", "row")
        return empty._replace(
            start=0 if is_numbered else max(layout.ends) - layout.usual_length), 0
    return empty, model.hparams.context


def _usual_length(model: SeriesModel) -> int:
    if model.hparams.scaling == "training":
        return model.layout.usual_length or model.hparams.sequence_size
    return model.hparams.horizon


def _sample(
    args: argparse.Namespace, model: SeriesModel, series: Series, size: int
) -> np.ndarray:
    parts = []
    with Progress("generate", total=args.num_samples, unit="sequence",
                  counted="sequences") as progress:
        for first in range(0, args.num_samples, _AT_ONCE):
            number = min(_AT_ONCE, args.num_samples - first)
            try:
                parts.append(model.forecast(
                    series, len(series.values), horizon=size, num_paths=number,
                    temperature=args.temperature, calibrated=False,
                    seed=args.seed + (first << _SEED_BITS)))
            except NotImplementedError:
                raise UsageError(
                    f"--temperature: expected 1, as output={model.hparams.output} has no other "
                    f"temperature; got {args.temperature:g}.") from None
            progress.advance(number)
    return np.concatenate(parts)


def _write(
    args: argparse.Namespace, model: SeriesModel, samples: np.ndarray, index: np.ndarray
) -> None:
    if args.output and args.output.suffix.lower() == ".npz":
        with open(args.output, "wb") as file:  # NumPy would add .npz to a name with .NPZ
            np.savez_compressed(file, values=samples, targets=list(model.layout.roles.targets))
        return
    count, size, _ = samples.shape
    digits = len(str(count))
    columns: dict[str, list[object]] = {
        "series": [f"{n + 1:0{digits}}" for n in range(count) for _ in range(size)],
        "time": [*model.layout.step.format(index)] * count}
    for d, target in enumerate(model.layout.roles.targets):
        columns[target] = samples[:, :, d].ravel().tolist()
    files.write_table(args.output, columns)
    if args.output:
        print(f"{count:,} sequences of {size:,} steps are in {args.output}.", file=sys.stderr)
