# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Learns rewards from a file of choices: for the commands `prefer` and `tune`.

Both hold out the same choices and learn the same model, so that what `prefer` reports is the
accuracy of the reward that `tune` follows.
"""
from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.model import Model
from vaeseq.tuning import choices, preferences
from vaeseq.tuning.discriminator import Discriminator
from vaeseq.tuning.features import SequenceFeatures
from vaeseq.tuning.listeners import (
    Combine,
    HierarchicalPreferenceModel,
    ListenerPosterior,
    Listeners,
    by_listener,
)
from vaeseq.tuning.preferences import Accuracy, Pair, Preference, PreferenceModel
from vaeseq.tuning.rewards import Reward
from vaeseq.tuning.scorer import SequenceScorer
from vaeseq.tuning.terms import Factory
from vaeseq.types import Nest

HELD_OUT = 0.2  # share of the choices
_FEWEST = 10  # choices from which a reward is learnt


class Domain(NamedTuple):
    """What a program's sequences are."""

    # Creates a network whose weights depend on a seed, for a discriminator
    make_scorer: Callable[[int], SequenceScorer]
    # Returns the features that learnt rewards are linear in
    make_features: Callable[[], SequenceFeatures]
    # Maps a sample as the file of choices records it to a nest of `[N, ...]`; raises ValueError for
    # something else
    observe: Callable[[Any], Nest]

    @classmethod
    def of_model(
        cls, model: Model, observe: Callable[[Any], Nest],
        make_features: Callable[[], SequenceFeatures] | None = None,
    ) -> Domain:
        """Returns the domain of a model's samples; the default features are the model's own."""
        return cls(
            lambda seed: SequenceScorer(model.make_encoder(), model.observation_spec, seed=seed),
            make_features or (lambda: SequenceFeatures(model.gen_core)), observe)


class Learnt(NamedTuple):
    """What was learnt from choices."""

    train: list[Pair]  # the choices that were learnt from
    held_out: list[Pair]  # the held-out choices
    model: PreferenceModel  # one reward for all listeners
    accuracy: Accuracy  # of it, on the held-out choices
    # A reward for each listener; None if there is only one
    listeners: HierarchicalPreferenceModel | None
    listeners_accuracy: Accuracy | None  # of it, on the held-out choices


def read_pairs(path: str | os.PathLike[str], domain: Domain) -> list[Pair]:
    """Reads a file of choices.

    Raises:
      OSError: the file cannot be read.
      ValueError: a line is not as expected, or there are too few choices.
    """
    pairs = []
    for number, choice in enumerate(choices.read(path), 1):
        with choices.named_lines(path, number):
            pairs.append(Pair(domain.observe(choice.first), domain.observe(choice.second),
                              choice.preference, choice.listener))
    if len(pairs) < _FEWEST:
        raise UsageError(f"{short_repr(os.fspath(path))}: expected at least {_FEWEST} choices to "
                         f"learn from, found {len(pairs)}.")
    return pairs


def learn(
    pairs: Sequence[Pair], domain: Domain, *, seed: int = 0, log: Callable[[str], None]
) -> Learnt:
    """Learns one reward for all listeners and, of several listeners, one for each.

    The seed selects the held-out choices. Calls `log` before each model is learnt.
    """
    train, held_out = preferences.split(pairs, HELD_OUT, seed)
    log(f"Learning a reward from {len(train)} choices; {len(held_out)} are held out.")
    features = domain.make_features()
    model = PreferenceModel(features)
    model.fit(train)
    listeners = accuracy = None
    names = by_listener(train, train)
    if len(names) > 1:
        log(f"Learning a reward for each of {len(names)} listeners.")
        listeners = HierarchicalPreferenceModel(features)
        listeners.fit(train)
        accuracy = listeners.accuracy(train, held_out)
    return Learnt(train, held_out, model, model.accuracy(held_out), listeners, accuracy)


def report(
    path: str | os.PathLike[str], domain: Domain, *, seed: int, as_json: bool,
    log: Callable[[str], None],
) -> str:
    """Learns from a file of choices, and returns the accuracies as `prefer` prints them."""
    learnt = learn(read_pairs(path, domain), domain, seed=seed, log=log)
    return json.dumps(as_dict(learnt), allow_nan=False) if as_json else table(learnt)


def kinds(
    domain: Domain, *, seed: int, log: Callable[[str], None]
) -> dict[str, Factory]:
    """Returns the learnt rewards by the names of --reward; see `terms.make`.

    "discriminator", "choices:FILE", "listener:NAME:FILE", "mean:FILE" and "worst:FILE".
    """
    def discriminator(argument: str, label: str) -> Reward:
        if argument:
            raise ValueError("the discriminator takes no argument.")
        return Discriminator(domain.make_scorer(seed), label=label)

    def one(path: str, label: str) -> Reward:
        learnt = _learnt(path)
        return Preference(learnt.model, label=label)

    def listener(argument: str, label: str) -> Reward:
        words = argument.split(":")  # names and paths may have colons, too
        name, path = next(
            (pair for pair in ((":".join(words[:n]), ":".join(words[n:]))
                               for n in range(1, len(words))) if os.path.isfile(pair[1])),
            (words[0], ":".join(words[1:])))
        learnt, posteriors = _posteriors(path)
        if name not in posteriors:
            raise ValueError(f"expected a listener among {', '.join(map(short_repr, posteriors))}; "
                             f"got {short_repr(name)}.")
        return _listeners(learnt, {name: posteriors[name]}, "mean", label)

    def combined(combine: Combine) -> Factory:
        return lambda path, label: _listeners(*_posteriors(path), combine, label)

    def _learnt(path: str) -> Learnt:
        if not os.path.isfile(path):
            raise ValueError(f"expected a file of choices; there is no file {short_repr(path)}.")
        return learn(read_pairs(path, domain), domain, seed=seed, log=log)

    def _posteriors(path: str) -> tuple[Learnt, dict[str, ListenerPosterior]]:
        learnt = _learnt(path)
        if learnt.listeners is None:
            raise ValueError("expected the choices of several listeners, found those of one. Use "
                             "choices:FILE.")
        groups = by_listener(learnt.train, learnt.train)
        return learnt, {name: learnt.listeners.infer(group) for name, group in groups.items()}

    return {"discriminator": discriminator, "choices": one, "listener": listener,
            "mean": combined("mean"), "worst": combined("worst")}


def _listeners(
    learnt: Learnt, posteriors: dict[str, ListenerPosterior], combine: Combine, label: str
) -> Reward:
    assert learnt.listeners is not None
    return Listeners(
        learnt.listeners, {name: posterior.mean for name, posterior in posteriors.items()},
        preferences.sequences_of(learnt.train), combine=combine, label=label)


def table(learnt: Learnt) -> str:
    """Returns the accuracy of each model on held-out choices, as lines."""
    if not learnt.accuracy.pairs:
        return ("No held-out choice is of one of both, so that nothing can be measured: choose "
                "more, and fewer of neither.")

    def row(label: str, accuracy: Accuracy) -> str:
        return (f"{label:28} {accuracy.accuracy:8.1%} +- {accuracy.standard_error:5.1%} "
                f"{accuracy.nats:8.3f}")

    lines = [f"{learnt.accuracy.pairs} held-out choices of one of both:",
             f"{'':28} {'accuracy':>17} {'nats':>8}", row("one reward for all", learnt.accuracy)]
    if learnt.listeners_accuracy is not None:
        lines.append(row("a reward for each listener", learnt.listeners_accuracy))
    return "\n".join([*lines, f"{'chance':28} {0.5:8.1%}          {0.6931:8.3f}"])


def as_dict(learnt: Learnt) -> dict[str, Any]:
    """Returns the accuracies as `--json` prints them; None for what cannot be measured."""
    def numbers(accuracy: Accuracy | None) -> dict[str, Any] | None:
        return accuracy and {name: None if math.isnan(value) else value
                             for name, value in accuracy._asdict().items()}

    all_choices = learnt.train + learnt.held_out
    return {
        "choices": len(all_choices),
        "listeners": len(by_listener(all_choices, all_choices)),
        "one_reward": numbers(learnt.accuracy),
        "reward_of_each_listener": numbers(learnt.listeners_accuracy)}
