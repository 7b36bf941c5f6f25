# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A decoder of frames with velocities: which notes, then how hard each of them is struck.

Notation: n the notes of a frame, 0 or 1, and v_k the velocity of note k, of those that are struck;
f features.

    p(n, v | f) = p(n | f) prod_k p(v_k | n, f)        k over the notes that are struck

where p(n | f) is another decoder's, and velocities are independent given the whole frame. Each is a
logistic variable rounded to 1, ..., 127, so that its probability is exact (the discretised logistic
distribution of Salimans et al., arXiv:1701.05517, with one component):

    p(v | n, f) = sigmoid((v + 1/2 - m) / s) - sigmoid((v - 1/2 - m) / s)

with the tails in p(1) and p(127); m and s come from a network of n and f with one hidden layer.

Axes: D columns of a roll, K those that are onsets, H hidden units.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.codec import heads, missing
from vaeseq.data import Masked
from vaeseq.dist_module import DistModule, check_temperature
from vaeseq.encoder import Encoder
from vaeseq.nn.dropout import apply_dropout
from vaeseq.nn.networks import Linear
from vaeseq.types import Nest, Seed, Spec, Tensor

SOFTEST, LOUDEST = 1.0, 127.0
_CENTRE, _UNIT = 64.0, 32.0  # of velocities, to numbers of about unit variance
_MIN_SCALE = 1e-3  # units
_HIDDEN = 64


class VelocityParams(NamedTuple):
    """Parameters of `VelocityDecoder`."""

    notes: Nest  # those of the decoder of notes
    hidden: Tensor  # added to the hidden layer before activation, `[..., H]`
    temperature: Tensor  # factor of the scales, `[..., 1]`


class VelocityDecoder(DistModule):
    """Notes by another decoder, and a velocity for each one that is struck.

    An event is a frame `[D]`: an onset is its velocity, from 1 to 127, or 0; a sustain 1 or 0.

    Parameters: `VelocityParams`. `temper` is an approximation for velocities: it multiplies their
    scales by the temperature.
    """

    def __init__(
        self, notes: DistModule, onsets: np.ndarray, *, dropout: float = 0.0,
        name: str | None = None,
    ):
        """Creates the decoder from a decoder of frames `[D]` of zeros and ones.

        Gives velocities to the columns `onsets`, int `[K]`.
        """
        super().__init__(name=name)
        self._notes = notes
        self._features = Linear(_HIDDEN, name="features")
        self._network = _VelocityNetwork(onsets, dropout)

    @property
    def event_spec(self) -> Spec:
        return self._notes.event_spec

    def __call__(self, features: Tensor) -> VelocityParams:
        hidden = self._features(features)
        return VelocityParams(self._notes(features), hidden, tf.ones_like(hidden[..., :1]))

    def dist(self, params: VelocityParams) -> tfd.Distribution:
        return VelocityDistribution(
            self._notes.dist(params.notes), params, self._network, self.event_spec)

    def temper(self, params: VelocityParams, temperature: float | Tensor) -> VelocityParams:
        factor = check_temperature(temperature, params.temperature.dtype)
        return params._replace(notes=self._notes.temper(params.notes, temperature),
                               temperature=params.temperature * factor)


class VelocityDistribution(tfd.Distribution):
    """The distribution of `VelocityDecoder`, of event shape `[D]` and batch shape `[...]`."""

    def __init__(
        self, notes: tfd.Distribution, params: VelocityParams, network: _VelocityNetwork,
        spec: Spec, name: str = "VelocityDistribution",
    ):
        """Creates the distribution of notes, zeros and ones `[..., D]`, and of their velocities.

        The network maps notes to the parameters of their velocities.
        """
        self._notes = notes
        self._params = params
        self._network = network
        self._spec = spec
        super().__init__(
            dtype=spec.dtype, reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False, allow_nan_stats=True,
            parameters={"notes": notes, "params": params, "network": network}, name=name)

    def sample_given(self, values: Tensor, mask: Tensor, *, seed: Seed) -> tuple[Tensor, Tensor]:
        """Samples the unseen columns; see `MaskedBernoulliDistribution.sample_given`.

        The notes are sampled first, then the velocities of the unseen ones. The weight has the
        probability of the seen velocities as a factor.
        """
        notes_seed, velocity_seed = seeds.split(seed, 2)
        notes, log_weight = missing.MaskedDistribution(
            self._notes, missing.masked_spec(self._spec)).sample_given(
                Masked(on(values), mask), seed=notes_seed)
        velocities = self._network.sample(notes.values, self._params, seed=velocity_seed)
        event = tf.where(mask, values, velocities)
        log_probs = tf.where(
            self._network.of_onsets(mask), self._network.log_probs(event, self._params), 0.0)
        return event, log_weight + tf.reduce_sum(log_probs, axis=-1)

    def _batch_shape(self) -> tf.TensorShape:
        return self._notes.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._notes.batch_shape_tensor()

    def _event_shape(self) -> tf.TensorShape:
        return self._spec.shape

    def _log_prob(self, value: Tensor) -> Tensor:
        log_probs = self._network.log_probs(value, self._params)
        return self._notes.log_prob(on(value)) + tf.reduce_sum(log_probs, axis=-1)

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        notes_seed, velocity_seed = seeds.split(seed, 2)
        notes = self._notes.sample(n, seed=notes_seed)
        return self._network.sample(notes, self._params, seed=velocity_seed)


class _VelocityNetwork(snt.Module):
    """The distribution of velocities given the notes of a frame."""

    def __init__(self, onsets: np.ndarray, dropout: float):
        """Args: onsets: int `[K]`, as those of `VelocityDecoder`; dropout: of the hidden units."""
        super().__init__(name="velocities")
        self._onsets = onsets
        self._dropout = dropout
        self._input = Linear(_HIDDEN, use_bias=False, name="input")
        self._head = heads.Head([np.zeros(len(onsets)), np.zeros(len(onsets))])
        self._scale = heads.Positive("softplus", _MIN_SCALE)

    def of_onsets(self, columns: Tensor) -> Tensor:
        """Returns the columns of onsets, `[..., K]` of `[..., D]`."""
        return tf.gather(columns, self._onsets, axis=-1)

    def log_probs(self, event: Tensor, params: VelocityParams) -> Tensor:
        """Returns log p(v_k | n, f), nats `[..., K]`, of frames `[..., D]`; 0 for no onset."""
        mean, scale = self._mean_and_scale(on(event), params)
        velocity = self.of_onsets(tf.cast(event, mean.dtype))
        upper = tf.nn.softplus((mean - velocity - 0.5) / scale)  # -log P(V <= v)
        lower = tf.nn.softplus((velocity - 0.5 - mean) / scale)  # -log P(V >= v)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
        between = tf.math.log(-tf.math.expm1(-1 / scale)) - upper - lower
        log_probs = tf.where(velocity <= SOFTEST, -upper,
                             tf.where(velocity >= LOUDEST, -lower, between))
        return tf.where(velocity > 0, log_probs, 0.0)

    def sample(self, notes: Tensor, params: VelocityParams, *, seed: Seed) -> Tensor:
        """Draws the velocities of frames of zeros and ones, `[..., D]`."""
        mean, scale = self._mean_and_scale(notes, params)
        uniform = seeds.uniform(tf.shape(mean), seed, mean.dtype)
        velocity = mean + scale * (tf.math.log(uniform) - tf.math.log1p(-uniform))
        velocity = tf.clip_by_value(tf.round(velocity), SOFTEST, LOUDEST)
        places = np.zeros(notes.shape[-1], int)  # of each column's factor; sustains have the first
        places[self._onsets] = 1 + np.arange(len(self._onsets))
        factors = tf.concat([tf.ones_like(velocity[..., :1]), velocity], -1)
        return notes * tf.cast(tf.gather(factors, places, axis=-1), notes.dtype)

    def _mean_and_scale(self, notes: Tensor, params: VelocityParams) -> tuple[Tensor, Tensor]:
        """Returns the mean and the scale of each velocity, `[..., K]`."""
        notes = tf.cast(notes, params.hidden.dtype)
        units = tf.nn.relu(self._input(notes) + params.hidden)
        mean, scale = self._head(apply_dropout(self, units, self._dropout))
        return _CENTRE + _UNIT * mean, _UNIT * self._scale(scale) * params.temperature


class VelocityEncoder(Encoder):
    """Encodes the notes of a frame with another encoder, and appends the velocities of onsets."""

    def __init__(self, notes: Encoder, onsets: np.ndarray, name: str | None = None):
        """Creates the encoder from an encoder of frames `[D]` of zeros and ones.

        The columns `onsets`, int `[K]`, have velocities.
        """
        super().__init__(name=name)
        self._notes = notes
        self._onsets = onsets

    @property
    def input_spec(self) -> Spec:
        return self._notes.input_spec

    @property
    def output_size(self) -> int:
        return self._notes.output_size + len(self._onsets)

    def __call__(self, observation: Tensor) -> Tensor:
        features = self._notes(on(observation))
        velocity = tf.cast(tf.gather(observation, self._onsets, axis=-1), features.dtype)
        units = tf.where(velocity > 0, (velocity - _CENTRE) / _UNIT, 0.0)
        return tf.concat([features, units], -1)


def on(frames: Tensor) -> Tensor:
    """Returns frames with ones in the place of velocities."""
    return tf.minimum(frames, 1)
