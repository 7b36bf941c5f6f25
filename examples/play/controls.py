# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Actions as networks read and give them: a choice is one-hot, a number is between -1 and 1.

Axes: [...] any leading dimensions, A numbers of an encoded action.
"""
from __future__ import annotations

import numpy as np

from .env import Actions


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
