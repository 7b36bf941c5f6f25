# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands for autoencoders of lines: encode, reconstruct and interpolate; their latents."""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np

from vaeseq.autoencoder import Autoencoder, StateModel, make, measures
from vaeseq.cli import options, program
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr
from vaeseq.runs.progress import working

from ..data import units
from ..data.corpus import open_corpus
from ..data.sources import held_out, training_text
from ..model import TextModel
from .loading import load_model

_MOST_FITTED = 20_000  # sequences that a model of latents is fitted to
_MOST_PADDED = 1 << 26  # characters of an array of texts, its padding included
_MOST_PADDING = 8  # times the characters of the texts, where these are more


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
    with working(f"fit {name}"):
        states.fit(*autoencoder.encode(sequences[::every]))
    return states


def encode(args: argparse.Namespace) -> None:
    """Writes the latents of lines into a file."""
    model, autoencoder = load_autoencoder(args)
    sequences = read(model, args)
    with working("encode"):
        encoded = autoencoder.encode(sequences)
    texts = text_array([model.vocabulary.decode(symbols) for symbols in sequences])
    width = texts.itemsize // np.dtype("U1").itemsize
    num_cut = sum(len(text) > width for text in texts)
    with open(args.output, "wb") as file:
        np.savez(file, text=texts, mean=encoded.mean, stddev=encoded.stddev)
    print(f"{program.one_line(str(args.output))}: the latents of "
          f"{program.counted(len(sequences), model.hparams.unit)}, "
          f"{autoencoder.latent_size} numbers each.")
    if num_cut:
        print(f"The array text has the first {width:,} characters of "
              f"{program.counted(num_cut, model.hparams.unit)} that would need too much memory.")


def text_array(texts: Sequence[str]) -> np.ndarray:
    """Returns texts, at least one, as strings of one width, `[N]`.

    NumPy pads each text to the longest. Where one of them is so long that the padding would exceed
    the texts by far, the end of long ones is left out.
    """
    most = max(_MOST_PADDED, _MOST_PADDING * sum(map(len, texts)))
    return np.array(texts, f"U{min(max(map(len, texts)), most // len(texts))}")


def reconstruct(args: argparse.Namespace) -> None:
    """Encodes lines, decodes them again, and measures the difference."""
    model, autoencoder = load_autoencoder(args)
    sequences = read(model, args)
    if len(sequences) < 2:
        raise UsageError(f"--input: expected at least two {model.hparams.unit}s to compare, got "
                         "one.")
    with working("measure"):
        report = measures.report(autoencoder, sequences, seed=args.seed)
    if args.json:
        values = {**report._asdict(), "sequences": len(sequences), "tokens": model.vocabulary.name,
                  "is_collapsed": report.is_collapsed,
                  "information": report.information and report.information._asdict()}
        print(json.dumps(values, allow_nan=False))
        return
    every = max(1, len(sequences) // args.num_samples)
    shown = sequences[::every][:args.num_samples]
    decoded = autoencoder.reconstruct(
        shown, length=args.length, latent=args.latent, temperature=args.temperature,
        truncation=options.truncation(args), seed=args.seed)
    for original, copy in zip(shown, decoded, strict=True):
        for mark, symbols in (("  ", original), ("->", copy)):
            print(mark, program.one_line(model.vocabulary.decode(symbols).rstrip("\n")))
    _print_report(report, model.unit, model.hparams.unit, len(sequences))


def _print_report(report: measures.Report, unit: str, sequence: str, count: int) -> None:
    print(f"\n{count:,} {sequence}s: {report.nats_per_step:.4f} nats per {unit} from the mean, "
          f"{report.sampled_nats_per_step:.4f} from a sample, "
          f"{report.shuffled_nats_per_step:.4f} from another {sequence}'s mean")
    print(f"free-running: {report.accuracy:.1%} of the {unit}s right, "
          f"{report.edit_distance:.3f} edits per {unit}")
    print(f"latent: worth {report.worth:.2f} nats per {sequence}, {report.active_units} active "
          f"units, MMD^2 to the prior {report.mmd:.4f}")
    if report.information:
        kl, information, aggregate, cap = report.information
        print(f"KL {kl:.2f} nats per {sequence}; mutual information {information:.2f} (at most "
              f"{cap:.2f}, the logarithm of the number of {sequence}s measured); KL of all "
              f"posteriors together to the prior {aggregate:.2f}")
    if report.is_collapsed:
        print("The decoder ignores the latent: posterior collapse. Try seqae_decoder_dropout, "
              "free_bits with free_bits_per=dimension, or a smaller kl_weight.")


def interpolate(args: argparse.Namespace) -> None:
    """Prints what lies between two lines."""
    model, autoencoder = load_autoencoder(args)
    start, end = (encode_text(model, text, option) for text, option in (
        (args.start, "--from"), (args.end, "--to")))
    for symbols in autoencoder.interpolate(
            start, end, args.num_samples, length=args.length, temperature=args.temperature,
            truncation=options.truncation(args), seed=args.seed):
        print(program.one_line(model.vocabulary.decode(symbols).rstrip("\n")))
