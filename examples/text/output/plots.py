# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Draws the metrics of samples against their length."""
from __future__ import annotations

import os

from vaeseq.evaluate.samples import Comparison

_PANELS = (
    ("forward_nats", "forward, nats per {unit}"),
    ("latest_forward_nats", "latest, nats per {unit}"),
    ("reverse_nats", "reverse, nats per {unit}"),
    ("distinct", "distinct 4-grams"),
    ("repetition", "repeated 4-grams"),
    ("longest_copy", "longest copy, {unit}s"))


def draw(compared: Comparison, path: str | os.PathLike[str], unit: str) -> None:
    """Writes a PNG file with a panel for each metric, for samples and real text."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for axes, (name, title) in zip(panels.flat, _PANELS, strict=True):
        for label, rows, style in (("samples", compared.samples, "o-"),
                                   ("real text", compared.real, "s--")):
            axes.plot([row.length for row in rows], [getattr(row, name) for row in rows], style,
                      label=label)
        axes.set(xscale="log", title=title.format(unit=unit))
        axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel(f"length, {unit}s")
    panels[0, 0].legend()
    figure.savefig(path, dpi=120, format="png")
    pyplot.close(figure)
