# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A decoder composed of decoders."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
import tree
from tensorflow_probability import distributions as tfd

from vaeseq.dist_module import DistModule
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor


class Group(DistModule):
    """A nest of decoders, one for each part of an observation, independent given the features.

    Parameters: a nest of the same structure with each decoder's parameters. The distribution is a
    `GroupDistribution`.
    """

    def __init__(self, decoders: Nest, name: str | None = None) -> None:
        """Groups decoders.

        Args:
          decoders: a tuple, named tuple, list or dict of `DistModule`s, which may be groups.

        Raises:
          TypeError: a leaf of the nest is not a `DistModule`.
          ValueError: an empty nest.
        """
        super().__init__(name=name)
        flat = tf.nest.flatten(decoders)
        if not flat:
            raise ValueError(f"decoders.Group expects at least one decoder, got {decoders!r}.")
        for decoder in flat:
            if not isinstance(decoder, DistModule):
                raise TypeError("decoders.Group expects a nest of DistModules, got "
                                f"{decoder!r} in it.")
        # tf.Module wraps containers in attributes. It finds the variables in the flat tuple; the
        # closure hides the structure from it.
        self._decoders = tuple(flat)
        self._structure = lambda: decoders

    @property
    def event_spec(self) -> Nest:
        return self._pack([decoder.event_spec for decoder in self._decoders])

    def __call__(self, features: Tensor) -> Nest:
        return self._pack([decoder(features) for decoder in self._decoders])

    def dist(self, params: Nest) -> GroupDistribution:
        return GroupDistribution(self._pack([
            decoder.dist(part) for decoder, part in self._zip(params)]))

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        return self._pack([decoder.temper(part, temperature)
                           for decoder, part in self._zip(params)])

    def truncate(self, params: Nest, truncation: Truncation) -> Nest:
        """Truncates the parts that are decoders of classes; the others stay as they are.

        Raises:
          NotImplementedError: no part is a decoder of classes.
        """
        parts, has_classes = [], False
        for decoder, part in self._zip(params):
            try:
                parts.append(decoder.truncate(part, truncation))
                has_classes = True
            except NotImplementedError:
                parts.append(part)
        return self._pack(parts) if has_classes else super().truncate(params, truncation)

    def _pack(self, flat: list[Any]) -> Nest:
        return tf.nest.pack_sequence_as(self._structure(), flat)

    def _zip(self, params: Nest) -> list[tuple[DistModule, Nest]]:
        parts = tree.flatten_up_to(self._structure(), params, check_types=False)
        return list(zip(self._decoders, parts, strict=True))


class GroupDistribution(tfd.Distribution):
    """Independent distributions over the parts of an event.

    Events are nests of one structure; `log_prob` is the sum over the parts.
    """

    def __init__(self, parts: Nest, name: str = "GroupDistribution") -> None:
        """Groups a nest of distributions whose batch shapes broadcast."""
        self._parts = tuple(tf.nest.flatten(parts))
        self._structure = lambda: parts
        super().__init__(
            dtype=self._map(lambda part: part.dtype),
            reparameterization_type=self._map(lambda part: part.reparameterization_type),
            validate_args=False, allow_nan_stats=True, parameters={"parts": parts}, name=name)

    @property
    def parts(self) -> Nest:
        """The nest of distributions."""
        return self._structure()

    def _map(self, function: Any) -> Nest:
        return tf.nest.pack_sequence_as(
            self._structure(), [function(part) for part in self._parts])

    def _batch_shape(self) -> tf.TensorShape:
        return functools.reduce(
            tf.broadcast_static_shape, [part.batch_shape for part in self._parts])

    def _batch_shape_tensor(self) -> Tensor:
        return functools.reduce(
            tf.broadcast_dynamic_shape, [part.batch_shape_tensor() for part in self._parts])

    def _event_shape(self) -> Nest:
        return self._map(lambda part: part.event_shape)

    def _event_shape_tensor(self) -> Nest:
        return self._map(lambda part: part.event_shape_tensor())

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Nest:
        seeds = iter(tf.unstack(tfp.random.split_seed(seed, len(self._parts))))
        return self._map(lambda part: part.sample(n, seed=next(seeds)))

    def _log_prob(self, value: Nest) -> Tensor:
        values = tree.flatten_up_to(self._structure(), value, check_types=False)
        return sum(part.log_prob(each) for part, each in zip(self._parts, values, strict=True))

    def _entropy(self) -> Tensor:
        return sum(part.entropy() for part in self._parts)

    def _mean(self) -> Nest:
        return self._map(lambda part: part.mean())

    def _mode(self) -> Nest:
        return self._map(lambda part: part.mode())
