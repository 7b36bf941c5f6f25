# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Functions that several commands share."""
from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from vaeseq.cli import options
from vaeseq.cli.arguments import UsageError, check_output, check_outputs
from vaeseq.cli.program import counted, log, one_line
from vaeseq.fields import short_repr
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress

from ..data import files, loading, sources
from ..data.piano_roll import Grid
from ..hparams import MAX_SECONDS, MidiHParams
from ..model import PROGRAM, MidiModel
from ..output import html
from ..output.html import Sample

_LARGEST_BATCH = 16  # samples drawn at once
_PIECES = ("prime", "melody", "piece", "start", "goal", "end")  # arguments that name a file
_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch's first sample


def load_model(args: argparse.Namespace) -> MidiModel:
    """Restores the model in --log-dir.

    Raises:
      ValueError: --hparams contradict it.
      UsageError: an output would replace a file that the model was trained on.
    """
    check_installed()
    log_dir = LogDir(args.log_dir, PROGRAM)
    options.resolve_hparams(log_dir, MidiHParams, args.hparams)
    check_outputs(args, lambda: _files(log_dir))
    return MidiModel.load(args.log_dir, **args.hparams)


def _files(log_dir: LogDir) -> list[str]:
    """Returns the files of a run's music that still exist."""
    if not (log_dir.path / sources.FILE).exists():
        return []
    music = sources.Description.load(log_dir)
    paths = []
    for name in [*music.train_files, *music.valid_files]:
        with contextlib.suppress(UsageError):  # it is gone
            paths += [source.path for source in files.find([name])[0]]
    return paths


def check_installed() -> None:
    """Raises UsageError where a library for music is missing."""
    missing = [name for name in ("pretty_midi", "matplotlib")
               if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"vaeseq-midi needs {' and '.join(missing)}: pip install 'vaeseq[midi]'.")


def read_piece(name: str, grid: Grid, length: int | None = None) -> np.ndarray:
    """Returns the roll of a piece, or of its first `length` frames.

    Logs how many of its notes a model with this grid does not have.
    """
    loaded = loading.load([name], grid)
    if loaded.outside:
        log(f"{short_repr(name)}: {loaded.outside}")
    if len(loaded.pieces) > 1:
        raise UsageError(f"{short_repr(name)}: expected one piece, got {len(loaded.pieces)}. Name "
                         "one of its files.")
    return loaded.pieces[0].roll[:length]


def read_whole_piece(name: str, grid: Grid, playing: Grid) -> np.ndarray:
    """Returns the roll of a piece, uint8 `[T, columns]`, up to MAX_SECONDS as the sample plays it.

    Logs where the piece is longer.
    """
    roll = read_piece(name, grid)
    length = count_frames(MAX_SECONDS, playing)
    if len(roll) > length:
        log(f"{short_repr(name)}: cut to its first {length:,} of {len(roll):,} frames, as a sample "
            f"has at most {MAX_SECONDS} seconds.")
    return roll[:length]


def playing_grid(rate: float | None, grid: Grid) -> Grid:
    """Returns a model's grid at the pace of --rate; raises UsageError for one out of range."""
    try:
        return grid if rate is None else grid.played_at(rate)
    except ValueError as error:
        raise UsageError(f"--rate: {error}.") from None


def count_frames(seconds: float, grid: Grid, option: str = "--length") -> int:
    """Returns the number of frames of `option`; raises UsageError where it is less than one."""
    frames = round(seconds / grid.frame_seconds)
    if frames < 1:
        raise UsageError(f"{option}: expected at least a frame, {grid.frame_seconds:g} seconds; "
                         f"got {seconds:g}.")
    return frames


def numbered_samples(
    args: argparse.Namespace, draw: Callable[..., list[np.ndarray]],
    prime: np.ndarray | None = None,
) -> Iterator[Sample]:
    """Yields --num-samples samples that `draw` returns in batches, each after the prime."""
    digits = len(str(args.num_samples))
    for first in range(0, args.num_samples, _LARGEST_BATCH):
        rolls = draw(num_samples=min(_LARGEST_BATCH, args.num_samples - first),
                     temperature=args.temperature, seed=args.seed + (first << _SEED_BITS))
        for number, roll in enumerate(rolls, first + 1):
            whole = roll if prime is None else np.concatenate([prime, roll])
            yield Sample(f"sample-{number:0{digits}}", f"sample {number}", whole,
                         len(whole) - len(roll))


def write_samples(
    args: argparse.Namespace, samples: Iterable[Sample], grid: Grid, title: str, subtitle: str, *,
    total: int,
) -> None:
    """Writes samples and their page into --out-dir, by default a folder of the run.

    Shows progress towards `total` samples, which may be drawn as they are asked for.

    Raises:
      UsageError: the folder is a link, or a sample would replace a piece that the command reads.
      OSError: it cannot be created or written.
    """
    folder = args.out_dir or args.log_dir / "samples"
    if folder.is_symlink() and not args.out_dir:
        raise UsageError(f"{short_repr(str(folder))}: expected a folder, not a link. Give an "
                         "--out-dir.")
    pieces = [name for name in map(vars(args).get, _PIECES) if name]
    pieces += getattr(args, "input", None) or []

    def checked(progress: Progress) -> Iterator[Sample]:
        for sample in samples:
            file = f"{sample.name}.mid"
            check_output("--out-dir", folder / file, [
                os.path.join(piece, file) if os.path.isdir(piece) else piece for piece in pieces])
            yield sample._replace(caption=one_line(sample.caption))
            progress.advance()

    with Progress("draw", total=total, unit="sample", counted="samples", is_brief=True) as progress:
        count = html.write(
            folder, checked(progress), grid, title=title, subtitle=one_line(subtitle))
    print(f"{counted(count, 'sample')} written, each as MIDI, MusicXML, WAV and PNG. Open "
          f"{short_repr(str(folder / 'index.html'), 1000)} in a browser.")
