# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Layers of encoders and decoders: activation, relative and masked weights."""

from __future__ import annotations

import math

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq.nn import initializers, networks
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate
from vaeseq.nn.scan import matmul
from vaeseq.types import Tensor


class Activation(snt.Module):
    """An activation function by name, followed by dropout; both as in `networks.MLP`."""

    def __init__(self, activation: str, dropout: float = 0.0, name: str | None = None) -> None:
        super().__init__(name=name)
        check_dropout_rate(dropout)
        self._function = networks.activation_function(activation)
        self._dropout = dropout

    def __call__(self, inputs: Tensor) -> Tensor:
        """Applies the activation: [..., H] -> [..., H]."""
        return apply_dropout(self, self._function(inputs), self._dropout)


class RelativeWeights(snt.Module):
    """Weights between two rows of D positions that depend on the distance alone: a convolution.

    From A channels at each position to B channels: w[i A + a, j B + b] = table[j - i, a, b].
    """

    def __init__(self, size: int, input_channels: int, output_channels: int,
                 name: str | None = None) -> None:
        """Args: size: D; input_channels: A; output_channels: B; name: of the module."""
        super().__init__(name=name)
        self._size = size
        self._channels = [input_channels, output_channels]

    def __call__(self, dtype: tf.DType) -> Tensor:
        """Returns the weights, [D A, D B]; the first call creates the variable."""
        self._initialize(dtype)
        # A negative distance counts from the table's end. The table is repeated D times and cut
        # into rows shorter by one, so that each row starts one position earlier in the table.
        length, channels = 2 * self._size, self._channels
        rows = tf.broadcast_to(self.table, [self._size, length, *channels])
        flat = tf.reshape(rows, [-1, *channels])[:self._size * (length - 1)]
        pairs = tf.reshape(flat, [self._size, length - 1, *channels])[:, :self._size]
        return tf.reshape(tf.transpose(pairs, [0, 2, 1, 3]),
                          [self._size * channels[0], self._size * channels[1]])

    @snt.once
    def _initialize(self, dtype: tf.DType) -> None:
        with tf.init_scope():
            # Glorot & Bengio (2010), with the fans of the whole layer.
            w_init = initializers.Normal(math.sqrt(2 / (self._size * sum(self._channels))))
            self.table = tf.Variable(
                w_init([2 * self._size, *self._channels], dtype), name="table")


class MaskedLinear(snt.Module):
    """A linear layer with a fixed binary mask on its weights."""

    def __init__(self, mask: np.ndarray, *, relative: RelativeWeights | None = None,
                 use_bias: bool = True, name: str | None = None) -> None:
        """Builds the layer; its variables are created by the first call.

        Args:
          mask: [F, H], 1 for a free weight and 0 for none.
          relative: weights [F, H] that are added to the layer's own, which are then initialised
            with zeros.
          use_bias: whether there is a bias.
        """
        super().__init__(name=name)
        self._mask = mask
        self._relative = relative
        self._use_bias = use_bias

    def weights(self, dtype: tf.DType) -> Tensor:
        """Returns the masked weights, [F, H]; the first call creates the variables."""
        self._initialize(dtype)
        weights = self.w if self._relative is None else self.w + self._relative(dtype)
        return weights * tf.constant(self._mask, dtype)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Applies the layer: [..., F] -> [..., H]."""
        # One dense product: with 88 inputs and 600 units, skipping zero blocks was slower with two
        # blocks, and slower still with four.
        weights = self.weights(inputs.dtype)
        return matmul.plain((inputs,), weights, self.b if self._use_bias else None)

    @snt.once
    def _initialize(self, dtype: tf.DType) -> None:
        with tf.init_scope():
            w_init = initializers.Glorot() if self._relative is None else initializers.Zeros()
            self.w = tf.Variable(w_init(self._mask.shape, dtype), name="w")
            if self._use_bias:
                self.b = tf.Variable(tf.zeros(self._mask.shape[-1:], dtype), name="b")
