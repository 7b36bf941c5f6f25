# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoders composed of encoders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import tensorflow as tf
import tree

from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Tensor


class EncoderSequence(Encoder):
    """Encoders in sequence: the first takes observations, each other the features before it."""

    def __init__(self, encoders: Sequence[Encoder], name: str | None = None) -> None:
        """Chains encoders.

        Args:
          encoders: at least one. All but the first take one vector, [F].

        Raises:
          ValueError: no encoder, or an encoder whose input is not the output of the one before.
        """
        super().__init__(name=name)
        if not encoders:
            raise ValueError("EncoderSequence expects at least one encoder, got none.")
        for before, after in itertools.pairwise(encoders):
            if getattr(after.input_spec, "shape", None) != [before.output_size]:
                raise ValueError(
                    f"EncoderSequence: {after.name} takes {after.input_spec}, but "
                    f"{before.name} before it gives [{before.output_size}].")
        self._encoders = list(encoders)

    @property
    def input_spec(self) -> Nest:
        return self._encoders[0].input_spec

    @property
    def output_size(self) -> int:
        return self._encoders[-1].output_size

    def __call__(self, observation: Nest) -> Tensor:
        features = observation
        for encoder in self._encoders:
            features = encoder(features)
        return features


class Group(Encoder):
    """A nest of encoders, one for each part of an observation; their features are concatenated."""

    def __init__(self, encoders: Nest, name: str | None = None) -> None:
        """Groups encoders.

        Args:
          encoders: a tuple, named tuple, list or dict of `Encoder`s, which may be groups.

        Raises:
          TypeError: a leaf of the nest is not an `Encoder`.
          ValueError: an empty nest.
        """
        super().__init__(name=name)
        flat = tf.nest.flatten(encoders)
        if not flat:
            raise ValueError(f"encoders.Group expects at least one encoder, got {encoders!r}.")
        for encoder in flat:
            if not isinstance(encoder, Encoder):
                raise TypeError(f"encoders.Group expects a nest of Encoders, got {encoder!r} in "
                                "it.")
        # tf.Module wraps containers in attributes. It finds the variables in the flat tuple; the
        # closure hides the structure from it.
        self._encoders = tuple(flat)
        self._structure = lambda: encoders

    @property
    def input_spec(self) -> Nest:
        return tf.nest.pack_sequence_as(
            self._structure(), [encoder.input_spec for encoder in self._encoders])

    @property
    def output_size(self) -> int:
        return sum(encoder.output_size for encoder in self._encoders)

    def __call__(self, observation: Nest) -> Tensor:
        parts = tree.flatten_up_to(self._structure(), observation, check_types=False)
        return tf.concat([encoder(part) for encoder, part
                          in zip(self._encoders, parts, strict=True)], axis=-1)
