# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training and sampling passes through a core, with contexts and latents fixed."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq.agent import Agent
from vaeseq.bounds import ELBO
from vaeseq.testing._checks import seed
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import CoreState, GenCore, Generated, GenState, VAECore


class Path(NamedTuple):
    """Results of the training pass for fixed latents, [B, T, ...]."""

    log_prob: Tensor
    latent_log_prob: Tensor
    posterior_log_prob: Tensor
    outputs: Tensor
    state: CoreState


class ContextsFromInputs(Agent):
    """An agent whose contexts are its external inputs."""

    def __init__(self, context_size: int) -> None:
        super().__init__(name="contexts_from_inputs")
        self._context_size = context_size

    @property
    def context_size(self) -> int:
        return self._context_size

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return tf.zeros([batch_size, 0])

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return inputs

    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        return state


class FixedSample:
    """A distribution whose sample is fixed; otherwise the wrapped one."""

    def __init__(self, z: Tensor, posterior: Any) -> None:
        self._z, self._posterior = z, posterior

    def sample(self, *, seed: Seed) -> Tensor:
        del seed
        return self._z

    def __getattr__(self, name: str) -> Any:
        return getattr(self._posterior, name)


def with_fixed_latents(core: VAECore) -> VAECore:
    """Returns a copy whose posterior reads pairs (latents, features) and samples the latents."""
    twin = copy.copy(core)
    twin.posterior = lambda h, pair: (  # type: ignore[method-assign, assignment]
        FixedSample(pair[0], core.posterior(h, pair[1])))
    return twin


def generate(core: VAECore, contexts: Tensor) -> tuple[Generated, GenState]:
    """Samples a sequence for each row of contexts [B, T, F]."""
    batch_size, num_steps, context_size = contexts.shape
    gen_core = GenCore(ContextsFromInputs(context_size), core)
    return gen_core.generate(
        num_steps, gen_core.initial_state(batch_size), contexts, seed=seed(9))


def one_step(
    core: VAECore, context_feature: Nest, feature: Nest, state: Nest, z: Tensor, x: Nest
) -> tuple[Nest, ...]:
    """Returns the results of all per-step methods, as tensors."""
    h = core.hidden(context_feature, state)
    outputs, after = core.update(h, z)
    p_x, emitted = core.emit(h, z)
    return (core.prior(h).log_prob(z), core.posterior(h, feature).log_prob(z), outputs, after,
            p_x.log_prob(x), emitted)


def elbo(core: VAECore, contexts: Tensor, observed: Nest, lengths: Tensor) -> list[Tensor]:
    """Returns the ELBO, its gradients and the next state."""
    bound = ELBO(2)
    with tf.GradientTape() as tape:
        result = bound(core, contexts, observed, bound.initial_state(core, contexts.shape[0]),
                       lengths, seed=seed(1))
        loss = tf.reduce_sum(result.objective)
    gradients = tape.gradient(loss, core.trainable_variables,
                              unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [result.increments, *map(tf.convert_to_tensor, gradients),
            *tf.nest.flatten(result.state)]
