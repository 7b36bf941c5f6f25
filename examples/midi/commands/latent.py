# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi latent: plays what the latents of a trained model mean."""
from __future__ import annotations

import argparse

from vaeseq.cli import latent_path
from vaeseq.evaluate import latents
from vaeseq.types import Nest

from ..model import observations
from ..output.html import Sample
from ._shared import count_frames, load_model, playing_grid, read_piece, write_samples


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    latent_path.check_options(args, "piece")
    model = load_model(args)
    grid = playing_grid(args.rate, model.hparams.frames)
    length = count_frames(args.length, grid)
    if model.hparams.phrase_frames:  # beyond which no sequence of training goes
        length = min(length, model.hparams.phrase_frames)

    def read(name: str, option: str) -> Nest:
        del option
        return observations.observe(
            read_piece(name, model.hparams.frames, length), model.hparams)

    path = latent_path.from_options(
        args, model.gen_core, length, read, thing="piece",
        vae_type=model.hparams.vae_type)
    decoded = latents.decode(
        model.gen_core, path.latents, temperature=args.temperature, seed=args.seed)
    samples = (Sample(f"step-{number:03}", caption, observations.to_roll(observed, model.hparams))
               for number, (caption, observed) in enumerate(zip(path.captions, decoded), 1))
    start = args.start or "latents drawn from the prior"
    write_samples(args, samples, grid, path.title,
                  f"{args.log_dir}, from {start}, seed {args.seed}", total=len(path.captions))
