# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The transformer block as a recurrent layer: attention to a window of the past.

    x_t      = inputs_t, or inputs_t P where their size is not H
    q, k, v  = rms_norm(x_t) W                            for each head
    a_t      = sum_s softmax_s(q_t R^(s - t) k_s / sqrt(D)) v_s,   s = t - W..t
    y_t      = x_t + a_t O
    g, u     = rms_norm(y_t) V                            SwiGLU, arXiv:2002.05202
    output_t = y_t + (silu(g) * u) U

That is the pre-norm block (arXiv:2002.04745) of Llama. R^n is the rotation of rotary position
embeddings (arXiv:2104.09864): pair i of a head's dimensions is turned by n * 10000^(-2i / D), so
that a score depends on the distance of two steps, not on their places.

The state is a cache of the keys and values of the last W steps. It has a fixed shape, so that each
step of generation costs the same, and it is carried from window to window of a long sequence, as
in Transformer-XL (arXiv:1901.02860). With L layers, a step can see W * L steps of the past. Keys
are cached before they are rotated, and rotated by their distance: no position grows with the
stream, and no accuracy is lost along it.

Between two training windows the state is a constant, as it is for every recurrent layer (truncated
backpropagation through time): a window attends to the keys and values of the one before it, and no
gradient passes to what computed them. Within a window it passes through everything, also where a
long window is computed in segments (`scan.unroll.by_segments`).

Sequences of more than W steps are cut into blocks of W queries, each of which attends to its own
block and to the one before it (local attention, arXiv:2004.05150). All blocks are one batch of
products; memory grows by T * W instead of T^2:

    keys      cache | block 1 | block 2 | block 3
    queries           block 1: cache, block 1
                                block 2: block 1, block 2
                                          block 3: block 2, block 3

`Transformer.both_ways` runs the same layer without the causal mask and without a state: each step
attends to the W steps before it and to the W after it, in blocks of three where T > W + 1. A
`BidirectionalTransformer` is a stack of such layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.description import Described
from vaeseq.nn.cells import Cell, Linear, RMSNorm
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate
from vaeseq.nn.initializers import Zeros
from vaeseq.nn.scan.matmul import Parts, as_parts, concat_parts
from vaeseq.types import Spec, Tensor

_BASE = 10000.0  # of the rotations' wavelengths


class TransformerState(NamedTuple):
    """State of a layer: a cache of the last W steps, the oldest first.

    Attributes:
      keys: before rotation, [..., W, H].
      values: [..., W, H].
      count: how many steps the cache holds, at its end; int32 [...].
    """
    keys: Tensor
    values: Tensor
    count: Tensor


class Transformer(Cell):
    """A transformer block (see the module description); it begins as the identity."""

    is_pre_norm = True
    is_residual = True

    def __init__(self, size: int, *, heads: int = 4, window: int = 128, dropout: float = 0.0,
                 name: str | None = None) -> None:
        """Creates the layer; its variables are created at the first call.

        Args:
          size: H, units of the block's inputs and outputs.
          heads: number of attention heads, of H / heads dimensions each.
          window: W, the number of past steps that a step attends to, beside itself.
          dropout: the probability that a unit is dropped before each of the two additions, inside
            `dropout.enable_dropout`.

        Raises:
          ValueError: H is no multiple of 2 * heads, a window below 1, or a wrong dropout rate.
        """
        super().__init__(size, name=name)
        if heads < 1 or size % (2 * heads):
            raise ValueError(
                f"Expected a size that is a multiple of twice the number of heads, got size {size} "
                f"and {heads} heads. Choose another size or attention_heads.")
        if window < 1:
            raise ValueError(f"Expected an attention window of at least 1 step, got {window}.")
        check_dropout_rate(dropout)
        self._heads = heads
        self._window = window
        self._dropout = dropout
        self._project = Linear(size, use_bias=False, name="project")
        self._attention_norm = RMSNorm(name="attention_norm")
        self._queries_keys_values = Linear(3 * size, use_bias=False, name="queries_keys_values")
        self._attention_outputs = Linear(
            size, use_bias=False, w_init=Zeros(), name="attention_outputs")
        self._norm = RMSNorm(name="norm")
        inner = 8 * math.ceil(size / 3)  # the weights of an MLP of 4 H units
        self._gates = Linear(2 * inner, use_bias=False, name="gates")
        self._outputs = Linear(size, use_bias=False, w_init=Zeros(), name="outputs")

    @property
    def state_spec(self) -> TransformerState:
        cache = Spec([self._window, self.size], self._dtype)
        return TransformerState(cache, cache, Spec([], tf.int32))

    def step(self, inputs: Parts, state: TransformerState) -> tuple[Tensor, TransformerState]:
        x = self._read(inputs)
        q, k, v = (part[..., tf.newaxis, :] for part in self._project_heads(x))
        attended, keys, values = self._attend(q, k, v, state)
        count = tf.minimum(state.count + 1, self._window)
        return (self._finish(x, attended[..., 0, :]),
                TransformerState(keys[..., 1:, :], values[..., 1:, :], count))

    def __call__(self, inputs: Parts, state: TransformerState,
                 lengths: Tensor | None = None) -> tuple[Tensor, TransformerState]:
        x = self._read(inputs)
        num_steps = self._num_steps(x)
        attended, keys, values = self._attend(*self._project_heads(x), state)
        outputs = self._finish(x, attended)
        if lengths is None:
            count = tf.minimum(state.count + num_steps, self._window)
            return outputs, TransformerState(keys[:, num_steps:], values[:, num_steps:], count)
        lengths = tf.cast(lengths, tf.int32)
        places = lengths[:, tf.newaxis] + tf.range(self._window)
        keys, values = (tf.gather(part, places, batch_dims=1) for part in (keys, values))
        count = tf.minimum(state.count + lengths, self._window)
        return nest_lib.mask_time(outputs, lengths), TransformerState(keys, values, count)

    def both_ways(self, inputs: Parts, lengths: Tensor | None = None) -> Tensor:
        """Runs whole sequences; each step attends to the W steps on either side of it.

        Args:
          inputs: [B, T, F], or tensors to be concatenated to it.
          lengths: integer [B], or None where every row has T steps.

        Returns:
          [B, T, H], zeros past the length.
        """
        x = self._read(inputs)
        window, num_steps = self._window, self._num_steps(x)
        queries, keys, values = map(self._split, self._project_heads(x))
        exists = tf.ones(nest_lib.shape_of(x)[:2], tf.bool)
        exists = nest_lib.mask_time(exists, lengths)
        rotated, arguments = _rotate(queries, 0), (_rotate(keys, 0), values, exists)
        if num_steps <= window + 1:
            attended = _attention(
                rotated, *arguments, visible=np.ones([num_steps, num_steps], bool))
        else:
            offset = np.arange(3 * window) - window - np.arange(window)[:, np.newaxis]
            attended = _attention(
                _blocks(rotated, window),
                *(_triples(_blocks(part, window)) for part in arguments),
                visible=abs(offset) <= window)
            rows, count, *rest = nest_lib.shape_of(attended)
            attended = tf.reshape(attended, [rows, count * window, *rest[1:]])[:, :num_steps]
        joined = tf.reshape(attended, [*nest_lib.shape_of(attended)[:-2], self.size])
        return nest_lib.mask_time(self._finish(x, joined), lengths)

    def _read(self, inputs: Parts) -> Tensor:
        """Returns x_t, [..., H]."""
        parts = as_parts(inputs)
        if sum(part.shape[-1] for part in parts) != self.size:
            return self._project(parts)
        return tf.convert_to_tensor(concat_parts(parts))

    def _project_heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the queries, keys and values of all heads, [..., H] each."""
        q, k, v = tf.split(self._queries_keys_values(self._attention_norm(x)), 3, -1)
        return q, k, v

    def _finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Computes the outputs, [..., H], from the inputs and what the heads have read."""
        x += apply_dropout(
            self._attention_outputs, self._attention_outputs(attended), self._dropout)
        gate, up = tf.split(self._gates(self._norm(x)), 2, -1)
        return x + apply_dropout(self._outputs, self._outputs(tf.nn.silu(gate) * up), self._dropout)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, state: TransformerState
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Attends to the window, for T further steps.

        Args:
          queries: [..., T, H].
          keys: [..., T, H], before rotation.
          values: [..., T, H].
          state: before these steps.

        Returns:
          What the heads read, [..., T, H], and the keys and values with those of the state before
          them, [..., W + T, H].
        """
        window, num_steps = self._window, queries.shape[-2]
        keys = tf.concat([state.keys, keys], -2)
        values = tf.concat([state.values, values], -2)
        exists = tf.range(window) >= window - state.count[..., tf.newaxis]
        exists = tf.concat([exists, tf.ones_like(queries[..., 0], tf.bool)], -1)  # [..., W + T]
        rotated = _rotate(self._split(queries), window)
        arguments = _rotate(self._split(keys), 0), self._split(values), exists
        if num_steps <= window:
            attended = _attention(rotated, *arguments, visible=_past(num_steps, window))
        else:
            attended = _attention(
                _blocks(rotated, window), *(_pairs(_blocks(x, window)) for x in arguments),
                visible=_past(window, window))
            rows, count, *rest = nest_lib.shape_of(attended)
            attended = tf.reshape(attended, [rows, count * window, *rest[1:]])[:, :num_steps]
        joined = tf.reshape(attended, [*nest_lib.shape_of(attended)[:-2], self.size])
        return joined, keys, values

    def _split(self, x: Tensor) -> Tensor:
        """Splits [..., H] into heads, [..., heads, D]."""
        return tf.reshape(
            x, [*nest_lib.shape_of(x)[:-1], self._heads, self.size // self._heads])


class BidirectionalTransformer(Described, snt.Module):
    """Transformer blocks that each attend to both sides, and a normalisation after the last."""

    def __init__(self, sizes: Sequence[int], *, heads: int = 4, window: int = 128,
                 dropout: float = 0.0, name: str | None = None) -> None:
        """Creates the layers; their variables are created at the first call.

        Args:
          sizes: units of each layer, at least one.
          heads: attention heads of each layer.
          window: steps on either side that each layer attends to.
          dropout: as for `Transformer`.

        Raises:
          ValueError: no sizes, or those that a `Transformer` does not have.
        """
        super().__init__(name=name)
        if not sizes:
            raise ValueError("Expected the size of at least one layer, got sizes=().")
        self._layers = [
            Transformer(size, heads=heads, window=window, dropout=dropout,
                        name=f"transformer_{number}")
            for number, size in enumerate(sizes)]
        self._norm = RMSNorm(name="norm")

    def __call__(self, inputs: Parts, lengths: Tensor | None = None) -> Tensor:
        """Maps [B, T, F], or tensors to be concatenated to it, to [B, T, H]; zeros past lengths."""
        for layer in self._layers:
            inputs = layer.both_ways(inputs, lengths)
        return self._norm(inputs)


def _attention(queries: Tensor, keys: Tensor, values: Tensor, exists: Tensor, *,
               visible: np.ndarray) -> Tensor:
    """Reads values by scaled dot products.

    Args:
      queries: [..., T, heads, D], rotated.
      keys: [..., K, heads, D], rotated.
      values: [..., K, heads, D].
      exists: bool [..., K], whether a key belongs to the sequence.
      visible: bool [T, K], which keys each query attends to.

    Returns:
      [..., T, heads, D].
    """
    mask = visible & exists[..., tf.newaxis, tf.newaxis, :]  # [..., 1, T, K]
    scores = tf.einsum("...qhd,...khd->...hqk", queries, keys) / math.sqrt(queries.shape[-1])
    weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))
    return tf.einsum("...hqk,...khd->...qhd", weights, values)


def _past(num_steps: int, window: int) -> np.ndarray:
    """Returns the mask, [T, W + T], with which step t attends to the keys t to t + W."""
    distance = np.arange(window + num_steps) - np.arange(num_steps)[:, np.newaxis]
    return (distance >= 0) & (distance <= window)


def _rotate(x: Tensor, first: int) -> Tensor:
    """Rotates the pairs of dimensions of step t, [..., T, heads, D], by its place `first` + t."""
    num_steps, _, size = x.shape[-3:]
    frequencies = _BASE ** (-np.arange(size // 2) / (size // 2))
    angles = (first + np.arange(num_steps))[:, np.newaxis, np.newaxis] * frequencies
    cosine, sine = (tf.constant(table, x.dtype) for table in (np.cos(angles), np.sin(angles)))
    one, other = tf.split(x, 2, -1)
    return tf.concat([one * cosine - other * sine, one * sine + other * cosine], -1)


def _blocks(x: Tensor, size: int) -> Tensor:
    """Cuts [B, T, *] into blocks of `size` steps, [B, N, size, *], the last one padded."""
    rows, num_steps, *rest = nest_lib.shape_of(x)
    count = math.ceil(num_steps / size)
    padding = [[0, 0], [0, count * size - num_steps], *([0, 0] for _ in rest)]
    return tf.reshape(tf.pad(x, padding), [rows, count, size, *rest])


def _pairs(blocks: Tensor) -> Tensor:
    """Joins each block with the next one: [B, N + 1, W, *] -> [B, N, 2 W, *]."""
    return tf.concat([blocks[:, :-1], blocks[:, 1:]], 2)


def _triples(blocks: Tensor) -> Tensor:
    """Joins each block with its neighbours: [B, N, W, *] -> [B, N, 3 W, *]; none are zeros."""
    padded = tf.pad(blocks, [[0, 0], [1, 1], *([0, 0] for _ in blocks.shape[2:])])
    return tf.concat([padded[:, :-2], blocks, padded[:, 2:]], 2)
