# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a decoder: features -> parameters -> a distribution over one observation."""

from __future__ import annotations

import abc
import math

import numpy as np
import sonnet as snt
from tensorflow_probability import distributions as tfd

from vaeseq.types import Nest, Tensor


@snt.allow_empty_variables  # Some have no variables at all.
class DistModule(snt.Module, abc.ABC):
    """A distribution over one observation, given features.

    Its parameters are apart from the distribution they parameterise: parameters are plain tensors
    that can be computed for all of [B, T] in one product, carried through a loop, or sharpened
    before sampling. A whole decoder of one's own:

        class Counts(DistModule):
            event_spec = tf.TensorSpec([3], tf.float32)

            def __init__(self):
                super().__init__()
                self._log_rate = networks.MLP((64, 3))

            def __call__(self, features):
                return self._log_rate(features)

            def dist(self, params):
                return tfd.Independent(tfd.Poisson(log_rate=params), 1)

            def _temper(self, params, temperature):
                return params / temperature

    `vaeseq.testing.DistModuleContract` tests what is said here.
    """

    @property
    @abc.abstractmethod
    def event_spec(self) -> Nest:
        """Nest of `tf.TensorSpec` of ONE observation: the leading dimensions left out.

        A floating dtype here is the one of float32 features; float64 features give float64.
        """

    @abc.abstractmethod
    def __call__(self, features: Tensor) -> Nest:
        """Computes parameters: floating [..., F] -> a nest of [..., *]."""

    @abc.abstractmethod
    def dist(self, params: Nest) -> tfd.Distribution:
        """The distribution with these parameters.

        Args:
          params: a nest of [..., *], from `__call__` or `temper`.

        Returns:
          A distribution of batch shape [...] whose event is one observation. Its `log_prob` is in
          nats, summed over the event; its `sample` takes an int32 [2] `seed`.
        """

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        """Parameters of p(x)^(1/temperature), renormalised; some decoders approximate it.

        Args:
          params: a nest of [..., *].
          temperature: a scalar above 0: below 1 sharpens, above 1 flattens, 1 changes nothing.

        Returns:
          A nest like `params`.

        Raises:
          ValueError: a temperature that is not above 0 (tensors are not checked).
        """
        if isinstance(temperature, (int, float, np.generic)):
            value = float(temperature)
            if not (value > 0.0 and math.isfinite(value)):
                raise ValueError(
                    f"Expected a temperature above 0 for {type(self).__name__}, got {temperature}. "
                    "Below 1 sharpens, above 1 flattens; try 0.1 for nearly the most likely.")
            if value == 1.0:
                return params
            temperature = value
        return self._temper(params, temperature)

    @abc.abstractmethod
    def _temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        """What `temper` does, with a temperature that was checked."""
