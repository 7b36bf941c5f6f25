# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""DMM: a Markov chain of latents, the deep Markov model (Krishnan et al., arXiv:1609.09869).

Notation: z_t latent, x_t observation, c_t context, l_t and r_t recurrences over what was observed,
forwards and backwards.

    Generative                          Inference, ST-LR

    z_1 --> z_2 --> z_3                 z_1 --> z_2 --> z_3
     |       |       |                   ^       ^       ^
     v       v       v                  l_1 --> l_2 --> l_3
    x_1     x_2     x_3                 r_1 <-- r_2 <-- r_3   x_t above each l_t and r_t

    p(z_1) = N(0, I)      p(z_t | z_t-1) = N(mean, stddev), the gated transition:

        g = sigmoid(MLP(z_t-1))           a gate between a linear map and a network
        h = MLP(z_t-1)
        mean = (1 - g) * (z_t-1 W + b) + g * h,  W starting at the identity
        stddev^2 = softplus(relu(h) V + c)

    q(z_t | z_t-1, x_1:T): mean and variance are linear in the mean of the terms that the
    inference network has,

        tanh(z_t-1 U + d)     structured: ST; mean-field (MF) has no such term
        l_t                   the past and the present, L
        r_t                   the present and the future, R

    ST-R has the form of the exact posterior: given z_t-1, the past says no more about z_t.

`augmented` is the paper's DMM-Aug (section 6.2): edges from x_t-1 to z_t and to x_t. Here they
come from the context c_t, which by default is the encoding of x_t-1; without it contexts are not
read, and the observations depend on the past through the latents alone.

Deviations: at the end of a window of a longer sequence r starts from zeros, and at its beginning l
does; every bound stays a bound.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec import latent
from vaeseq.codec.decoders import NormalParams
from vaeseq.description import Described
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import declare
from vaeseq.hparams import HParams
from vaeseq.nn.initializers import Initializer
from vaeseq.nn.networks import MLP, Linear, RecurrentStack
from vaeseq.types import Nest, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, VAECore

Inference = Literal["ST-R", "ST-L", "ST-LR", "MF-LR"]


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      z: z_t-1, `[..., Z]`.
      has_begun: `[..., 1]`, 0 before the first step and 1 after it.
    """

    z: Tensor
    has_begun: Tensor


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      context: c_t, `[..., F]`; F is 0 unless the model is augmented.
      previous: z_t-1.
    """

    context: Tensor
    previous: State


class _Identity(Initializer):
    """Ones on the diagonal of [F, H]: further inputs begin without influence."""

    def __call__(self, shape: Sequence[int], dtype: tf.DType) -> Tensor:
        return tf.eye(*shape, dtype=dtype)


class GatedTransition(Described, snt.Module):
    """p(z_t | z_t-1), between a linear map and a network (section 5.1 of the paper)."""

    def __init__(self, size: int, hidden_size: int, *, positive_eps: float = 1e-5,
                 name: str | None = None):
        """Creates the network; the variables come with the first call.

        Args:
          size: Z.
          hidden_size: units of the layers of the gate and of the network.
          positive_eps: the least variance.
        """
        super().__init__(name=name)
        self._gate = MLP((hidden_size, size), name="gate")
        self._proposed = MLP((hidden_size, size), name="proposed")
        self._linear = Linear(size, w_init=_Identity(), name="linear")
        self._variance = Linear(size, name="variance")
        self._positive_eps = positive_eps

    def __call__(self, z: Tensor, context: Tensor) -> NormalParams:
        """z_t-1 `[..., Z]` and c_t `[..., F]` -> parameters of z_t, `[..., Z]`."""
        inputs = (z, context)
        gate = tf.sigmoid(self._gate(inputs))
        proposed = self._proposed(inputs)
        loc = (1 - gate) * self._linear(inputs) + gate * proposed
        variance = tf.nn.softplus(self._variance(tf.nn.relu(proposed))) + self._positive_eps
        return NormalParams(loc, tf.sqrt(variance))


class Combiner(Described, snt.Module):
    """q(z_t | z_t-1, features) of the structured inference networks (section 4 of the paper)."""

    def __init__(self, size: int, feature_size: int, *, structured: bool,
                 positive_eps: float = 1e-5, name: str | None = None):
        """Creates the network; the variables come with the first call.

        Args:
          size: Z.
          feature_size: H, of the recurrences over observations.
          structured: whether z_t-1 is read.
          positive_eps: the least variance.
        """
        super().__init__(name=name)
        self._from_z = Linear(feature_size, name="from_z") if structured else None
        self._loc = Linear(size, name="loc")
        self._variance = Linear(size, name="variance")
        self._positive_eps = positive_eps

    def __call__(self, z: Tensor, terms: tuple[Tensor, ...]) -> NormalParams:
        """z_t-1 `[..., Z]` and features, each `[..., H]` -> parameters of z_t, `[..., Z]`."""
        if self._from_z is not None:
            terms = (tf.tanh(self._from_z(z)), *terms)
        combined = tf.add_n(terms) / len(terms)
        variance = tf.nn.softplus(self._variance(combined)) + self._positive_eps
        return NormalParams(self._loc(combined), tf.sqrt(variance))


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of DMM alone."""

    dmm_inference: Inference = declare(
        "ST-R", "DMM: what the posterior reads: z_t-1 (ST), the past (L), the future (R)")
    dmm_augmented: bool = declare(False, "DMM: contexts reach latents and observations (DMM-Aug)")


class DMM(VAECore):
    """Implementation of DMM and DMM-Aug (see module description)."""

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, p_z: GatedTransition, q_z: Combiner,
        emission: MLP, *, latent_size: int, past: RecurrentStack | None,
        future: RecurrentStack | None, augmented: bool = False, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from the emission network's outputs to the distribution of x_t.
          encoder: from x_t to the features that the inference network reads.
          p_z: the transition, p(z_t | z_t-1).
          q_z: the posterior.
          emission: from z_t to what the decoder reads.
          latent_size: Z.
          past: the recurrence over observations forwards, l_t; None without.
          future: the recurrence over observations backwards, r_t; None without.
          augmented: whether contexts reach z_t and x_t.

        Raises:
          ValueError: neither past nor future is read.
        """
        state = State(tf.TensorSpec([latent_size], tf.float32, "z"),
                      tf.TensorSpec([1], tf.float32, "has_begun"))
        super().__init__(
            decoder, latent_size=latent_size, state_spec=CoreState((), state), name=name)
        if past is None and future is None:
            raise ValueError("DMM infers latents from observations; expected a recurrence over the "
                             "past, the future, or both, got none.")
        self._encoder = encoder
        self.p_z = p_z
        self._q_z = q_z
        self._emission = emission
        self._past = past
        self._future = future
        self._augmented = augmented

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> DMM:
        """Creates the core that `hparams` describe.

        The emission has the layers `latent_decoder_fc_layers`; the hidden layers of the transition
        have the size of the first of them.

        Raises:
          ValueError: `latent_decoder_fc_layers` or `rnn_hidden_sizes` is empty.
        """
        if not hparams.rnn_hidden_sizes:
            raise ValueError("DMM infers its latents by recurrences; expected at least one layer "
                             "in rnn_hidden_sizes, got []. Try rnn_hidden_sizes=[128].")
        if not hparams.latent_decoder_fc_layers:
            raise ValueError(
                "DMM has networks of the size latent_decoder_fc_layers for its transition and its "
                "emission; expected at least one layer, got []. Try "
                "latent_decoder_fc_layers=[200].")
        inference = hparams.dmm_inference

        def recurrence(letter: str) -> RecurrentStack | None:
            in_use = letter in inference.partition("-")[2]
            return _builders.recurrent_stack(hparams, f"rnn_{letter.lower()}") if in_use else None

        hidden_size = hparams.latent_decoder_fc_layers[0]
        return cls(
            decoder, encoder,
            GatedTransition(hparams.latent_size, hidden_size,
                            positive_eps=hparams.positive_eps, name="p_z"),
            Combiner(hparams.latent_size, hparams.rnn_hidden_sizes[-1],
                     structured=inference.startswith("ST"), positive_eps=hparams.positive_eps,
                     name="q_z"),
            MLP(hparams.latent_decoder_fc_layers, activation=hparams.activation,
                activate_final=True, name="emission"),
            latent_size=hparams.latent_size, past=recurrence("L"), future=recurrence("R"),
            augmented=hparams.dmm_augmented)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return (contexts if self._augmented else contexts[..., :0]), state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        features = self._encoder(observed)
        terms = []
        if self._past is not None:
            terms.append(_builders.forward(self._past, features, lengths))
        if self._future is not None:
            terms.append(_builders.backward(self._future, features, lengths))
        return tuple(terms)

    def hidden(self, context_feature: Nest, state: State) -> Hidden:
        return Hidden(context_feature, state)

    def prior(self, h: Hidden) -> tfd.Distribution:
        params = self.p_z(h.previous.z, h.context)
        has_begun = h.previous.has_begun > 0
        return latent.normal(NormalParams(
            tf.where(has_begun, params.loc, 0.0), tf.where(has_begun, params.scale, 1.0)))

    def posterior(self, h: Hidden, feature: tuple[Tensor, ...]) -> tfd.Distribution:
        return latent.normal(self._q_z(h.previous.z, feature))

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, State]:
        outputs = self._emission((z, h.context))
        return outputs, State(z, tf.ones_like(h.previous.has_begun))
