# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of an encoder: one observation -> a vector of features."""

from __future__ import annotations

import abc

import sonnet as snt

from vaeseq.description import Described
from vaeseq.types import Nest, Tensor, attribute


@snt.allow_empty_variables  # Some encoders have no variables.
class Encoder(Described, snt.Module, abc.ABC):
    """Maps an observation to a vector of features.

    An encoder is pointwise over the leading dimensions: the features of one observation depend on
    nothing else in the batch, so whole sequences are encoded in one call. A complete encoder:

        class LogCounts(Encoder):
            output_size = 3

            def __call__(self, observation):
                return tf.math.log1p(observation)

    `vaeseq.testing.EncoderContract` tests an encoder against this contract.
    """

    @attribute
    @abc.abstractmethod
    def output_size(self) -> int:
        """F, the number of features, available before the first call."""

    @attribute
    def input_spec(self) -> Nest:
        """Nest of `tf.TensorSpec` of one observation; optional.

        Raises:
          NotImplementedError: the encoder does not define it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no input_spec. Define it: a nest of tf.TensorSpec of one "
            "observation.")

    @abc.abstractmethod
    def __call__(self, observation: Nest) -> Tensor:
        """Encodes observations.

        Args:
          observation: a nest of [..., E], of any numeric or bool dtype.

        Returns:
          Features, floating [..., F].
        """
