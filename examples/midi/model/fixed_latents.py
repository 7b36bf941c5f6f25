# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A core whose latents are fixed instead of drawn, to play what they mean.

Axes: B batch, T time, Z latent.
"""
from __future__ import annotations

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.types import Nest, Tensor
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


def infer(core: VAECore, contexts: Tensor, observed: Nest, *, seed: Tensor) -> Tensor:
    """Draws latents `[B, T, Z]` of observed sequences from the posterior."""
    state = core.initial_state(nest.leading_dim(contexts, 0))
    context_features, _ = core.encode_contexts(contexts, state.context)
    features = core.encode_observed(context_features, observed)
    return core.infer(context_features, features, state.latent, seed=seed).latents
