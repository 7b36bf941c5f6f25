# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Building blocks of decoders: base classes, a multi-output MLP, positive projections, checks.

A decoder of one tensor derives from `TensorDecoder`; from `LogitsDecoder` if its parameters are one
tensor of logits:

    class Poisson(heads.TensorDecoder):
        def __init__(self, event_spec):
            super().__init__(event_spec, "floating")
            self._head = heads.Head([np.zeros(event_spec.shape)])

        def __call__(self, features):
            (log_rate,) = self._head(features)
            return log_rate

        def dist(self, params):
            return heads.independent(tfd.Poisson(log_rate=params), self.event_spec)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import dtypes, nest
from vaeseq.dist_module import DistModule, check_temperature
from vaeseq.nn.initializers import Initializer
from vaeseq.nn.networks import MLP, Linear
from vaeseq.types import Spec, Tensor

# The largest argument of "exp": the square of exp(30), 1e26, is finite in float32.
_MAX_EXPONENT = 30.0


class TensorDecoder(DistModule):
    """Base class of decoders of one tensor: checks and keeps the event's spec."""

    def __init__(self, event_spec: Spec, *kinds: str, name: str | None = None) -> None:
        """Checks the spec of one event, whose dtype is "floating", "integer" or "bool", as `kinds`
        allow.

        Raises:
          TypeError: not a `tf.TensorSpec`, or a dtype of another kind.
          ValueError: a shape that is not fully defined.
        """
        super().__init__(name=name)
        check_spec(self, "event_spec", event_spec, "decoders")
        if not any(getattr(event_spec.dtype, f"is_{kind}") for kind in kinds):
            raise TypeError(
                f"{type(self).__name__} expects events of a dtype that is {' or '.join(kinds)}, "
                f"got {event_spec.dtype.name}. Cast the observations and set event_spec likewise.")
        self._event_spec = dtypes.cast_specs(event_spec)

    @property
    def event_spec(self) -> Spec:
        return self._event_spec


class LogitsDecoder(TensorDecoder):
    """Base class of decoders with one parameter, a tensor of logits [..., *].

    A subclass assigns a `Head` with one output to `_head`, and defines `dist`.
    """

    _head: Head

    def __call__(self, features: Tensor) -> Tensor:
        return self._head(features)[0]

    def temper(self, params: Tensor, temperature: float | Tensor) -> Tensor:
        return params / check_temperature(temperature, params.dtype)


class Head(snt.Module):
    """An MLP whose last layer has several outputs, each of its own shape, from one product."""

    def __init__(self, initial: Sequence[np.ndarray], hidden_sizes: Sequence[int] = (), *,
                 activation: str = "relu", dropout: float = 0.0, name: str | None = None) -> None:
        """Builds the layers; the variables come with the first call.

        Args:
          initial: for each output an array of its shape: its value for zero features before
            training, if the activation is 0 at 0 (those of `sigmoid` and `softplus` are not).
          hidden_sizes: units of the layers before the last.
          activation: of the layers before the last, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
        """
        super().__init__(name=name)
        self._shapes = [list(value.shape) for value in initial]
        self._sizes = [int(value.size) for value in initial]
        self._mlp = MLP(hidden_sizes, activation=activation, activate_final=True, dropout=dropout)
        bias = np.concatenate([value.reshape(-1) for value in initial])
        self._linear = Linear(sum(self._sizes), b_init=_Values(bias), name="params")

    def __call__(self, features: Tensor) -> list[Tensor]:
        """Maps features [..., F] to a list of outputs [..., *shape]."""
        flat = self._linear(self._mlp(features))
        leading = nest.shape_of(flat)[:-1]
        pieces = tf.split(flat, self._sizes, axis=-1)
        return [tf.reshape(piece, leading + shape)
                for piece, shape in zip(pieces, self._shapes, strict=True)]


class _Values(Initializer):
    """Initialises a variable with fixed values."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.reshape(tf.constant(self._values, dtype), shape)


def initial_values(name: str, value: float | np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns the initial value of a parameter, broadcast to the parameter's shape.

    Raises:
      ValueError: the value does not broadcast to the shape, or is not finite; names the argument.
    """
    array = np.asarray(value, np.float64)
    try:
        array = np.broadcast_to(array, list(shape))
    except ValueError:
        raise ValueError(f"Expected {name} to be one number or an array of shape {list(shape)}, "
                         f"got shape {list(array.shape)}.") from None
    if not np.all(np.isfinite(array)):
        raise ValueError(f"Expected {name} to be finite, got {array[~np.isfinite(array)][0]} in "
                         "it. If it is computed from means, clip them away from 0 and 1.")
    return array


class Positive:
    """A map from real numbers to numbers above 0: f(x) + eps, with f "softplus" or "exp"."""

    def __init__(self, projection: str, eps: float) -> None:
        """Creates the projection.

        Args:
          projection: "softplus", or "exp", whose argument is clipped at 30 to remain finite.
          eps: the lower limit of the result, above 0.

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
        """Projects a tensor [...] to values of at least eps."""
        return self._function(inputs) + tf.cast(self._eps, inputs.dtype)

    def inverse(self, name: str, value: np.ndarray) -> np.ndarray:
        """Returns x with f(x) + eps = value; `name` names the value in errors."""
        if not np.all(value > self._eps):
            raise ValueError(f"Expected {name} above positive_eps={self._eps}, got "
                             f"{np.min(value)}.")
        return self._inverse(value - self._eps)


_PROJECTIONS: dict[str, tuple[Callable[[Tensor], Tensor],
                              Callable[[np.ndarray], np.ndarray]]] = {
    "exp": (lambda x: tf.exp(tf.minimum(x, tf.cast(_MAX_EXPONENT, x.dtype))), np.log),
    "softplus": (tf.nn.softplus, lambda value: value + np.log(-np.expm1(-value))),
}


def check_spec(module: snt.Module, argument: str, spec: Spec, wing: str) -> Spec:
    """Returns the spec of one observation, an argument of an encoder or decoder.

    The `wing` is "encoders" or "decoders", the module with the `Group` for nests of observations.

    Raises:
      TypeError: not a `tf.TensorSpec`.
      ValueError: a shape that is not fully defined.
    """
    owner = type(module).__name__
    if not isinstance(spec, tf.TensorSpec):
        raise TypeError(f"{owner} expects {argument} to be a tf.TensorSpec of one observation, got "
                        f"{spec!r}. For a nest of observations use {wing}.Group.")
    if not spec.shape.is_fully_defined():
        raise ValueError(f"{owner} expects {argument} to have a fully defined shape, got "
                         f"{spec.shape}. Leave the batch and time dimensions out of it.")
    return spec


def independent(distribution: tfd.Distribution, event_spec: Spec) -> tfd.Distribution:
    """Turns the last batch dimensions into the event: batch shape [..., *E] -> [...]."""
    return tfd.Independent(distribution, reinterpreted_batch_ndims=event_spec.shape.rank)
