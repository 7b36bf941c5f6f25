# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar on a terminal, otherwise a line every few seconds.

Synopsis:

    with Progress("train", total=num_steps, initial=step, unit="character") as progress:
        for ...:
            progress.advance(1, num_characters, loss=loss)
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import tqdm

_MINUTE = 60
_HOUR = 60 * _MINUTE
_REDRAW = 0.2  # seconds
_BAR = "{{desc}} {{percentage:3.0f}}%|{{bar:20}}| {{n}}/{{total}} {}, {{remaining}} left{{postfix}}"


@contextlib.contextmanager
def working(description: str) -> Iterator[None]:
    """Shows on a terminal that work in one step, described in a word, goes on."""
    with Progress(description, total=1, is_brief=True) as progress:
        yield
        progress.advance()


class Progress:
    """Shows completed and total steps, units per second, the time left, and metrics.

    The rate leaves out the first step, which compiles.

    Args:
      description: the work, in a word.
      total: number of steps.
      initial: steps completed earlier.
      unit: singular name of the units of the rate.
      counted: plural name of the steps.
      every: seconds between two lines if the output is not a terminal.
      file: the output; by default `sys.stderr`.
      hidden: show nothing.
      is_brief: show nothing at the end: a bar disappears, and short work prints no line.
      clock: returns the time in seconds.
    """

    def __init__(
        self,
        description: str,
        *,
        total: int,
        initial: int = 0,
        unit: str = "step",
        counted: str = "steps",
        every: float = 10.0,
        file: TextIO | None = None,
        hidden: bool = False,
        is_brief: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._description, self._unit, self._is_brief = description, unit, is_brief
        self._total, self._done, self._counted = total, initial, counted
        self._file = io.StringIO() if hidden else sys.stderr if file is None else file
        self._clock = clock
        self._timed_from, self._timed_steps, self._timed_units = clock(), -1, 0
        self._metrics: dict[str, Any] = {}
        self._bar = tqdm.tqdm(
            desc=description,
            total=total,
            initial=initial,
            bar_format=_BAR.format(counted),
            dynamic_ncols=True,
            leave=not is_brief,
            mininterval=0,
            disable=None,
            file=self._file,
        )
        self._every = every if self._bar.disable else _REDRAW
        self._shown_at, self._shown_done = clock(), -1

    def advance(self, steps: int = 1, units: int | None = None, **metrics: Any) -> None:
        """Counts completed steps and their units, and shows metrics; units are the steps by
        default.
        """
        self._done += steps
        self._metrics.update(metrics)
        if self._timed_steps < 0:
            self._timed_from, self._timed_steps = self._clock(), 0
        else:
            self._timed_steps += steps
            self._timed_units += int(steps if units is None else units)
        if self._clock() - self._shown_at >= self._every:
            self._show()

    def write(self, line: str) -> None:
        """Prints a line, above the bar if there is one."""
        self._bar.write(line, file=self._file)

    def close(self) -> None:
        """Shows the final state."""
        if self._shown_done != self._done and not self._is_brief:
            self._show()
        self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _show(self) -> None:
        self._shown_at, self._shown_done = self._clock(), self._done
        seconds = self._shown_at - self._timed_from
        rates = self._timed_units / seconds if seconds > 0 else 0.0
        parts = [f"{_short(rates)} {self._unit}s/s"] if self._timed_steps > 0 else []
        parts += [f"{name} {float(value):.4g}" for name, value in self._metrics.items()]
        if not self._bar.disable:
            self._bar.set_postfix_str(", ".join(parts), refresh=False)
            self._bar.update(self._done - self._bar.n)
            return
        if self._timed_steps > 0 and self._done < self._total:
            left = (self._total - self._done) * seconds / self._timed_steps
            parts.insert(1, f"{duration(left)} left")
        percent = 100 * self._done // max(self._total, 1)
        share = f"{self._description} {self._done}/{self._total} {self._counted} ({percent} %)"
        print(", ".join([share, *parts]), file=self._file, flush=True)


def duration(seconds: float) -> str:
    """Formats seconds as "1:02:03", or as "2:03" below an hour."""
    whole = round(seconds)
    hours, minutes, rest = whole // _HOUR, whole % _HOUR // _MINUTE, whole % _MINUTE
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _short(number: float) -> str:
    """Formats a number with three digits: "7.25", "31.4k", "2.5M"."""
    for unit in ("", "k", "M"):
        if number < 999.5:  # what rounds to less than 1000
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.4g}G"
