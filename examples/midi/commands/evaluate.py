# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi evaluate: scores pieces, and compares samples with them."""
from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaeseq.cli import options, program, sample_report
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import log
from vaeseq.evaluate.likelihood import Score
from vaeseq.fields import short_repr
from vaeseq.runs.progress import Progress

from ..data import loading, piano_roll, sources
from ..data.piano_roll import Grid
from ..model import MidiModel
from ..output import plots
from ..output.roll_statistics import PITCH_CLASSES, statistics_of
from . import samples
from ._shared import load_model

_HISTOGRAM_SAMPLES = 32
_MAX_SAMPLE_FRAMES = 256
_MAX_NUMBERS = 1 << 20  # characters of a file of numbers
_MAX_MUSIC_FRAMES = 1 << 18  # of the music that samples are compared with


class _Corpus(NamedTuple):
    """The music of a row."""

    name: str  # from --eval-files
    frames: int  # of all its pieces
    load: Callable[[], list[np.ndarray]]  # returns its rolls, uint8 `[T, columns]` each


class _Row(NamedTuple):
    """A name from --eval-files, and its score."""

    name: str
    score: Score


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    if args.histograms and args.histograms.suffix != ".png":
        raise UsageError("--histograms: expected the name of a picture, FILE.png; got "
                         f"{short_repr(str(args.histograms))}.")
    sample_report.check_options(args, "histograms")
    if args.histograms:
        _check_numbers(args.histograms.with_suffix(".json"))
    model = load_model(args)
    if args.samples:
        samples.run(model, args)
        return
    music: list[np.ndarray] = []
    rows = []
    corpora = _corpora(model, args.eval_files)
    with Progress("evaluate", total=sum(corpus.frames for corpus in corpora), unit="frame",
                  counted="frames", hidden=args.json, is_brief=True) as progress:
        for corpus in corpora:
            pieces = corpus.load()
            score = model.evaluate(pieces, bound=args.bound, num_samples=args.num_samples,
                                   seed=args.seed, progress=progress)
            rows.append(_Row(corpus.name, score))
            music += _first_frames(pieces, _MAX_MUSIC_FRAMES - sum(map(len, music)))
            if args.json:
                label = {"corpus": corpus.name} if len(corpora) > 1 else {}
                print(json.dumps({**label, **score.as_dict()}, allow_nan=False), flush=True)
    if not args.json:
        _print_table(rows)
    if args.histograms:
        _compare(model, music, args)


def _check_numbers(path: Path) -> None:
    """Raises UsageError where the numbers of --histograms would replace another file."""
    try:
        with open(path, encoding="utf-8") as file:
            is_ours = json.loads(file.read(_MAX_NUMBERS)).keys() == {"samples", "data"}
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError, AttributeError):
        is_ours = False
    if not is_ours:
        raise UsageError(f"--histograms: the numbers would replace {short_repr(os.fspath(path))}. "
                         "Give another name.")


def _corpora(model: MidiModel, names: Sequence[str]) -> list[_Corpus]:
    """Returns the music of each row, and logs what it is.

    Every name is read here, so that an error comes before the first is scored. They are read again
    one by one, from the cache, as the rolls of all together may not fit in memory.
    """
    grid = model.hparams.frames
    if not names:
        rolls = [piece.roll for piece in sources.held_out(model.log_dir, grid, log)]
        return [_Corpus("the held-out music", sum(map(len, rolls)), lambda: rolls)]

    def corpus(name: str) -> _Corpus:
        loaded = sources.load([name], grid, log, f"to score in {program.one_line(name)}")
        return _Corpus(name, sum(map(len, loaded.rolls)),
                       lambda: loading.load([name], grid, quiet=True).rolls)

    return [corpus(name) for name in names]


def _first_frames(pieces: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Returns copies of the first `count` frames of pieces laid end to end."""
    frames = []
    for roll in pieces:
        if count > 0:
            frames.append(roll[:count].copy())
            count -= len(roll)
    return frames


def _compare(model: MidiModel, music: Sequence[np.ndarray], args: argparse.Namespace) -> None:
    """Draws histograms of free-running samples beside the music's, and prints their numbers."""
    grid = model.hparams.frames
    length = min(_MAX_SAMPLE_FRAMES, max(map(len, music)))
    generated = model.compose(num_samples=_HISTOGRAM_SAMPLES, length=length, seed=args.seed)
    of_samples, of_music = (_statistics(pieces, grid) for pieces in (generated, music))
    plots.save_histograms(args.histograms, of_samples, of_music)
    numbers = {"samples": of_samples, "data": of_music}
    args.histograms.with_suffix(".json").write_text(json.dumps(numbers, indent=2) + "\n")
    if not args.json:
        _print_statistics(of_samples, of_music)


def _statistics(pieces: Sequence[np.ndarray], grid: Grid) -> dict[str, Any]:
    """Returns the statistics of rolls; a part of drums has no pitch classes and no intervals."""
    everything, pitched = (
        statistics_of([notes_of(roll, grid) for roll in pieces], grid.lowest)
        for notes_of in (piano_roll.sounding, piano_roll.sounding_pitches))
    return {**everything, **{name: pitched[name] for name in ("pitch_classes", "intervals")}}


def _print_statistics(of_samples: dict[str, Any], of_music: dict[str, Any]) -> None:
    """Prints the numbers of the histograms, one per line."""
    print(f"\n{'':16} {'samples':>9} {'data':>9}")
    for name in ("notes_per_frame", "silent_frames", "held"):
        print(f"{name:16} {of_samples[name]:9.4f} {of_music[name]:9.4f}")
    for name in ("density", "pitch_classes", "intervals"):
        for number, pair in enumerate(zip(of_samples[name], of_music[name])):
            label = PITCH_CLASSES[number] if name == "pitch_classes" else number
            print(f"{f'{name} {label}':16} {pair[0]:9.4f} {pair[1]:9.4f}")


def _print_table(rows: list[_Row]) -> None:
    """Prints the scores, the most probable music first."""
    print(f"{'nats/frame':>10} {'bits/frame':>10} {'frames':>11}  music")
    for row in sorted(rows, key=lambda row: row.score.nats_per_step):
        score = row.score
        notes = options.bound_notes(score, "frame")
        print(f"{score.nats_per_step:10.4f} {score.bits_per_step:10.4f} {score.steps:11,}  "
              f"{program.one_line(row.name)}" + (f"  ({'; '.join(notes)})" if notes else ""))
