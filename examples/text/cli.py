# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The command line of vaeseq-text: its commands and their options."""
from __future__ import annotations

import argparse

from vaeseq.cli import arguments, encodings, options, tuning_options
from vaeseq.cli.program import Program, deferred_commands
from vaeseq.fields import short_repr

from . import autoencoding, files
from .hparams import TextHParams
from .tuning.settings import TextTuneSettings

_MOST_LENGTH = 10**9
_MOST_TOKENS = 1 << 16  # of a byte pair encoding


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    options.add_new_run(parser)
    add("--train-corpus", type=files.argument, nargs="+", metavar="FILE",
        help="text to train on: files, plain or compressed by gzip or xz, folders and patterns "
             "such as 'books/**/*.txt', read in the order of their paths (default: Python's "
             "language reference, in English)")
    add("--valid-corpus", type=files.argument, nargs="+", metavar="FILE",
        help="text to validate on, likewise (default: the end of the training text)")
    add("--valid-fraction", type=arguments.fraction, default=0.1, metavar="F",
        help="fraction of the training text that is held out without --valid-corpus")
    add("--file-boundaries", choices=("start", "symbol", "none"), metavar="KIND",
        help="between several files: start: the model forgets what came before; symbol: ASCII's "
             "character 28 stands there; none: they are one text (default: start)")
    add("--vocab-corpus", type=files.argument, nargs="+", metavar="FILE",
        help="text whose characters or tokens make the vocabulary (default: the training text)")
    add("--tokens", type=_tokens, metavar="KIND",
        help="what a symbol is: characters; bytes; words: frequent words, others in bytes; bpe:N: "
             "byte pair encoding with N symbols, which needs vaeseq[tokens] (default: characters)")
    _add_encoding(parser)
    options.add_init_from(parser)
    options.add_training(parser, TextHParams, valid_every=500)
    options.add_strategy(parser)


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--eval-corpus", type=files.argument, nargs="+", metavar="FILE",
        help="texts to score: files, and those of folders and patterns, one row each (default: the "
             "text held out in training)")
    options.add_scoring(parser, "text")
    add("--per-character", type=arguments.output_file, metavar="FILE",
        help="write an HTML page with each character of one text coloured by its surprise")
    options.add_samples(parser, "characters", text="n-gram perplexities, diversity, repetition, "
                        "copies, BLEU")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    add("--length", type=arguments.whole(1, _MOST_LENGTH), metavar="N",
        help="characters of each sample, or symbols with --tokens, after the prime (default: 1000)")
    add("--num-samples", "--samples", type=arguments.whole(1, 10**6), default=1, metavar="N",
        help="number of samples")
    add("--prime", metavar="TEXT", default="", help="the beginning of each sample")
    add("--fill", metavar="TEXT",
        help="draw the gaps of a text, one _ for each character (or symbol with --tokens), given "
             "what is before and after them; for models with vae_type=MASKDIFF")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    options.add_truncation(parser)
    autoencoding.add_state_model(parser)
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same text")
    add("--output", type=arguments.output_file, metavar="FILE",
        help="write to a file instead of the terminal")


def _latent_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    options.add_latent(parser, "text", "TEXT")
    add("--length", type=arguments.whole(1, 1 << 16), default=200, metavar="N",
        help="most symbols of each sample")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    options.add_truncation(parser)
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same texts")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    options.add_export(parser, window=128)
    options.add_truncation(parser)


def _tune_arguments(parser: argparse.ArgumentParser) -> None:
    tuning_options.add_tune(
        parser, TextTuneSettings, "what to tune towards: json, brackets, regex:PATTERN, "
        "lines:PATTERN, bleu:FILE, chrf:FILE, discriminator, choices:FILE, listener:NAME:FILE, "
        "mean:FILE, worst:FILE, or a Python function of a text as MODULE:FUNCTION; required")


def _prefer_arguments(parser: argparse.ArgumentParser) -> None:
    _add_trained(parser)
    tuning_options.add_prefer(parser)


def _read_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_trained(parser)
    tuning_options.add_page(parser)
    add("--length", type=arguments.whole(1, 1 << 16), default=300, metavar="N",
        help="symbols of each sample, after the prime")
    add("--prime", metavar="TEXT", default="", help="the beginning of each sample")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same texts")


def _add_trained(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the commands that load a trained model."""
    options.add_trained(parser)
    parser.add_argument(
        "--vocab-corpus", "--train-corpus", type=files.argument, nargs="+", metavar="FILE",
        help="not needed; checked against the vocabulary of the run")
    _add_encoding(parser)
    arguments.add_hparams(parser, TextHParams)


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoding", type=_encoding, metavar="NAME",
        help="encoding of the texts (default: UTF-8, or UTF-16 with a byte order mark)")


def _tokens(name: str) -> str:
    kind, _, size = name.partition(":")
    if name in ("characters", "bytes", "words") or (
            kind == "bpe" and size.isdecimal() and 256 < int(size[:9]) <= _MOST_TOKENS):
        return name if kind != "bpe" else f"bpe:{int(size)}"
    raise argparse.ArgumentTypeError(
        f"expected characters, bytes, words or bpe:N with N from 257 to {_MOST_TOKENS}; "
        f"got {short_repr(name)}")


def _encoding(name: str) -> str:
    canonical = encodings.python_name(name)
    if not canonical:
        raise argparse.ArgumentTypeError(
            f"expected an encoding that Python knows, such as utf-8, utf-16, cp1252 or gb18030; "
            f"got {short_repr(name)}")
    return canonical


_COMMANDS = f"{__package__}.commands"
program = Program(
    "vaeseq-text", "Models of text: train one, score texts, generate text.", (
        *deferred_commands(
            _COMMANDS,
            ("train", "train a model on a text, or resume its training", _train_arguments)),
        *deferred_commands(
            _COMMANDS, ("evaluate", "score texts under a trained model", _evaluate_arguments),
            saves_at_end=True),
        *deferred_commands(
            _COMMANDS,
            ("generate", "generate text with a trained model", _generate_arguments),
            ("export", "export a trained model for TensorFlow Serving and other programs",
             _export_arguments)),
        *autoencoding.commands(_add_trained),
        *deferred_commands(
            _COMMANDS, ("latent", "read what a trained model's latents mean", _latent_arguments)),
        *deferred_commands(
            _COMMANDS,
            ("tune", "tune a trained model towards rewards", _tune_arguments),
            ("read", "choose between samples on a page in the browser", _read_arguments),
            ("prefer", "learn a reward from choices, and measure it", _prefer_arguments))))
main = program.main
