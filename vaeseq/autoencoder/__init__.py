# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sequence autoencoders: encode, decode, interpolate, and models of the latents in the middle.

    autoencoder = Autoencoder(model.gen_core)
    means, stddevs = autoencoder.encode(sequences)
    states = make("mixture")
    states.fit(means, stddevs)
    autoencoder.decode(states.sample(3, seed=1), length=80)
    autoencoder.decode(spherical(means[0], means[1], 7), length=80, seed=2)

The core is `vaeseq.vae.SEQAE`. `measures` tells whether the decoder uses the latent.
"""
from __future__ import annotations

import functools
from collections.abc import Callable

from vaeseq.autoencoder import measures
from vaeseq.autoencoder.autoencoder import Autoencoder, Encoded, Likelihood, neighbours, spherical
from vaeseq.autoencoder.learned import Flow, Generator
from vaeseq.autoencoder.states import Mixture, Normal, StateModel, Vamp

__all__ = [
    "Autoencoder", "Encoded", "Flow", "Generator", "Likelihood", "Mixture", "Normal",
    "STATE_MODELS", "StateModel", "Vamp", "make", "measures",
    "neighbours", "spherical"]

# Each is called with the keyword `seed`.
STATE_MODELS: dict[str, Callable[..., StateModel]] = {
    "normal": lambda *, seed: Normal(),
    "mixture": Mixture,
    "flow": Flow,
    "gan": Generator,
    "gmmn": functools.partial(Generator, "mmd"),
    "vamp": Vamp,
}


def make(name: str, *, seed: int = 0) -> StateModel:
    """Creates a model of latents by name, with its default settings.

    Args:
      name: "normal", "mixture", "flow", "gan", "gmmn" (a generator trained by moment matching) or
        "vamp".
      seed: of everything random in fitting it.

    Raises:
      ValueError: an unknown name.
    """
    if name not in STATE_MODELS:
        raise ValueError(f"expected a state model among {', '.join(STATE_MODELS)}; got {name!r}.")
    return STATE_MODELS[name](seed=seed)
