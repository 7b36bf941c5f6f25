# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi harmonise: draws the other notes of a given line from a trained model."""
from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator

from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError

from ..data import lines
from ..data.lines import Line
from ..model import MidiModel
from ..output.html import Sample
from ._shared import (
    count_frames,
    load_model,
    playing_grid,
    read_piece,
    read_whole_piece,
    write_samples,
)


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    if model.hparams.decoder == "scores":
        raise UsageError(f"{str(args.log_dir)!r}: expected a model with decoder=masked or "
                         "bernoulli, found decoder=scores, which draws all notes of a frame "
                         "together.")
    grid = playing_grid(args.rate, model.hparams.frames)
    if args.length:
        roll = read_piece(args.melody, model.hparams.frames, count_frames(args.length, grid))
    else:
        roll = read_whole_piece(args.melody, model.hparams.frames, grid)
    line = lines.keep(roll, args.keep, model.hparams.frames)
    title = f"{program.one_line(os.path.basename(args.melody))}, {args.keep} kept"
    evidences: list[float] = []
    write_samples(args, _draw(model, line, args, evidences), grid, title,
                  f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}, "
                  f"{args.num_particles} particles; kept notes are grey", total=args.num_samples)
    peak = max(evidences)
    mean = peak + math.log(sum(math.exp(one - peak) for one in evidences) / len(evidences))
    print(f"log-evidence of the kept notes: {mean / len(line.roll):.4f} nats per frame, "
          f"{len(line.roll)} frames, {args.num_particles * args.num_samples} particles")


def _draw(
    model: MidiModel, line: Line, args: argparse.Namespace, evidences: list[float]
) -> Iterator[Sample]:
    """Draws the samples, and appends the log-evidence of each, in nats, to `evidences`."""
    digits = len(str(args.num_samples))
    for number, (roll, log_evidence) in enumerate(model.harmonise(
            line, num_samples=args.num_samples, num_particles=args.num_particles,
            temperature=args.temperature, seed=args.seed), 1):
        evidences.append(log_evidence)
        caption = (f"sample {number}: log-evidence of the kept notes "
                   f"{log_evidence / len(roll):.3f} nats per frame")
        yield Sample(f"sample-{number:0{digits}}", caption, roll, kept_notes=line.roll)
