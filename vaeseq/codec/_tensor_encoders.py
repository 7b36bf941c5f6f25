# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoders of one tensor.

Floating observations keep their dtype; integers and bools become `dtype`.
"""

from __future__ import annotations

from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from vaeseq import nest
from vaeseq.codec import _layers
from vaeseq.encoder import Encoder
from vaeseq.nn import initializers
from vaeseq.nn.networks import MLP
from vaeseq.nn.scan.lookup import Lookup
from vaeseq.types import Spec, Tensor


class Flatten(Encoder):
    """An observation's numbers side by side: [..., E] -> [..., F]."""

    def __init__(self, input_spec: Spec, *, dtype: tf.DType = tf.float32,
                 name: str | None = None) -> None:
        """Remembers the shape.

        Args:
          input_spec: of one observation, of any dtype.
          dtype: what integers and bools become.
          name: of the module.

        Raises:
          TypeError: an input_spec that is no spec.
          ValueError: an input_spec whose shape is not fully known.
        """
        super().__init__(name=name)
        self._input_spec = _check_spec("Flatten", input_spec)
        self._dtype = dtype

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
    """A learnt row for each symbol: integers [...] -> [..., F]."""

    def __init__(self, vocab_size: int, size: int, *, stddev: float = 1.0,
                 dtype: tf.DType = tf.float32, name: str | None = None) -> None:
        """Prepares the table; the variable comes with the first call.

        Args:
          vocab_size: V; symbols are in [0, V). Others are not checked for.
          size: F.
          stddev: of the rows at the start of training.
          dtype: of the features.
          name: of the module.

        Raises:
          ValueError: a vocab_size or size below 1.
        """
        super().__init__(name=name)
        if vocab_size < 1 or size < 1:
            raise ValueError("Embed expects at least one symbol and one feature, got "
                             f"{vocab_size=}, {size=}.")
        self._vocab_size = vocab_size
        self._size = size
        self._stddev = stddev
        self._dtype = dtype

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
                 dtype: tf.DType = tf.float32, name: str | None = None) -> None:
        """Builds the layers; the variables come with the first call.

        Args:
          input_spec: of one observation, of any dtype.
          sizes: units of each layer; none at all flattens only.
          activation: see `networks.MLP`.
          activate_final: whether the last layer's outputs are activated too.
          dropout: the share of units dropped after each activation.
          dtype: what integers and bools become.
          name: of the module.

        Raises:
          TypeError: an input_spec that is no spec.
          ValueError: an input_spec whose shape is not fully known; an unknown activation.
        """
        super().__init__(name=name)
        self._to_vector = Flatten(input_spec, dtype=dtype)
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
                 scale: float = 1.0, dtype: tf.DType = tf.float32,
                 name: str | None = None) -> None:
        """Builds the layers; the variables come with the first call.

        Args:
          input_spec: of one frame, [height, width, channels], of any dtype.
          channels: of each layer's outputs.
          kernel_size: of each layer.
          stride: of each layer, which divides height and width by it, rounding up.
          activation: after each layer (see `networks.MLP`).
          scale: what pixels are multiplied by: 1 / 255 for bytes.
          dtype: what integers and bools become.
          name: of the module.

        Raises:
          TypeError: an input_spec that is no spec.
          ValueError: an input_spec that is no frame; a kernel_size or stride below 1.
        """
        super().__init__(name=name)
        self._input_spec = _check_spec("ConvEncoder", input_spec)
        if input_spec.shape.rank != 3:
            raise ValueError("ConvEncoder expects frames of shape [height, width, channels], got "
                             f"{input_spec.shape}. A grey picture has one channel.")
        if kernel_size < 1 or stride < 1:
            raise ValueError("ConvEncoder expects kernel_size and stride of at least 1, got "
                             f"{kernel_size=}, {stride=}.")
        self._scale = scale
        self._dtype = dtype
        self._layers = [_layers.Conv2D(count, kernel_size, stride) for count in channels]
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


def _check_spec(encoder: str, spec: Spec) -> Spec:
    if not isinstance(spec, tf.TensorSpec):
        raise TypeError(f"{encoder} expects input_spec to be a tf.TensorSpec of one observation, "
                        f"got {spec!r}. For a nest of observations use encoders.Group.")
    if not spec.shape.is_fully_defined():
        raise ValueError(f"{encoder} expects an input_spec whose shape is known, got "
                         f"{spec.shape}. Leave the batch and time dimensions out of it.")
    return spec


def _leading_dims(encoder: str, observation: Tensor, spec: Spec) -> list[int | Tensor]:
    """The sizes of the dimensions before the event's own."""
    count = observation.shape.rank - spec.shape.rank
    if count < 0 or not observation.shape[count:].is_compatible_with(spec.shape):
        raise ValueError(f"{encoder} expects observations of shape [..., "
                         f"{', '.join(map(str, spec.shape))}], got {observation.shape}.")
    return nest.shape_of(observation)[:count]


def _as_floating(observation: Tensor, dtype: tf.DType) -> Tensor:
    return observation if observation.dtype.is_floating else tf.cast(observation, dtype)
