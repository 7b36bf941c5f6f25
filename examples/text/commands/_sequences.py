# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the commands for sequence autoencoders share."""
from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from vaeseq.autoencoder import Autoencoder, StateModel, make
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.progress import Progress

from ..data import units
from ..data.corpus import open_corpus
from ..data.sources import held_out, training_text
from ..model import TextModel
from .loading import load_model

_MOST_FITTED = 20_000  # sequences that a model of latents is fitted to


def load_autoencoder(args: argparse.Namespace) -> tuple[TextModel, Autoencoder]:
    """Loads a model of lines; raises UsageError for one that is no autoencoder."""
    model = load_model(args)
    return model, of_model(model)


def of_model(model: TextModel) -> Autoencoder:
    """Returns the autoencoder of a model; raises UsageError if it has another core."""
    try:
        return Autoencoder(model.gen_core)
    except ValueError as error:
        raise UsageError(f"{short_repr(str(model.log_dir.path))}: {error} Train with "
                         "--hparams vae_type=SEQAE,unit=line.") from None


def read(model: TextModel, args: argparse.Namespace) -> Sequence[np.ndarray]:
    """Returns the sequences of --input, by default of the held-out text."""
    tokens = model.vocabulary
    encoded = (open_corpus(args.input, args.encoding).encode(tokens) if args.input
               else held_out(model.log_dir, tokens).encoded)
    sequences = model.split(encoded.parts(0, len(encoded.symbols)))
    if not len(sequences):
        raise UsageError("--input: expected text, got none.")
    return sequences


def encode_text(model: TextModel, text: str, option: str) -> np.ndarray:
    """Returns the symbols of one sequence, with its end; raises UsageError for unknown ones."""
    unknown = model.vocabulary.unknown(text)
    if unknown or not text:
        raise UsageError(
            f"{option}: expected a text of the model's vocabulary, got "
            f"{', '.join(map(short_repr, unknown[:5])) or 'an empty one'}.")
    unit = model.hparams.unit
    if unit != "text":
        text = text.rstrip("\n") + units.NEWLINES[unit] * "\n"
    sequences = model.split([model.vocabulary.encode(text)])
    if len(sequences) > 1:
        raise UsageError(f"{option}: expected one {unit}, got {len(sequences)}.")
    return sequences[0]


def fit_states(
    name: str, model: TextModel, autoencoder: Autoencoder, seed: int
) -> StateModel:
    """Returns a model of the latents of the training text, by name."""
    encoded = training_text(model.log_dir, model.vocabulary)
    sequences = model.split(encoded.parts(0, len(encoded.symbols)))
    every = -(-len(sequences) // _MOST_FITTED) or 1
    states = make(name, seed=seed)
    with Progress(f"fit {name}", total=1, unit="model", is_brief=True) as progress:
        states.fit(*autoencoder.encode(sequences[::every]))
        progress.advance(1, 1)
    return states
