# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text generate: samples text from a trained model."""
from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from vaeseq import compilation
from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.vae import GenState

from ..data import Tokens
from ..model import TextModel
from .autoencoding import fit_states, of_model
from .loading import load_model

_LARGEST_BATCH = 64  # samples drawn at once
_MOST_BUFFERED = 1 << 26  # characters in memory while the first sample of a batch is printed
# TensorFlow's graph draws so many steps before XLA has compiled a program that is faster: compiling
# takes two seconds, and a step of one text 0.3 ms without XLA and 0.05 ms with it.
_MOST_UNCOMPILED = 4000
_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch's first sample
GAP = "_"  # in --fill, of one symbol


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    # VAE-Seq set the length of samples by the hyperparameter of the BPTT window.
    length = args.length or args.hparams.pop("sequence_size", None) or 1000
    if args.fill is not None and (args.prime or args.length):
        raise UsageError("--fill: expected a text with gaps alone, got a --prime or a --length, "
                         "too. The text has both.")
    if args.fill is not None and GAP not in args.fill:
        raise UsageError(f"--fill: expected a text with gaps, one {GAP} for each character to "
                         f"draw, such as 'To be ____ to be'; got {short_repr(args.fill)}.")
    batch = max(1, min(_LARGEST_BATCH, _MOST_BUFFERED // length))
    num_steps = length * -(-args.num_samples // batch)
    is_short = num_steps <= _MOST_UNCOMPILED and not args.fill
    with compilation.without_xla() if is_short else contextlib.nullcontext():
        _generate(args, length, batch)


def _generate(args: argparse.Namespace, length: int, batch: int) -> None:
    """Writes the samples, `batch` of them drawn at once."""
    model = load_model(args)
    _check_known(model.vocabulary, "--prime", args.prime)
    _check_known(model.vocabulary, "--fill", (args.fill or "").replace(GAP, ""))
    begin = _beginnings(model, args)
    with _open_output(args.output) as file:
        for first in range(0, args.num_samples, batch):
            count = min(batch, args.num_samples - first)
            if args.fill:
                _write_filled(model, args, file, first, count)
            else:
                _write_samples(model, args, file, first, count, length, begin(first, count))


def _check_known(tokens: Tokens, option: str, text: str) -> None:
    unknown = tokens.unknown(text)
    if unknown:
        raise UsageError(
            f"{option}: expected characters of the model's vocabulary, got "
            f"{', '.join(map(short_repr, unknown[:5]))}. The vocabulary is "
            f"{short_repr(_characters(tokens), 200)}.")


def _write_filled(
    model: TextModel, args: argparse.Namespace, file: TextIO, first: int, count: int
) -> None:
    """Draws the gaps of --fill `count` times at once, given the text before and after them."""
    tokens = model.vocabulary
    pieces = [np.zeros(len(piece), tokens.dtype) if piece[0] == GAP else tokens.encode(piece)
              for piece in _pieces(args.fill)]
    is_known = np.repeat([piece[0] != GAP for piece in _pieces(args.fill)], list(map(len, pieces)))
    rows = np.repeat(np.concatenate(pieces)[np.newaxis].astype(np.int32), count, 0)
    filled = model.sampler.fill(
        rows, np.repeat(is_known[np.newaxis], count, 0), temperature=args.temperature,
        truncation=options.truncation(args), seed=args.seed + (first << _SEED_BITS))
    for number, symbols in enumerate(filled, first):
        _write_beginning(args, file, number)
        file.write(f"{tokens.decode(symbols)}\n")


def _pieces(text: str) -> list[str]:
    """Splits a text into gaps and what is between them."""
    return re.findall(f"{GAP}+|[^{GAP}]+", text)


def _beginnings(
    model: TextModel, args: argparse.Namespace
) -> Callable[[int, int], GenState | None]:
    """Returns the states that samples `first` to `first + count` begin with; None: the initial."""
    if args.state_model == "prior":
        return lambda first, count: None
    if args.prime:
        raise UsageError("--state-model: expected no --prime, whose latent is inferred from it; "
                         f"got {short_repr(args.prime)}.")
    autoencoder = of_model(model)
    z = fit_states(args.state_model, model, autoencoder, args.seed).sample(
        args.num_samples, args.seed)
    return lambda first, count: autoencoder.begin(z[first:first + count])


def _write_samples(
    model: TextModel, args: argparse.Namespace, file: TextIO, first: int, count: int, length: int,
    state: GenState | None,
) -> None:
    """Draws `count` samples at once; writes the first while it is drawn, then the others."""
    prime = model.encode_prime(args.prime)
    decoders = [model.vocabulary.decoder() for _ in range(count)]
    others: list[list[str]] = [[] for _ in range(count - 1)]
    _write_beginning(args, file, first)
    for chunk in model.sampler.stream(
            num_samples=count, length=length, prime=prime, temperature=args.temperature,
            truncation=options.truncation(args), seed=args.seed + (first << _SEED_BITS),
            state=state):
        rows = [row[:length] for row, length in zip(chunk.observed, chunk.lengths)]
        file.write(decoders[0].decode(rows[0]))
        file.flush()
        for parts, decoder, row in zip(others, decoders[1:], rows[1:]):
            parts.append(decoder.decode(row))
    ends = [decoder.decode(np.zeros([0], int), final=True) for decoder in decoders]
    file.write(f"{ends[0]}\n")
    for number, (parts, end) in enumerate(zip(others, ends[1:]), first + 1):
        _write_beginning(args, file, number)
        file.write(f"{''.join(parts)}{end}\n")


def _characters(tokens: Tokens) -> str:
    return "".join(content.decode(errors="ignore") for content in tokens.contents() if content)


def _write_beginning(args: argparse.Namespace, file: TextIO, number: int) -> None:
    if args.num_samples > 1:
        file.write(f"--- sample {number + 1} of {args.num_samples} ---\n")
    file.write(args.prime)


@contextlib.contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with open(path, "w", encoding="utf-8") as file:
            yield file
