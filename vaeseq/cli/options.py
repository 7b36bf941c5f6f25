# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the programs' commands share: options of training and scoring, and how they are told.

Nothing but `start` imports TensorFlow.
"""
from __future__ import annotations

import argparse
import math
import os
import shlex
from typing import TYPE_CHECKING, Any, TypeVar

from vaeseq.cli import arguments, program
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown
from vaeseq.hparams import HParams
from vaeseq.runs.log_dir import LogDir
from vaeseq.version import __version__

if TYPE_CHECKING:
    from vaeseq.evaluate.likelihood import Score
    from vaeseq.train.distribute import Strategy
    from vaeseq.train.trainer import TrainResult

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
    parser: argparse.ArgumentParser, hparams: type[HParams], *, valid_every: int
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


def add_init_from(parser: argparse.ArgumentParser) -> None:
    """Adds `--init-from` of another run."""
    parser.add_argument(
        "--init-from", type=arguments.any_path, metavar="DIR",
        help="log directory of a run whose weights and hyperparameters a new run begins with")


def add_export(parser: argparse.ArgumentParser, *, window: int) -> None:
    """Adds the options of writing a model for other programs."""
    add = parser.add_argument
    add("--output", type=arguments.new_directory, required=True, metavar="MODEL",
        help="the directory to make: a TensorFlow SavedModel")
    add("--bound", choices=("elbo", "iwae", "fivo"), default="elbo",
        help="what `score` gives for models with latents; without them it is exact")
    add("--num-samples", type=arguments.whole(1, 1 << 16), metavar="N",
        help="of the latents (default: the hyperparameter log_prob_samples)")
    add("--rows", type=arguments.whole(1, 1 << 12), default=8, metavar="N",
        help="sequences that `score` takes side by side")
    add("--window", type=arguments.whole(1, 1 << 16), default=window, metavar="N",
        help="steps that `score` takes at once")
    add("--no-xla", action="store_true",
        help="for servers that cannot compile: slower, and figures differ in the last digits")


def add_strategy(parser: argparse.ArgumentParser) -> None:
    """Adds the options of training on several devices or machines."""
    add = parser.add_argument
    add("--strategy", choices=("none", "mirrored", "multi-worker"), default="none",
        help="who shares the rows of each batch: nobody, all GPUs of this machine, or the machines "
             "that TF_CONFIG names, each running this command")
    add("--wait-minutes", type=arguments.minutes, default=5.0, metavar="M",
        help="how long the machines wait for each other to start")


def add_scoring(parser: argparse.ArgumentParser, thing: str) -> None:
    """Adds the options of a score; `thing` is what each row is of."""
    add = parser.add_argument
    add("--bound", choices=("elbo", "iwae", "fivo"), default="elbo",
        help="for models with latents; without them every bound is the exact figure")
    add("--num-samples", type=arguments.whole(1, 1 << 16), metavar="N",
        help="of the latents (default: the hyperparameter log_prob_samples)")
    add("--seed", type=arguments.seed, default=0, help="of the samples")
    add("--json", action="store_true", help=f"print one JSON object a {thing}, and nothing else")


def resolve_hparams(
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


def start(options: argparse.Namespace, hparams: HParams, seed: int, **data: Any) -> Strategy:
    """Prepares TensorFlow, which must not have computed anything, and meets the other workers.

    Args:
      options: of `train`.
      hparams: of the run.
      seed: of the run.
      data: what else all workers must have alike.
    """
    from vaeseq.nn import parallel
    from vaeseq.train import distribute
    parallel.prepare(hparams.num_shards, hparams.precision)
    alike = {"version": __version__, **hparams.as_dict(), "seed": seed,
             "num_steps": options.num_steps, "valid_every": options.valid_every, **data}
    return distribute.start(options.strategy, alike, seconds=60 * options.wait_minutes)


def print_start(strategy: Strategy, line: str) -> None:
    """Prints what is trained on, and who takes part."""
    if not strategy.is_chief:
        line = "This worker is ready. The chief reports."
    elif strategy.num_replicas > 1:
        line += f" {strategy.num_replicas} replicas share each batch."
    print(line, flush=True)


def print_end(
    trained: TrainResult, log_dir: str | os.PathLike[str], program: str, unit: str
) -> None:
    """Prints how a sitting of training ended, and what to type next."""
    best = (f" Best validation: {trained.best:.4f} nats per {unit}."
            if math.isfinite(trained.best) else "")
    cost = (f" The first update came after {trained.first_step_seconds:.1f} s, most of it "
            "compilation." if trained.first_step_seconds else "")
    if trained.stop_reason != "done":
        why = "stopped" if trained.stop_reason == "stopped" else "time is up"
        print(f"Step {trained.step}: {why}, everything is saved.{best}{cost}\n"
              "The same command again goes on from here.")
    elif not trained.first_step_seconds:
        print(f"Step {trained.step}: nothing to do, this many updates were made before; a larger "
              f"--num-steps goes on from here.{best}")
    else:
        print(f"Step {trained.step}: done.{best}{cost}")
    print_next_steps(program, log_dir, "generate", "evaluate")


def print_exported(output: os.PathLike[str], step: int) -> None:
    """Prints what was exported."""
    name = program.one_line(os.fspath(output))
    print(f"Step {step} is in {name}, with the signatures score, generate, initial_state, step and "
          f"observe.\nWhat they take and give: {name}/assets.extra/model.json")


def print_next_steps(program: str, log_dir: str | os.PathLike[str], *commands: str) -> None:
    """Prints the commands that can be typed next for what was trained."""
    name = os.fspath(log_dir)
    directory = shlex.quote(name) if name.isprintable() else shown(name)
    print("Next:", *(f"{program} {command} --log-dir {directory}" for command in commands),
          sep="\n  ")


def bound_notes(score: Score, unit: str) -> list[str]:
    """How a figure is bounded; nothing where it is exact."""
    if score.bound == "exact":
        return []
    error = f" +- {score.standard_error:.4f}" if math.isfinite(score.standard_error) else ""
    return [f"{score.bound}, {score.num_samples} samples{error}",
            f"divergence {score.kl:.4f} nats/{unit}",
            f"{score.active_units} active units"]
