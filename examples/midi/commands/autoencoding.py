# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands for autoencoders of phrases: encode, reconstruct, interpolate and vary."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from vaeseq.autoencoder import Autoencoder, Encoded, spherical
from vaeseq.cli import program
from vaeseq.cli.arguments import UsageError
from vaeseq.cli.program import counted, log
from vaeseq.fields import short_repr
from vaeseq.runs.progress import working

from ..data import sources
from ..model import MidiModel, observations, phrases
from ..model.observations import ObservedRolls
from ..output.html import Sample
from ._shared import count_frames, load_model, playing_grid, read_piece, write_samples


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
        with working("encode"):
            return self._coder.encode(ObservedRolls(rolls, self.model.hparams))

    def decode(self, z: np.ndarray) -> list[np.ndarray]:
        """Returns a whole phrase for each latent `[N, Z]`."""
        with working("decode"):
            observed = self._coder.decode(
                z, length=self.size, temperature=self._temperature, seed=self._seed)
        return [observations.to_roll(one, self.model.hparams) for one in observed]

    def read(self, name: str, length: int) -> list[np.ndarray]:
        """Returns the whole phrases in the first `length` frames of a piece, at least one."""
        roll = read_piece(name, self.model.hparams.frames, max(length, self.size))
        rolls = phrases.split([roll], self.model.hparams)
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


def encode(args: argparse.Namespace) -> None:
    """Writes the latents of phrases into a file."""
    coder = PhraseCoder(args)
    parts = [phrases.split([roll], coder.model.hparams)
             for roll in coder.read_pieces(args.input)]
    encoded = coder.encode([roll for part in parts for roll in part])
    with open(args.output, "wb") as file:
        np.savez(file, mean=encoded.mean, stddev=encoded.stddev,
                 piece=np.repeat(np.arange(len(parts)), list(map(len, parts))),
                 phrase=np.concatenate([np.arange(len(part)) for part in parts]))
    print(f"{program.one_line(str(args.output))}: the latents of "
          f"{counted(len(encoded.mean), 'phrase')} of {counted(len(parts), 'piece')}, "
          f"{encoded.mean.shape[1]} numbers each.")


def reconstruct(args: argparse.Namespace) -> None:
    """Plays phrases beside what an autoencoder makes of them."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    rolls = [roll for roll in phrases.split(coder.read_pieces(args.input), coder.model.hparams)
             if len(roll) == coder.size and roll.any()]
    if not rolls:
        raise UsageError(f"--input: expected a phrase of {coder.size} frames with notes, got none.")
    shown = rolls[::max(1, len(rolls) // args.num_samples)][:args.num_samples]
    copies = coder.decode(coder.encode(shown).mean)

    def samples() -> Iterator[Sample]:
        for number, (roll, copy) in enumerate(zip(shown, copies, strict=True), 1):
            yield Sample(f"phrase-{number:03}", f"phrase {number}", roll)
            yield Sample(f"phrase-{number:03}-decoded", f"phrase {number}, decoded", copy)

    write_samples(args, samples(), grid, "Phrases and their reconstructions",
                  f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}",
                  total=2 * len(shown))


def interpolate(args: argparse.Namespace) -> None:
    """Plays what lies between two pieces, phrase by phrase."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    length = count_frames(args.length, grid)
    start, end = (coder.read(name, length) for name in (args.start, args.end))
    count = min(len(start), len(end))
    ends = (coder.encode(rolls[:count]).mean for rolls in (start, end))
    paths = np.stack([spherical(a, b, args.num_samples) for a, b in zip(*ends)], 1)  # [S, N, Z]
    decoded = coder.decode(paths.reshape([-1, paths.shape[-1]]))
    samples = [Sample("from", f"the first piece, {args.start}", np.concatenate(start[:count]))]
    for number, weight in enumerate(np.linspace(0, 1, args.num_samples)):
        samples.append(Sample(
            f"step-{number + 1:03}", f"{100 * weight:.0f} % of the way",
            np.concatenate(decoded[number * count:(number + 1) * count])))
    samples.append(Sample("to", f"the last piece, {args.end}", np.concatenate(end[:count])))
    write_samples(args, samples, grid, "Between two pieces",
                  f"{args.log_dir}, temperature {args.temperature:g}, seed {args.seed}",
                  total=len(samples))


def vary(args: argparse.Namespace) -> None:
    """Plays variations of a piece, each with all phrases moved in one random direction."""
    coder = PhraseCoder(args)
    grid = playing_grid(args.rate, coder.model.hparams.frames)
    rolls = coder.read(args.piece, count_frames(args.length, grid))
    means = coder.encode(rolls).mean
    moves = np.random.default_rng(args.seed).standard_normal(
        [args.num_samples, 1, means.shape[1]])
    decoded = coder.decode((means + args.distance * moves).reshape([-1, means.shape[1]]))
    samples = [Sample("piece", f"the piece, {args.piece}", np.concatenate(rolls))]
    samples += [
        Sample(f"variation-{number + 1:03}", f"variation {number + 1}",
               np.concatenate(decoded[number * len(rolls):(number + 1) * len(rolls)]))
        for number in range(args.num_samples)]
    write_samples(args, samples, grid, "Variations",
                  f"{args.log_dir}, distance {args.distance:g}, temperature "
                  f"{args.temperature:g}, seed {args.seed}", total=len(samples))
