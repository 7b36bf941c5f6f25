# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi listen: a page on which a listener chooses between samples."""
from __future__ import annotations

import argparse
import functools
import tempfile
from pathlib import Path
from typing import Any

from vaeseq.cli import options
from vaeseq.tuning import collect
from vaeseq.tuning.page import Shown

from ..data.piano_roll import Grid
from ..model import PROGRAM
from ..output import audio, plots
from ..tuning import rewards
from ._shared import count_frames, load_model, playing_grid

_SEED_BITS = 31  # of --seed; higher bits hold the number of the batch


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    grid = playing_grid(args.rate, model.hparams.frames)
    length = count_frames(args.length, grid)

    def draw(count: int, batch: int) -> list[Any]:
        rolls = model.compose(
            num_samples=count, length=length, temperature=args.temperature,
            seed=args.seed + (batch << _SEED_BITS))
        return [rewards.from_roll(roll) for roll in rolls]

    collect.serve(
        args.choices or args.log_dir / "choices.jsonl", args.listener, draw,
        lambda content: _shown(content, grid), rewards.domain(model), total=args.pairs,
        is_active=args.active, seed=args.seed, title="Which music is better?", port=args.port,
        print_next=functools.partial(options.print_next_steps, PROGRAM, args))


def _shown(content: Any, grid: Grid) -> Shown:
    """Returns a sample with its sound and its piano roll."""
    roll = rewards.to_roll(content, grid)
    with tempfile.TemporaryDirectory() as folder:
        sound, picture = Path(folder, "sample.wav"), Path(folder, "sample.png")
        audio.save(sound, audio.play(roll, grid))
        plots.save_roll(picture, roll, grid, title="")
        return Shown(content, files={"wav": sound.read_bytes(), "png": picture.read_bytes()})
