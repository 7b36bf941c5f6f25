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
from vaeseq.train.optimizers import assigned
from vaeseq.types import Seed, Tensor


class WeightDropout:
    """Masks the recurrent weights of layers."""

    def __init__(self, modules: Sequence[tf.Module], rate: float):
        """Finds the layers.

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
        self._layers = [(cell.recurrent, cell.size) for cell in cells.values()
                        if cell.recurrent is not None]
        if not self._layers:
            raise ValueError(f"weight_dropout={rate:g}: expected recurrent layers of cell=lstm or "
                             "cell=gru, got none. Take another cell, or weight_dropout=0.")

    @contextlib.contextmanager
    def sampled(self, seed: Seed) -> Iterator[dict[object, Tensor]]:
        """Returns a context in which weights are dropped; after it they are as before.

        It can be used inside of a `tf.function`.

        Args:
          seed: int32 `[2]`.

        Yields:
          The masks m, of the shapes of the weights, by `ref()` of these; 1 at what is not dropped.
        """
        weights = [layer.w for layer, _ in self._layers]
        masks = []
        for weight, (_, size), one in zip(
                weights, self._layers, seeds.split(seed, len(weights))):
            is_in_use = seeds.uniform([size, weight.shape[1]], one, weight.dtype) >= self._rate
            masks.append(tf.concat([
                tf.ones([weight.shape[0] - size, weight.shape[1]], weight.dtype),
                tf.cast(is_in_use, weight.dtype) / (1.0 - self._rate)], 0))
        with assigned(weights, [weight * mask for weight, mask in zip(weights, masks)]):
            yield {weight.ref(): mask for weight, mask in zip(weights, masks)}
