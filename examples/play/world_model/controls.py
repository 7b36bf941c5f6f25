# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a step depends on beside the past, as networks read it.

Of actions, a choice is one-hot, and a number is between -1 and 1.

Axes: [...] any leading dimensions, A numbers of an encoded action, D numbers of an observation.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Tensor

from ..envs.env import Actions
from .statistics import Line


class Controls(NamedTuple):
    """What a transition depends on beside the past, or the encoders of it.

    Attributes:
      observation: x_t, standardised, `[..., D]`.
      action: a_t, encoded (see `controls`), `[..., A]`.
    """

    observation: Nest
    action: Nest


class ControlsEncoder(Encoder):
    """The features of controls, and behind them the change that a line expects."""

    def __init__(self, group: Encoder, layers: Encoder, line: Line, size: int):
        """Args: group: the numbers of controls. layers, line: of these. size: D."""
        super().__init__()
        self._group = group
        self._layers = layers
        self._line = line
        self._size = size

    @property
    def input_spec(self) -> Nest:
        return self._group.input_spec

    @property
    def output_size(self) -> int:
        return self._layers.output_size + self._size

    def __call__(self, observation: Controls) -> Tensor:
        numbers = self._group(observation)
        return tf.concat([self._layers(numbers), self._line(numbers)], -1)


def encode(actions: Actions, taken: np.ndarray) -> np.ndarray:
    """A game's actions, int `[...]` or float `[..., A]`, as float32 `[..., A]`."""
    if actions.discrete:
        return np.eye(actions.size, dtype=np.float32)[taken]
    middle, half = _middle_and_half(actions)
    return np.float32((taken - middle) / half)


def decode(actions: Actions, encoded: np.ndarray) -> np.ndarray:
    """The game's actions, int `[...]` or float `[..., A]`, of encoded ones."""
    if actions.discrete:
        return np.argmax(encoded, axis=-1)
    middle, half = _middle_and_half(actions)
    return np.float32(middle + half * encoded)


def _middle_and_half(actions: Actions) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.array(bound, np.float32) for bound in (actions.low, actions.high))
    return (low + high) / 2, (high - low) / 2
