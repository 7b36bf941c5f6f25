# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""Dropout of recurrent weights (Merity et al., arXiv:1708.02182; DropConnect, ICML 2013).

Each update multiplies the weights by which a layer reads its own last outputs with

    m_ij = 0 with probability p, otherwise 1 / (1 - p)

and computes the gradient g at w * m, so that m * g is the gradient of w. One mask holds for all
steps of all sequences of an update: so what the state carries is not disturbed from step to step,
and the loop over time costs what it did.
"""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from vaeseq import seeds
from vaeseq.nn.cells import Cell
from vaeseq.nn.dropout import check_dropout_rate
from vaeseq.types import Seed, Tensor


class WeightDropout:
    """Masks the recurrent weights of layers."""

    def __init__(self, modules: Sequence[tf.Module], rate: float):
        """Finds the layers, whose variables exist.

        Args:
          modules: what holds the layers.
          rate: p, the probability that a weight is dropped, in [0, 1).

        Raises:
          ValueError: `rate` is out of its range, or no layer has recurrent weights.
        """
        check_dropout_rate(rate)
        self._rate = rate
        cells = {id(layer): layer for module in modules for layer in module.submodules
                 if isinstance(layer, Cell)}
        found = {weight.ref(): (weight, first) for cell in cells.values()
                 for weight, first in cell.recurrent_weights}
        if not found:
            raise ValueError(f"weight_dropout={rate:g}: expected recurrent layers of cell=lstm or "
                             "cell=gru, got none. Take another cell, or weight_dropout=0.")
        self._weights = list(found.values())

    @contextlib.contextmanager
    def sampled(self, seed: Seed) -> Iterator[dict[object, Tensor]]:
        """Returns a context in which weights are dropped; after it they are as before.

        It can be used inside of a `tf.function`.

        Args:
          seed: int32 `[2]`.

        Yields:
          The masks m `[F, H]` by `ref()` of their weights, 1 at what is never dropped.
        """
        values = [tf.identity(weight) for weight, _ in self._weights]
        masks = {}
        for (weight, first), one in zip(self._weights, seeds.split(seed, len(self._weights))):
            num_rows, size = weight.shape
            kept = seeds.uniform([num_rows - first, size], one, weight.dtype) >= self._rate
            masks[weight.ref()] = tf.concat([
                tf.ones([first, size], weight.dtype),
                tf.cast(kept, weight.dtype) / (1.0 - self._rate)], 0)
            weight.assign(weight * masks[weight.ref()])
        try:
            yield masks
        finally:
            for (weight, _), value in zip(self._weights, values):
                weight.assign(value)
