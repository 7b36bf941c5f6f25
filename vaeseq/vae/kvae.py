# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""KVAE: a Kalman filter over an encoding of each observation (Fraccaro et al., arXiv:1710.05741).

Notation: z_t state, a_t encoding of x_t, x_t observation, w_t weights of K linear dynamics,
d_t recurrence over encodings.

    Generative                          Inference

    z_1 --> z_2 --> z_3                 a_1     a_2     a_3      q(a_t | x_t)
     |       |       |                   ^       ^       ^
     v       v       v                   |       |       |
    a_1     a_2     a_3                 x_1     x_2     x_3
     |       |       |
     v       v       v                  z_1:3 given a_1:3: Kalman filter and smoother, exact
    x_1     x_2     x_3

    d_t = cell(a_t-1, d_t-1)             w_t = softmax(linear(d_t))
    A_t = sum_k w_t[k] A[k]              C_t = sum_k w_t[k] C[k]
    z_1 ~ N(0, 20 I)                     z_t ~ N(A_t z_t-1 + B_t c_t, Q)
    a_t ~ N(C_t z_t, R)                  x_t ~ p(x_t | a_t)

As a core, a_t is the latent variable that is sampled, and z_t is integrated out: given a_1:t-1 it
is normal, with the mean and the covariance that the Kalman filter carries in the core's state. So
the prior is the filter's prediction,

    p(a_t | a_1:t-1) = N(C_t m_t, C_t P_t C_t' + R),   z_t | a_1:t-1 ~ N(m_t, P_t),

and the sum of its log-densities over a sequence is the exact evidence log p(a_1:T). Every bound is
thus one on log p(x_1:T) with z integrated out, as is the paper's (equation 6). An observation of
which nothing was seen (`Masked`) is inferred from the prediction alone: q(a_t) = p(a_t | a_1:t-1).
`KVAE.smooth` computes p(z_t | a_1:T). Without recurrent layers (`rnn_hidden_sizes=[]`) d_t is
a_t-1, so that the last encoding alone weighs the dynamics, and what it lacks, z_t has to carry.

Deviations: Q and R are diagonal and learnt, from the paper's values; d_1 reads zeros in place of a
learnt a_0; matrices start near the identity (A) and from N(0, 1 / Z) (C); controls B_t c_t are read
only with `controls`, c_t being the context, and then the mean of z_1 is B_1 c_1. The authors' code
weighs log p(x_t | a_t) by 0.3 in training and in the bound that it reports; here nothing is weighed
but by the annealing of the KL.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec import distributions, heads, latent
from vaeseq.data import Masked
from vaeseq.description import Described
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range, declare
from vaeseq.hparams import HParams
from vaeseq.nn.initializers import Initializer, Normal
from vaeseq.nn.networks import MLP, Linear, RecurrentStack
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Spec, Tensor
from vaeseq.vae import _builders, _kalman
from vaeseq.vae._kalman import Gaussian
from vaeseq.vae.base import CoreState, VAECore

_TRANSITION_VARIANCE, _EMISSION_VARIANCE, _INITIAL_VARIANCE = 0.08, 0.03, 20.0  # of the paper


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      belief: p(z_t-1 | a_1:t-1).
      previous: a_t-1, `[..., A]`.
      cell: the recurrent state of d.
      has_begun: `[..., 1]`, 0 before the first step and 1 after it.
    """

    belief: Gaussian
    previous: Tensor
    cell: Nest
    has_begun: Tensor


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      predicted: p(z_t | a_1:t-1).
      transition: A_t, `[..., Z, Z]`.
      emission: C_t, `[..., A, Z]`.
      cell: the recurrent state of d after step t.
    """

    predicted: Gaussian
    transition: Tensor
    emission: Tensor
    cell: Nest


class Smoothed(NamedTuple):
    """States of whole sequences, given encodings.

    Attributes:
      mean: of p(z_t | a_1:T), `[B, T, Z]`.
      covariance: of p(z_t | a_1:T), `[B, T, Z, Z]`.
      filtered_mean: of p(z_t | a_1:t), `[B, T, Z]`.
      filtered_covariance: of p(z_t | a_1:t), `[B, T, Z, Z]`.
      encoding: C_t times the smoothed mean, the expected a_t, `[B, T, A]`.
      log_prob: log p(a_t | a_1:t-1) in nats, `[B, T]`; 0 where a_t was not seen.
    """

    mean: Tensor
    covariance: Tensor
    filtered_mean: Tensor
    filtered_covariance: Tensor
    encoding: Tensor
    log_prob: Tensor


class _NearIdentity(Initializer):
    """K matrices, each the identity plus noise, flattened to [K, Z * Z]."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        identity = tf.reshape(tf.eye(round(shape[1] ** 0.5), dtype=dtype), [1, -1])
        return identity + Normal(0.05)(shape, dtype)


class _Scale(snt.Module):
    """Learnt standard deviations [size]."""

    def __init__(self, size: int, initial: float, eps: float, name: str) -> None:
        super().__init__(name=name)
        self._positive = heads.Positive("softplus", eps)
        self._initial = self._positive.inverse(name, np.full([size], initial))

    def __call__(self, dtype: tf.DType) -> Tensor:
        self._initialize(dtype)
        return self._positive(self.scale)

    @snt.once
    def _initialize(self, dtype: tf.DType) -> None:
        with tf.init_scope():
            self.scale = tf.Variable(tf.constant(self._initial, dtype), name="scale")


class LinearDynamics(Described, snt.Module):
    """K linear-Gaussian dynamics and the network that mixes them.

    Attributes:
      state_size: Z.
      encoding_size: A.
      d_core: the recurrence over encodings.
      has_controls: whether contexts move the state.
    """

    def __init__(
        self, state_size: int, encoding_size: int, num_dynamics: int, d_core: RecurrentStack, *,
        controls: bool = False, positive_eps: float = 1e-5, name: str | None = None,
    ):
        """Creates the module; the variables come with the first call.

        Args:
          state_size: Z, of z_t.
          encoding_size: A, of a_t.
          num_dynamics: K.
          d_core: the recurrence over encodings.
          controls: whether contexts move the state.
          positive_eps: the least standard deviation.
        """
        super().__init__(name=name)
        self.state_size, self.encoding_size = state_size, encoding_size
        self.d_core = d_core
        self.has_controls = controls
        self._num_dynamics = num_dynamics
        self._weights = Linear(num_dynamics, name="weights")
        self._transition = Linear(
            state_size ** 2, use_bias=False, w_init=_NearIdentity(), name="transition")
        self._emission = Linear(
            encoding_size * state_size, use_bias=False, w_init=Normal(state_size ** -0.5),
            name="emission")
        self._controls = Linear(
            num_dynamics * state_size, use_bias=False, name="controls") if controls else None
        self._transition_noise = _Scale(
            state_size, _TRANSITION_VARIANCE ** 0.5, positive_eps, "transition_noise")
        self._emission_noise = _Scale(
            encoding_size, _EMISSION_VARIANCE ** 0.5, positive_eps, "emission_noise")

    def transition_noise(self, dtype: tf.DType) -> Tensor:
        """Returns the standard deviations of Q, `[Z]`."""
        return self._transition_noise(dtype)

    def emission_noise(self, dtype: tf.DType) -> Tensor:
        """Returns the standard deviations of R, `[A]`."""
        return self._emission_noise(dtype)

    def __call__(self, context: Tensor, state: State) -> Hidden:
        """Predicts z_t: c_t `[..., F]` and the state before step t -> h_t."""
        summary, cell = self.d_core.step(state.previous, state.cell)
        weights = tf.nn.softmax(self._weights(summary))
        leading = nest.shape_of(weights)[:-1]
        size = self.state_size
        transition = tf.reshape(self._transition(weights), [*leading, size, size])
        emission = tf.reshape(self._emission(weights), [*leading, self.encoding_size, size])
        predicted = _kalman.predict(
            state.belief, transition, self.transition_noise(weights.dtype))
        has_begun = state.has_begun > 0
        predicted = Gaussian(
            tf.where(has_begun, predicted.mean, 0.0),
            tf.where(has_begun[..., tf.newaxis], predicted.factor,
                     _INITIAL_VARIANCE ** 0.5 * tf.eye(size, dtype=weights.dtype)))
        if self._controls is not None:
            moves = tf.reshape(
                self._controls(context), [*leading, self._num_dynamics, size])
            predicted = predicted._replace(
                mean=predicted.mean + tf.linalg.matvec(moves, weights, transpose_a=True))
        return Hidden(predicted, transition, emission, cell)

    def observation(self, h: Hidden) -> distributions.MultivariateNormalTriL:
        """Returns p(a_t | a_1:t-1)."""
        return _kalman.observation(
            h.predicted, h.emission, self.emission_noise(h.emission.dtype))

    def condition(self, h: Hidden, a: Tensor) -> Gaussian:
        """Returns p(z_t | a_1:t)."""
        return _kalman.condition(
            h.predicted, h.emission, self.emission_noise(h.emission.dtype), a)


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of KVAE alone."""

    kvae_state_size: int = declare(
        4, "KVAE: size of the state z_t; latent_size is that of the encoding a_t", Range(1, 1024))
    kvae_dynamics: int = declare(
        3, "KVAE: number of linear dynamics that are mixed", Range(1, 1024))
    kvae_controls: bool = declare(False, "KVAE: contexts move the state (B_t c_t)")


class KVAE(VAECore):
    """A Kalman variational autoencoder (graphs in the module description)."""

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, dynamics: LinearDynamics,
        q_a: latent.DiagonalNormal, emission: MLP, *, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from the emission network's outputs to the distribution of x_t.
          encoder: from x_t to the features that q_a reads.
          dynamics: of z_t and a_t.
          q_a: from features of x_t to the distribution of a_t.
          emission: from a_t to what the decoder reads.
        """
        z, a = dynamics.state_size, dynamics.encoding_size
        dtype = q_a.event_spec.dtype
        state = State(
            Gaussian(Spec([z], dtype, "mean"), Spec([z, z + a], dtype, "factor")),
            Spec([a], dtype, "previous"), dynamics.d_core.state_spec,
            Spec([1], dtype, "has_begun"))
        super().__init__(decoder, latent_size=a, state_spec=CoreState((), state), name=name)
        self._encoder = encoder
        self.dynamics = dynamics
        self._q_a = q_a
        self._emission = emission

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> KVAE:
        """Builds the core from hyperparameters.

        `latent_decoder_fc_layers` are the layers of the inference network and of the emission.

        Raises:
          ValueError: `posterior_flows` with missing values: flows would move the prediction, from
            which unseen observations are inferred.
        """
        if hparams.posterior_flows and hparams.missing_values != "none":
            raise ValueError(
                "KVAE infers unseen observations from its prediction, which flows would move; "
                f"expected posterior_flows=0 or missing_values=none, got {hparams.posterior_flows} "
                f"and {hparams.missing_values}.")
        dynamics = LinearDynamics(
            hparams.kvae_state_size, hparams.latent_size, hparams.kvae_dynamics,
            _builders.recurrent_stack(hparams, "d_core"), controls=hparams.kvae_controls,
            positive_eps=hparams.positive_eps, name="dynamics")
        emission = MLP(hparams.latent_decoder_fc_layers, activation=hparams.activation,
                       activate_final=True, name="emission")
        return cls(decoder, encoder, dynamics, _builders.diagonal_normal(hparams, "q_a"),
                   emission)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, Nest]:
        return (contexts if self.dynamics.has_controls else contexts[..., :0]), state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        features = self._encoder(observed)
        if isinstance(observed, Masked):
            return features, _is_seen(observed.mask)
        return (features,)

    def hidden(self, context_feature: Tensor, state: State) -> Hidden:
        return self.dynamics(context_feature, state)

    def prior(self, h: Hidden) -> tfd.Distribution:
        return self.dynamics.observation(h)

    def posterior(self, h: Hidden, feature: tuple[Tensor, ...]) -> tfd.Distribution:
        params = self._q_a(feature[0])
        if len(feature) == 1:
            return self._q_a.dist(params)
        p_a, is_seen = self.prior(h), feature[1]
        return distributions.MultivariateNormalTriL(
            tf.where(is_seen, params.loc, p_a.loc),
            tf.where(is_seen[..., tf.newaxis], tf.linalg.diag(params.scale),
                     p_a.scale.to_dense()))

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, State]:
        has_begun = tf.ones([*nest.shape_of(z)[:-1], 1], z.dtype)
        return self._emission(z), State(self.dynamics.condition(h, z), z, h.cell, has_begun)

    def smooth(
        self, encodings: Tensor, observed_mask: Tensor | None = None, lengths: Tensor | None = None,
        contexts: Tensor | None = None,
    ) -> Smoothed:
        """Computes p(z_t | a_1:T) of whole sequences by the Kalman filter and the RTS smoother.

        Where an encoding was not seen, d reads its prediction in its place.

        Args:
          encodings: a_1:T, `[B, T, A]`: samples or means of q(a_t | x_t).
          observed_mask: bool `[B, T]`, False where an encoding is to be ignored; all by default.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          contexts: `[B, T, F]`, which a core with controls needs.

        Raises:
          ValueError: a core with controls gets no contexts.
        """
        if self.dynamics.has_controls and contexts is None:
            raise ValueError("KVAE with controls expects their contexts [B, T, F], got None.")
        encodings = tf.cast(encodings, self.dtype)
        contexts = encodings[..., :0] if contexts is None else tf.cast(contexts, self.dtype)
        if observed_mask is None:
            observed_mask = tf.ones(nest.shape_of(encodings)[:2], tf.bool)
        observed_mask = tf.convert_to_tensor(observed_mask)

        def step(inputs: tuple, state: State) -> tuple[tuple, State]:
            context, a, is_seen = inputs
            h = self.hidden(context, state)
            p_a = self.prior(h)
            a = tf.where(is_seen[..., tf.newaxis], a, p_a.loc)
            _, state = self.update(h, a)
            unseen = Gaussian(h.predicted.mean, tf.concat(
                [h.predicted.factor, tf.zeros_like(tf.linalg.adjoint(h.emission))], -1))
            state = state._replace(belief=nest.where(is_seen, state.belief, unseen))
            log_prob = tf.where(is_seen, p_a.log_prob(a), 0.0)
            return (h.predicted.mean, h.transition, h.emission, state.belief, log_prob), state

        state = self.initial_state(nest.leading_dim(encodings)).latent
        (predicted_mean, transition, emission, belief, log_prob), _ = unroll.scan(
            step, (contexts, encodings, observed_mask), state, lengths)
        noise = self.dynamics.transition_noise(encodings.dtype)

        def back(inputs: tuple, later: tuple) -> tuple[tuple, tuple]:
            belief, transition, predicted_mean = inputs
            later = _kalman.smooth(belief, transition, noise, predicted_mean, *later)
            return later, later

        def following(x: Tensor) -> Tensor:
            return tf.concat([x[:, 1:], tf.zeros_like(x[:, :1])], 1)

        size = self.dynamics.state_size
        end = nest.zeros((Spec([size], encodings.dtype), Spec([size, size], encodings.dtype)),
                         nest.leading_dim(encodings))
        (mean, covariance), _ = unroll.scan(back, unroll.reverse(
            (belief, following(transition), following(predicted_mean)), lengths), end, lengths)
        mean, covariance = unroll.reverse((mean, covariance), lengths)
        return Smoothed(mean, covariance, belief.mean, belief.covariance,
                        tf.linalg.matvec(emission, mean), log_prob)


def _is_seen(mask: Nest) -> Tensor:
    """Returns whether anything of an observation was seen, bool `[B, T, 1]`."""
    leaves = [tf.reshape(leaf, [*nest.shape_of(leaf)[:2], -1]) for leaf in tf.nest.flatten(mask)]
    return tf.reduce_any(tf.concat(leaves, -1), -1, keepdims=True)
