# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the commands for autoencoders of phrases share."""
from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from vaeseq.autoencoder import Autoencoder, Encoded
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import log
from vaeseq.fields import short_repr

from ..data import sources
from ..model import MidiModel, observations, phrases
from ..model.observations import ObservedRolls
from ._shared import load_model, read_piece


class PhraseCoder:
    """Encodes and decodes phrases, rolls uint8 `[N, P]`.

    Attributes:
      model: the trained model.
      size: frames of a whole phrase.
    """

    def __init__(self, args: argparse.Namespace):
        """Loads the model in --log-dir; raises UsageError for one that is no autoencoder."""
        self.model: MidiModel = load_model(args)
        self.size = self.model.hparams.phrase_frames
        self._temperature, self._seed = getattr(args, "temperature", 1.0), getattr(args, "seed", 0)
        try:
            self._coder = Autoencoder(self.model.gen_core)
        except ValueError as error:
            raise UsageError(f"{short_repr(str(args.log_dir))}: {error} Train with "
                             "--hparams vae_type=SEQAE,bars=2,grid=16.") from None
        if not self.size:
            raise UsageError(f"{short_repr(str(args.log_dir))}: expected a model of phrases, found "
                             "bars=0. Train with --hparams vae_type=SEQAE,bars=2,grid=16.")

    def encode(self, rolls: Sequence[np.ndarray]) -> Encoded:
        """Returns the posteriors of phrases."""
        return self._coder.encode(ObservedRolls(rolls, self.model.hparams))

    def decode(self, z: np.ndarray) -> list[np.ndarray]:
        """Returns a whole phrase for each latent `[N, Z]`."""
        observed = self._coder.decode(
            z, length=self.size, temperature=self._temperature, seed=self._seed)
        return [observations.to_roll(one, self.model.hparams) for one in observed]

    def read(self, name: str, seconds: float) -> list[np.ndarray]:
        """Returns the whole phrases in the first seconds of a piece, at least one phrase."""
        grid = self.model.hparams.frames
        seconds = max(seconds, self.size * grid.frame_seconds)
        rolls = phrases.split([read_piece(name, seconds, grid)], self.model.hparams)
        whole = [roll for roll in rolls if len(roll) == self.size]
        if not whole:
            raise UsageError(
                f"{short_repr(name)}: expected a phrase of {self.size} frames at least, got "
                f"{len(rolls[0])}.")
        return whole

    def read_pieces(self, names: Sequence[str]) -> list[np.ndarray]:
        """Returns the rolls of pieces, by default of the held-out music."""
        grid = self.model.hparams.frames
        if not names:
            return [piece.roll for piece in sources.held_out(self.model.log_dir, grid, log)]
        listed = program.one_line(", ".join(names))
        return list(sources.load(names, grid, log, f"to encode in {listed}").rolls)
