# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A decoder of binary events with dependent dimensions: MADE (Germain et al., arXiv:1502.03509).

Notation: x_i dimension i of D of the event; f features; u_k hidden unit k of degree m_k in 0..D-1,
the number of dimensions that it may depend on.

    p(x | f) = prod_i p(x_i | x_<i, f)        logits of all i at once, in training:

    x_i --> u_k  where i < m_k                u = activation(V f + W x + b)
    u_k --> logit of x_j  where m_k <= j      logits = U u + C f + c

so that the logit of x_j depends on x_i for i < j only. Sampling is a loop over the dimensions; each
adds its row of W to the hidden units and uses one column of U.

With `relative`, weights are shared by all pairs of dimensions at one distance (see `_relative`),
and each dimension has the same number of hidden units.

Deviations: the features condition the first hidden layer and the logits (MADE is unconditional);
degrees are evenly spaced rather than random; the order of the dimensions is that of the event.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import _layers, distributions, heads
from vaeseq.codec._relative import AlignedHead
from vaeseq.dist_module import check_temperature
from vaeseq.types import Seed, Spec, Tensor


class MaskedParams(NamedTuple):
    """Parameters of `MaskedBernoulli`: the conditioning of its network on the features.

    Attributes:
      hidden: added to the first hidden layer before activation, [..., H].
      logits: added to the logits, [..., D].
      inverse_temperature: factor of the logits, [..., 1].
    """
    hidden: Tensor
    logits: Tensor
    inverse_temperature: Tensor


class MaskedBernoulli(heads.TensorDecoder):
    """Binary values, each dimension conditioned on those before it: prod_i p(x_i | x_<i, f).

    For chords, bit vectors, small images. Densities cost a few large matrix products; sampling is
    a loop of D small steps (compile it).

    Parameters: `MaskedParams`. `temper` is an approximation: it tempers each p(x_i | x_<i, f), not
    the density of the whole event.
    """

    def __init__(self, event_spec: Spec, hidden_sizes: Sequence[int] = (600,), *,
                 activation: str = "relu", dropout: float = 0.0,
                 initial_logits: float | np.ndarray = 0.0, relative: bool = False,
                 aligned: Sequence[int] = (), name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          event_spec: of shape [D]; events are 0 and 1 in any floating or integer dtype, or bools.
          hidden_sizes: units of each masked layer, at least one layer.
          activation: of those layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          initial_logits: the logits for zero features and a zero event before training, one
            number or [D].
          relative: whether weights are shared by all pairs of dimensions at one distance.
          aligned: with `relative`, indices at which D consecutive features represent the
            dimensions.

        Raises:
          TypeError: `event_spec` is not a spec of numbers or bools.
          ValueError: `event_spec` is not of shape [D], there is no hidden layer, or
            `initial_logits` is of another shape; with `relative`, a layer size that is not a
            multiple of D.
        """
        super().__init__(event_spec, "floating", "integer", "bool", name=name)
        if event_spec.shape.rank != 1 or event_spec.shape[0] < 1:
            raise ValueError("MaskedBernoulli expects an event_spec of shape [D] with D >= 1, got "
                             f"{event_spec.shape}. Flatten the observations.")
        if not hidden_sizes:
            raise ValueError("MaskedBernoulli expects at least one hidden layer, got "
                             f"hidden_sizes={hidden_sizes!r}. Without one, use Bernoulli.")
        initial = heads.initial_values("initial_logits", initial_logits, event_spec.shape)
        size = event_spec.shape[0]
        if relative and any(hidden % size for hidden in hidden_sizes):
            raise ValueError("MaskedBernoulli with relative weights expects hidden_sizes that are "
                             f"multiples of D = {size}, got {tuple(hidden_sizes)}.")
        self._head = AlignedHead(initial, hidden_sizes[0], aligned if relative else ())
        self._network = MaskedNetwork(
            size, hidden_sizes, activation=activation, dropout=dropout, relative=relative)

    def __call__(self, features: Tensor) -> MaskedParams:
        hidden, logits = self._head(features)
        return MaskedParams(hidden, logits, tf.ones_like(logits[..., :1]))

    def dist(self, params: MaskedParams) -> tfd.Distribution:
        return MaskedBernoulliDistribution(params, self._network, self.event_spec.dtype)

    def temper(self, params: MaskedParams, temperature: float | Tensor) -> MaskedParams:
        inverse = params.inverse_temperature / check_temperature(temperature, params.hidden.dtype)
        return params._replace(inverse_temperature=inverse)


class MaskedBernoulliDistribution(tfd.Distribution):
    """The distribution of `MaskedBernoulli`, of event shape [D] and batch shape [...]."""

    def __init__(self, params: MaskedParams, network: MaskedNetwork, dtype: tf.DType,
                 name: str = "MaskedBernoulli") -> None:
        """Args: params: [..., *]; network: of D dimensions; dtype: of samples; name: its own."""
        self._params = params
        self._network = network
        super().__init__(
            dtype=dtype, reparameterization_type=tfd.NOT_REPARAMETERIZED, validate_args=False,
            allow_nan_stats=True, parameters={"params": params, "network": network}, name=name)

    def conditional_logits(self, event: Tensor) -> Tensor:
        """Returns the logits of p(x_i = 1 | x_<i) for all i, [..., D], for events [..., D]."""
        params = self._params
        event = tf.cast(event, params.hidden.dtype)
        logits = self._network(event, params.hidden) + params.logits
        return logits * params.inverse_temperature

    def sample_given(self, values: Tensor, mask: Tensor, *, seed: Seed) -> tuple[Tensor, Tensor]:
        """Samples the unseen dimensions one after the other, each given those before it.

        A draw is not from p(unseen | seen), because an unseen dimension ignores the seen ones
        after it. The importance weight corrects this: its mean over draws is p(seen).

        Args:
          values: of the seen dimensions, `[..., D]`; zeros elsewhere.
          mask: bool `[..., D]`, which dimensions are seen.
          seed: int32 `[2]`.

        Returns:
          Events `[..., D]`, and the log of their importance weights, nats `[...]`: the sum of
          log p(x_i | x_<i) over the seen dimensions.
        """
        noise = _logistic(tf.shape(self._params.logits), seed, self._params.logits.dtype)
        # No logit is above infinite noise, and every one is above its negative.
        forced = tf.where(tf.cast(values, tf.bool), -np.inf, np.inf)
        noise = tf.where(mask, tf.cast(forced, noise.dtype), noise)
        event = self._sample(noise[tf.newaxis])[0]
        event = tf.where(mask, tf.cast(values, event.dtype), event)  # also what has no probability
        log_probs = tf.where(mask, self._log_probs(event), 0.0)
        return event, tf.reduce_sum(log_probs, axis=-1)

    def _batch_shape(self) -> tf.TensorShape:
        return self._params.logits.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._params.logits)[:-1]

    def _event_shape(self) -> tf.TensorShape:
        return self._params.logits.shape[-1:]

    def _log_prob(self, value: Tensor) -> Tensor:
        return tf.reduce_sum(self._log_probs(value), axis=-1)

    def _log_probs(self, value: Tensor) -> Tensor:
        """Returns log p(x_i | x_<i) of each dimension, [..., D]."""
        logits = self.conditional_logits(value)
        event = tf.cast(value, logits.dtype)
        return distributions.where_inside(
            event * logits - tf.nn.softplus(logits), (event >= 0.0) & (event <= 1.0))

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        logits = self._params.logits
        return self._sample(_logistic(tf.concat([[n], tf.shape(logits)], 0), seed, logits.dtype))

    def _sample(self, noise: Tensor) -> Tensor:
        """Samples events from logistic noise, both [n, ..., D]."""
        shape = tf.shape(noise)
        rows = tf.nest.map_structure(
            lambda part: tf.reshape(tf.broadcast_to(part, tf.concat(
                [shape[:-1], tf.shape(part)[-1:]], 0)), [-1, part.shape[-1]]), self._params)
        samples = self._network.sample(
            tf.reshape(noise, [-1, self._params.logits.shape[-1]]), *rows)
        return tf.cast(tf.reshape(samples, shape), self.dtype)


def _logistic(shape: Tensor, seed: Seed | None, dtype: tf.DType) -> Tensor:
    """Draws logistic noise: a value is 1 where its logit exceeds it."""
    uniform = distributions.open_uniform(shape, seed, dtype)
    return tf.math.log(uniform) - tf.math.log1p(-uniform)


class MaskedNetwork(snt.Module):
    """Masked layers from an event to the logits of each dimension given those before it."""

    def __init__(self, size: int, hidden_sizes: Sequence[int], *, activation: str,
                 dropout: float, relative: bool = False, name: str | None = None) -> None:
        """Builds the layers.

        Args:
          size: D.
          hidden_sizes: units of each layer, at least one layer.
          activation: of the layers, a name as for `networks.MLP`.
          dropout: dropout rate of their units, inside `dropout.enable_dropout`.
          relative: whether weights are shared by all pairs of dimensions at one distance.
        """
        super().__init__(name=name)
        inputs = np.arange(size)
        degrees = [np.arange(hidden) * size // hidden for hidden in hidden_sizes]

        def shared(below: np.ndarray, above: np.ndarray) -> _layers.RelativeWeights | None:
            if not relative:
                return None
            return _layers.RelativeWeights(size, len(below) // size, len(above) // size)

        self._size = size
        self._input = _layers.MaskedLinear(
            inputs[:, None] < degrees[0], relative=shared(inputs, degrees[0]), use_bias=False,
            name="input")
        self._upper = [
            _layers.MaskedLinear(below[:, None] <= above, relative=shared(below, above),
                                 name="upper")
            for below, above in itertools.pairwise(degrees)]
        self._output = _layers.MaskedLinear(
            degrees[-1][:, None] <= inputs, relative=shared(degrees[-1], inputs), use_bias=False,
            name="output")
        self._activations = [_layers.Activation(activation, dropout) for _ in hidden_sizes]

    def __call__(self, event: Tensor, hidden: Tensor) -> Tensor:
        """Computes logits [..., D] of events [..., D]; `hidden` [..., H] enters the first layer."""
        return self._output(self._units(self._input(event) + hidden))

    def sample(self, noise: Tensor, hidden: Tensor, logits: Tensor, scale: Tensor) -> Tensor:
        """Samples events of R rows, one dimension after the other.

        Args:
          noise: logistic noise, [R, D].
          hidden: added to the first layer, [R, H].
          logits: added to the logits, [R, D].
          scale: factor of the logits, [R, 1].

        Returns:
          Zeros and ones, [R, D].
        """
        w_in = self._input.weights(hidden.dtype)
        w_out = tf.transpose(self._output.weights(hidden.dtype))
        # (logit + logits) * scale > noise, solved for the network's own logit.
        threshold = tf.transpose(noise / scale - logits)

        def step(i: Tensor, preactivation: Tensor, samples: tf.TensorArray) -> tuple:
            logit = tf.linalg.matvec(self._units(preactivation), w_out[i])
            x = tf.cast(logit > threshold[i], hidden.dtype)
            return i + 1, preactivation + x[:, None] * w_in[i], samples.write(i, x)

        samples = tf.TensorArray(hidden.dtype, self._size, element_shape=noise.shape[:1])
        _, _, samples = tf.while_loop(
            lambda i, *_: i < self._size, step, (tf.constant(0), hidden, samples),
            maximum_iterations=self._size)
        return tf.transpose(samples.stack())

    def _units(self, preactivation: Tensor) -> Tensor:
        """Computes the last hidden layer [..., H] from the first before its activation."""
        units = self._activations[0](preactivation)
        for layer, activation in zip(self._upper, self._activations[1:], strict=True):
            units = activation(layer(units))
        return units
