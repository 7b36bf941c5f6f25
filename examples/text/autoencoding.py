# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Options of the commands for sequence autoencoders; imports no TensorFlow."""
from __future__ import annotations

import argparse
from collections.abc import Callable

from vaeseq.cli import arguments, options
from vaeseq.cli.program import Command, deferred_commands

from . import files

STATE_MODELS = ("prior", "normal", "mixture", "flow", "gan", "gmmn", "vamp")

Add = Callable[[argparse.ArgumentParser], None]


def commands(add_trained: Add) -> tuple[Command, ...]:
    """Returns the commands; `add_trained` adds the options of those that load a model."""
    def encode(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        _add_texts(parser)
        parser.add_argument(
            "--output", type=arguments.output_file, required=True, metavar="FILE.npz",
            help="file to write: the arrays text, mean and stddev")

    def reconstruct(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        _add_texts(parser)
        _add_decoding(parser)
        parser.add_argument(
            "--latent", choices=("mean", "sample"), default="mean",
            help="decode the mean of the posterior, or a sample of it")
        parser.add_argument(
            "--num-samples", "--samples", type=arguments.whole(1, 10**6), default=10,
            metavar="N", help="number of texts to print")
        parser.add_argument(
            "--json", action="store_true",
            help="print a report on all texts as one JSON object, and nothing else")

    def interpolate(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        add = parser.add_argument
        add("--from", dest="start", required=True, metavar="TEXT", help="the first text")
        add("--to", dest="end", required=True, metavar="TEXT", help="the last text")
        add("--num-samples", "--samples", type=arguments.whole(2, 1000), default=7, metavar="N",
            help="number of texts on the way, both ends included")
        _add_decoding(parser)

    return deferred_commands(
        f"{__package__}.commands", ("encode", "write the latents of lines into a file", encode),
        ("reconstruct", "encode lines, decode them again, and measure the difference", reconstruct),
        ("interpolate", "decode what lies between two lines", interpolate),
        module="autoencoding", saves_at_end=True)


def add_state_model(parser: argparse.ArgumentParser) -> None:
    """Adds `--state-model`."""
    parser.add_argument(
        "--state-model", choices=STATE_MODELS, default="prior",
        help="vae_type=SEQAE: what latents are drawn from; all but the prior are fitted to the "
             "latents of the training text first")


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input", type=files.argument, nargs="+", metavar="FILE",
        help="texts, as for `evaluate --eval-corpus` (default: the text held out in training)")


def _add_decoding(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--length", type=arguments.whole(1, 10**6), default=200, metavar="N",
        help="most characters of a text")
    add("--temperature", type=arguments.temperature, default=1.0, metavar="T",
        help="below 1 more predictable, above 1 more surprising")
    options.add_truncation(parser, top_k=1)
    add("--seed", type=arguments.seed, default=0, help="the same seed gives the same texts")
