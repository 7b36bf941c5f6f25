# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Functions that `run` and `dream` share."""
from __future__ import annotations

import argparse
from pathlib import Path

from vaeseq.cli import options as run_options
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir

from ..actor_critic import trained_agent
from ..actor_critic.trained_agent import TrainedAgent
from ..actor_critic.training import PROGRAM
from ..envs import env
from ..envs.env import Game
from ..envs.rollout import Player, RandomPlayer
from ..hparams import PlayHParams
from ..output.gif import Film

HOLD_SECONDS = 1.0  # how long a film shows the end of an episode
# Added to --seed, which is below it, so that no episode starts like one of training.
EVALUATION_SEED = 1 << 32


def make_game_and_player(options: argparse.Namespace) -> tuple[Game, Player]:
    """Returns the game and the player; a random one needs no --log-dir."""
    check_temperature(options)
    if options.agent == "trained":
        if options.log_dir is None:
            raise UsageError("--agent trained: expected --log-dir DIR of a training run, got none. "
                             "--agent random plays without one.")
        agent = load_agent(options)
        return agent.game, make_player(options, agent)
    if options.log_dir is not None:
        hparams = run_options.resolve_hparams(
            LogDir(options.log_dir, PROGRAM), PlayHParams, options.hparams)
    else:
        hparams = PlayHParams().replace(**options.hparams)
    game = env.game(hparams.game, hparams.observed_indices)
    return game, RandomPlayer(game.actions)


def make_player(options: argparse.Namespace, agent: TrainedAgent) -> Player:
    if options.agent == "random":
        return RandomPlayer(agent.game.actions)
    return agent.player(greedy=options.temperature is None,
                        temperature=options.temperature or 1.0)


def load_agent(options: argparse.Namespace) -> TrainedAgent:
    """Restores the agent in --log-dir; raises UsageError if --hparams contradict it."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    run_options.resolve_hparams(log_dir, PlayHParams, options.hparams)
    return trained_agent.load(log_dir)


def check_temperature(options: argparse.Namespace) -> None:
    """Raises UsageError for a --temperature of a random agent."""
    if options.agent == "random" and options.temperature is not None:
        raise UsageError("--temperature: of the trained agent's choices; leave it out with --agent "
                         "random, which chooses uniformly.")


def film_line(path: Path, film: Film) -> str:
    """Returns the sentence that says where a film is, and whether it is cut."""
    return f"The film is in {short_repr(str(path))}" + (
        "; it shows the beginning, as there was more than fits in one." if film.is_cut else ".")


def check_gif(path: Path | None) -> None:
    if path is not None and path.suffix.lower() != ".gif":
        raise UsageError(f"--film: expected the name of a film, FILE.gif; got "
                         f"{short_repr(str(path))}.")
