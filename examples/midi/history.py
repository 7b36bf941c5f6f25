# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The agent of VAE-Seq's music: layers over the encodings of the last N frames together."""
from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import Agent
from vaeseq.nn.networks import MLP
from vaeseq.types import Nest, Seed, Tensor


class EncodedContext(Agent):
    """Another agent's contexts, seen through fully connected layers."""

    def __init__(
        self, inner: Agent, sizes: Sequence[int], *, activation: str = "relu",
        name: str | None = None,
    ):
        """Creates the agent.

        Args:
          inner: gives the contexts; what it observes does not depend on them.
          sizes: of the layers.
          activation: after each.
        """
        super().__init__(name=name)
        self._inner = inner
        self._layers = MLP(sizes, activation=activation, activate_final=True)
        self._size = sizes[-1] if sizes else inner.context_size

    @property
    def context_size(self) -> int:
        return self._size

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return self._inner.initial_state(batch_size)

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return self._layers(self._inner.context(state, inputs, seed=seed))

    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        # The inner context was encoded and is gone; that of an agent of agents is taken apart.
        nothing = tf.zeros([nest.leading_dim(context), self._inner.context_size])
        return self._inner.observe(observation, nothing, state)

    def finished(self, state: Nest) -> Tensor:
        return self._inner.finished(state)

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        contexts, state = self._inner.contexts(observed, state, inputs, lengths, seed=seed)
        return self._layers(contexts), state
