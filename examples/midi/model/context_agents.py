# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Agents whose contexts help to predict music: repeated passages, the beat, encoded histories.

Pieces repeat their phrases, exactly or with the same melody over other chords. A recurrent network
needs many epochs to learn a phrase, and a phrase of a new piece occurs only a few times. `Recall`
therefore searches the window for the longest match with the latest frames, and gives the frame that
followed it.

Axes: B batch, T time, P columns of a roll, N frames of the window, W places (N, or N + T over a
whole sequence), K keys by which frames are compared, F features of a context.
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

_TRUST = 2.0  # the frame after a match of m frames has the weight m / (m + _TRUST)
_STEPS = (1, 2, 3, 4, 6, 9, 13)  # thresholds of the features of a match's length


class RecallState(NamedTuple):
    """The latest frames, oldest first."""

    frames: Tensor  # `[B, N, P]`
    valid: Tensor  # bool `[B, N]`, false before the beginning of the piece
    # For each key, the length of the match between the frames that end at each place and the latest
    # frames, `[B, K, N]`; 0 for the last place itself
    matches: Tensor


class Recall(Agent):
    """The context is the frame that followed the longest match of the latest frames.

    Frames are compared by all their notes, and by their highest note alone. For each of the two
    keys, the context holds the frame after the longest match (of equal ones, the latest), weighted
    by the match's length, and whether that length reaches each of several thresholds. It is 0 where
    nothing matches.
    """

    def __init__(self, columns: int, window: int, name: str | None = None):
        """Creates the agent, which searches the last `window` frames, at least 2, of P `columns`.
        """
        super().__init__(name=name)
        self._columns = columns
        self._window = window

    @property
    def context_size(self) -> int:
        return len(_KEYS) * (self._columns + len(_STEPS))

    def initial_state(self, batch_size: int | Tensor) -> RecallState:
        spec = RecallState(tf.TensorSpec([self._window, self._columns]),
                           tf.TensorSpec([self._window], tf.bool),
                           tf.TensorSpec([len(_KEYS), self._window]))
        return nest.zeros(spec, batch_size)

    def context(self, state: RecallState, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        return self._lookup(state.frames, state.matches[:, None])[:, 0]

    def observe(self, observation: Nest, context: Tensor, state: RecallState) -> RecallState:
        del context
        new = _notes(observation)[:, None]
        same = _same(new, state.frames, state.valid)[:, 0]
        return RecallState(
            tf.concat([state.frames[:, 1:], new], 1),
            tf.concat([state.valid[:, 1:], tf.ones_like(state.valid[:, :1])], 1),
            tf.pad(_extend(state.matches, same)[..., 1:], [[0, 0], [0, 0], [0, 1]]))

    def contexts(
        self, observed: Nest, state: RecallState, inputs: Nest = (),
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> tuple[Tensor, RecallState]:
        del inputs, seed
        new = _notes(observed)
        steps = new.shape[1]
        frames = tf.concat([state.frames, new], 1)  # [B, N + T, P]
        valid = tf.pad(state.valid, [[0, 0], [0, steps]], constant_values=True)

        def step(same: Tensor, matches: Tensor) -> tuple[Tensor, Tensor]:
            return matches, _extend(matches, same)

        before, after = unroll.scan(
            step, _same(new, frames, valid), tf.pad(state.matches, [[0, 0], [0, 0], [0, steps]]),
            lengths)  # before each step [B, T, K, N + T]; after the last [B, K, N + T]
        count = tf.fill([tf.shape(new)[0]], steps) if lengths is None else lengths
        latest = tf.cast(count, tf.int32)[:, None] + tf.range(self._window)  # [B, N]
        matches = tf.gather(tf.transpose(after, [0, 2, 1]), latest, batch_dims=1)
        last = tf.range(self._window) == self._window - 1
        return self._lookup(frames, before), RecallState(
            tf.gather(frames, latest, batch_dims=1), tf.gather(valid, latest, batch_dims=1),
            tf.where(last, 0.0, tf.transpose(matches, [0, 2, 1])))

    def _lookup(self, frames: Tensor, matches: Tensor) -> Tensor:
        """Returns contexts `[B, T, F]` from frames `[B, W, P]` and matches `[B, T, K, W]`."""
        places, first = tf.range(frames.shape[1]), tf.range(matches.shape[1])[:, None]
        # At step t the window begins at place t; its last frame has none that follows.
        candidates = (places >= first) & (places <= first + self._window - 2)
        matches = tf.where(candidates[:, None], matches, 0.0)
        best = tf.argmax(
            matches * frames.shape[1] + tf.cast(places, tf.float32), axis=3, output_type=tf.int32)
        length = tf.gather(matches, best, batch_dims=3)[..., None]  # [B, T, K, 1]
        followed = tf.gather(frames, tf.minimum(best + 1, frames.shape[1] - 1), batch_dims=1)
        parts = [followed * length / (length + _TRUST),
                 tf.cast(length >= tf.constant(_STEPS, tf.float32), tf.float32)]
        contexts = tf.concat(parts, -1)
        return tf.reshape(contexts, [*nest.shape_of(contexts)[:2], self.context_size])


def offsets(columns: int) -> list[int]:
    """Returns where in a context of `Recall` its frames begin."""
    return [i * (columns + len(_STEPS)) for i in range(len(_KEYS))]


class Beat(Agent):
    """The context is the one-hot place of the frame in a measure."""

    def __init__(self, period: int, name: str | None = None):
        """Creates the agent; `period` is the number of frames in a measure, at least 1."""
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
    """The contexts of another agent, encoded by fully connected layers.

    VAE-Seq encoded the latest N frames together in this way.
    """

    def __init__(
        self, inner: Agent, sizes: Sequence[int], *, activation: str = "relu",
        name: str | None = None,
    ):
        """Creates the agent, which encodes the contexts of `inner` by layers of these sizes.

        The method `observe` of `inner` must not depend on its contexts.
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
        # The inner context is not available; `Chain` splits one, so it must have the right size.
        placeholder = tf.zeros([nest.leading_dim(context), self._inner.context_size])
        return self._inner.observe(observation, placeholder, state)

    def finished(self, state: Nest) -> Tensor:
        return self._inner.finished(state)

    def contexts(
        self, observed: Nest, state: Nest, inputs: Nest = (), lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> tuple[Tensor, Nest]:
        contexts, state = self._inner.contexts(observed, state, inputs, lengths, seed=seed)
        return self._layers(contexts), state


def _notes(frames: Tensor) -> Tensor:
    """Returns frames with ones in the place of velocities, which are not compared."""
    return tf.minimum(tf.cast(frames, tf.float32), 1.0)


def _highest(frames: Tensor) -> Tensor:
    """Returns frames `[..., P]` with their highest notes alone."""
    above = tf.cumsum(frames, axis=-1, exclusive=True, reverse=True)
    return tf.where(above > 0, 0.0, frames)


_KEYS = (tf.identity, _highest)


def _same(new: Tensor, frames: Tensor, valid: Tensor) -> Tensor:
    """Returns 1 where new frames `[B, T, P]` equal valid ones `[B, W, P]`, `[B, T, K, W]`."""
    differences = []
    for key in _KEYS:
        one, other = key(new), key(frames)
        both = tf.matmul(one, other, transpose_b=True)  # notes in common
        differences.append(tf.reduce_sum(one, -1)[..., None] - both
                           + tf.reduce_sum(other, -1)[:, None] - both)
    return tf.cast((tf.stack(differences, 2) < 0.5) & valid[:, None, None], tf.float32)


def _extend(matches: Tensor, same: Tensor) -> Tensor:
    """Returns the matches `[B, K, W]` after one more frame, which is the `same` at some places."""
    return same * (tf.pad(matches[..., :-1], [[0, 0], [0, 0], [1, 0]]) + 1.0)
