# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Options of the commands for autoencoders of phrases; imports no TensorFlow."""
from __future__ import annotations

import argparse
from collections.abc import Callable

from vaeseq.cli import arguments
from vaeseq.cli.program import Command, deferred_commands
from vaeseq.fields import Range

from .hparams import MAX_SECONDS

_seconds = arguments.real(Range(0, MAX_SECONDS, open_low=True))

Add = Callable[[argparse.ArgumentParser], None]


def commands(add_trained: Add, add_output: Add) -> tuple[Command, ...]:
    """Returns the commands.

    Args:
      add_trained: adds the options of commands that load a model.
      add_output: adds the options of commands that write music.
    """
    def encode(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        _add_input(parser)
        parser.add_argument(
            "--output", type=arguments.output_file, required=True, metavar="FILE.npz",
            help="file to write: the arrays piece, phrase, mean and stddev")

    def reconstruct(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        add_output(parser)
        _add_input(parser)
        _add_samples(parser, 5, "number of phrases")

    def interpolate(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        add_output(parser)
        add = parser.add_argument
        add("--from", dest="start", required=True, metavar="FILE.mid", help="the first piece")
        add("--to", dest="end", required=True, metavar="FILE.mid", help="the last piece")
        _add_samples(parser, 5, "number of pieces on the way, both ends included", least=2)
        _add_length(parser)

    def vary(parser: argparse.ArgumentParser) -> None:
        add_trained(parser)
        add_output(parser)
        add = parser.add_argument
        add("piece", metavar="FILE.mid", help="the piece to vary")
        add("--distance", type=arguments.real(Range(0, 100)), default=0.5, metavar="X",
            help="standard deviation of what is added to each dimension of the latents")
        _add_samples(parser, 4, "number of variations")
        _add_length(parser)

    return deferred_commands(
        f"{__package__}.commands", ("encode", "write the latents of phrases into a file", encode),
        ("reconstruct", "play phrases beside what an autoencoder makes of them", reconstruct),
        ("interpolate", "play what lies between two pieces", interpolate),
        ("vary", "play variations of a piece, its neighbours in the latent space", vary),
        module="autoencoding", saves_at_end=True)


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input", nargs="+", metavar="NAME", default=[],
        help="music, as for `evaluate --eval-files` (default: the held-out music)")


def _add_samples(
    parser: argparse.ArgumentParser, default: int, text: str, *, least: int = 1
) -> None:
    parser.add_argument("--num-samples", "--samples", type=arguments.whole(least, 100),
                        default=default, metavar="N", help=text)


def _add_length(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--length", type=_seconds, default=15.0, metavar="SECONDS",
                        help="use so much of the beginning of a piece, in whole phrases")
