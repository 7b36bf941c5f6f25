# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-text: train, evaluate, generate, export."""
from __future__ import annotations

import argparse

from vaeseq.cli import arguments
from vaeseq.cli import options as run_options
from vaeseq.cli.program import Command, Program

from .hparams import TextHParams

_MOST_LENGTH = 10**9


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    run_options.add_new_run(parser)
    add("--train-corpus", type=arguments.readable_file, metavar="FILE",
        help="UTF-8 text to learn; without it, English prose that every Python carries")
    add("--valid-corpus", type=arguments.readable_file, metavar="FILE",
        help="text to validate on; without it, the end of the training text")
    add("--valid-fraction", type=arguments.fraction, default=0.1, metavar="F",
        help="how much of the training text is held out where there is no --valid-corpus")
    add("--vocab-corpus", type=arguments.readable_file, metavar="FILE",
        help="text whose characters make the vocabulary; without it, the training text's")
    run_options.add_init_from(parser)
    run_options.add_training(parser, TextHParams, valid_every=500)
    run_options.add_strategy(parser)


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--eval-corpus", type=arguments.readable_file, nargs="+", metavar="FILE",
        help="texts to score, a row each; without any, the text held out in training")
    run_options.add_scoring(parser, "text")
    add("--per-character", type=arguments.output_file, metavar="FILE",
        help="write an HTML page with each character of the one text coloured by its surprise")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--length", type=arguments.whole(1, _MOST_LENGTH), metavar="N",
        help="characters of each sample, after the prime (default: 1000)")
    add("--num-samples", "--samples", type=arguments.whole(1, 10**6), default=1, metavar="N",
        help="how many samples")
    add("--prime", metavar="TEXT", default="", help="how each sample begins")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same text")
    add("--output", type=arguments.output_file, metavar="FILE",
        help="write to a file rather than to the terminal")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    run_options.add_export(parser, window=128)


def _add_trained(parser: argparse.ArgumentParser) -> None:
    """The options of commands that take a trained model."""
    add = parser.add_argument
    run_options.add_trained(parser)
    add("--vocab-corpus", "--train-corpus", type=arguments.readable_file, metavar="FILE",
        help="not needed; checked against the vocabulary of the run")
    arguments.add_hparams(parser, TextHParams)


def _train(options: argparse.Namespace) -> None:
    from . import commands
    commands.train(options)


def _evaluate(options: argparse.Namespace) -> None:
    from . import commands
    commands.evaluate(options)


def _generate(options: argparse.Namespace) -> None:
    from . import commands
    commands.generate(options)


def _export(options: argparse.Namespace) -> None:
    from . import commands
    commands.export(options)


program = Program(
    "vaeseq-text", "Models of text, character by character: train one, score texts, write more.",
    (
        Command("train", "train a model on a text, or go on training it", _train_arguments, _train),
        Command("evaluate", "say how probable texts are under a trained model",
                _evaluate_arguments, _evaluate),
        Command("generate", "write text with a trained model", _generate_arguments, _generate),
        Command("export", "write a trained model for TensorFlow Serving and other programs",
                _export_arguments, _export),
    ))
main = program.main
