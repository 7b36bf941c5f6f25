# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Gaps of series, and their completions by a model.

Gaps that are near each other are completed by the same particles; those farther apart are
independent of each other.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from .data.table import Series

_MOST_STEPS = 128  # of gaps that are completed together, unless one gap is longer


class Completer(Protocol):
    """Samples missing values (`SeriesModel.complete`)."""

    def complete(
        self, series: Series, start: int, stop: int, *, lookahead: int, num_samples: int,
        num_particles: int, seed: int = 0,
    ) -> np.ndarray:
        """Returns completions `[num_samples, stop - start, D]`."""


class Completed(NamedTuple):
    """A series without missing values.

    Attributes:
      samples: completions `[M, N, D]`; all M are equal where a value was observed.
      filled: whether a value was missing, bool `[N, D]`.
    """

    samples: np.ndarray
    filled: np.ndarray


def groups(values: np.ndarray, lookahead: int) -> list[tuple[int, int]]:
    """Returns the steps from and to which gaps are completed together.

    Args:
      values: `[N, D]`, NaN where missing.
      lookahead: gaps at most so many steps apart are completed together.
    """
    steps = np.flatnonzero(np.isnan(values).any(1))
    spans: list[tuple[int, int]] = []
    for step in steps.tolist():
        is_next = bool(spans) and step == spans[-1][1]
        is_near = bool(spans) and (
            step - spans[-1][1] < lookahead and step - spans[-1][0] < _MOST_STEPS)
        if is_next or is_near:
            spans[-1] = (spans[-1][0], step + 1)
        else:
            spans.append((step, step + 1))
    return spans


def complete(
    model: Completer, series: Series, *, lookahead: int, num_samples: int, num_particles: int,
    seed: int = 0, on_group: Callable[[], None] = lambda: None,
) -> Completed:
    """Completes a series.

    Args:
      model: samples missing values.
      series: the series.
      lookahead: steps after a gap that count.
      num_samples: M.
      num_particles: of the filter.
      seed: of the samples.
      on_group: called after each group of gaps (`groups`).
    """
    filled = np.isnan(series.values)
    samples = np.repeat(series.values[None], num_samples, 0)
    for number, (start, stop) in enumerate(groups(series.values, lookahead)):
        drawn = model.complete(
            series, start, stop, lookahead=lookahead, num_samples=num_samples,
            num_particles=num_particles, seed=seed + (number << 31))
        samples[:, start:stop] = np.where(filled[start:stop], drawn, samples[:, start:stop])
        on_group()
    return Completed(samples, filled)
