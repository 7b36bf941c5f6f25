# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The verdicts of `benchmarks.robustness.soak`."""

from __future__ import annotations

import pytest

from benchmarks.robustness.soak import Sample, judge


def _samples(number=240, **changed):
    """Returns an hour of samples; `changed` has figures as functions of the time in [0, 1].

    Every third sample has no new step: games are played then.
    """
    lines = []
    for i in range(number):
        over = i / (number - 1)
        at = {name: change(over) for name, change in changed.items()}
        lines.append(Sample(3600 * over, 100 * (i - (i % 3 == 1)), at.get("cpu_seconds", 10.0 * i),
                          at.get("memory", 1000.0), int(at.get("handles", 7)),
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
def test_a_figure_over_its_limit_is_named(changed, wrong):
    assert judge(_samples(**changed), 32.0).wrong == wrong


def test_slopes_and_ratios_are_those_of_the_samples():
    verdict = judge(_samples(memory=lambda over: 1000 + 100 * over), 32.0)
    assert verdict.memory_slope == pytest.approx(100, rel=1e-3)
    assert verdict.memory_growth == pytest.approx(80, rel=0.02)
    assert verdict.slowing == pytest.approx(1, abs=0.05)  # a line more or less, of 64
    assert (verdict.steps, verdict.minutes) == (23900, 60.0)
