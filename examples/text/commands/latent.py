# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text latent: reads what the latents of a trained model mean."""
from __future__ import annotations

import argparse

import numpy as np

from vaeseq.cli import latent_path, options
from vaeseq.evaluate import latents
from vaeseq.runs.progress import working

from .autoencoding import encode_text
from .loading import load_model


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    latent_path.check_options(args, "text")
    model = load_model(args)

    def read(text: str, option: str) -> np.ndarray:
        return encode_text(model, text, option)[:args.length]

    with working("infer"):
        path = latent_path.from_options(
            args, model.gen_core, args.length, read, thing="text",
            vae_type=model.hparams.vae_type)
    samples = latents.decode(model.gen_core, path.latents, temperature=args.temperature,
                             truncation=options.truncation(args), seed=args.seed)
    for caption, symbols in zip(path.captions, samples, strict=True):
        print(f"--- {caption} ---", model.vocabulary.decode(symbols).rstrip("\n"), sep="\n",
              flush=True)
