# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Plots of forecasts: fan charts, coverage and the PIT, as PNG files."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli.arguments import UsageError

_INTERVALS = (0.5, 0.8, 0.95)
_MOST_PANELS = 6


class Fan(NamedTuple):
    """A forecast to draw."""

    title: str  # of the panel
    past_times: np.ndarray  # `[N]`
    past: np.ndarray  # `[N]`
    times: np.ndarray  # of the forecast, `[H]`
    samples: np.ndarray  # `[M, H]`
    observed: np.ndarray  # what came, `[H]`; empty if unknown
    naive: np.ndarray  # the median of the seasonal naive forecast, `[H]`; empty for none


def pyplot() -> Any:
    """Returns matplotlib's pyplot for files; raises UsageError where it is missing."""
    try:
        import matplotlib
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'vaeseq[series]'.") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def fans(path: Path, charts: Sequence[Fan]) -> None:
    """Draws at most six fan charts, one above the other."""
    plt = pyplot()
    charts = charts[:_MOST_PANELS]
    figure, axes = plt.subplots(len(charts), 1, figsize=(9, 1 + 2.4 * len(charts)),
                                layout="constrained", squeeze=False)
    for ax, chart in zip(axes[:, 0], charts):
        _fan(ax, chart)
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def backtest(
    path: Path, charts: Sequence[Fan], coverage: np.ndarray, pit: np.ndarray, naive_pit: np.ndarray
) -> None:
    """Draws fan charts above the coverage of each step ahead and the histogram of the PIT.

    The coverage is that of intervals of 50, 80 and 95 %, `[3, H]`; the PIT has ten classes.
    """
    plt = pyplot()
    charts = charts[:3]
    figure = plt.figure(figsize=(9, 3.2 + 2.4 * len(charts)), layout="constrained")
    grid = figure.add_gridspec(len(charts) + 1, 2)
    for row, chart in enumerate(charts):
        ax = figure.add_subplot(grid[row, :])
        _fan(ax, chart)
        if not row:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    ax = figure.add_subplot(grid[-1, 0])
    steps = np.arange(1, coverage.shape[1] + 1)
    for share, row in zip(_INTERVALS, coverage):
        (line,) = ax.plot(steps, row, ".-", label=f"{share:.0%}")
        ax.axhline(share, color=line.get_color(), linestyle=":", linewidth=1)
    ax.set(xlabel="steps ahead", ylabel="share inside", ylim=(0, 1.02),
           title="Coverage of central intervals")
    ax.legend(fontsize=8)
    ax = figure.add_subplot(grid[-1, 1])
    middles = (np.arange(10) + 0.5) / 10
    ax.bar(middles, pit, 0.09, label="model")
    ax.step(np.arange(11) / 10, [*naive_pit, naive_pit[-1]], where="post", color="0.4",
            label="seasonal naive")
    ax.axhline(0.1, color="black", linestyle=":", linewidth=1)
    ax.set(xlabel="PIT", ylabel="share", title="Uniform if calibrated")
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


class Scored(NamedTuple):
    """A series with the anomaly scores of its steps, to draw."""

    title: str  # of the panels
    times: np.ndarray  # `[N]`
    values: np.ndarray  # `[N, D]`
    scores: np.ndarray  # `[N]`
    flags: np.ndarray  # whether a step is an anomaly, bool `[N]`
    threshold: float  # of the scores


def anomalies(path: Path, charts: Sequence[Scored]) -> None:
    """Draws at most three series, each above its scores."""
    plt = pyplot()
    charts = charts[:3]
    figure, axes = plt.subplots(2 * len(charts), 1, figsize=(9, 1 + 3.6 * len(charts)),
                                layout="constrained", squeeze=False)
    for chart, (top, bottom) in zip(charts, axes[:, 0].reshape(-1, 2)):
        top.plot(chart.times, chart.values, color="black", linewidth=0.8)
        for ax in (top, bottom):
            for time in chart.times[chart.flags]:
                ax.axvline(time, color="tab:red", alpha=0.3, linewidth=1.5)
        bottom.plot(chart.times, chart.scores, color="tab:blue", linewidth=0.8)
        bottom.axhline(chart.threshold, color="tab:red", linestyle=":", label="threshold")
        top.set_title(chart.title, fontsize=10, parse_math=False)
        bottom.set_ylabel("nats", fontsize=8)
        for ax in (top, bottom):
            ax.tick_params(labelsize=8)
        bottom.legend(loc="upper left", fontsize=8)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def lines(path: Path, samples: np.ndarray, times: np.ndarray, names: Sequence[str]) -> None:
    """Draws sequences `[S, N, D]`, one panel for each of at most six dimensions."""
    plt = pyplot()
    names = list(names)[:_MOST_PANELS]
    figure, axes = plt.subplots(len(names), 1, figsize=(9, 1 + 2.2 * len(names)),
                                layout="constrained", squeeze=False)
    for d, (name, ax) in enumerate(zip(names, axes[:, 0])):
        ax.plot(times, samples[:20, :, d].T, linewidth=0.9)
        ax.set_title(name, fontsize=10, parse_math=False)
        ax.tick_params(labelsize=8)
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def _fan(ax: Any, chart: Fan) -> None:
    ax.plot(chart.past_times, chart.past, color="black", linewidth=1, label="past")
    # Opaque shades, so that the legend shows those of the chart.
    shades = ("#c7dcec", "#93bddb", "#5f9ec9")
    for share, shade in zip(reversed(_INTERVALS), shades, strict=True):
        low, high = np.quantile(chart.samples, [(1 - share) / 2, (1 + share) / 2], axis=0)
        ax.fill_between(chart.times, low, high, color=shade, linewidth=0, label=f"{share:.0%}")
    ax.plot(chart.times, np.median(chart.samples, 0), color="tab:blue", label="median")
    if len(chart.naive):
        ax.plot(chart.times, chart.naive, color="0.5", linestyle="--", linewidth=1,
                label="seasonal naive")
    if len(chart.observed):
        ax.plot(chart.times, chart.observed, ".", color="tab:red", markersize=4,
                label="observed")
    ax.set_title(chart.title, fontsize=10, parse_math=False)
    ax.tick_params(labelsize=8)
