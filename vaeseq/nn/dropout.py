# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Dropout, switched on by a context and drawn from its seed (Srivastava et al., JMLR 2014)."""
from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from vaeseq.types import Seed, Tensor

# The seed of the training step being traced, and the number of each layer that has used it.
_DROPOUT: contextvars.ContextVar[tuple[Seed, dict[int, int]] | None] = contextvars.ContextVar(
    "vaeseq_dropout", default=None)


@contextlib.contextmanager
def enable_dropout(seed: Seed) -> Iterator[None]:
    """Switches dropout on for whatever is called or traced inside; outside it is the identity.

    Layers number themselves in the order of their first use within the context, and each folds
    its number into the seed. A layer called twice within one context drops the same units twice.

    Args:
      seed: int32 [2].
    """
    token = _DROPOUT.set((seed, {}))
    try:
        yield
    finally:
        _DROPOUT.reset(token)


@contextlib.contextmanager
def segment_dropout(number: Tensor | None) -> Iterator[None]:
    """Inside, dropout differs from that of other segments of a sequence (`unroll.by_segments`).

    Args:
      number: scalar int32, of the segment; None where the sequence is whole.
    """
    current = _DROPOUT.get()
    if current is None or number is None:
        yield
        return
    seed, numbers = current
    token = _DROPOUT.set(
        (tf.random.experimental.stateless_fold_in(seed, number, alg="philox"), numbers))
    try:
        yield
    finally:
        _DROPOUT.reset(token)


def apply_dropout(layer: object, inputs: Tensor, rate: float) -> Tensor:
    """Drops units of `inputs` [..., F] if a `enable_dropout` is set; `layer` names the caller."""
    current = _DROPOUT.get()
    if current is None or rate == 0.0:
        return inputs
    seed, numbers = current
    number = numbers.setdefault(id(layer), len(numbers))
    # The default generator takes a hundred times longer when it is compiled for a CPU.
    layer_seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return tf.nn.experimental.stateless_dropout(inputs, rate, layer_seed, rng_alg="philox")


def check_dropout_rate(rate: float) -> None:
    """Raises ValueError for what is no share of units to be dropped."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"Expected a dropout rate in [0, 1), got {rate}.")
