# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-play train."""
from __future__ import annotations

import argparse
import math
from pathlib import Path

from vaeseq.cli import options as run_options
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir

from ..actor_critic import training
from ..actor_critic.training import PROGRAM, Learned
from ..envs import env
from ..envs.env import Game
from ..hparams import PlayHParams


def train(options: argparse.Namespace) -> None:
    """vaeseq-play train."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    if log_dir.exists:
        hparams = run_options.resolve_hparams(log_dir, PlayHParams, options.hparams)
        seed = _agreed_seed(log_dir, options.seed)
    else:
        hparams, seed = PlayHParams().replace(**options.hparams), options.seed or 0
    game = env.game(hparams.game, hparams.observed_indices)
    print(f"Learning {game.name}: {_described(game)}.", flush=True)
    with program.stop_on_signal() as should_stop:
        learned = training.run(
            hparams, log_dir, num_steps=options.num_steps, seed=seed,
            max_minutes=options.max_minutes or math.inf, should_stop=should_stop)
    _tell_end(learned, options.log_dir)


def _agreed_seed(log_dir: LogDir, seed: int | None) -> int:
    """The run's seed; raises UsageError where another was given."""
    saved = log_dir.seed()
    if seed not in (None, saved):
        raise UsageError(f"--seed: {str(log_dir.path)!r} holds a run with seed {saved}, but {seed} "
                         "was given. Leave it out, or give another --log-dir.")
    return saved


def _described(game: Game) -> str:
    observed = " x ".join(map(str, game.observation_shape))
    seen = f"pictures of {observed} numbers are" if game.image else (
        "one number is" if observed == "1" else f"{observed} numbers are")
    size = game.actions.size
    return f"{seen} seen, " + (
        f"{size} actions to choose from" if game.actions.discrete
        else "an action is one number" if size == 1 else f"an action is {size} numbers")


def _tell_end(learned: Learned, log_dir: Path) -> None:
    """Prints how a sitting of training ended, and what to type next."""
    best = "" if math.isnan(learned.best) else f" Best mean score: {learned.best:.6g}."
    if learned.reason != "done":
        why = "stopped" if learned.reason == "stopped" else "time is up"
        print(f"Step {learned.real_steps}: {why}, everything is saved.{best}\n"
              "The same command again goes on from here.")
    elif learned.nothing_to_do:
        print(f"Step {learned.real_steps}: nothing to do, so many moves were made before; a larger "
              f"--num-steps goes on from here.{best}")
    else:
        print(f"Step {learned.real_steps}: done.{best}")
    run_options.print_next_steps(PROGRAM, log_dir, "run", "dream --film dream.gif")
