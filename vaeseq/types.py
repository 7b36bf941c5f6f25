# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Type aliases, and the legend of axis letters.

Every public docstring gives shapes in these letters:

    B   batch: sequences in parallel
    T   time: steps of a sequence
    S   samples of the latent variables of each sequence: [B, S, T, ...]
    F   features: the outputs of an encoder or a network for one step
    H   hidden units of a recurrent layer
    Z   latent dimensions
    E   the event dimensions of one observation (none, one or several)
    V   vocabulary: the number of symbols
    N   steps of a whole sequence, or a window of past observations

`[...]` stands for any number of leading dimensions, including none. Sequences are batch-major,
[B, T, ...], in every public function; only the loops inside `vaeseq.nn.scan` are time-major.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = tf.Tensor
Nest = Any  # A tensor, or tuples, named tuples, lists and dicts of nests (see `tf.nest`).
Seed = Any  # A Python int, or an int32 tensor [2] (see `vaeseq.seeds`).
Spec = tf.TensorSpec  # Shape, dtype and name of one element, without leading dimensions.


def attribute(method: Callable[[Any], Any]) -> Any:
    """Declares a property that subclasses define as a class attribute or as a property.

    For type checkers it is `Any`: they let a plain attribute override no property.
    """
    return property(method)
