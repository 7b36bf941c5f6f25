# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Drawings of pen strokes as SVG and PNG.

A drawing is an array `[N, 3]` of offsets dx, dy from point to point and whether the pen is lifted
after the point. The y axis points down.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import plots

_CELL, _MARGIN = 120.0, 10.0  # of one drawing in an SVG file, pixels


def lines_of(drawing: np.ndarray) -> list[np.ndarray]:
    """Returns the lines that the pen draws, each a sequence of points `[K, 2]`."""
    points = np.cumsum(drawing[:, :2], 0)
    ends = np.flatnonzero(drawing[:, 2] > 0.5) + 1
    return [line for line in np.split(points, ends) if len(line)]


def write_svg(path: Path, drawings: Sequence[np.ndarray]) -> None:
    """Writes drawings side by side, each fitted into a square, as an SVG file."""
    columns = math.ceil(math.sqrt(len(drawings)))
    rows = math.ceil(len(drawings) / columns)
    parts = []
    for number, drawing in enumerate(drawings):
        corner = _CELL * np.array([number % columns, number // columns])
        for line in _fitted(lines_of(drawing)):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line + corner)
            parts.append(f'<polyline points="{points}"/>')
    width, height = _CELL * columns, _CELL * rows
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">\n'
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>\n'
        '<g fill="none" stroke="black" stroke-width="2" stroke-linecap="round" '
        'stroke-linejoin="round">\n' + "\n".join(parts) + "\n</g>\n</svg>\n", "utf-8")


def write_png(path: Path, drawings: Sequence[np.ndarray]) -> None:
    """Draws the same picture as a PNG file."""
    plt = plots.pyplot()
    columns = math.ceil(math.sqrt(len(drawings)))
    rows = math.ceil(len(drawings) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.5 * rows),
                                layout="constrained", squeeze=False)
    for ax in axes.ravel():
        ax.set(xlim=(0, _CELL), ylim=(_CELL, 0), aspect="equal")
        ax.axis("off")
    for ax, drawing in zip(axes.ravel(), drawings):
        for line in _fitted(lines_of(drawing)):
            ax.plot(*line.T, color="black", linewidth=1.5, solid_capstyle="round")
    figure.savefig(path, dpi=110, format="png")
    plt.close(figure)


def _fitted(lines: list[np.ndarray]) -> list[np.ndarray]:
    """Returns lines moved and scaled into a square of `_CELL` with a margin."""
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    scale = (_CELL - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    offset = (_CELL - scale * (high - low)) / 2
    return [(line - low) * scale + offset for line in lines]
