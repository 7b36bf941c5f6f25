# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of an encoder: one observation in, flat features out."""

from __future__ import annotations

import abc

import sonnet as snt

from vaeseq.types import Nest, Tensor


@snt.allow_empty_variables  # Some have no variables at all.
class Encoder(snt.Module, abc.ABC):
    """Turns an observation into features that networks can read.

    An encoder is pointwise over the leading dimensions: the features of one observation depend on
    nothing else in the batch, and whole sequences are encoded in one call. A whole encoder of
    one's own:

        class LogCounts(Encoder):
            output_size = 3

            def __call__(self, observation):
                return tf.math.log1p(observation)

    `vaeseq.testing.EncoderContract` tests what is said here.
    """

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """F, the number of features; known before the first call."""

    @property
    def input_spec(self) -> Nest:
        """Nest of specs of one observation; for encoders that say what they take."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say what it encodes. Define its input_spec: a nest of "
            "tf.TensorSpec of one observation.")

    @abc.abstractmethod
    def __call__(self, observation: Nest) -> Tensor:
        """Encodes observations.

        Args:
          observation: a nest of [..., E], of any numeric dtype or bool.

        Returns:
          Features, floating [..., F].
        """
