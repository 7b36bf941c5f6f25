# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-play: the table of commands and their arguments.

Nothing here imports TensorFlow, so that `--help` answers at once.
"""
from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Callable

from vaeseq.cli import arguments
from vaeseq.cli import options as run_options
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import Command, Program

from ..hparams import PlayHParams

_MAX_STEPS = 10**9
_MAX_GAMES = 10**6


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    run_options.add_new_run(parser)
    _add_game(parser)
    add("--num-steps", type=arguments.whole(1, _MAX_STEPS), default=20_000, metavar="N",
        help="steps of the real game in all, over all sessions")
    add("--max-minutes", type=arguments.minutes, metavar="M",
        help="stop after so many minutes; the same command resumes the run")
    add("--seed", type=arguments.seed, default=None, help="of all random numbers (default: 0)")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=arguments.directory, metavar="DIR",
        help="of the training run; a random agent plays without one, too")
    _add_game(parser)
    _add_agent(parser)
    add("--max-moves", type=arguments.whole(1, _MAX_STEPS), default=1000, metavar="N",
        help="a longer game is cut")
    add("--num-games", type=arguments.whole(1, _MAX_GAMES), default=5, metavar="N",
        help="how many games")
    add("--render", choices=("none", "window"), default="none", help="show the games in a window")
    add("--film", type=arguments.output_file, metavar="FILE.gif", help="make a film of the games")
    add("--seed", type=arguments.seed, default=0, help="the same seed begins the same games")
    add("--json", action="store_true",
        help="print one JSON object of the scores, and nothing else")


def _dream_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    run_options.add_trained(parser)
    _add_game(parser)
    add("--film", type=arguments.output_file, required=True, metavar="FILE.gif",
        help="the game on the left, the dream of it on the right")
    _add_agent(parser)
    add("--given", type=arguments.whole(0, _MAX_STEPS), default=5, metavar="N",
        help="moves of the game that are seen before the dream begins")
    add("--length", type=arguments.whole(1, 10**5), default=200, metavar="N",
        help="moves dreamt at most")
    add("--actions", choices=("game", "own"), default="game",
        help="in the dream: those of the game, or those that the trained agent takes there")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same film")


def _add_agent(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--agent", choices=("trained", "random"), default="trained", help="who plays")
    add("--temperature", type=arguments.temperature, metavar="T",
        help="of the trained agent's choices; without it, always the best action")


def _add_game(parser: argparse.ArgumentParser) -> None:
    arguments.add_hparams(parser, PlayHParams)
    parser.add_argument(
        "--game-module", metavar="MODULE",
        help="a Python module that registers games: of another package, or a file here")


def _command(name: str) -> Callable[[argparse.Namespace], None]:
    """Returns a function that imports `commands.NAME` (and TensorFlow) only when called."""
    def call(options: argparse.Namespace) -> None:
        missing = [library for module, library in (("gymnasium", "gymnasium"), ("PIL", "Pillow"))
                   if importlib.util.find_spec(module) is None]
        if missing:
            raise UsageError(f"vaeseq-play needs {' and '.join(missing)}: "
                             "pip install vaeseq[play].")
        if options.game_module:
            arguments.import_module("--game-module", options.game_module)
        module = importlib.import_module(f".{name}", __name__)
        getattr(module, name)(options)

    return call


program = Program(
    "vaeseq-play", "World models of games: train a model and an agent in it, watch it play.",
    (
        Command("train", "train on a game, or resume a run", _train_arguments,
                _command("train")),
        Command("run", "play the real game with a trained or a random agent", _run_arguments,
                _command("run")),
        Command("dream", "film a game beside the model's dream of it", _dream_arguments,
                _command("dream")),
    ))
main = program.main
