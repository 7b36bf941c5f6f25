# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoders of one tensor.

Floating observations keep their dtype; integers and bools are cast to the dtype in which the
encoder was built (see `vaeseq.dtypes`).
"""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from vaeseq import dtypes, nest
from vaeseq.codec import _layers, heads
from vaeseq.encoder import Encoder
from vaeseq.nn import initializers
from vaeseq.nn.networks import MLP
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.types import Spec, Tensor


class Flatten(Encoder):
    """Flattens an observation to a vector: [..., E] -> [..., F]."""

    def __init__(self, input_spec: Spec, *, name: str | None = None) -> None:
        """Creates the encoder.

        Args:
          input_spec: of one observation, of any dtype.

        Raises:
          TypeError: `input_spec` is not a `tf.TensorSpec`.
          ValueError: the shape of `input_spec` is not fully defined.
        """
        super().__init__(name=name)
        self._input_spec = heads.check_spec(self, "input_spec", input_spec, "encoders")
        self._dtype = dtypes.default_dtype()

    @property
    def input_spec(self) -> Spec:
        return self._input_spec

    @property
    def output_size(self) -> int:
        return self._input_spec.shape.num_elements()

    def __call__(self, observation: Tensor) -> Tensor:
        leading = _leading_dims("Flatten", observation, self._input_spec)
        return tf.reshape(_as_floating(observation, self._dtype), [*leading, self.output_size])


class Embed(Encoder):
    """A learnt vector for each symbol: integers [...] -> [..., F]."""

    def __init__(self, vocab_size: int, size: int, *, stddev: float = 1.0,
                 name: str | None = None) -> None:
        """Creates the encoder; its table is created by the first call.

        Args:
          vocab_size: V; symbols must be in [0, V), which is not checked.
          size: F.
          stddev: standard deviation of the vectors before training.

        Raises:
          ValueError: `vocab_size` or `size` is below 1.
        """
        super().__init__(name=name)
        if vocab_size < 1 or size < 1:
            raise ValueError("Embed expects at least one symbol and one feature, got "
                             f"{vocab_size=}, {size=}.")
        self._vocab_size = vocab_size
        self._size = size
        self._stddev = stddev
        self._dtype = dtypes.default_dtype()

    @property
    def input_spec(self) -> Spec:
        return tf.TensorSpec([], tf.int32)

    @property
    def output_size(self) -> int:
        return self._size

    def __call__(self, observation: Tensor) -> Tensor:
        if not observation.dtype.is_integer:
            raise TypeError(f"Embed expects integers, got {observation.dtype.name} of shape "
                            f"{observation.shape}. Cast the symbols with tf.cast(x, tf.int32).")
        self._initialize()
        if observation.dtype not in (tf.int32, tf.int64):  # the others cannot count to every V
            observation = tf.cast(observation, tf.int32)
        # While a function is traced, layers multiply the table instead of its rows.
        features = Lookup(self.embeddings, observation)
        return features.to_tensor() if tf.executing_eagerly() else features

    @snt.once
    def _initialize(self) -> None:
        with tf.init_scope():
            init = initializers.Normal(self._stddev)
            self.embeddings = tf.Variable(
                init([self._vocab_size, self._size], self._dtype), name="embeddings")


class MLPEncoder(Encoder):
    """Dense layers over a flattened observation: [..., E] -> [..., sizes[-1]]."""

    def __init__(self, input_spec: Spec, sizes: Sequence[int], *, activation: str = "relu",
                 activate_final: bool = True, dropout: float = 0.0,
                 name: str | None = None) -> None:
        """Builds the layers; their variables are created by the first call.

        Args:
          input_spec: of one observation, of any dtype.
          sizes: units of each layer; without layers the observation is only flattened.
          activation: of the layers, a name as for `networks.MLP`.
          activate_final: whether the activation is also applied to the last layer.
          dropout: dropout rate after each activation, inside `dropout.enable_dropout`.

        Raises:
          TypeError: `input_spec` is not a `tf.TensorSpec`.
          ValueError: the shape of `input_spec` is not fully defined, or an unknown activation.
        """
        super().__init__(name=name)
        self._to_vector = Flatten(input_spec)
        self._output_size = sizes[-1] if sizes else self._to_vector.output_size
        self._mlp = MLP(sizes, activation=activation, activate_final=activate_final,
                        dropout=dropout)

    @property
    def input_spec(self) -> Spec:
        return self._to_vector.input_spec

    @property
    def output_size(self) -> int:
        return self._output_size

    def __call__(self, observation: Tensor) -> Tensor:
        return self._mlp(self._to_vector(observation))


class ConvEncoder(Encoder):
    """Convolutions over a frame, flattened: [..., H, W, C] -> [..., F]."""

    def __init__(self, input_spec: Spec, channels: Sequence[int] = (32, 64, 64), *,
                 kernel_size: int = 3, stride: int = 2, activation: str = "relu",
                 scale: float = 1.0, name: str | None = None) -> None:
        """Builds the layers; their variables are created by the first call.

        Args:
          input_spec: of one frame, [height, width, channels], of any dtype.
          channels: output channels of each layer.
          kernel_size: of each layer, in pixels.
          stride: of each layer, which divides height and width by it, rounding up.
          activation: after each layer, a name as for `networks.MLP`.
          scale: factor of the pixels, for instance 1 / 255 for bytes.

        Raises:
          TypeError: `input_spec` is not a `tf.TensorSpec`.
          ValueError: `input_spec` is not of rank 3, or `kernel_size` or `stride` is below 1.
        """
        super().__init__(name=name)
        self._input_spec = heads.check_spec(self, "input_spec", input_spec, "encoders")
        if input_spec.shape.rank != 3:
            raise ValueError("ConvEncoder expects frames of shape [height, width, channels], got "
                             f"{input_spec.shape}. A grey image has one channel.")
        if kernel_size < 1 or stride < 1:
            raise ValueError("ConvEncoder expects kernel_size and stride of at least 1, got "
                             f"{kernel_size=}, {stride=}.")
        self._scale = scale
        self._dtype = dtypes.default_dtype()
        self._layers = [snt.Conv2D(count, kernel_size, stride, w_init=initializers.He())
                        for count in channels]
        self._activation = _layers.Activation(activation)
        height, width, depth = input_spec.shape.as_list()
        for count in channels:
            height, width, depth = -(-height // stride), -(-width // stride), count
        self._output_size = height * width * depth

    @property
    def input_spec(self) -> Spec:
        return self._input_spec

    @property
    def output_size(self) -> int:
        return self._output_size

    def __call__(self, observation: Tensor) -> Tensor:
        leading = _leading_dims("ConvEncoder", observation, self._input_spec)
        frames = _as_floating(observation, self._dtype) * self._scale
        frames = tf.reshape(frames, [-1, *self._input_spec.shape])
        for layer in self._layers:
            frames = self._activation(layer(frames))
        return tf.reshape(frames, [*leading, self._output_size])


def _leading_dims(encoder: str, observation: Tensor, spec: Spec) -> list[int | Tensor]:
    """Returns the sizes of the dimensions before the event's."""
    count = observation.shape.rank - spec.shape.rank
    if count < 0 or not observation.shape[count:].is_compatible_with(spec.shape):
        raise ValueError(f"{encoder} expects observations of shape [..., "
                         f"{', '.join(map(str, spec.shape))}], got {observation.shape}.")
    return nest.shape_of(observation)[:count]


def _as_floating(observation: Tensor, dtype: tf.DType) -> Tensor:
    return observation if observation.dtype.is_floating else tf.cast(observation, dtype)
