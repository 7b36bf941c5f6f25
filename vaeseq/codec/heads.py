# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What decoders are made of: an MLP with several outputs, and the way to a positive number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.nn.initializers import Initializer
from vaeseq.nn.networks import MLP, Linear
from vaeseq.types import Spec, Tensor

# Where "exp" stops growing: exp(30) is 1e13, whose square float32 still holds.
_MAX_EXPONENT = 30.0


class Head(snt.Module):
    """An MLP whose last layer gives several parameters, each of its own shape.

    [..., F] -> a list of [..., *shape], all from one product.
    """

    def __init__(self, initial: Sequence[np.ndarray], hidden_sizes: Sequence[int] = (), *,
                 activation: str = "relu", dropout: float = 0.0, name: str | None = None) -> None:
        """Builds the layers; the variables come with the first call.

        Args:
          initial: for each parameter an array of its shape, its value where the features are zero
            at the start of training.
          hidden_sizes: units of the layers before the last.
          activation: of the layers before the last.
          dropout: share of their units dropped, inside `dropout.enable_dropout`.
          name: of the module.
        """
        super().__init__(name=name)
        self._shapes = [list(value.shape) for value in initial]
        self._sizes = [int(value.size) for value in initial]
        self._mlp = MLP(hidden_sizes, activation=activation, activate_final=True, dropout=dropout)
        bias = np.concatenate([value.reshape(-1) for value in initial])
        self._linear = Linear(sum(self._sizes), b_init=_Values(bias), name="params")

    def __call__(self, features: Tensor) -> list[Tensor]:
        """[..., F] -> a list of [..., *shape]."""
        flat = self._linear(self._mlp(features))
        leading = nest.shape_of(flat)[:-1]
        pieces = tf.split(flat, self._sizes, axis=-1)
        return [tf.reshape(piece, leading + shape)
                for piece, shape in zip(pieces, self._shapes, strict=True)]


class _Values(Initializer):
    """The values given, in the dtype asked for."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.reshape(tf.constant(self._values, dtype), shape)


def initial_values(name: str, value: float | np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An initial value as an array of its parameter's shape.

    Raises:
      ValueError: it does not broadcast to the shape, or is not finite.
    """
    array = np.asarray(value, np.float64)
    try:
        array = np.broadcast_to(array, list(shape))
    except ValueError:
        raise ValueError(f"Expected {name} to be one number or an array of shape {list(shape)}, "
                         f"got shape {list(array.shape)}.") from None
    if not np.all(np.isfinite(array)):
        raise ValueError(f"Expected {name} to be finite, got {array[~np.isfinite(array)][0]} in "
                         "it. Clip the means it comes from away from 0 and 1.")
    return array


class Positive:
    """A positive projection: x -> f(x) + eps, with f either "softplus" or "exp"."""

    def __init__(self, projection: str, eps: float) -> None:
        """Chooses f.

        Args:
          projection: "softplus", or "exp" (constant above exp(30), so that it stays finite).
          eps: the least value, above 0.

        Raises:
          ValueError: another projection, or an eps that is not above 0.
        """
        if projection not in _PROJECTIONS:
            raise ValueError(f"Expected a positive_projection among {sorted(_PROJECTIONS)}, got "
                             f"{projection!r}.")
        if not 0.0 < eps < np.inf:
            raise ValueError(f"Expected a positive_eps above 0, got {eps}: a scale of 0 has no "
                             "density. Try 1e-5.")
        self._function, self._inverse = _PROJECTIONS[projection]
        self._eps = eps

    def __call__(self, inputs: Tensor) -> Tensor:
        """[...] -> [...], at least eps."""
        return self._function(inputs) + tf.cast(self._eps, inputs.dtype)

    def inverse(self, name: str, value: np.ndarray) -> np.ndarray:
        """What is projected to `value`; `name` is what to call it in an error."""
        if not np.all(value > self._eps):
            raise ValueError(f"Expected {name} above positive_eps={self._eps}, got "
                             f"{np.min(value)}.")
        return self._inverse(value - self._eps)


def _bounded_exp(inputs: Tensor) -> Tensor:
    return tf.exp(tf.minimum(inputs, tf.cast(_MAX_EXPONENT, inputs.dtype)))


def _inverse_softplus(value: np.ndarray) -> np.ndarray:
    return value + np.log(-np.expm1(-value))


_PROJECTIONS: dict[str, tuple[Callable[[Tensor], Tensor],
                              Callable[[np.ndarray], np.ndarray]]] = {
    "exp": (_bounded_exp, np.log),
    "softplus": (tf.nn.softplus, _inverse_softplus),
}


def check_event_spec(decoder: str, spec: Spec, *kinds: str) -> Spec:
    """Returns the spec of an event, if a decoder can have such events.

    Args:
      decoder: its name, for the error.
      spec: of one event.
      *kinds: among "floating", "integer" and "bool".

    Raises:
      TypeError: not a `tf.TensorSpec`, or a dtype of another kind.
      ValueError: a shape that is not fully known.
    """
    if not isinstance(spec, tf.TensorSpec):
        raise TypeError(f"{decoder} expects event_spec to be a tf.TensorSpec of one observation, "
                        f"got {spec!r}. For a nest of observations use decoders.Group.")
    if not spec.shape.is_fully_defined():
        raise ValueError(f"{decoder} expects an event_spec whose shape is known, got {spec.shape}. "
                         "Leave the batch and time dimensions out of it.")
    if not any(getattr(spec.dtype, f"is_{kind}") for kind in kinds):
        raise TypeError(f"{decoder} expects events of a dtype that is {' or '.join(kinds)}, got "
                        f"{spec.dtype.name}. Cast the observations and say so in event_spec.")
    return spec


def independent(distribution: tfd.Distribution, event_spec: Spec) -> tfd.Distribution:
    """Reads the last dimensions of the batch as the event: batch [..., *E] -> batch [...]."""
    return tfd.Independent(distribution, reinterpreted_batch_ndims=event_spec.shape.rank)
