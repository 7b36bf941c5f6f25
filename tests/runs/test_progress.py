# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal and in a file."""

import io

import pytest

from vaeseq.runs.progress import Progress, duration


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_file_gets_a_line_every_few_seconds_and_one_at_the_end():
    file, clock = io.StringIO(), _Clock()
    with Progress(
        "train", total=100, initial=20, unit="character", every=10, file=file, clock=clock
    ) as progress:
        for step in range(30):
            clock.now += 2 if step else 7  # the first step compiles
            progress.advance(1, 3000, loss=2.0 - step / 100)
    assert file.getvalue().splitlines() == [
        "train 23/100 steps (23 %), 1.5k characters/s, 2:34 left, loss 1.98",
        *(f"train {n}/100 steps ({n} %), 1.5k characters/s, {rest} left, loss {loss}"
          for n, rest, loss in [(28, "2:24", 1.93), (33, "2:14", 1.88), (38, "2:04", 1.83),
                                (43, "1:54", 1.78), (48, "1:44", 1.73)]),
        "train 50/100 steps (50 %), 1.5k characters/s, 1:40 left, loss 1.71",
    ]


@pytest.mark.parametrize(("per_second", "shown"), [
    (7.5, "7.5"), (999.0, "999"), (999.7, "1k"), (31_400, "31.4k"), (999_700, "1M"),
    (2.5e9, "2.5G")])
def test_rates_have_three_digits(per_second, shown):
    file, clock = io.StringIO(), _Clock()
    with Progress("read", total=2, unit="byte", file=file, clock=clock) as progress:
        progress.advance(1)
        clock.now += 2
        progress.advance(1, 2 * per_second)
    assert f" {shown} bytes/s" in file.getvalue()


def test_short_work_shows_its_end_once():
    file, clock = io.StringIO(), _Clock()
    with Progress("read", total=6, file=file, clock=clock) as progress:
        progress.advance(2)
        clock.now += 2
        progress.advance(4)
        progress.write("a line")
    assert file.getvalue() == "a line\nread 6/6 steps (100 %), 2 steps/s\n"


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_stopped_clock_and_no_steps_do_not_divide_by_zero(steps):
    file = io.StringIO()
    with Progress("go", total=0, file=file, clock=lambda: 1.0) as progress:
        for _ in range(steps):
            progress.advance()
    assert file.getvalue().startswith(f"go {steps}/0 steps")


def test_metrics_are_converted_only_when_shown():
    class Metric:
        conversions = 0

        def __float__(self):
            Metric.conversions += 1
            return 1.5

    with Progress("go", total=100, file=io.StringIO(), clock=lambda: 1.0) as progress:
        for _ in range(100):
            progress.advance(loss=Metric())
    assert Metric.conversions == 1


def test_a_terminal_gets_a_bar():
    file, clock = _Terminal(), _Clock()
    with Progress("train", total=100, initial=20, unit="char", file=file, clock=clock) as progress:
        progress.advance(40, loss=1.5)
        clock.now += 1
        progress.advance(40, 4000)
        progress.write("between")
    output = file.getvalue()
    assert "train" in output and "100%" in output and "100/100 steps" in output
    assert "4k chars/s, loss 1.5" in output and "between\n" in output


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (360_000, "100:00:00")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text
