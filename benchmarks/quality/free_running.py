# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compares statistics of free-running samples with those of the training set.

Teacher-forced scores alone do not reveal broken generators. The distance between samples and
training set is compared with the spread: the distance between the training set and as many pieces,
of the same length, drawn from it.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.midi.output.roll_statistics import statistics_of

_NUMBERS = ("notes_per_frame", "silent_frames", "held")
_HISTOGRAMS = ("density", "pitch_classes", "intervals")
STATISTICS = _NUMBERS + _HISTOGRAMS
_DRAWS = 100
_QUANTILE = 0.95  # of the distances of the draws is the spread


def compare(
    samples: Sequence[np.ndarray], pieces: Sequence[np.ndarray], *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Returns the comparison for each statistic by name.

    Args:
      samples: piano rolls `[time, pitch]` of one length.
      pieces: piano rolls of the training set.
      seed: of the draws from the training set.

    Returns:
      For each statistic `samples` and `training` (see `statistics_of`), their `distance` (of
      histograms the total variation, half the sum of differences) and the `spread`, under which
      95 % of the training set's draws are.
    """
    length = max(len(sample) for sample in samples)
    music = statistics_of(pieces)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(pieces), size=[_DRAWS, len(samples)])
    statistics = [statistics_of([pieces[i][:length] for i in draw]) for draw in draws]
    sampled = statistics_of(samples)
    return {name: {
        "samples": sampled[name], "training": music[name],
        "distance": _rounded(_distance(sampled[name], music[name])),
        "spread": _rounded(np.quantile(
            [_distance(each[name], music[name]) for each in statistics], _QUANTILE))}
        for name in STATISTICS}


def _distance(one: Any, other: Any) -> float:
    difference = np.abs(np.asarray(one) - np.asarray(other))
    return float(difference.sum() / 2 if difference.ndim else difference)


def _rounded(value: float) -> float:
    return round(float(value), 4)


def table(rows: Sequence[tuple[str, dict[str, dict[str, Any]]]]) -> str:
    """Returns a Markdown table of distances, with the spread of the training set."""
    lines = ["| samples of | notes per frame | frames per note | distance: " + " | ".join(
        f"{name.replace('_', ' ')}" for name in STATISTICS) + " |",
        "|" + " --- |" * (3 + len(STATISTICS))]
    if rows:
        music = {name: rows[0][1][name]["training"] for name in STATISTICS}
        lines.append(f"| the training set | {music['notes_per_frame']:.2f} | {music['held']:.2f} | "
                     + " | ".join(f"within {rows[0][1][name]['spread']:.3f}"
                                  for name in STATISTICS) + " |")
    for title, result in rows:
        cells = []
        for name in STATISTICS:
            distance, spread = result[name]["distance"], result[name]["spread"]
            cells.append(f"{distance:.3f}" + ("" if distance <= spread else " (!)"))
        lines.append(f"| {title} | {result['notes_per_frame']['samples']:.2f} | "
                     f"{result['held']['samples']:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
