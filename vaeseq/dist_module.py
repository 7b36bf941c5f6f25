# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a decoder: features -> parameters -> a distribution over one observation."""

from __future__ import annotations

import abc
import math

import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.description import Described
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Tensor, attribute

_COLDEST = 1e-20  # float32 has no quotient of a logit and a much smaller temperature


@snt.allow_empty_variables  # Some decoders have no variables.
class DistModule(Described, snt.Module, abc.ABC):
    """A distribution over one observation, conditioned on features.

    Parameters are separate from the distribution they define: they are plain tensors, which can be
    computed for all of [B, T] in one product, carried through a loop, or tempered before sampling.
    A complete decoder:

        class Counts(DistModule):
            event_spec = tf.TensorSpec([3], tf.float32)

            def __init__(self):
                super().__init__()
                self._log_rate = networks.MLP((64, 3))

            def __call__(self, features):
                return self._log_rate(features)

            def dist(self, params):
                return tfd.Independent(tfd.Poisson(log_rate=params), 1)

    `vaeseq.testing.DistModuleContract` tests a decoder against this contract.
    """

    @attribute
    @abc.abstractmethod
    def event_spec(self) -> Nest:
        """Nest of `tf.TensorSpec` of one observation, without leading dimensions.

        A floating dtype here applies to float32 features; float64 features give float64.
        """

    @abc.abstractmethod
    def __call__(self, features: Tensor) -> Nest:
        """Computes parameters: floating [..., F] -> a nest of [..., *]."""

    @abc.abstractmethod
    def dist(self, params: Nest) -> tfd.Distribution:
        """Returns the distribution with these parameters.

        Args:
          params: a nest of [..., *], from `__call__` or `temper`.

        Returns:
          A distribution of batch shape [...] whose event is one observation. Its `log_prob` is in
          nats, summed over the event; its `sample` takes an int32 [2] `seed`.
        """

    def distribution(self, features: Tensor) -> tfd.Distribution:
        """Returns the distribution given features [..., F]: `dist(self(features))`."""
        return self.dist(self(features))

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        """Returns parameters of p(x)^(1/temperature), renormalised; some decoders approximate it.

        A decoder that is to be sampled at other temperatures than 1 defines this method. It begins
        with `check_temperature`.

        Args:
          params: a nest of [..., *], from `__call__`.
          temperature: a scalar above 0: below 1 sharpens, above 1 flattens, 1 changes nothing.

        Returns:
          A nest like `params`.

        Raises:
          ValueError: a temperature that is not above 0 (tensors are not checked).
          NotImplementedError: the decoder defines no `temper`, and the temperature is not 1.
        """
        check_temperature(temperature, tf.float32)
        if not tf.is_tensor(temperature) and temperature == 1:
            return params
        got = "" if tf.is_tensor(temperature) else f", got {temperature}"
        raise NotImplementedError(
            f"{type(self).__name__} can be sampled at temperature 1 only{got}. "
            "Define temper(self, params, temperature): the parameters of p(x)^(1/temperature).")

    def truncate(self, params: Nest, truncation: Truncation) -> Nest:
        """Returns parameters without the classes that a truncation leaves out.

        Decoders of classes define this method: `truncation(logits)`.

        Args:
          params: a nest of [..., *], from `__call__` or `temper`.
          truncation: which classes stay (`vaeseq.truncation`).

        Returns:
          A nest like `params`.

        Raises:
          NotImplementedError: the decoder has no classes to leave out.
        """
        del params
        raise NotImplementedError(
            f"{truncation} leaves classes out, and {type(self).__name__} has none. Use the "
            "temperature alone.")


def check_temperature(temperature: float | Tensor, dtype: tf.DType) -> Tensor:
    """Returns a sampling temperature as a scalar of `dtype`, at least `_COLDEST`.

    Raises:
      ValueError: a number that is not above 0 and finite (tensors are not checked).
    """
    if not tf.is_tensor(temperature) and not 0.0 < temperature < math.inf:
        raise ValueError(f"Expected a temperature above 0, got {temperature}. Below 1 sharpens, "
                         "above 1 flattens; try 0.1 for nearly the most likely.")
    return tf.maximum(tf.cast(temperature, dtype), tf.cast(_COLDEST, dtype))
