# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a musician keeps in mind: where this passage was heard before, and the beat.

Pieces repeat their phrases, note for note or with the same melody over other chords. A recurrence
learns a phrase in many epochs, and has heard a new piece's but once. So `Recall` looks the passage
up: the earlier place whose past agrees longest with the present's, and what followed there.

Axes: B batch, T time, P columns of a roll, N frames kept, W places (N, or N + T over a whole
sequence), K ways to compare two frames.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import Agent
from vaeseq.nn.networks import MLP
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor

_FULL_TRUST = 2.0  # what followed counts m / (m + this) after m frames that agree
_STEPS = (1, 2, 3, 4, 6, 9, 13)  # agreements of at least so many frames are told apart


class Heard(NamedTuple):
    """The last frames, oldest first.

    Attributes:
      frames: `[B, N, P]`.
      seen: bool `[B, N]`, false where the piece had not begun yet.
      matches: for each way to compare, how many frames up to each place agree with those up to the
        last, `[B, K, N]`; 0 for the last itself.
    """

    frames: Tensor
    seen: Tensor
    matches: Tensor


class Recall(Agent):
    """The context is what followed where the present passage was heard before.

    Passages are compared by their frames, and by their highest notes alone. For each: the frame
    that followed the longest agreement (the latest of equals), weighed by its length, and that
    length among few classes. Zeros where nothing agrees.
    """

    def __init__(self, columns: int, window: int, name: str | None = None):
        """Args: columns: P. window: N, at least 2."""
        super().__init__(name=name)
        self._columns = columns
        self._window = window

    @property
    def context_size(self) -> int:
        return len(_KEYS) * (self._columns + len(_STEPS))

    def initial_state(self, batch_size: int | Tensor) -> Heard:
        spec = Heard(tf.TensorSpec([self._window, self._columns]),
                     tf.TensorSpec([self._window], tf.bool),
                     tf.TensorSpec([len(_KEYS), self._window]))
        return nest.zeros(spec, batch_size)

    def context(self, state: Heard, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        return self._recalled(state.frames, state.matches[:, None])[:, 0]

    def observe(self, observation: Nest, context: Tensor, state: Heard) -> Heard:
        del context
        new = tf.cast(observation, tf.float32)[:, None]
        same = _same(new, state.frames, state.seen)[:, 0]
        return Heard(
            tf.concat([state.frames[:, 1:], new], 1),
            tf.concat([state.seen[:, 1:], tf.ones_like(state.seen[:, :1])], 1),
            tf.pad(_longer(state.matches, same)[..., 1:], [[0, 0], [0, 0], [0, 1]]))

    def contexts(
        self, observed: Nest, state: Heard, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Heard]:
        del inputs, seed
        new = tf.cast(observed, tf.float32)
        steps = new.shape[1]
        every = tf.concat([state.frames, new], 1)  # [B, N + T, P]
        seen = tf.pad(state.seen, [[0, 0], [0, steps]], constant_values=True)

        def step(same: Tensor, matches: Tensor) -> tuple[Tensor, Tensor]:
            return matches, _longer(matches, same)

        before, after = unroll.scan(
            step, _same(new, every, seen), tf.pad(state.matches, [[0, 0], [0, 0], [0, steps]]),
            lengths)  # before each step [B, T, K, N + T]; after the last [B, K, N + T]
        count = tf.fill([tf.shape(new)[0]], steps) if lengths is None else lengths
        kept = tf.cast(count, tf.int32)[:, None] + tf.range(self._window)  # [B, N]
        matches = tf.gather(tf.transpose(after, [0, 2, 1]), kept, batch_dims=1)
        last = tf.range(self._window) == self._window - 1
        return self._recalled(every, before), Heard(
            tf.gather(every, kept, batch_dims=1), tf.gather(seen, kept, batch_dims=1),
            tf.where(last, 0.0, tf.transpose(matches, [0, 2, 1])))

    def _recalled(self, frames: Tensor, matches: Tensor) -> Tensor:
        """Contexts `[B, T, F]`, from frames `[B, W, P]` and agreements `[B, T, K, W]`."""
        places, first = tf.range(frames.shape[1]), tf.range(matches.shape[1])[:, None]
        # At step t the frames from place t on are kept; the last but one has one to follow.
        candidates = (places >= first) & (places <= first + self._window - 2)
        matches = tf.where(candidates[:, None], matches, 0.0)
        best = tf.argmax(
            matches * frames.shape[1] + tf.cast(places, tf.float32), axis=3, output_type=tf.int32)
        length = tf.gather(matches, best, batch_dims=3)[..., None]  # [B, T, K, 1]
        followed = tf.gather(frames, tf.minimum(best + 1, frames.shape[1] - 1), batch_dims=1)
        parts = [followed * length / (length + _FULL_TRUST),
                 tf.cast(length >= tf.constant(_STEPS, tf.float32), tf.float32)]
        contexts = tf.concat(parts, -1)
        return tf.reshape(contexts, [*nest.shape_of(contexts)[:2], self.context_size])


def offsets(columns: int) -> list[int]:
    """Where in a context of `Recall` each frame that followed begins."""
    return [i * (columns + len(_STEPS)) for i in range(len(_KEYS))]


class Beat(Agent):
    """The context is the place in a measure of so many frames, one of them 1 and the rest 0."""

    def __init__(self, period: int, name: str | None = None):
        """Args: period: frames, at least 1."""
        super().__init__(name=name)
        self._period = period

    @property
    def context_size(self) -> int:
        return self._period

    def initial_state(self, batch_size: int | Tensor) -> Tensor:
        return tf.zeros([batch_size], tf.int32)

    def context(self, state: Tensor, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        return tf.one_hot(state, self._period)

    def observe(self, observation: Nest, context: Tensor, state: Tensor) -> Tensor:
        del observation, context
        return (state + 1) % self._period

    def contexts(
        self, observed: Nest, state: Tensor, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        del inputs, seed
        steps = nest.leading_dim(observed, 1)
        count = steps if lengths is None else tf.cast(lengths, tf.int32)
        beats = (state[:, None] + tf.range(steps)) % self._period
        return tf.one_hot(beats, self._period), (state + count) % self._period


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


def _highest(frames: Tensor) -> Tensor:
    """The highest note of each frame alone, `[..., P]`."""
    above = tf.cumsum(frames, axis=-1, exclusive=True, reverse=True)
    return tf.where(above > 0, 0.0, frames)


_KEYS = (tf.identity, _highest)


def _same(new: Tensor, frames: Tensor, seen: Tensor) -> Tensor:
    """1 where a new frame `[B, T, P]` equals an old one `[B, W, P]` that was seen, `[B, T, K, W]`.
    """
    differences = []
    for key in _KEYS:
        one, other = key(new), key(frames)
        both = tf.matmul(one, other, transpose_b=True)  # notes in common
        differences.append(tf.reduce_sum(one, -1)[..., None] - both
                           + tf.reduce_sum(other, -1)[:, None] - both)
    return tf.cast((tf.stack(differences, 2) < 0.5) & seen[:, None, None], tf.float32)


def _longer(matches: Tensor, same: Tensor) -> Tensor:
    """The agreements `[B, K, W]` after one more frame, and whether it is the `same`."""
    return same * (tf.pad(matches[..., :-1], [[0, 0], [0, 0], [1, 0]]) + 1.0)
