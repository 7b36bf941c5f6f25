# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What generate and latent of vaeseq-midi do (imports TensorFlow; `cli` does not)."""
from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vaeseq import seeds, vae
from vaeseq.cli.arguments import UsageError
from vaeseq.fields import shown

from . import commands, given_latents, loading, observations, page
from .hparams import MOST_SECONDS
from .model import MidiModel
from .page import Sample
from .rolls import Grid

_SIDE_BY_SIDE = 16  # samples drawn at once
_SEED_BITS = 31  # of --seed; what is above tells one group of samples from another
_FROM_PRIOR = "latents drawn from the prior"


def generate(options: argparse.Namespace) -> None:
    """vaeseq-midi generate."""
    commands.check_installed()
    model = commands.trained_model(options)
    grid = model.hparams.frames
    prime = _prime(options, grid)
    length = _frames(options.length, grid)
    given = 0.0 if prime is None else len(prime) * grid.frame_seconds
    if given + options.length > MOST_SECONDS:
        raise UsageError(
            f"expected a prime and a --length of at most {MOST_SECONDS} seconds together, got "
            f"{given:.0f} and {options.length:g}. Give a --prime-length.")
    about = f"{options.log_dir}, temperature {options.temperature:g}, seed {options.seed}"
    _write(options, _samples(model, options, prime, length), grid, "Samples", about)


def latent(options: argparse.Namespace) -> None:
    """vaeseq-midi latent."""
    commands.check_installed()
    model = commands.trained_model(options)
    size = model.gen_core.core.latent_size
    if not size:
        raise UsageError(f"{str(options.log_dir)!r}: expected a model with latents, found "
                         f"vae_type={model.hparams.vae_type}. Train one with vae_type=SRNN, say.")
    if options.goal and not options.start:
        raise UsageError("--to: expected a piece to walk from too; give it with --from.")
    if options.dimension >= size:
        raise UsageError(f"--dimension: expected one of the {size} from 0 to {size - 1}; got "
                         f"{options.dimension}.")
    names, latents = _way(model, options)
    samples = _decoded(model, names, latents, options)
    title = "A walk between two pieces" if options.goal else f"Latent dimension {options.dimension}"
    about = f"{options.log_dir}, from {options.start or _FROM_PRIOR}, seed {options.seed}"
    _write(options, samples, model.hparams.frames, title, about)


def _write(
    options: argparse.Namespace, samples: Iterator[Sample], grid: Grid, title: str, about: str
) -> None:
    folder = options.out_dir or options.log_dir / "samples"
    if folder.is_symlink() and not options.out_dir:
        raise UsageError(f"{shown(str(folder))}: expected a folder, not a link. Give an --out-dir.")
    names = page.write(folder, samples, grid, title=title, subtitle=about)
    print(f"{len(names)} written, each as MIDI, WAV and PNG. Open "
          f"{shown(str(folder / 'index.html'), 1000)} in a browser.")


def _samples(
    model: MidiModel, options: argparse.Namespace, prime: np.ndarray | None, length: int
) -> Iterator[Sample]:
    digits = len(str(options.num_samples))
    for first in range(0, options.num_samples, _SIDE_BY_SIDE):
        drawn = model.compose(
            num_samples=min(_SIDE_BY_SIDE, options.num_samples - first), length=length,
            prime=prime, temperature=options.temperature,
            seed=options.seed + (first << _SEED_BITS))
        for number, roll in enumerate(drawn, first + 1):
            whole = roll if prime is None else np.concatenate([prime, roll])
            yield Sample(f"sample-{number:0{digits}}", f"sample {number}", whole,
                         len(whole) - len(roll))


def _prime(options: argparse.Namespace, grid: Grid) -> np.ndarray | None:
    if not options.prime:
        if options.prime_length:
            raise UsageError("--prime-length: expected a --prime to take it of, got none.")
        return None
    return _piece(options.prime, options.prime_length or float("inf"), grid)


def _piece(name: str, seconds: float, grid: Grid) -> np.ndarray:
    """The beginning of the one piece that a name names."""
    roll = loading.load([name], grid).pieces[0].roll
    return roll[:max(1, round(min(seconds / grid.frame_seconds, len(roll))))]


def _frames(seconds: float, grid: Grid) -> int:
    frames = round(seconds / grid.frame_seconds)
    if frames < 1:
        raise UsageError(f"--length: expected at least a frame, {grid.frame_seconds:g} seconds; "
                         f"got {seconds:g}.")
    return frames


def _way(model: MidiModel, options: argparse.Namespace) -> tuple[list[str], np.ndarray]:
    """What each step of the way is called, and its latents `[steps, T, Z]`."""
    grid = model.hparams.frames
    length = _frames(options.length, grid)
    if options.start:
        start = _inferred(model, _piece(options.start, options.length, grid), options.seed)
    else:
        drawn, _ = model.gen_core.generate(
            length, model.gen_core.initial_state(1), seed=seeds.make(options.seed))
        start = drawn.latents[0].numpy()
    if options.goal:
        goal = _inferred(model, _piece(options.goal, options.length, grid), options.seed)
        length = min(len(start), len(goal))
        shares = np.linspace(0, 1, options.num_samples)
        return ([f"{100 * share:.0f} % of the way" for share in shares],
                np.stack([_between(start[:length], goal[:length], share) for share in shares]))
    moves = np.linspace(-options.range, options.range, options.num_samples)
    latents = np.repeat(start[None], len(moves), axis=0)
    latents[:, :, options.dimension] += moves[:, None]
    return [f"moved by {move:+.2f}" for move in moves], latents


def _between(start: np.ndarray, goal: np.ndarray, share: float) -> np.ndarray:
    """A point between two, of a length between theirs, `[T, Z]` each.

    The mean of two draws of a normal distribution is shorter than either, which no decoder has
    seen; so the length is interpolated too.
    """
    point = (1 - share) * start + share * goal
    wanted = (1 - share) * _length(start) + share * _length(goal)
    return point * (wanted / np.maximum(_length(point), 1e-6))


def _length(latents: np.ndarray) -> np.ndarray:
    return np.linalg.norm(latents, axis=-1, keepdims=True)


def _inferred(model: MidiModel, roll: np.ndarray, seed: int) -> np.ndarray:
    """Latents of a roll, `[T, Z]`."""
    agent, core = model.gen_core.agent, model.gen_core.core
    observed = tf.nest.map_structure(
        lambda spec, array: tf.cast(array, spec.dtype)[None], model.observation_spec,
        observations.observe(roll, model.hparams))
    contexts, _ = agent.contexts(observed, agent.initial_state(1), seed=seeds.make(seed))
    return given_latents.infer(core, contexts, observed, seed=seeds.make(seed))[0].numpy()


def _decoded(
    model: MidiModel, names: list[str], latents: np.ndarray, options: argparse.Namespace
) -> Iterator[Sample]:
    """What each row of latents sounds like; all is drawn with the same random numbers."""
    @tf.function(jit_compile=True)
    def decode(given: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        core = given_latents.GivenLatents(model.gen_core.core, given)
        made = vae.GenCore(model.gen_core.agent, core)
        generated, _ = made.generate(given.shape[1], made.initial_state(1),
                                     temperature=temperature, seed=seeds.make(options.seed))
        return generated.observed

    temperature = tf.constant(options.temperature, tf.float32)
    for number, (name, given) in enumerate(zip(names, latents), 1):
        decoded = decode(tf.constant(given[None], tf.float32), temperature)
        observed = tf.nest.map_structure(lambda leaf: leaf[0].numpy(), decoded)
        yield Sample(f"step-{number:03}", name, observations.roll_of(observed, model.hparams))
