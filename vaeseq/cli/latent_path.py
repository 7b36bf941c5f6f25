# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The latents that the commands `latent` decode, chosen by the options of `options.add_latent`."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaeseq import compilation, seeds, vae
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import latents
from vaeseq.types import Nest
from vaeseq.vae.base import WrappedCore


class LatentPath(NamedTuple):
    """Latents to decode.

    Attributes:
      title: what they are.
      captions: one for each.
      latents: `[N, T, Z]`.
    """

    title: str
    captions: list[str]
    latents: np.ndarray


def check_options(args: argparse.Namespace, thing: str) -> None:
    """Checks the options before the model is loaded; raises UsageError if they contradict."""
    if args.goal is not None and args.start is None:
        raise UsageError(f"--to: expected a {thing} to walk from too; give it with --from.")
    if args.swap and args.goal is None:
        raise UsageError(f"--swap: expected two {thing}s; give them with --from and --to.")


def from_options(
    args: argparse.Namespace, gen_core: vae.GenCore, length: int,
    read: Callable[[str, str], Nest], *, thing: str, vae_type: str,
) -> LatentPath:
    """Returns the latents that the options choose.

    Args:
      args: with the options of `add_latent`, `log_dir` and `seed`.
      gen_core: of the trained model.
      length: T, at most.
      read: from the value of an option and its name to a sequence `[at most T, ...]`.
      thing: what a sequence is, such as `text`.
      vae_type: of the model.

    Raises:
      UsageError: the model does not have the latents that the options name.
    """
    core = _check_core(args, gen_core.core, vae_type)

    def infer(value: str, option: str) -> np.ndarray:
        with compilation.without_xla():  # compiling takes longer than one sequence without it
            return latents.infer(gen_core, [read(value, option)], seed=args.seed)[0]

    if args.start is not None:
        start = infer(args.start, "--from")
    else:
        generated, _ = gen_core.generate(
            length, gen_core.initial_state(1), seed=seeds.make(args.seed))
        start = generated.latents[0].numpy()
    if args.goal is None:
        by = np.linspace(-args.range, args.range, args.num_samples)
        return LatentPath(f"Latent dimension {args.dimension}", [f"moved by {x:+.2f}" for x in by],
                          latents.move(start, args.dimension, by))
    goal = infer(args.goal, "--to")
    steps = min(len(start), len(goal))
    start, goal = start[:steps], goal[:steps]
    if isinstance(core, vae.DSAE) and args.swap:
        captions = [f"the first {thing}", f"the second {thing}",
                    "the first with the second's latent of the sequence",
                    "the second with the first's latent of the sequence"]
        exchanged = latents.exchange_static(core, start, goal)
        return LatentPath("Exchanged latents", captions, np.stack([start, goal, *exchanged]))
    weights = np.linspace(0, 1, args.num_samples)
    captions = [f"{100 * weight:.0f} % of the way" for weight in weights]
    return LatentPath(f"A walk between two {thing}s", captions,
                      latents.interpolate(start, goal, weights))


def _check_core(args: argparse.Namespace, core: vae.SequenceCore, vae_type: str) -> vae.VAECore:
    """Returns the core without flows; raises UsageError where it has not the latents."""
    if not core.latent_size or not isinstance(core, vae.VAECore):
        raise UsageError(f"{str(args.log_dir)!r}: expected a model with latents, found "
                         f"vae_type={vae_type}. Train one with vae_type=SRNN, say.")
    inner = core.core if isinstance(core, WrappedCore) else core
    if args.swap and not isinstance(inner, vae.DSAE):
        raise UsageError("--swap: expected a model with a latent of the whole sequence, "
                         f"vae_type=DSAE; found vae_type={vae_type}.")
    if args.dimension >= core.latent_size:
        raise UsageError(f"--dimension: expected one of the {core.latent_size} from 0 to "
                         f"{core.latent_size - 1}; got {args.dimension}.")
    return inner
