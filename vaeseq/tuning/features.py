# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Features of sequences, from the hidden states of a trained model and from simple counts.

Rewards that are linear in fixed features can be learnt from few choices. Groups of features:

    the contexts c_t of the agent, its encodings of observations       mean over t
    the model's states that see no latents (`encode_contexts`)          mean over t, and the last
    what its posterior sees of the observations (`encode_observed`)     mean over t
    whether x_t equals x_t-1                                            mean over t

Means judge a sequence by the share of its steps that have some quality, whatever its length; with
an embedding as the encoder, the first group is a linear function of the counts of the symbols.

Axes: B sequences, T steps, F features.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq import data, nest, seeds
from vaeseq.types import Nest, Tensor
from vaeseq.vae import GenCore

_CHUNK = 64  # sequences whose features are computed at once


class SequenceFeatures(tf.Module):
    """Computes the features of sequences by a model, which is not changed.

    The agent of the model must be a function of the observations, without randomness and external
    inputs.

    Attributes:
      gen_core: the model.
      sizes: number of features of each group; their sum is F.
    """

    def __init__(self, gen_core: GenCore):
        """Args: gen_core: a trained model; it must have its variables already."""
        super().__init__(name="features")
        self.gen_core = gen_core
        self._spec = gen_core.core.observation_spec
        groups = self._groups(nest.zeros(self._spec, 1, 1), tf.ones([1], tf.int32))
        self.sizes = tuple(int(group.shape[1]) for group in groups)
        self._compute = tf.function(
            lambda observed, lengths: tf.concat(self._groups(observed, lengths), 1),
            autograph=False)

    def __call__(self, sequences: Sequence[Nest]) -> np.ndarray:
        """Returns the features of sequences, nests of `[N, ...]`, as float64 `[B, F]`."""
        results = [np.zeros([0, sum(self.sizes)])]
        for first in range(0, len(sequences), _CHUNK):
            part = list(sequences[first:first + _CHUNK])
            filled = part + [part[0]] * (_CHUNK - len(part))
            batch = pad(filled, self._spec)
            results.append(self._compute(*batch).numpy()[:len(part)])
        return np.concatenate(results, dtype=np.float64)

    def _groups(self, observed: Nest, lengths: Tensor) -> list[Tensor]:
        """Returns groups of features of padded sequences, each `[B, *]`."""
        agent, core = self.gen_core.agent, self.gen_core.core
        rows = nest.leading_dim(lengths)
        observed = nest.mask_time(observed, lengths)
        # One step more: contexts and states of a step see the observations before it.
        longer = tf.nest.map_structure(
            lambda leaf: tf.concat([leaf, tf.zeros_like(leaf[:, :1])], 1), observed)
        state = self.gen_core.initial_state(rows)
        contexts, _ = agent.contexts(longer, state.agent, (), lengths + 1, seed=seeds.make(0))
        states, _ = core.encode_contexts(contexts, state.core.context, lengths + 1)
        states = tf.nest.map_structure(tf.convert_to_tensor, states)
        seen = core.encode_observed(
            tf.nest.map_structure(lambda leaf: leaf[:, :-1], states), observed, lengths)
        same = tf.reduce_all(tf.stack([
            tf.reduce_all(tf.reshape(leaf[:, 1:] == leaf[:, :-1], [rows, -1, _size(leaf)]), -1)
            for leaf in tf.nest.flatten(observed)]), 0)
        return [_mean(contexts, lengths + 1), _mean(states, lengths + 1), _last(states, lengths),
                _mean(seen, lengths), _mean(same[..., None], lengths - 1)]


class ScaledFeatures(tf.Module):
    """Features, centred, and each group of them of variance 1 in all on the sequences of choices.

    A group has one scale, so that features which vary little stay small in it.
    """

    def __init__(self, features: SequenceFeatures):
        """Args: features: what is scaled."""
        super().__init__(name="scaled_features")
        self.features = features
        size = sum(features.sizes)
        self._centre, self._scale = (
            tf.Variable(tf.zeros([size], tf.float64), trainable=False, name=name)
            for name in ("centre", "scale"))

    def fit(self, sequences: Sequence[Nest]) -> np.ndarray:
        """Measures centre and scales on sequences; returns their scaled features, `[B, F]`."""
        values = self.features(sequences)
        groups = np.repeat(np.arange(len(self.features.sizes)), self.features.sizes)
        variances = np.bincount(groups, values.var(axis=0), len(self.features.sizes))
        self._centre.assign(values.mean(axis=0))
        self._scale.assign(np.sqrt(np.maximum(variances, 1e-12))[groups])
        return self._scaled(values)

    def __call__(self, sequences: Sequence[Nest]) -> np.ndarray:
        """Returns the scaled features of sequences, nests of `[N, ...]`, `[B, F]`."""
        return self._scaled(self.features(sequences))

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        return (values - self._centre.numpy()) / self._scale.numpy()


def pad(sequences: Sequence[Nest], spec: Nest, num_steps: int | None = None
        ) -> tuple[Nest, Tensor]:
    """Returns sequences, nests of `[N, ...]`, as one nest of `[B, T, ...]` and lengths `[B]`.

    Args:
      sequences: B of them.
      spec: a nest of `tf.TensorSpec` of one observation.
      num_steps: T, at least the longest length; by default the next size of `vaeseq.data.bucket`.
    """
    longest = max(len(tf.nest.flatten(sequence)[0]) for sequence in sequences)
    padded = data.as_tensors(data.pad(sequences, num_steps or data.bucket(max(1, longest))), spec)
    return padded.observed, padded.lengths


def _mean(steps: Nest, lengths: Tensor) -> Tensor:
    """Returns the means over valid steps of a nest of `[B, T, ...]`, `[B, *]`."""
    count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, None]
    return tf.reduce_sum(nest.mask_time(_flat(steps, lengths), lengths), 1) / count


def _last(steps: Nest, lengths: Tensor) -> Tensor:
    """Returns the steps of the numbers `lengths`, from 0, of a nest of `[B, T, ...]`."""
    return tf.gather(_flat(steps, lengths), lengths, batch_dims=1)


def _flat(steps: Nest, lengths: Tensor) -> Tensor:
    """Returns a nest of `[B, T, ...]` as one float32 tensor `[B, T, *]`."""
    leaves = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(steps)]
    if not leaves:
        return tf.zeros([nest.leading_dim(lengths), tf.reduce_max(lengths) + 1, 0])
    return tf.concat([tf.cast(tf.reshape(
        leaf, [nest.leading_dim(leaf), nest.leading_dim(leaf, 1), _size(leaf)]), tf.float32)
        for leaf in leaves], -1)


def _size(leaf: Tensor) -> int:
    """Returns the number of values of a step of `[B, T, ...]`."""
    return int(np.prod(leaf.shape[2:]))
