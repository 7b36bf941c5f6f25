# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Random seeds as values: int32 `[2]` tensors, split and never drawn from a global generator."""
from __future__ import annotations

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq.types import Seed, Tensor


def make(seed: int | Seed) -> Seed:
    """A seed from a number that a person chose; a seed is returned as it is."""
    if isinstance(seed, (int, np.integer)):
        seed = int(seed)
        return tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    return seed


def split(seed: Seed, num: int) -> list[Seed]:
    """`num` independent seeds."""
    return tf.unstack(tfp.random.split_seed(seed, num), num)


def fold_in(seed: Seed, number: int | Tensor) -> Seed:
    """The seed of item `number` of a series."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def per_step(seed: Seed, num_steps: int) -> Tensor:
    """A seed for each step of a scan, `[1, T, 2]`."""
    return tf.stack(tfp.random.split_seed(seed, num_steps))[None]
