# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command `train`: trains a model of a game and an agent in it."""
from __future__ import annotations

import argparse
import math

from vaeseq.cli import options as run_options
from vaeseq.cli import program
from vaeseq.runs.log_dir import LogDir

from ..actor_critic import training
from ..actor_critic.training import PROGRAM, TrainingResult
from ..envs import env
from ..hparams import PlayHParams


def train(options: argparse.Namespace) -> None:
    """Starts a run, or resumes it."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    seed = run_options.resolve_seed(log_dir, options.seed)
    if log_dir.exists:
        hparams = run_options.resolve_hparams(log_dir, PlayHParams, options.hparams)
        log_dir.check_same(hparams, seed)  # before anything is printed
    else:
        hparams = PlayHParams().replace(**options.hparams)
    game = env.game(hparams.game, hparams.observed_indices)
    size = game.actions.size
    actions = f"{size} discrete actions" if game.actions.discrete else f"actions [{size}]"
    print(f"Training on {game.name}: observations {list(game.observation_shape)}, {actions}.",
          flush=True)
    with program.stop_on_signal() as should_stop:
        result = training.run(
            hparams, log_dir, num_steps=options.num_steps, seed=seed,
            max_minutes=options.max_minutes or math.inf, should_stop=should_stop)
    _print_end(result, options)


def _print_end(result: TrainingResult, options: argparse.Namespace) -> None:
    """Prints why the session ended, and the next commands."""
    best = "" if math.isnan(result.best) else f" Best mean score: {result.best:.6g}."
    if result.reason != "done":
        why = "stopped" if result.reason == "stopped" else "time is up"
        print(f"Step {result.real_steps}: {why}, everything is saved.{best}\n"
              "The same command again goes on from here.")
    elif result.nothing_to_do:
        print(f"Step {result.real_steps}: nothing to do, so many moves were made before; a larger "
              f"--num-steps goes on from here.{best}")
    else:
        print(f"Step {result.real_steps}: done.{best}")
    run_options.print_next_steps(PROGRAM, options, "run", "dream --film dream.gif")
