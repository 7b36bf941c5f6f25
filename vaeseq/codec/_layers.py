# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Layers that codecs need besides `networks.MLP`: a convolution and masked products."""

from __future__ import annotations

import math

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq.nn import initializers, networks
from vaeseq.nn.dropout import apply_dropout
from vaeseq.nn.scan import matmul
from vaeseq.types import Tensor


class Activation(snt.Module):
    """An activation function by name, and dropout after it; both as in `networks.MLP`."""

    def __init__(self, activation: str, dropout: float = 0.0, name: str | None = None) -> None:
        super().__init__(name=name)
        # An MLP checks both arguments, and says what is wrong with them.
        networks.MLP((), activation=activation, dropout=dropout)
        self._function = networks._ACTIVATIONS[activation]
        self._dropout = dropout

    def __call__(self, inputs: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        return apply_dropout(self, self._function(inputs), self._dropout)


class Conv2D(snt.Module):
    """A strided convolution with "SAME" padding: [N, H, W, C] -> [N, H', W', output_channels]."""

    def __init__(self, output_channels: int, kernel_size: int, stride: int,
                 name: str | None = None) -> None:
        super().__init__(name=name)
        self._output_channels = output_channels
        self._kernel_size = kernel_size
        self._stride = stride

    def __call__(self, frames: Tensor) -> Tensor:
        self._initialize(frames)
        return tf.nn.conv2d(frames, self.w, self._stride, "SAME") + self.b

    @snt.once
    def _initialize(self, frames: Tensor) -> None:
        shape = [self._kernel_size, self._kernel_size, frames.shape[-1], self._output_channels]
        with tf.init_scope():
            fan_in = shape[0] * shape[1] * shape[2]
            w_init = initializers.Normal(math.sqrt(2 / fan_in))  # He et al., arXiv:1502.01852
            self.w = tf.Variable(w_init(shape, frames.dtype), name="w")
            self.b = tf.Variable(tf.zeros(shape[-1:], frames.dtype), name="b")


class RelativeWeights(snt.Module):
    """Weights between two rows of D places that depend on their distance alone: a convolution.

    From A channels of each place to B of each: w[i A + a, j B + b] = table[j - i, a, b].
    """

    def __init__(self, size: int, input_channels: int, output_channels: int,
                 name: str | None = None) -> None:
        """Args: size: D; input_channels: A; output_channels: B."""
        super().__init__(name=name)
        self._size = size
        self._channels = [input_channels, output_channels]

    def __call__(self, dtype: tf.DType) -> Tensor:
        """[D A, D B]; the variable comes with the first call."""
        self._initialize(dtype)
        # A distance below 0 counts from the table's end. Rows of the table one after the other,
        # cut again into rows that are shorter by one: each begins one place further back.
        length, channels = 2 * self._size, self._channels
        rows = tf.broadcast_to(self.table, [self._size, length, *channels])
        flat = tf.reshape(rows, [-1, *channels])[:self._size * (length - 1)]
        pairs = tf.reshape(flat, [self._size, length - 1, *channels])[:, :self._size]
        return tf.reshape(tf.transpose(pairs, [0, 2, 1, 3]),
                          [self._size * channels[0], self._size * channels[1]])

    @snt.once
    def _initialize(self, dtype: tf.DType) -> None:
        with tf.init_scope():
            # As for any layer of so many inputs and outputs (Glorot & Bengio 2010).
            w_init = initializers.Normal(math.sqrt(2 / (self._size * sum(self._channels))))
            self.table = tf.Variable(
                w_init([2 * self._size, *self._channels], dtype), name="table")


class MaskedLinear(snt.Module):
    """A linear layer some of whose weights are held at zero."""

    def __init__(self, mask: np.ndarray, *, relative: RelativeWeights | None = None,
                 use_bias: bool = True, name: str | None = None) -> None:
        """Builds the layer; the variables come with the first call.

        Args:
          mask: [F, H], 1 where a weight is free and 0 where there is none.
          relative: weights [F, H] to which the layer's own are added, which begin at zero.
          use_bias: whether there is a bias.
          name: of the module.
        """
        super().__init__(name=name)
        self._mask = mask
        self._relative = relative
        self._use_bias = use_bias

    def weights(self, dtype: tf.DType) -> Tensor:
        """The masked weights, [F, H]; the variables come with the first call."""
        self._initialize(dtype)
        weights = self.w if self._relative is None else self.w + self._relative(dtype)
        return weights * tf.constant(self._mask, dtype)

    def __call__(self, inputs: Tensor) -> Tensor:
        """[..., F] -> [..., H]."""
        # The masked product is one dense product: at these sizes (88 inputs, 600 units) leaving
        # out blocks of zeros was slower with two blocks, and slower still with four.
        weights = self.weights(inputs.dtype)
        return matmul.plain((inputs,), weights, self.b if self._use_bias else None)

    @snt.once
    def _initialize(self, dtype: tf.DType) -> None:
        with tf.init_scope():
            w_init = initializers.Glorot() if self._relative is None else initializers.Zeros()
            self.w = tf.Variable(w_init(self._mask.shape, dtype), name="w")
            if self._use_bias:
                self.b = tf.Variable(tf.zeros(self._mask.shape[-1:], dtype), name="b")
