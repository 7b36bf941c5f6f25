# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Draws the chart of `docs/models.md`, which helps to choose a model.

    python docs/draw_choice.py
"""
from __future__ import annotations

import pathlib

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt

_FILE = pathlib.Path(__file__).parent / "_static" / "choice.svg"
_FIRST = "Can the decoder express how\nthe parts of one observation\ndepend on each other?"
_SECOND = "What is the model for?"
# Each purpose, with its models and what distinguishes them.
_CHOICES = [
    ("a better likelihood", [("SRNN", "inferred from the whole sequence"),
                             ("VRNN", "inferred step by step")]),
    ("a state behind noisy or\nmissing measurements", [
        ("DMM", "nonlinear dynamics"), ("KVAE", "few objects, simple laws, video")]),
    ("long-range predictions", [("TDVAE", "jumps over many steps")]),
    ("separating what stays\nfrom what changes", [("DSAE", "a latent of the whole sequence")]),
    ("a latent for each\nstep alone", [("ISEQ", "inferred from the present and the future"),
                                 ("STORN", "inferred step by step")]),
    ("latents that carry\nall information", [("RVAE", "no observation is fed back")]),
    ("one point for a sequence", [("SEQAE", "encode, compare, vary, interpolate")]),
    ("filling gaps from\nboth sides", [
        ("MASKDIFF", "symbols, a whole sequence at once"),
        ("GAUSSDIFF", "real numbers, the same way")]),
]
_BOX = {"boxstyle": "round,pad=0.4", "facecolor": "#eef3f8", "edgecolor": "#5b7083"}
_MODEL = {"boxstyle": "round,pad=0.35", "facecolor": "#2f5d8a", "edgecolor": "#2f5d8a"}
_LINE = {"color": "#5b7083", "linewidth": 1.0, "zorder": 0}


def draw() -> None:
    """Writes the chart."""
    plt.rcParams.update({"svg.hashsalt": "vaeseq", "font.size": 10})
    figure, axes = plt.subplots(figsize=(10, 7.1))
    axes.set(xlim=(0, 10), ylim=(-3.8, 10.3))
    axes.axis("off")
    axes.text(0.1, 9.3, _FIRST, va="center", bbox=_BOX)
    _line(axes, (2.5, 9.3), (5.9, 9.3), "yes")
    _leaf(axes, 9.3, "RNN", "exact, and the fastest")
    axes.text(0.1, 2.9, _SECOND, va="center", bbox=_BOX)
    _line(axes, (1.0, 8.6), (1.0, 3.3), "no")
    y = 8.0
    for wanted, models in _CHOICES:
        middle = y - (len(models) - 1) / 2
        axes.plot([2.25, 2.55, 2.55, 2.9], [2.9, 2.9, middle, middle], **_LINE)
        axes.text(2.95, middle, wanted, va="center", bbox=_BOX)
        for name, difference in models:
            axes.plot([3.1, 5.4, 5.4, 5.9], [middle, middle, y, y], **_LINE)
            _leaf(axes, y, name, difference)
            y -= 1
    figure.savefig(_FILE, bbox_inches="tight", metadata={"Date": None})


def _leaf(axes: plt.Axes, y: float, name: str, difference: str) -> None:
    axes.text(6.0, y, name, va="center", color="white", weight="bold", bbox=_MODEL)
    axes.text(7.4, y, difference, va="center")


def _line(
    axes: plt.Axes, start: tuple[float, float], end: tuple[float, float], label: str
) -> None:
    axes.plot(*zip(start, end), **_LINE)
    axes.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.1, label, va="bottom",
              ha="center", style="italic")


if __name__ == "__main__":
    draw()
