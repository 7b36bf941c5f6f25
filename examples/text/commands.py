# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the commands of vaeseq-text do (imports TensorFlow; `cli` does not)."""
from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from vaeseq import cli
from vaeseq.arguments import UsageError
from vaeseq.evaluate import Score
from vaeseq.fields import shown
from vaeseq.log_dir import LogDir
from vaeseq.trainer import Periods

from . import page
from .data import Corpus, Vocabulary, checksum, embedded_prose, from_file
from .hparams import TextHParams
from .model import PROGRAM, TextModel, saved_vocabulary

_CORPUS = "corpus.json"
_SIDE_BY_SIDE = 64  # samples drawn at once
_MOST_BUFFERED = 1 << 26  # characters of samples held while the first is printed


class _Texts(NamedTuple):
    """What a run trains and validates on, and how `evaluate` finds it again.

    Attributes:
      train: symbols `[N]`.
      valid: symbols `[N]`, perhaps none.
      description: of both, for the log directory.
    """

    train: np.ndarray
    valid: np.ndarray
    description: dict[str, str | float | int | None]


def train(options: argparse.Namespace) -> None:
    """vaeseq-text train."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    train_corpus = _corpus(options.train_corpus)
    if log_dir.exists:
        hparams = _agreed(log_dir, options.hparams)
        seed = log_dir.seed() if options.seed is None else options.seed
        vocabulary = saved_vocabulary(log_dir)
        if options.vocab_corpus:
            _check_vocabulary(log_dir, hparams, options.vocab_corpus)
    else:
        hparams, seed = TextHParams().replace(**options.hparams), options.seed or 0
        vocabulary = _vocabulary(
            _corpus(options.vocab_corpus) if options.vocab_corpus else train_corpus, hparams)
    texts = _texts(options, train_corpus, vocabulary)
    model = TextModel(hparams, vocabulary, options.log_dir, seed=seed)
    model.data_set([texts.train])  # too little text is told before a directory is made
    _keep_description(log_dir, texts.description)
    print(f"{train_corpus.name}: {len(texts.train):,} characters to train on, "
          f"{len(texts.valid):,} to validate on, {len(vocabulary.characters)} different ones")
    with cli.stop_when_asked() as stop:
        trained = model.train(
            [texts.train], num_steps=options.num_steps,
            valid=[texts.valid] if len(texts.valid) else [],
            max_minutes=options.max_minutes or math.inf,
            periods=Periods(valid=options.valid_every), should_stop=stop.asked)
    _tell_end(trained, options)


def evaluate(options: argparse.Namespace) -> None:
    """vaeseq-text evaluate."""
    model = _trained(options)
    corpora = [from_file(path) for path in options.eval_corpus or ()]
    if not corpora:
        corpora = [_held_out(model.log_dir)]
    if options.per_character and len(corpora) > 1:
        raise UsageError(
            f"--per-character colours one text; expected one --eval-corpus, got {len(corpora)}.")
    rows = []
    for corpus in corpora:
        symbols = corpus.symbols(model.vocabulary)
        if not len(symbols):
            raise UsageError(f"{shown(corpus.name)}: expected text to score, got none.")
        score, surprises = model.score_text(
            symbols, bound=options.bound, num_samples=options.num_samples, seed=options.seed)
        rows.append((corpus.name, score))
        if options.per_character:
            text = "".join(corpus.pieces())
            options.per_character.write_text(page.render(corpus.name, text, surprises), "utf-8")
        if options.json:
            named = {"corpus": corpus.name} if len(corpora) > 1 else {}
            print(json.dumps({**named, **score.as_dict()}, allow_nan=False))
    if not options.json:
        _print_scores(rows)


def generate(options: argparse.Namespace) -> None:
    """vaeseq-text generate."""
    # VAE-Seq said how long a sample is with the hyperparameter of the training windows.
    length = options.length or options.hparams.pop("sequence_size", None) or 1000
    model = _trained(options)
    unknown = model.vocabulary.unknown(options.prime)
    if unknown:
        raise UsageError(
            "--prime: expected characters of the model's vocabulary, got "
            f"{', '.join(map(shown, unknown[:5]))}. It knows "
            f"{shown(model.vocabulary.characters, 200)}.")
    with _output(options.output) as file:
        for number in range(0, options.num_samples, _side_by_side(length)):
            count = min(_side_by_side(length), options.num_samples - number)
            _write_samples(model, options, file, number, count, length)


def _write_samples(
    model: TextModel, options: argparse.Namespace, file: TextIO, first: int, count: int,
    length: int,
) -> None:
    """Draws `count` samples at once; the first is written as it is drawn, then the others."""
    prime = model.vocabulary.encode(options.prime) if options.prime else None
    rest: list[list[str]] = [[] for _ in range(count - 1)]
    _begin_sample(options, file, first)
    for chunk in model.stream(
            num_samples=count, length=length, prime=prime, temperature=options.temperature,
            seed=options.seed + first):
        file.write(model.vocabulary.decode(chunk.observed[0]))
        file.flush()
        for parts, row in zip(rest, chunk.observed[1:]):
            parts.append(model.vocabulary.decode(row))
    file.write("\n")
    for number, parts in enumerate(rest, first + 1):
        _begin_sample(options, file, number)
        file.write("".join(parts) + "\n")


def _begin_sample(options: argparse.Namespace, file: TextIO, number: int) -> None:
    if options.num_samples > 1:
        file.write(f"--- sample {number + 1} of {options.num_samples} ---\n")
    file.write(options.prime)


def _side_by_side(length: int) -> int:
    return max(1, min(_SIDE_BY_SIDE, _MOST_BUFFERED // length))


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with open(path, "w", encoding="utf-8") as file:
            yield file


def _corpus(path: Path | None) -> Corpus:
    return from_file(path) if path else embedded_prose()


def _vocabulary(corpus: Corpus, hparams: TextHParams) -> Vocabulary:
    return Vocabulary.of(corpus.pieces(), hparams.vocab_size, hparams.oov_buckets)


def _texts(options: argparse.Namespace, corpus: Corpus, vocabulary: Vocabulary) -> _Texts:
    symbols = corpus.symbols(vocabulary)
    description: dict[str, str | float | int | None] = {
        "train_corpus": _absolute(options.train_corpus), "train_checksum": checksum(symbols),
        "valid_corpus": _absolute(options.valid_corpus), "valid_fraction": options.valid_fraction}
    if options.valid_corpus:
        valid = from_file(options.valid_corpus).symbols(vocabulary)
        return _Texts(symbols, valid, description)
    cut = int(len(symbols) * (1 - options.valid_fraction))
    return _Texts(symbols[:cut], symbols[cut:], description)


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def _keep_description(log_dir: LogDir, description: dict) -> None:
    """Writes what the run is trained on, or checks that it is still the same."""
    if not log_dir.exists:
        log_dir.path.mkdir(parents=True, exist_ok=True)
        log_dir.write(_CORPUS, json.dumps(description, indent=2) + "\n")
        return
    saved = _description(log_dir)
    for key in ("train_checksum", "valid_corpus", "valid_fraction"):
        if saved.get(key) != description[key]:
            raise UsageError(
                f"{str(log_dir.path)!r} holds a run with {key}={saved.get(key)} (of the text "
                f"{saved.get('train_corpus') or 'that Python carries'}), but {key}="
                f"{description[key]} was given. Give the same text, or another --log-dir.")


def _description(log_dir: LogDir) -> dict:
    try:
        description = json.loads(log_dir.read(_CORPUS))
        if not isinstance(description, dict):
            raise TypeError
        return description
    except (json.JSONDecodeError, RecursionError, TypeError):
        raise ValueError(
            f"{str(log_dir.path / _CORPUS)!r}: expected a JSON object. The log directory is "
            "damaged; begin anew in another.") from None


def _held_out(log_dir: LogDir) -> Corpus:
    """The text that the run was validated on."""
    saved = _description(log_dir)
    for key in ("valid_corpus", "train_corpus"):
        if saved.get(key) and not Path(saved[key]).is_file():
            raise UsageError(
                f"the run's {key} was {shown(saved[key])}, which is not there any more. Name a "
                "text with --eval-corpus.")
    if saved.get("valid_corpus"):
        return from_file(saved["valid_corpus"])
    path = saved.get("train_corpus")
    _, held_out = _corpus(Path(path) if path else None).split(saved["valid_fraction"])
    return Corpus(f"{held_out.name} (the held-out end)", held_out.pieces)


def _trained(options: argparse.Namespace) -> TextModel:
    """The model in --log-dir, checked against what else was given."""
    log_dir = LogDir(options.log_dir, PROGRAM)
    hparams = _agreed(log_dir, {k: v for k, v in options.hparams.items() if k != "sequence_size"})
    if options.vocab_corpus:
        _check_vocabulary(log_dir, hparams, options.vocab_corpus)
    return TextModel.load(options.log_dir)


def _agreed(log_dir: LogDir, overrides: dict) -> TextHParams:
    """The run's hyperparameters; raises UsageError where an override contradicts them."""
    saved = log_dir.hparams(TextHParams)
    for difference in saved.diff(saved.replace(**overrides)):
        raise UsageError(
            f"--hparams: {str(log_dir.path)!r} holds a run with {difference.name}="
            f"{difference.ours}, but {difference.name}={difference.theirs} was given. Leave it "
            "out, or give another --log-dir.")
    return saved


def _check_vocabulary(log_dir: LogDir, hparams: TextHParams, path: Path) -> None:
    saved, given = saved_vocabulary(log_dir), _vocabulary(from_file(path), hparams)
    if saved != given:
        raise UsageError(
            f"{shown(str(path))} has another vocabulary than the run in {str(log_dir.path)!r}: "
            f"{len(given.characters)} characters against {len(saved.characters)}; only in the "
            f"text {shown(''.join(saved.unknown(given.characters)))}, only in the run "
            f"{shown(''.join(given.unknown(saved.characters)))}. Leave it out: the run has its own.")


def _tell_end(trained: object, options: argparse.Namespace) -> None:
    step, reason, best, first = trained
    said = {"done": "done", "stopped": "stopped, all is saved", "time": "time is up, all is saved"}
    print(f"step {step}: {said[reason]}"
          + (f"; best validation {best:.4f} nats per character" if math.isfinite(best) else "")
          + (f"; the first step took {first:.1f} s" if first else ""))
    if reason != "done":
        print("The same command again goes on from here.")
    print(f"Next: {PROGRAM} generate --log-dir {options.log_dir}\n"
          f"      {PROGRAM} evaluate --log-dir {options.log_dir}")


def _print_scores(rows: list[tuple[str, Score]]) -> None:
    """A table, the most probable text first."""
    print(f"{'nats/char':>10} {'bits/char':>10} {'perplexity':>11} {'characters':>11}  text")
    for name, score in sorted(rows, key=lambda row: row[1].nats_per_step):
        print(f"{score.nats_per_step:10.4f} {score.bits_per_step:10.4f} {score.perplexity:11.3f} "
              f"{score.steps:11,}  {cli.one_line(name)}{_bound_note(score)}")


def _bound_note(score: Score) -> str:
    if score.bound == "exact":
        return ""
    error = f" +- {score.standard_error:.4f}" if math.isfinite(score.standard_error) else ""
    return (f"  ({score.bound}, {score.num_samples} samples{error}; divergence "
            f"{score.divergence:.4f} nats/char, {score.active_units} active units)")
