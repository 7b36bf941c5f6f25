# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi latent: plays what the latents of a trained model mean."""
from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vaeseq import seeds, vae
from vaeseq.cli.arguments import UsageError
from vaeseq.compilation import compiled

from ..data.piano_roll import Grid
from ..model import MidiModel, fixed_latents, observations
from ..output.html import Sample
from ._shared import count_frames, load_model, playing_grid, read_piece, write_samples


def run(args: argparse.Namespace) -> None:
    """Runs the command."""
    model = load_model(args)
    size = model.gen_core.core.latent_size
    if not size or not isinstance(model.gen_core.core, vae.VAECore):
        raise UsageError(f"{str(args.log_dir)!r}: expected a model with latents, found "
                         f"vae_type={model.hparams.vae_type}. Train one with vae_type=SRNN, say.")
    if args.goal and not args.start:
        raise UsageError("--to: expected a piece to walk from too; give it with --from.")
    if args.swap and not args.goal:
        raise UsageError("--swap: expected two pieces; give them with --from and --to.")
    if args.swap and not isinstance(model.gen_core.core, vae.DSAE):
        raise UsageError("--swap: expected a model with a latent of the whole sequence, "
                         f"vae_type=DSAE; found vae_type={model.hparams.vae_type}.")
    if args.dimension >= size:
        raise UsageError(f"--dimension: expected one of the {size} from 0 to {size - 1}; got "
                         f"{args.dimension}.")
    grid = playing_grid(args.rate, model.hparams.frames)
    captions, latents = _path(model, grid, args)
    title = f"Latent dimension {args.dimension}"
    if args.goal:
        title = "Exchanged latents" if args.swap else "A walk between two pieces"
    start = args.start or "latents drawn from the prior"
    write_samples(args, _decode(model, captions, latents, args), grid, title,
                  f"{args.log_dir}, from {start}, seed {args.seed}", total=len(captions))


def _path(
    model: MidiModel, grid: Grid, args: argparse.Namespace
) -> tuple[list[str], np.ndarray]:
    """Returns the caption of each sample, and the latents `[samples, T, Z]`."""
    length = count_frames(args.length, grid)
    if model.hparams.phrase_frames:  # beyond which no sequence of training goes
        length = min(length, model.hparams.phrase_frames)
    if args.start:
        start = _infer(model, args.start, length, args)
    else:
        generated, _ = model.gen_core.generate(
            length, model.gen_core.initial_state(1), seed=seeds.make(args.seed))
        start = generated.latents[0].numpy()
    if args.goal:
        goal = _infer(model, args.goal, length, args)
        length = min(len(start), len(goal))
        if args.swap:
            return _swapped(model.gen_core.core, start[:length], goal[:length])
        weights = np.linspace(0, 1, args.num_samples)
        return ([f"{100 * weight:.0f} % of the way" for weight in weights],
                np.stack([_interpolate(start[:length], goal[:length], weight)
                          for weight in weights]))
    moves = np.linspace(-args.range, args.range, args.num_samples)
    latents = np.repeat(start[None], len(moves), axis=0)
    latents[:, :, args.dimension] += moves[:, None]
    return [f"moved by {move:+.2f}" for move in moves], latents


def _swapped(
    core: vae.DSAE, start: np.ndarray, goal: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Returns two pieces' latents, `[T, Z]` each, and the same with their static latents exchanged.

    Returns:
      Captions, and latents `[4, T, Z]`.
    """
    both = np.stack([start, goal])
    dynamic, static = core.split(both)
    return (["the first piece", "the second piece", "the first with the second's latent of the "
             "sequence", "the second with the first's latent of the sequence"],
            np.concatenate([both, core.join(dynamic, static[::-1])]))


def _interpolate(start: np.ndarray, goal: np.ndarray, weight: float) -> np.ndarray:
    """Returns a point between two, `[T, Z]` each, with the norm interpolated as well.

    The mean of two draws of a normal distribution is shorter than either, and the decoder was not
    trained on such points.
    """
    point = (1 - weight) * start + weight * goal
    norm = (1 - weight) * _norm(start) + weight * _norm(goal)
    return point * (norm / np.maximum(_norm(point), 1e-6))


def _norm(latents: np.ndarray) -> np.ndarray:
    return np.linalg.norm(latents, axis=-1, keepdims=True)


def _infer(model: MidiModel, name: str, length: int, args: argparse.Namespace) -> np.ndarray:
    """Returns latents `[T, Z]` of at most `length` frames of a piece, from the posterior."""
    roll = read_piece(name, model.hparams.frames, length)
    agent, core = model.gen_core.agent, model.gen_core.core
    observed = tf.nest.map_structure(
        lambda spec, array: tf.cast(array, spec.dtype)[None], model.observation_spec,
        observations.observe(roll, model.hparams))
    seed = seeds.make(args.seed)
    contexts, _ = agent.contexts(observed, agent.initial_state(1), seed=seed)
    return fixed_latents.infer(core, contexts, observed, seed=seed)[0].numpy()


def _decode(
    model: MidiModel, captions: list[str], latents: np.ndarray, args: argparse.Namespace
) -> Iterator[Sample]:
    """Draws a sample for each `[T, Z]` of the latents, all with the same random numbers."""
    @compiled
    def decode(z: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        core = fixed_latents.FixedLatents(model.gen_core.core, z)
        gen_core = vae.GenCore(model.gen_core.agent, core)
        generated, _ = gen_core.generate(z.shape[1], gen_core.initial_state(1),
                                         temperature=temperature, seed=seeds.make(args.seed))
        return generated.observed

    temperature = tf.constant(args.temperature, tf.float32)
    for number, (caption, z) in enumerate(zip(captions, latents), 1):
        decoded = decode(tf.constant(z[None], model.gen_core.core.dtype), temperature)
        observed = tf.nest.map_structure(lambda leaf: leaf[0].numpy(), decoded)
        yield Sample(f"step-{number:03}", caption, observations.to_roll(observed, model.hparams))
