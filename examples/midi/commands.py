# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What train and evaluate of vaeseq-midi do (imports TensorFlow; `cli` does not)."""
from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli import options as run_options
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import export as export_lib
from vaeseq.evaluate.likelihood import Score
from vaeseq.fields import shown
from vaeseq.runs import warm_start
from vaeseq.runs.log_dir import LogDir
from vaeseq.train import distribute
from vaeseq.train.trainer import Periods

from . import observations, pictures, rolls, settings, sources
from .hparams import MidiHParams
from .model import PROGRAM, MidiModel, saved_mean
from .statistics import PITCH_CLASSES, statistics_of

_FREE_RUNNING = 32  # samples that the histograms are of
_MOST_FRAMES = 256  # of each
_MOST_HEARD = 1 << 18  # frames of music that they are compared with


class _Row(NamedTuple):
    """Of the table of scores: what was named, and its score."""

    name: str
    score: Score


def train(options: argparse.Namespace) -> None:
    """vaeseq-midi train."""
    check_installed()
    log_dir = LogDir(options.log_dir, PROGRAM)
    if settings.exists(log_dir):
        raise UsageError(f"{str(log_dir.path)!r} holds a tuned model. Go on with `{PROGRAM} tune`, "
                         "or give another --log-dir.")
    overrides = dict(options.hparams)
    if options.grid is not None:
        overrides["grid"] = options.grid
    source = warm_start.resolve_source(log_dir, options.init_from)
    if log_dir.exists:
        hparams = run_options.resolve_hparams(log_dir, MidiHParams, overrides)
        seed = log_dir.seed() if options.seed is None else options.seed
    else:
        hparams, seed = _first(source).replace(**overrides), options.seed or 0
    music = sources.read(
        options.train_files, options.valid_files, options.valid_fraction, hparams.frames, log)
    train_rolls = [piece.roll for piece in music.train]
    if log_dir.exists:
        sources.check_same(log_dir, music.description)
        mean = saved_mean(log_dir, hparams)
    else:
        mean = _first_mean(train_rolls, hparams, source)
    frames = sum(map(len, train_rolls))
    strategy = run_options.start(
        options, hparams, seed, data=music.description.train_checksum, size=frames)
    model = MidiModel(
        hparams, options.log_dir, mean=mean, seed=seed, trained_on=music.description)
    if source is not None:
        _begin(model, source, strategy)
    run_options.print_start(strategy, f"Training on {len(music.train):,} pieces of {frames:,} frames; "
                    f"validating on {len(music.valid):,}.")
    with program.stop_on_signal() as should_stop:
        trained = model.train(
            train_rolls, num_steps=options.num_steps, valid=[piece.roll for piece in music.valid],
            max_minutes=options.max_minutes or math.inf,
            periods=Periods(valid=options.valid_every), should_stop=should_stop, strategy=strategy)
    if strategy.is_chief:
        run_options.print_end(trained, options.log_dir, PROGRAM, model.unit)


def evaluate(options: argparse.Namespace) -> None:
    """vaeseq-midi evaluate."""
    check_installed()
    if options.histograms and options.histograms.suffix != ".png":
        raise UsageError("--histograms: expected the name of a picture, FILE.png; got "
                         f"{shown(str(options.histograms))}.")
    model = trained_model(options)
    heard: list[np.ndarray] = []
    rows = []
    for name, pieces in _named(model, options.eval_files):
        score = model.evaluate(pieces, bound=options.bound, num_samples=options.num_samples,
                               seed=options.seed)
        rows.append(_Row(name, score))
        heard += _first_frames(pieces, _MOST_HEARD - sum(map(len, heard)))
        if options.json:
            named = {"corpus": name} if len(options.eval_files) > 1 else {}
            print(json.dumps({**named, **score.as_dict()}, allow_nan=False), flush=True)
    if not options.json:
        _print_scores(rows)
    if options.histograms:
        _compare(model, heard, options)


def _named(model: MidiModel, names: Sequence[str]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """What each row is of, and its rolls; those of one row are in memory at a time."""
    grid = model.hparams.frames
    if not names:
        held_out = sources.held_out(model.log_dir, grid, log)
        yield "the held-out music", [piece.roll for piece in held_out]
    for name in names:
        found = sources.loaded([name], grid, log, f"to score in {program.one_line(name)}")
        yield name, found.rolls


def _first_frames(pieces: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """The first `count` frames of pieces laid end to end, copied."""
    kept = []
    for roll in pieces:
        if count > 0:
            kept.append(roll[:count].copy())
            count -= len(roll)
    return kept


def _compare(model: MidiModel, music: Sequence[np.ndarray], options: argparse.Namespace) -> None:
    """Draws the histograms of free-running samples beside the music's, and tells the numbers."""
    grid = model.hparams.frames
    length = min(_MOST_FRAMES, max(map(len, music)))
    samples = model.compose(num_samples=_FREE_RUNNING, length=length, seed=options.seed)
    of_samples, of_music = (
        statistics_of([rolls.sounding(roll, grid) for roll in pieces], grid.lowest)
        for pieces in (samples, music))
    pictures.save_histograms(options.histograms, of_samples, of_music)
    numbers = {"samples": of_samples, "data": of_music}
    options.histograms.with_suffix(".json").write_text(json.dumps(numbers, indent=2) + "\n")
    if not options.json:
        _print_statistics(of_samples, of_music)


def _print_statistics(of_samples: dict[str, Any], of_music: dict[str, Any]) -> None:
    """The numbers of the histograms, a line each."""
    print(f"\n{'':16} {'samples':>9} {'data':>9}")
    for name in ("notes_per_frame", "silent_frames", "held"):
        print(f"{name:16} {of_samples[name]:9.4f} {of_music[name]:9.4f}")
    for name in ("density", "pitch_classes", "intervals"):
        for number, pair in enumerate(zip(of_samples[name], of_music[name])):
            label = PITCH_CLASSES[number] if name == "pitch_classes" else number
            print(f"{f'{name} {label}':16} {pair[0]:9.4f} {pair[1]:9.4f}")


def export(options: argparse.Namespace) -> None:
    """vaeseq-midi export."""
    check_installed()
    export_lib.check_free(options.output)  # told before anything is loaded
    model = trained_model(options)
    export_lib.save(
        model.gen_core, model.evaluator(options.bound, options.num_samples).bound, options.output,
        rows=options.rows, window=options.window, jit_compile=not options.no_xla,
        check=model.expect_notes,
        description=export_lib.about(PROGRAM, model.step, model.unit, model.hparams))
    run_options.print_exported(options.output, model.step)


def _first(source: Path | None) -> MidiHParams:
    """The hyperparameters of a new run where no others are given; those of `source`, if any."""
    if source is None:
        return MidiHParams()
    with warm_start.as_init_from_error():
        return LogDir(source, PROGRAM).hparams(MidiHParams)


def _first_mean(
    train: Sequence[np.ndarray], hparams: MidiHParams, source: Path | None
) -> np.ndarray:
    """What notes are centred by, `[P]`: as the weights of `source` are used to, where that fits."""
    if source is not None:
        with warm_start.as_init_from_error():
            other = LogDir(source, PROGRAM)
            theirs = other.hparams(MidiHParams)
            if theirs.frames.columns == hparams.frames.columns:
                return saved_mean(other, theirs)
    return observations.means(train, hparams)


def _begin(model: MidiModel, source: Path, strategy: distribute.Strategy) -> None:
    """Gives a model its first weights, those of the run in `source`, and says what it took."""
    with strategy.scope():
        model.build()
    if strategy.is_chief:
        with warm_start.as_init_from_error():
            other = MidiModel.load(source)
        model.origin = warm_start.begin(
            model.log_dir, source, other.step, other.gen_core, model.gen_core)
        print(model.origin.summary())


def trained_model(options: argparse.Namespace) -> MidiModel:
    """The model in --log-dir, checked against what else was given."""
    run_options.resolve_hparams(LogDir(options.log_dir, PROGRAM), MidiHParams, options.hparams)
    return MidiModel.load(options.log_dir)


def check_installed() -> None:
    """Raises UsageError where the libraries for music are missing."""
    missing = [name for name in ("pretty_midi", "matplotlib")
               if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"vaeseq-midi needs {' and '.join(missing)}: pip install vaeseq[midi].")


def log(line: str) -> None:
    """Tells what was loaded; stdout is for results."""
    print("\n".join(map(program.one_line, line.split("\n"))), file=sys.stderr, flush=True)


def _print_scores(rows: list[_Row]) -> None:
    """A table, the most probable music first."""
    print(f"{'nats/frame':>10} {'bits/frame':>10} {'frames':>11}  music")
    for row in sorted(rows, key=lambda row: row.score.nats_per_step):
        score = row.score
        print(f"{score.nats_per_step:10.4f} {score.bits_per_step:10.4f} {score.steps:11,}  "
              f"{program.one_line(row.name)}{_note(score)}")


def _note(score: Score) -> str:
    """How a figure is bounded, where it is not exact."""
    notes = run_options.bound_notes(score, "frame")
    return f"  ({'; '.join(notes)})" if notes else ""
