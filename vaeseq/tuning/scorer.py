# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A recurrent network that maps whole sequences to a number each, and its training.

    f_t = encoder(x_t)      y_t = gru(f_1, ..., f_t)
    features = mean over t of (f_t, y_t)          number = linear(features)

Means over time judge a sequence by the share of its steps that have some quality, whatever its
length. The mean of f_t alone is a bag of observations, which little data suffices to learn from.

Axes: B sequences, T steps.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import sonnet as snt
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.encoder import Encoder
from vaeseq.nn import initializers
from vaeseq.nn.networks import Linear, RecurrentStack
from vaeseq.train.optimizers import Adam
from vaeseq.types import Nest, Tensor

_MAX_GRADIENT_NORM = 1.0


class SequenceScorer(snt.Module):
    """Maps sequences to features, and these to a number.

    Attributes:
      observation_spec: a nest of `tf.TensorSpec` of one observation.
    """

    def __init__(
        self, encoder: Encoder, observation_spec: Nest, *, units: int = 32, cell: str = "gru",
        seed: int = 0, name: str | None = None,
    ):
        """Creates the network and its variables; the encoder is its alone."""
        super().__init__(name=name)
        self.observation_spec = observation_spec
        self._encoder = encoder
        self._recurrence = RecurrentStack((units,), cell=cell)
        self._head = Linear(1, use_bias=False, name="head")
        with initializers.weights_seed(seeds.make(seed)):
            self(nest.zeros(observation_spec, 1, 1), tf.ones([1], tf.int32))

    def __call__(self, observed: Nest, lengths: Tensor) -> Tensor:
        """Returns the numbers of sequences, `[B]`, the sums of their `terms`."""
        return tf.reduce_sum(self.terms(observed, lengths), axis=1)

    def terms(self, observed: Nest, lengths: Tensor) -> Tensor:
        """Returns what each step adds to the number of its sequence, `[B, T]`.

        A term is a function of its step and the steps before it; it is 0 after a row's length.

        Args:
          observed: a nest of `[B, T, ...]`; padding after a row's length changes nothing.
          lengths: int32 `[B]`.
        """
        observed = nest.mask_time(observed, lengths)
        encoded = tf.convert_to_tensor(self._encoder(observed))
        state = self._recurrence.initial_state(nest.leading_dim(lengths))
        outputs, _ = self._recurrence(encoded, state, lengths)
        steps = nest.mask_time(tf.concat([encoded, outputs], -1), lengths)
        count = tf.maximum(tf.cast(lengths, steps.dtype), 1.0)
        return self._head(steps)[:, :, 0] / count[:, None]


class Minimizer(tf.Module):
    """Adam with decoupled weight decay of matrices, for losses of small networks."""

    def __init__(
        self, variables: Sequence[tf.Variable], *, learning_rate: float, weight_decay: float
    ):
        """Creates Adam; the learning rate multiplies `weight_decay`, as in AdamW
        (arXiv:1711.05101).
        """
        super().__init__(name="minimizer")
        self._variables = list(variables)
        self._decay = learning_rate * weight_decay
        self._adam = Adam(learning_rate)
        self._adam._initialize(self._variables)

    def step(self, loss: Callable[[], Tensor]) -> Tensor:
        """Makes one update; returns the loss before it. To be called inside a `tf.function`."""
        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(
            value, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients, _ = tf.clip_by_global_norm(
            [tf.convert_to_tensor(gradient) for gradient in gradients], _MAX_GRADIENT_NORM)
        for variable in self._variables:
            if variable.shape.rank > 1:
                variable.assign_sub(self._decay * variable)
        self._adam.apply(gradients, self._variables)
        return value
