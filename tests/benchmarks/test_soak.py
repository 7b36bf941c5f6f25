# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How `benchmarks.robustness.soak` judges what it saw."""

from __future__ import annotations

import pytest

from benchmarks.robustness.soak import Seen, judge


def _seen(number=240, **changed):
    """An hour in which nothing changes but what is given, as a function of the share that is over.

    Every third line has no step: games are played then.
    """
    lines = []
    for i in range(number):
        over = i / (number - 1)
        at = {name: change(over) for name, change in changed.items()}
        lines.append(Seen(3600 * over, 100 * (i - (i % 3 == 1)), at.get("cpu_seconds", 10.0 * i),
                          at.get("memory", 1000.0), int(at.get("handles", 7)), 3,
                          int(at.get("traces", 6))))
    return lines


@pytest.mark.parametrize(("changed", "wrong"), [
    ({}, ""),
    ({"memory": lambda over: 1000 + 100 * over}, "memory"),
    ({"memory": lambda over: 1000 + 20 * over}, ""),  # an hour's growth that is allowed
    ({"memory": lambda over: 900 + 100 * min(1, 10 * over)}, ""),  # while it warms up
    ({"traces": lambda over: 6 + (over > 0.7)}, "traces"),
    ({"traces": lambda over: 6 + (over > 0.3)}, ""),
    ({"handles": lambda over: 7 + 5 * over}, "handles"),
    ({"cpu_seconds": lambda over: 1000 * (over + over**2)}, "slowing"),
])
def test_what_is_wrong_is_named(changed, wrong):
    assert judge(_seen(**changed), 32.0).wrong == wrong


def test_the_figures():
    verdict = judge(_seen(memory=lambda over: 1000 + 100 * over), 32.0)
    assert verdict.memory_slope == pytest.approx(100, rel=1e-3)
    assert verdict.memory_growth == pytest.approx(80, rel=0.02)
    assert verdict.slowing == pytest.approx(1, abs=0.05)  # a line more or less, of 64
    assert (verdict.steps, verdict.minutes) == (23900, 60.0)
