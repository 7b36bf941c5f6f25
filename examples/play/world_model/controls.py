# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The inputs of a transition: the observation and the action, encoded for networks.

A discrete action is one-hot, a number of a continuous one is scaled to [-1, 1].

Axes: [...] any leading dimensions, A numbers of an encoded action, D numbers of an observation.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Tensor

from ..envs.env import Actions
from .statistics import LinearBaseline


class Controls(NamedTuple):
    """The inputs of a transition, or the specs of them.

    Attributes:
      observation: x_t, standardised, `[..., D]`.
      action: a_t, encoded (see `encode`), `[..., A]`.
    """

    observation: Nest
    action: Nest


class ControlsEncoder(Encoder):
    """Encodes controls by an MLP, followed by the change expected by the linear baseline."""

    def __init__(self, group: Encoder, layers: Encoder, baseline: LinearBaseline, size: int):
        """Args: group: flattens controls. layers, baseline: read its output. size: D."""
        super().__init__()
        self._group = group
        self._layers = layers
        self._baseline = baseline
        self._size = size

    @property
    def input_spec(self) -> Nest:
        return self._group.input_spec

    @property
    def output_size(self) -> int:
        return self._layers.output_size + self._size

    def __call__(self, observation: Controls) -> Tensor:
        numbers = self._group(observation)
        return tf.concat([self._layers(numbers), self._baseline(numbers)], -1)


def encode(actions: Actions, action: np.ndarray) -> np.ndarray:
    """Encodes actions, int `[...]` or float `[..., A]`, as float32 `[..., A]`."""
    if actions.discrete:
        return np.eye(actions.size, dtype=np.float32)[action]
    middle, half = _middle_and_half(actions)
    return np.float32((action - middle) / half)


def decode(actions: Actions, encoded: np.ndarray) -> np.ndarray:
    """Inverts `encode`: int `[...]` or float `[..., A]`."""
    if actions.discrete:
        return np.argmax(encoded, axis=-1)
    middle, half = _middle_and_half(actions)
    return np.float32(middle + half * encoded)


def _middle_and_half(actions: Actions) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.array(bound, np.float32) for bound in (actions.low, actions.high))
    return (low + high) / 2, (high - low) / 2
