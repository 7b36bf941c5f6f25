# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Linear and normalising layers, and recurrent layers that run one step or a whole sequence.

    LSTM (Hochreiter & Schmidhuber 1997, forget gate: Gers et al. 2000), without peepholes:
        i, f, o = sigmoid(x W + h U + b),  g = tanh(x W + h U + b)
        c' = f * c + i * g,  h' = o * tanh(c')
    GRU (arXiv:1406.1078, with the reset gate applied after the product, as in cuDNN):
        r, u = sigmoid(x W + h U + b),  n = tanh(x W + b + r * (h U + b'))
        h' = u * h + (1 - u) * n
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq import dtypes
from vaeseq.nn.initializers import Glorot, Initializer, Ones, Orthogonal, Zeros
from vaeseq.nn.scan import matmul, unroll
from vaeseq.nn.scan.matmul import Parts, as_parts
from vaeseq.types import Nest, Spec, Tensor

_EPS = 1e-6  # added to a mean of squares


class Linear(snt.Module):
    """y = x @ w + b over the last axis."""

    def __init__(self, output_size: int, *, use_bias: bool = True,
                 w_init: Initializer | None = None,
                 b_init: Initializer | None = None,
                 name: str | None = None) -> None:
        """Creates the layer; its variables are created at the first call.

        Args:
          output_size: the size of the last axis of the outputs.
          use_bias: whether to add b.
          w_init: of w [F, output_size]; by default `initializers.Glorot`.
          b_init: of b [output_size]; by default zeros.
        """
        super().__init__(name=name)
        self.output_size = output_size
        self._use_bias = use_bias
        self._w_init = w_init or Glorot()
        self._b_init = b_init or Zeros()

    def __call__(self, inputs: Parts) -> Tensor:
        """Maps [..., F], or tensors to be concatenated to it, to [..., output_size]."""
        parts = as_parts(inputs)
        self._initialize(parts)
        return matmul.product(parts, self.w, self.b if self._use_bias else None)

    @snt.once
    def _initialize(self, parts: Sequence[Tensor]) -> None:
        if any(part.shape[-1] is None for part in parts):
            raise ValueError(f"{self.name} expects inputs whose last dimension is known while "
                             f"tracing, got shapes {[part.shape for part in parts]}. Set it with "
                             "tf.ensure_shape.")
        self.input_size = sum(part.shape[-1] for part in parts)
        dtype = parts[0].dtype
        # The variables are created outside of the function that is being traced.
        with tf.init_scope():
            self.w = tf.Variable(
                self._w_init([self.input_size, self.output_size], dtype), name="w")
            if self._use_bias:
                self.b = tf.Variable(self._b_init([self.output_size], dtype), name="b")


class RMSNorm(snt.Module):
    """Divides by the root mean square over the last axis, and scales (arXiv:1910.07467)."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Maps [..., F] to [..., F]."""
        self._initialize(inputs)
        return rms_norm(inputs, self.scale)

    @snt.once
    def _initialize(self, inputs: Tensor) -> None:
        # The variables are created outside of the function that is being traced.
        with tf.init_scope():
            self.scale = tf.Variable(Ones()([inputs.shape[-1]], inputs.dtype), name="scale")


def rms_norm(inputs: Tensor, scale: Tensor) -> Tensor:
    """Returns inputs / rms(inputs) * scale, [..., F], for inputs [..., F] and a scale [F]."""
    mean_square = tf.reduce_mean(tf.square(inputs), -1, keepdims=True)
    return inputs * tf.math.rsqrt(mean_square + _EPS) * scale


class Cell(snt.Module, abc.ABC):
    """A recurrent layer with `size` units, H.

    Its inputs and its state have the dtype in which it was built (see `vaeseq.dtypes`).

    Attributes:
      size: H.
      is_pre_norm: whether the layer normalises its inputs and adds to them, so that a stack
        normalises the sum after the last layer.
      is_residual: whether the layer adds its inputs and drops units itself; a stack does neither.
    """

    is_pre_norm = False
    is_residual = False

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.size = size
        self._dtype = dtypes.default_dtype()

    @property
    @abc.abstractmethod
    def state_spec(self) -> Nest:
        """Returns the specs of the state of one sequence."""

    @property
    def recurrent(self) -> Linear | None:
        """Returns the product whose last H rows of weights multiply the last outputs, if any."""
        return None

    @abc.abstractmethod
    def step(self, inputs: Parts, state: Nest) -> tuple[Tensor, Nest]:
        """Runs one step: ([..., F], nest of [..., H]) -> ([..., H], nest of [..., H])."""

    def __call__(self, inputs: Parts, state: Nest,
                 lengths: Tensor | None = None) -> tuple[Tensor, Nest]:
        """Runs whole sequences: [B, T, F] -> [B, T, H], and the state after the last valid step."""
        return unroll.scan(self.step, as_parts(inputs), state, lengths)

    def _num_steps(self, inputs: Tensor) -> int:
        """Returns T of inputs [B, T, F]; raises ValueError unless it is known while tracing."""
        num_steps = inputs.shape[1]
        if num_steps is None:
            raise ValueError(f"{self.name} expects inputs [B, T, F] with a T that is known while "
                             f"tracing, got shape {inputs.shape}. Give the tf.function an "
                             "input_signature or a batch with a fixed length.")
        return num_steps


class LSTMState(NamedTuple):
    """State of an LSTM layer.

    Attributes:
      hidden: [..., H], also the outputs.
      cell: [..., H].
    """
    hidden: Tensor
    cell: Tensor


class LSTM(Cell):
    """A long short-term memory layer; the bias of its forget gate starts at 1."""

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(size, name=name)
        self._gates = Linear(4 * size, name="gates", w_init=_GateWeights(size),
                             b_init=_ForgetBias(size))

    @property
    def state_spec(self) -> LSTMState:
        spec = Spec([self.size], self._dtype)
        return LSTMState(spec, spec)

    @property
    def recurrent(self) -> Linear:
        return self._gates

    def step(self, inputs: Parts, state: LSTMState) -> tuple[Tensor, LSTMState]:
        gates = self._gates((*as_parts(inputs), state.hidden))
        # One tanh over all gates, as sigmoid(x) = (1 + tanh(x / 2)) / 2: compiled, it is several
        # times faster than one activation for each slice.
        scale = tf.constant([0.5, 0.5, 0.5, 1.0], gates.dtype)
        i, f, o, g = tf.split(tf.tanh(gates * tf.repeat(scale, self.size)), 4, axis=-1)
        cell = (0.5 + 0.5 * f) * state.cell + (0.5 + 0.5 * i) * g
        hidden = (0.5 + 0.5 * o) * tf.tanh(cell)
        return hidden, LSTMState(hidden, cell)


class GRU(Cell):
    """A gated recurrent unit."""

    def __init__(self, size: int, *, name: str | None = None) -> None:
        super().__init__(size, name=name)
        self._input = Linear(3 * size, name="input", w_init=_GateWeights(size, recurrent=False))
        self._recurrent = Linear(3 * size, name="recurrent", w_init=_GateWeights(size))

    @property
    def state_spec(self) -> Spec:
        return Spec([self.size], self._dtype)

    @property
    def recurrent(self) -> Linear:
        return self._recurrent

    def step(self, inputs: Parts, state: Tensor) -> tuple[Tensor, Tensor]:
        projected = self._input(inputs)
        recurrent = self._recurrent(state)
        gates = tf.sigmoid(projected[..., :2 * self.size] + recurrent[..., :2 * self.size])
        reset, update = tf.split(gates, 2, axis=-1)
        new = tf.tanh(projected[..., 2 * self.size:] + reset * recurrent[..., 2 * self.size:])
        hidden = update * state + (1.0 - update) * new
        return hidden, hidden


CELLS: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU}


class _GateWeights(Initializer):
    """Stacks, for each gate, Glorot's uniform [F, H] on an orthogonal [H, H] (arXiv:1312.6120)."""

    def __init__(self, size: int, *, recurrent: bool = True) -> None:
        self._size = size
        self._num_recurrent = size if recurrent else 0

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.concat([self._gate(shape[0] - self._num_recurrent, dtype)
                          for _ in range(shape[1] // self._size)], axis=1)

    def _gate(self, num_inputs: int, dtype: tf.DType) -> Tensor:
        # A contextless GRU has none; Glorot's would draw a seed.
        rows = [Glorot()([num_inputs, self._size], dtype) if num_inputs
                else tf.zeros([0, self._size], dtype)]
        if self._num_recurrent:
            rows.append(Orthogonal()([self._size, self._size], dtype))
        return tf.concat(rows, axis=0)


class _ForgetBias(Initializer):
    """Returns zeros, and ones for the forget gate (Jozefowicz et al. 2015)."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype), self._size)
