# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the programs' commands share: options of training and scoring, and how they are told.

Nothing here imports TensorFlow.
"""
from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from vaeseq import arguments
from vaeseq.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.hparams import HParams
from vaeseq.log_dir import LogDir

if TYPE_CHECKING:
    from vaeseq.evaluate import Score
    from vaeseq.trainer import Trained

_MOST_STEPS = 10**9
_Hyperparameters = TypeVar("_Hyperparameters", bound=HParams)


def add_new_run(parser: argparse.ArgumentParser) -> None:
    """Adds `--log-dir` of a run to begin or to go on with."""
    parser.add_argument(
        "--log-dir", type=arguments.new_directory, required=True, metavar="DIR",
        help="where the run is kept; the same command again goes on from there")


def add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds `--log-dir` of a model that was trained."""
    parser.add_argument("--log-dir", type=arguments.directory, required=True, metavar="DIR",
                        help="of the training run")


def add_training(
    parser: argparse.ArgumentParser, hparams: Callable[[], type[HParams]], *, valid_every: int
) -> None:
    """Adds the options of a training loop."""
    arguments.add_hparams(parser, hparams)
    add = parser.add_argument
    add("--num-steps", "--iters", type=arguments.whole(1, _MOST_STEPS), default=5000, metavar="N",
        help="updates in all, those of earlier sittings counted")
    add("--max-minutes", type=arguments.minutes, metavar="M",
        help="end in good order after so long, whatever --num-steps says")
    add("--valid-every", type=arguments.whole(1, _MOST_STEPS), default=valid_every, metavar="N",
        help="updates between validations; each is saved, with a sample")
    add("--seed", type=arguments.seed, default=None, help="of everything random (default: 0)")


def add_scoring(parser: argparse.ArgumentParser, thing: str) -> None:
    """Adds the options of a score; `thing` is what each row is of."""
    add = parser.add_argument
    add("--bound", choices=("elbo", "iwae", "fivo"), default="elbo",
        help="for models with latents; without them every bound is the exact figure")
    add("--num-samples", type=arguments.whole(1, 1 << 16), metavar="N",
        help="of the latents (default: the hyperparameter log_prob_samples)")
    add("--seed", type=arguments.seed, default=0, help="of the samples")
    add("--json", action="store_true", help=f"print one JSON object a {thing}, and nothing else")


def agreed(
    log_dir: LogDir, kind: type[_Hyperparameters], overrides: dict[str, Any]
) -> _Hyperparameters:
    """The run's hyperparameters; raises UsageError where an override contradicts them."""
    saved = log_dir.hparams(kind)
    for difference in saved.diff(saved.replace(**overrides)):
        raise UsageError(
            f"--hparams: {str(log_dir.path)!r} holds a run with {difference.name}="
            f"{difference.ours}, but {difference.name}={difference.theirs} was given. Leave it "
            "out, or give another --log-dir.")
    return saved


def tell_end(
    trained: Trained, log_dir: str | os.PathLike[str], program: str, unit: str
) -> None:
    """Prints how a sitting of training ended, and what to type next."""
    best = (f" Best validation: {trained.best:.4f} nats per {unit}."
            if math.isfinite(trained.best) else "")
    if trained.reason != "done":
        why = "stopped" if trained.reason == "stopped" else "time is up"
        print(f"Step {trained.step}: {why}, everything is saved.{best}\n"
              "The same command again goes on from here.")
    elif not trained.first_step_seconds:
        print(f"Step {trained.step}: nothing to do, this many updates were made before; a larger "
              f"--num-steps goes on from here.{best}")
    else:
        print(f"Step {trained.step}: done.{best} "
              f"The first update came after {trained.first_step_seconds:.1f} s.")
    name = os.fspath(log_dir)
    directory = shlex.quote(name) if name.isprintable() else shown(name)
    print(f"Next:\n  {program} generate --log-dir {directory}\n"
          f"  {program} evaluate --log-dir {directory}")


def bound_notes(score: Score, unit: str) -> list[str]:
    """How a figure is bounded; nothing where it is exact."""
    if score.bound == "exact":
        return []
    error = f" +- {score.standard_error:.4f}" if math.isfinite(score.standard_error) else ""
    return [f"{score.bound}, {score.num_samples} samples{error}",
            f"divergence {score.divergence:.4f} nats/{unit}",
            f"{score.active_units} active units"]
