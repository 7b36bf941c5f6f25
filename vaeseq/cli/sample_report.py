# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Prints and draws the metrics of samples beside those of real data (`evaluate --samples`)."""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import samples
from vaeseq.evaluate.samples import Comparison, Row
from vaeseq.runs.progress import Progress

_COLUMNS = (
    ("forward_nats", "forward", "{:.4f}"), ("latest_forward_nats", "latest", "{:.4f}"),
    ("reverse_nats", "reverse", "{:.4f}"), ("distinct", "distinct", "{:.4f}"),
    ("repetition", "repeated", "{:.4f}"), ("longest_copy", "copy", "{:.0f}"),
    ("most_copied", "max copy", "{:d}"), ("bleu", "BLEU-4", "{:.2f}"),
    ("self_bleu", "self-BLEU", "{:.2f}"), ("line_length", "line", "{:.1f}"),
    ("line_length_stddev", "sd", "{:.1f}"))
_PANELS = (
    ("forward_nats", "forward, nats per {unit}"),
    ("latest_forward_nats", "latest, nats per {unit}"),
    ("reverse_nats", "reverse, nats per {unit}"),
    ("distinct", "distinct 4-grams"),
    ("repetition", "repeated 4-grams"),
    ("longest_copy", "longest copy, {unit}s"))


def check_options(args: argparse.Namespace, *of_scores: str) -> None:
    """Checks the options of `evaluate` before the model is loaded.

    Args:
      args: with `samples` and `plot`.
      of_scores: names of options, beside `bound` and `num_samples`, that `--samples` does without.

    Raises:
      UsageError: an option would have no effect, or `--plot` needs a library.
    """
    if args.plot and not args.samples:
        raise UsageError("--plot draws the metrics of samples: expected --samples N, too.")
    for name in ("bound", "num_samples", *of_scores) if args.samples else ():
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} has no effect with --samples; give one "
                             "of the two.")
    if args.plot and importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'vaeseq[plot]'.")


def report(
    args: argparse.Namespace, generated: Sequence[np.ndarray], train: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray], vocabulary_size: int, *, unit: str,
    lengths: Sequence[int] = samples.LENGTHS,
    decode: Callable[[np.ndarray], str] | None = None, labels: dict[str, Any] | None = None,
) -> None:
    """Compares samples with real data, at growing lengths.

    Prints a table, or with `--json` one JSON object, and draws a picture with `--plot`.

    Args:
      args: with `samples`, `seed`, `json` and `plot`.
      generated: symbols of the samples, each `[N]`.
      train: of what the model was trained on.
      held_out: of what it was not.
      vocabulary_size: V.
      unit: singular name of a symbol.
      lengths: to which samples are cut, in increasing order.
      decode: from symbols to text; None for symbols that are no text.
      labels: further fields of the JSON object.

    Raises:
      UsageError: there are too few symbols to compare.
    """
    with Progress("measure", total=2 * len(lengths), unit="row", is_brief=True) as progress:
        try:
            compared = samples.compare(
                generated, train, held_out, vocabulary_size, lengths=lengths, decode=decode,
                seed=args.seed, advance=lambda: progress.advance(1, 1))
        except ValueError as error:
            raise UsageError(f"--samples: {error}") from None
    if args.plot:
        draw(compared, args.plot, unit)
    if args.json:
        rows = {name: [row._asdict() for row in rows]
                for name, rows in compared._asdict().items()}
        print(json.dumps({"num_samples": args.samples, "seed": args.seed, **(labels or {}), **rows},
                         allow_nan=False))
    else:
        _print_table(compared, unit)


def draw(compared: Comparison, path: str | os.PathLike[str], unit: str) -> None:
    """Writes a PNG file with a panel for each metric against the length of samples."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = figure.subplots(2, 3)
    for axes, (name, title) in zip(panels.flat, _PANELS, strict=True):
        for label, rows, style in (("samples", compared.samples, "o-"),
                                   ("real", compared.real, "s--")):
            axes.plot([row.length for row in rows], [getattr(row, name) for row in rows], style,
                      label=label)
        axes.set(xscale="log", title=title.format(unit=unit))
        axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel(f"length, {unit}s")
    panels[0, 0].legend()
    figure.savefig(path, dpi=120, format="png")


def _print_table(compared: Comparison, unit: str) -> None:
    columns = [column for column in _COLUMNS
               if any(getattr(row, column[0]) is not None for row in compared.samples)]
    print(f"{'length':>7} {'':8}" + "".join(f"{title:>10}" for _, title, _ in columns))
    for pair in zip(*compared):
        for name, row in zip(("samples", "real"), pair):
            print(f"{row.length:7,} {name:8}" + "".join(
                _cell(row, field, form) for field, _, form in columns))
    print(f"Forward, latest and reverse: nats per {unit} under n-gram models; reverse of real data "
          "is that of as much training data.")


def _cell(row: Row, field: str, form: str) -> str:
    value = getattr(row, field)
    return f"{'-' if value is None else form.format(value):>10}"
