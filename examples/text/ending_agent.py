# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""An agent whose sequences end with a symbol."""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import EncodeObserved, History
from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Seed, Tensor


class EndingState(NamedTuple):
    """The state of `EndingAgent`."""

    history: History  # the last symbol
    run: Tensor  # int32 `[B]`, consecutive end symbols that were observed last


class EndingAgent(EncodeObserved):
    """The context is the encoding of the last symbol; some end symbols in a row end a sequence.

    The state is an `EndingState`.
    A model of whole texts and one of their lines have the same weights under the same names.
    """

    def __init__(self, encoder: Encoder, symbol_spec: tf.TensorSpec, end: int, count: int = 1,
                 name: str | None = None):
        """Creates the agent, whose sequences end with `count` symbols `end` in a row."""
        super().__init__(encoder, symbol_spec, name=name)
        self._end = end
        self._count = count

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return EndingState(super().initial_state(batch_size), tf.zeros([batch_size], tf.int32))

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return super().context(state.history, inputs, seed=seed)

    def observe(self, observation: Tensor, context: Tensor, state: Nest) -> Nest:
        run = tf.where(tf.equal(observation, self._end), state.run + 1, 0)
        return EndingState(super().observe(observation, context, state.history), run)

    def finished(self, state: EndingState) -> Tensor:
        return state.run >= self._count

    def contexts(
        self, observed: Tensor, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        contexts, history = super().contexts(
            observed, state.history, inputs, lengths, seed=seed)
        num_steps = nest.leading_dim(observed, 1)
        if lengths is None:
            lengths = tf.fill(tf.shape(observed)[:1], num_steps)
        # The run is what follows the last other symbol; it goes on from before if there is none.
        places = tf.range(num_steps)
        is_other = tf.not_equal(observed, self._end) & (places < lengths[:, tf.newaxis])
        last_other = tf.reduce_max(tf.where(is_other, places, -1), 1)
        run = lengths - 1 - last_other + tf.where(last_other < 0, state.run, 0)
        return contexts, EndingState(history, run)
