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
        help="environment steps in total, those of earlier sessions included")
    add("--max-minutes", type=arguments.minutes, metavar="M",
        help="save and stop after M minutes, even before --num-steps")
    add("--seed", type=arguments.seed, default=None, help="seed of all randomness (default: 0)")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-dir", type=arguments.directory, metavar="DIR",
        help="directory of the training run; --agent random needs none")
    _add_game(parser)
    _add_agent(parser)
    add("--max-moves", type=arguments.whole(1, _MAX_STEPS), default=1000, metavar="N",
        help="truncate episodes after N steps")
    add("--num-games", type=arguments.whole(1, _MAX_GAMES), default=5, metavar="N",
        help="number of episodes")
    add("--render", choices=("none", "window"), default="none",
        help="render the episodes in a window")
    add("--film", type=arguments.output_file, metavar="FILE.gif",
        help="write a GIF of the episodes")
    add("--seed", type=arguments.seed, default=0,
        help="seed of the episodes' initial states and of the agent")
    add("--json", action="store_true",
        help="print one JSON object of the scores, and nothing else")


def _dream_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    run_options.add_trained(parser)
    _add_game(parser)
    add("--film", type=arguments.output_file, required=True, metavar="FILE.gif",
        help="write a GIF: the real episode on the left, the imagined one on the right")
    _add_agent(parser)
    add("--given", type=arguments.whole(0, _MAX_STEPS), default=5, metavar="N",
        help="real steps that the model observes before it imagines")
    add("--length", type=arguments.whole(1, 10**5), default=200, metavar="N",
        help="largest number of imagined steps")
    add("--actions", choices=("game", "own"), default="game",
        help="imagined actions: those of the real episode, or the trained agent's own")
    add("--seed", type=arguments.seed, default=0,
        help="seed of the episode and of the imagined steps")


def _add_agent(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--agent", choices=("trained", "random"), default="trained",
        help="policy that acts: the trained one, or uniformly random actions")
    add("--temperature", type=arguments.temperature, metavar="T",
        help="temperature of the trained policy (default: greedy, the most likely action)")


def _add_game(parser: argparse.ArgumentParser) -> None:
    arguments.add_hparams(parser, PlayHParams)
    parser.add_argument(
        "--game-module", metavar="MODULE",
        help="Python module that registers Gymnasium environments: of a package, or a file in "
             "the current folder")


def _command(name: str) -> Callable[[argparse.Namespace], None]:
    """Returns a function that imports `commands.NAME` (and TensorFlow) only when called."""
    def call(options: argparse.Namespace) -> None:
        missing = [library for module, library in (("gymnasium", "gymnasium"), ("PIL", "Pillow"))
                   if importlib.util.find_spec(module) is None]
        if missing:
            raise UsageError(f"vaeseq-play needs {' and '.join(missing)}: "
                             "pip install 'vaeseq[play]'.")
        if options.game_module:
            arguments.import_module("--game-module", options.game_module)
        module = importlib.import_module(f".{name}", __name__)
        getattr(module, name)(options)

    return call


program = Program(
    "vaeseq-play",
    "World models of Gymnasium environments: trains a model, and a policy in imagination.",
    (
        Command("train", "train a world model and a policy, or resume a run", _train_arguments,
                _command("train")),
        Command("run", "play episodes of the environment with a trained or a random agent",
                _run_arguments, _command("run")),
        Command("dream", "render an episode beside its continuation as the model imagines it",
                _dream_arguments, _command("dream")),
    ))
main = program.main
