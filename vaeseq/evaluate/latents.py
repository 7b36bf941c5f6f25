# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What the latents of a model mean: latents inferred, moved, interpolated, exchanged and decoded.

Axes: N sequences, B batch, T time, Z latent.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import data, nest, seeds
from vaeseq.compilation import compiled
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import DSAE, GenCore
from vaeseq.vae.base import CoreState, VAECore, WrappedCore


class FixedLatents(WrappedCore):
    """Another core with z_1:T fixed: the prior is deterministic, the rest is unchanged.

    The state carries the remaining latents, so that `GenCore` samples from it as from any core.
    """

    def __init__(self, core: VAECore, latents: Tensor, name: str | None = None):
        """Fixes the latents of a core for all steps that will be drawn, `[B, T, Z]`."""
        super().__init__(core, name=name)
        self._latents = latents

    @property
    def state_spec(self) -> CoreState:
        context_feature, latent = self.core.state_spec
        remaining = tf.TensorSpec(self._latents.shape[1:], self._latents.dtype)
        return CoreState(context_feature, (latent, remaining))

    def initial_state(self, batch_size: int | Tensor) -> CoreState:
        context_feature, latent = self.core.initial_state(batch_size)
        return CoreState(context_feature, (latent, tf.convert_to_tensor(self._latents)))

    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        latent, remaining = state
        return self.core.hidden(context_feature, latent), remaining

    def prior(self, h: Nest) -> tfd.Distribution:
        _, remaining = h
        return tfd.Independent(tfd.Deterministic(remaining[:, 0]), 1)

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        del feature
        return self.prior(h)

    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        inner, remaining = h
        outputs, latent = self.core.update(inner, z)
        return outputs, (latent, tf.roll(remaining, -1, axis=1))


def infer(
    gen_core: GenCore, sequences: Sequence[Nest], inputs: Nest = (), *, seed: int | Seed = 0
) -> np.ndarray:
    """Draws the latents of sequences from the posterior.

    Args:
      gen_core: the agent and the core.
      sequences: nests of arrays `[T, ...]`, all of one length.
      inputs: of the agent, a nest of `[N, T, ...]`.
      seed: of the draws.

    Returns:
      `[N, T, Z]`.
    """
    agent, core = gen_core.agent, gen_core.stepwise
    batch = data.pad(sequences, int(data.sizes(sequences)[0]))

    @compiled
    def draw(observed: Nest, inputs: Nest, seed: Seed) -> Tensor:
        rows = nest.leading_dim(observed)
        contexts, _ = agent.contexts(observed, agent.initial_state(rows), inputs, seed=seed)
        state = core.initial_state(rows)
        context_features, _ = core.encode_contexts(contexts, state.context)
        features = core.encode_observed(context_features, observed)
        return core.infer(context_features, features, state.latent, seed=seed).latents

    observed = data.as_tensors(batch, core.observation_spec).observed
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    return draw(observed, inputs, seeds.make(seed)).numpy()


def decode(
    gen_core: GenCore, latents: np.ndarray, *, temperature: float = 1.0,
    truncation: Truncation = Truncation(), seed: int | Seed = 0,
) -> Iterator[Nest]:
    """Draws a sequence for each of some latents, all with the same random numbers.

    Args:
      gen_core: the agent and the core.
      latents: `[N, T, Z]`.
      temperature: above 0, of the decoder's distribution.
      truncation: which classes a decoder of classes may draw.
      seed: of the random numbers.

    Yields:
      For each sequence a nest of arrays `[at most T, ...]`; shorter ones were ended by the agent.
    """
    agent, core = gen_core.agent, gen_core.stepwise

    @compiled
    def draw(z: Tensor, temperature: Tensor) -> tuple[Nest, Tensor]:
        fixed = GenCore(agent, FixedLatents(core, z))
        generated, _ = fixed.generate(z.shape[1], fixed.initial_state(1), temperature=temperature,
                                      truncation=truncation, seed=seeds.make(seed))
        return generated.observed, generated.lengths[0]

    for z in latents:
        observed, length = draw(tf.constant(z[np.newaxis], core.dtype),
                                tf.constant(temperature, tf.float32))
        yield tf.nest.map_structure(lambda leaf, length=length: leaf[0, :length].numpy(), observed)


def move(latents: np.ndarray, dimension: int, by: np.ndarray) -> np.ndarray:
    """Returns latents `[T, Z]` with a dimension moved at all steps, `[len(by), T, Z]`."""
    moved = np.repeat(latents[np.newaxis], len(by), axis=0)
    moved[:, :, dimension] += by[:, np.newaxis]
    return moved


def interpolate(start: np.ndarray, goal: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns points between two, `[T, Z]` each, with the norm interpolated as well.

    The mean of two draws of a normal distribution is shorter than either, and the decoder was not
    trained on such points.

    Args:
      start: where the weight is 0.
      goal: where the weight is 1.
      weights: `[N]`.

    Returns:
      `[N, T, Z]`.
    """
    def norm(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x, axis=-1, keepdims=True)

    weight = weights[:, np.newaxis, np.newaxis]
    point = (1 - weight) * start + weight * goal
    length = (1 - weight) * norm(start) + weight * norm(goal)
    return point * (length / np.maximum(norm(point), 1e-6))


def exchange_static(core: DSAE, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Returns the latents of two sequences, `[T, Z]` each, with their static ones exchanged.

    Returns:
      `[2, T, Z]`.
    """
    dynamic, static = core.split(np.stack([start, goal]))
    return core.join(dynamic, static[::-1]).numpy()
