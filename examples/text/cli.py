# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-text: train, evaluate, generate, export."""
from __future__ import annotations

import argparse
import codecs

from vaeseq.cli import arguments, options
from vaeseq.cli.program import Command, Program, deferred
from vaeseq.fields import short_repr

from .hparams import TextHParams

_MOST_LENGTH = 10**9


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_new_run(parser)
    add("--train-corpus", type=arguments.readable_file, metavar="FILE",
        help="text to train on, plain or compressed by gzip or xz (default: Python's language "
             "reference, in English)")
    add("--valid-corpus", type=arguments.readable_file, metavar="FILE",
        help="text to validate on (default: the end of the training text)")
    add("--valid-fraction", type=arguments.fraction, default=0.1, metavar="F",
        help="fraction of the training text that is held out without --valid-corpus")
    add("--vocab-corpus", type=arguments.readable_file, metavar="FILE",
        help="text whose characters make the vocabulary (default: the training text)")
    _add_encoding(parser)
    options.add_init_from(parser)
    options.add_training(parser, TextHParams, valid_every=500)
    options.add_strategy(parser)


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--eval-corpus", type=arguments.readable_file, nargs="+", metavar="FILE",
        help="texts to score, one row each (default: the text held out in training)")
    options.add_scoring(parser, "text")
    add("--per-character", type=arguments.output_file, metavar="FILE",
        help="write an HTML page with each character of one text coloured by its surprise")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--length", type=arguments.whole(1, _MOST_LENGTH), metavar="N",
        help="characters of each sample, after the prime (default: 1000)")
    add("--num-samples", "--samples", type=arguments.whole(1, 10**6), default=1, metavar="N",
        help="number of samples")
    add("--prime", metavar="TEXT", default="", help="the beginning of each sample")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    options.add_truncation(parser)
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same text")
    add("--output", type=arguments.output_file, metavar="FILE",
        help="write to a file instead of the terminal")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    options.add_export(parser, window=128)
    options.add_truncation(parser)


def _add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that load a trained model."""
    options.add_trained(parser)
    parser.add_argument(
        "--vocab-corpus", "--train-corpus", type=arguments.readable_file, metavar="FILE",
        help="not needed; checked against the vocabulary of the run")
    _add_encoding(parser)
    arguments.add_hparams(parser, TextHParams)


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoding", type=_encoding, metavar="NAME",
        help="encoding of the texts (default: UTF-8, or UTF-16 with a byte order mark)")


def _encoding(name: str) -> str:
    try:
        "a".encode(name)  # fails for codecs of bytes, such as hex
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise argparse.ArgumentTypeError(
            f"expected an encoding that Python knows, such as utf-8, utf-16, cp1252 or gb18030; "
            f"got {short_repr(name)}") from None


_COMMANDS = f"{__package__}.commands"
program = Program(
    "vaeseq-text", "Character-level models of text: train one, score texts, generate text.",
    (
        Command("train", "train a model on a text, or resume its training", _train_arguments,
                deferred(f"{_COMMANDS}.train")),
        Command("evaluate", "score texts under a trained model", _evaluate_arguments,
                deferred(f"{_COMMANDS}.evaluate")),
        Command("generate", "generate text with a trained model", _generate_arguments,
                deferred(f"{_COMMANDS}.generate")),
        Command("export", "export a trained model for TensorFlow Serving and other programs",
                _export_arguments, deferred(f"{_COMMANDS}.export")),
    ))
main = program.main
