# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Dropout, switched on by a context and drawn from its seed (Srivastava et al., JMLR 2014)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import tensorflow as tf

from vaeseq import trace_context
from vaeseq.types import Seed, Tensor


def enable_dropout(seed: Seed) -> AbstractContextManager[None]:
    """Switches dropout on for the code that runs or is traced inside; elsewhere it is the identity.

    Layers are numbered in the order of their first use inside, and each folds its number into the
    seed, int32 [2]. A layer that is called twice inside drops the same units twice.
    """
    return trace_context.replace(dropout=(seed, {}))


@contextlib.contextmanager
def segment_dropout(number: Tensor | None) -> Iterator[None]:
    """Gives each segment of a sequence (see `unroll.by_segments`) dropout of its own.

    The number of the segment is a scalar int32; None where the sequence is whole.
    """
    current = trace_context.current().dropout
    if current is None or number is None:
        yield
        return
    seed, layer_numbers = current
    seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    with trace_context.replace(dropout=(seed, layer_numbers)):
        yield


def apply_dropout(layer: object, inputs: Tensor, rate: float) -> Tensor:
    """Drops units of `inputs` [..., F] inside `enable_dropout`.

    Args:
      layer: the caller; it identifies the mask.
      inputs: floating [..., F].
      rate: the probability that a unit is dropped, in [0, 1).

    Returns:
      [..., F], where the other units are divided by 1 - rate.
    """
    current = trace_context.current().dropout
    if current is None or rate == 0.0:
        return inputs
    seed, layer_numbers = current
    number = layer_numbers.setdefault(id(layer), len(layer_numbers))
    # The default generator takes a hundred times longer when it is compiled for a CPU.
    layer_seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return tf.nn.experimental.stateless_dropout(
        tf.convert_to_tensor(inputs), rate, layer_seed, rng_alg="philox")


def check_dropout_rate(rate: float) -> None:
    """Raises ValueError unless `rate` is in [0, 1)."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"Expected a dropout rate in [0, 1), got {rate}.")
