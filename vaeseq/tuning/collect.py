# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Collects choices between samples of a model on a page: for the commands `listen` and `read`."""
from __future__ import annotations

import functools
import os
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any

from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.tuning.choices import Choice, ChoicesFile, check_listener
from vaeseq.tuning.learning import Domain
from vaeseq.tuning.page import Comparison, PageServer, Shown
from vaeseq.tuning.preferences import Pair, PreferenceModel, next_pairs

_PAIRS = 8  # of samples that are drawn at once
_POOL = 4  # times as many samples as needed, from which active choice takes the best
_FEWEST = 8  # choices before the first active choice


class SamplePairs:
    """The pairs of samples of one listener, drawn when they are needed.

    Pair 0, 1, ... are the samples 0 and 1, 2 and 3, ... of the model. With `active` more samples
    are drawn, and those pairs are taken whose comparison tells the most of the reward, given the
    choices so far. Pairs are taken several at once, by the choices before the first of them, so
    that every session takes the same.
    """

    def __init__(
        self, draw: Callable[[int, int], Sequence[Any]], show: Callable[[Any], Shown], *,
        domain: Domain, choices: Callable[[], Sequence[Choice]], is_active: bool = False,
        seed: int = 0,
    ):
        """Creates the pairs.

        Args:
          draw: returns so many samples, the first argument, of the batch of a number, the second;
            in the form in which the file of choices records them.
          show: prepares a sample for the page.
          domain: what the sequences are; for active choice.
          choices: returns the choices so far; for active choice.
          is_active: whether pairs are chosen by the information that a choice gives.
          seed: of the active choice.
        """
        self._draw, self._show = draw, show
        self._observe, self._choices = domain.observe, choices
        self._features = functools.cache(domain.make_features)  # compiled once
        self._is_active, self._seed = is_active, seed
        self._batch = functools.lru_cache(maxsize=2)(self._make_batch)

    def __call__(self, number: int) -> tuple[Shown, Shown]:
        """Returns the pair of a number, from 0."""
        batch = number // _PAIRS
        before = self._choices()[:batch * _PAIRS] if self._is_active else []
        # By their ids, as choices that were taken back may have been made anew.
        first, second = self._batch(batch, tuple(choice.id for choice in before))[number % _PAIRS]
        return self._show(first), self._show(second)

    def _make_batch(self, number: int, ids: tuple[str, ...]) -> list[tuple[Any, Any]]:
        """Returns the pairs of a batch, given the choices of these ids, the first ones."""
        choices = self._choices()[:len(ids)]
        if len(choices) < _FEWEST:
            samples = self._draw(2 * _PAIRS, number)
            return list(zip(samples[::2], samples[1::2]))
        samples = self._draw(2 * _PAIRS * _POOL, number)
        return [(samples[first], samples[second])
                for first, second in self._most_informative(samples, choices, number)]

    def _most_informative(
        self, samples: Sequence[Any], choices: Sequence[Choice], number: int
    ) -> list[tuple[int, int]]:
        """Returns disjoint pairs of samples with the most information."""
        model = PreferenceModel(self._features())
        model.fit([Pair(self._observe(choice.first), self._observe(choice.second),
                        choice.preference) for choice in choices])
        return next_pairs(model, [self._observe(sample) for sample in samples], _PAIRS,
                          seed=self._seed + number)


def serve(
    path: str | os.PathLike[str], listener: str, draw: Callable[[int, int], Sequence[Any]],
    show: Callable[[Any], Shown], domain: Domain, *, total: int, is_active: bool, seed: int,
    title: str, port: int, print_next: Callable[[str], None],
) -> None:
    """Serves the page until Ctrl-C, and prints its address and, at the end, what to do next.

    Args:
      path: the file of choices.
      listener: who chooses.
      draw: as of `SamplePairs`, as are `show`, `domain`, `is_active` and `seed`.
      total: number of pairs.
      title: of the page.
      port: 0 for a free one.
      print_next: prints the command that learns from the choices, given its name and options but
        those of the trained model.

    Raises:
      OSError: the file or the port cannot be opened.
      ValueError: another process collects choices in the file, it is damaged, or the listener's
        name is not one.
    """
    try:
        check_listener(listener)
    except ValueError as error:
        raise UsageError(f"--listener: {error}") from None
    with program.stop_on_signal() as should_stop, ChoicesFile(path) as file:
        pairs = SamplePairs(draw, show, domain=domain, choices=lambda: file.choices(listener),
                            is_active=is_active, seed=seed)
        server = PageServer(Comparison(file, listener, pairs, total), title=title, port=port)
        with server.serving():
            print(f"Open {server.url} in a browser on this machine. Every choice is saved at once; "
                  "Ctrl-C ends.", flush=True)
            while not should_stop():
                time.sleep(0.2)
        count = len(file.choices(listener))
    name = program.one_line(shlex.quote(os.fspath(path)))
    print(f"{program.counted(count, 'choice')} saved in {name}.")
    print_next(f"prefer --choices {name}")
