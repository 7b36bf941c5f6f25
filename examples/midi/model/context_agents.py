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

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest
from vaeseq.agent import Agent
from vaeseq.nn.networks import MLP
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor

_TRUST = 2.0  # the frame after a match of m frames has the weight m / (m + _TRUST)
_STEPS = (1, 2, 3, 4, 6, 9, 13)  # thresholds of the features of a match's length
_NUM_KEYS = 2


class RecallState(NamedTuple):
    """The latest frames, oldest first."""

    frames: Tensor  # which notes sound, bool `[B, N, P]`
    hashes: Tensor  # of the frames for each key, int64 `[B, N, K]`; 0 before the piece begins
    # For each key, the length of the match between the frames that end at each place and the latest
    # frames, int32 `[B, K, N]`; 0 for the last place itself
    matches: Tensor


class Recall(Agent):
    """The context is the frame that followed the longest match of the latest frames.

    Frames are compared by all their notes, and by their highest pitch alone, of any part but that
    of drums, whether it begins or is held. For each of the two keys, the context holds the frame
    after the longest match (of equal ones, the latest), weighted by the match's length, and whether
    that length reaches each of several thresholds. It is 0 where nothing matches.
    """

    def __init__(self, shape: tuple[int, int, int], pitched_parts: int, window: int,
                 name: str | None = None):
        """Creates the agent, which searches the last `window` frames, at least 2.

        A frame has a `Grid.shape`, and the first `pitched_parts` of its parts have pitches.
        """
        super().__init__(name=name)
        self._shape, self._columns = shape, math.prod(shape)
        self._pitched_parts = pitched_parts
        self._window = window

    @property
    def context_size(self) -> int:
        return _NUM_KEYS * (self._columns + len(_STEPS))

    def initial_state(self, batch_size: int | Tensor) -> RecallState:
        spec = RecallState(tf.TensorSpec([self._window, self._columns], tf.bool),
                           tf.TensorSpec([self._window, _NUM_KEYS], tf.int64),
                           tf.TensorSpec([_NUM_KEYS, self._window], tf.int32))
        return nest.zeros(spec, batch_size)

    def context(self, state: RecallState, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del inputs, seed
        return self._lookup(state.frames, state.matches[:, None])[:, 0]

    def observe(self, observation: Nest, context: Tensor, state: RecallState) -> RecallState:
        del context
        new = _notes(observation)[:, None]
        hashes = self._hashes(new)
        same = _same(hashes, state.hashes)[:, 0]
        return RecallState(
            tf.concat([state.frames[:, 1:], new], 1),
            tf.concat([state.hashes[:, 1:], hashes], 1),
            tf.pad(_extend(state.matches, same)[..., 1:], [[0, 0], [0, 0], [0, 1]]))

    def contexts(
        self, observed: Nest, state: RecallState, inputs: Nest = (),
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> tuple[Tensor, RecallState]:
        del inputs, seed
        new = _notes(observed)
        steps = new.shape[1]
        new_hashes = self._hashes(new)
        frames = tf.concat([state.frames, new], 1)  # [B, N + T, P]
        hashes = tf.concat([state.hashes, new_hashes], 1)

        def step(same: Tensor, matches: Tensor) -> tuple[Tensor, Tensor]:
            return matches, _extend(matches, same)

        before, after = unroll.scan(
            step, _same(new_hashes, hashes), tf.pad(state.matches, [[0, 0], [0, 0], [0, steps]]),
            lengths)  # before each step [B, T, K, N + T]; after the last [B, K, N + T]
        count = tf.fill([tf.shape(new)[0]], steps) if lengths is None else lengths
        latest = tf.cast(count, tf.int32)[:, None] + tf.range(self._window)  # [B, N]
        matches = tf.gather(tf.transpose(after, [0, 2, 1]), latest, batch_dims=1)
        last = tf.range(self._window) == self._window - 1
        return self._lookup(frames, before), RecallState(
            tf.gather(frames, latest, batch_dims=1), tf.gather(hashes, latest, batch_dims=1),
            tf.where(last, 0, tf.transpose(matches, [0, 2, 1])))

    def _lookup(self, frames: Tensor, matches: Tensor) -> Tensor:
        """Returns contexts `[B, T, F]` from frames `[B, W, P]` and matches `[B, T, K, W]`."""
        count = frames.shape[1]
        places, first = tf.range(count), tf.range(matches.shape[1])[:, None]
        # At step t the window begins at place t; its last frame has none that follows.
        candidates = (places >= first) & (places <= first + self._window - 2)
        matches = tf.where(candidates[:, None], matches, 0)
        # The longest, and of equal ones the latest; faster than argmax.
        best = tf.reduce_max(matches * count + places, 3)  # [B, T, K]
        length, place = tf.cast(best // count, tf.float32)[..., None], best % count
        followed = tf.gather(frames, tf.minimum(place + 1, count - 1), batch_dims=1)
        parts = [tf.cast(followed, tf.float32) * length / (length + _TRUST),
                 tf.cast(length >= tf.constant(_STEPS, tf.float32), tf.float32)]
        contexts = tf.concat(parts, -1)
        return tf.reshape(contexts, [*nest.shape_of(contexts)[:2], self.context_size])

    def _hashes(self, notes: Tensor) -> Tensor:
        """Returns a number for each frame `[..., P]` and key, int64 `[..., K]`.

        Two unequal frames have the same one, and a frame has 0, with a probability of 2 ** -63.
        """
        size = self._columns
        weights = np.random.default_rng(0).integers(-1 << 63, 1 << 63, size + 1, dtype=np.int64)
        keys = notes, _highest(self._pitches(notes))
        return tf.stack([
            tf.reduce_sum(tf.where(key, weights[:key.shape[-1]], 0), -1) + weights[size]
            for key in keys], -1)

    def _pitches(self, notes: Tensor) -> Tensor:
        """Returns which pitches of notes `[..., P]` sound in any part but the drums', bool."""
        split = tf.reshape(notes, [*nest.shape_of(notes)[:-1], *self._shape])
        return tf.reduce_any(split[..., :self._pitched_parts, :, :], [-3, -2])


def offsets(columns: int) -> list[int]:
    """Returns where in a context of `Recall` its frames begin."""
    return [i * (columns + len(_STEPS)) for i in range(_NUM_KEYS)]


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
    """Returns which notes sound; how hard they are struck is not compared."""
    return tf.cast(frames, tf.bool)


def _highest(notes: Tensor) -> Tensor:
    """Returns notes, bool `[..., pitches]`, with the highest of each frame alone."""
    above = tf.cumsum(tf.cast(notes, tf.int32), axis=-1, exclusive=True, reverse=True)
    return notes & (above == 0)


def _same(new: Tensor, hashes: Tensor) -> Tensor:
    """Returns 1 where hashes `[B, T, K]` equal others `[B, W, K]`, int32 `[B, T, K, W]`."""
    new, hashes = new[..., tf.newaxis], tf.transpose(hashes, [0, 2, 1])
    return tf.cast(new == hashes[:, tf.newaxis], tf.int32)


def _extend(matches: Tensor, same: Tensor) -> Tensor:
    """Returns the matches `[B, K, W]` after one more frame, which is the `same` at some places."""
    return same * (tf.pad(matches[..., :-1], [[0, 0], [0, 0], [1, 0]]) + 1)
