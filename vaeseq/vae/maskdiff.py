# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""MASKDIFF: absorbing-state discrete diffusion (D3PM, 2107.03006; MDLM, 2406.07524).

Notation: x_i observation at position i of T; M the set of masked positions, all others are seen;
t in [0, 1] the time of the forward process.

    Forward process                           Reverse process

    x_1  x_2  x_3  x_4      t = 0             x_1  x_2  x_3  x_4
    x_1   _   x_3  x_4       |                x_1   _   x_3  x_4       ^
    x_1   _   x_3   _        |                x_1   _   x_3   _        |
     _    _    _    _       t = 1              _    _    _    _        |

    q(i in M at time t) = t, for each position alone
    p(x_i | x_not-M)      the decoder, of a transformer that sees x_not-M on both sides

The continuous-time bound (MDLM, eq. 10, with a linear schedule) is an integral over the time,

    log p(x) >= int_0^1 1/t E[sum_{i in M} log p(x_i | x_not-M)] dt
              = E_k E_{|M| = k} [T/k sum_{i in M} log p(x_i | x_not-M)],   k uniform in 1..T,

and the second line is the same number: it is the any-order autoregressive model (2110.02037), the
mean over all orders of positions of the log-density in that order. Its terms have a finite
variance, those of the first line have not, so it is what is sampled here. The weights T/k and 1/t
belong to the bound: a plain mean of the cross-entropy of masked positions is no likelihood.

With `steps` = N the process has N steps, and each may draw several positions independently of
each other. The bound (D3PM, eq. 1) is then that of this sampler,

    log p_N(x) >= sum_{j = 1..N} 1/j E_{t = j/N} [sum_{i in M} log p(x_i | x_not-M)]

Generation in continuous time draws one position at a time, in random order; with N steps it draws,
of all positions that are masked at step j, each with probability 1/j. Steps that draw nothing
need no evaluation of the network (2409.02908). Known positions are never masked, so a sequence with
gaps is completed from p(x_M | x_not-M) as the model has it.

Each position attends to `window` positions on both sides: memory grows linearly in T, and distances
that training has never shown are not used. So sequences of any length can be drawn and scored.

Deviations: the network does not read the time, as in MDLM; transformers are those of
`vaeseq.nn.transformer`; contexts of agents are not read, for they encode observations. Windows of a
long sequence, or, of more than 1,024 steps in compiled programs, its segments of at most 512, are
modelled as independent of each other, so that its score is that of these parts.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.codec.missing import MaskedDecoder
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range, declare
from vaeseq.hparams import HParams
from vaeseq.nn.transformer import BidirectionalTransformer
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae._builders import bidirectional_transformer
from vaeseq.vae.base import CoreState, Inferred
from vaeseq.vae.diffusion import Diffusion, Noisy


class Masking(NamedTuple):
    """A masked sequence, read by the network.

    Attributes:
      outputs: u_1:T, the decoder's inputs, `[B, T, F]`.
      weights: the weight of each masked position in the bound, 0 for others, `[B, T]`.
    """

    outputs: Tensor
    weights: Tensor


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of MASKDIFF alone."""

    maskdiff_steps: int = declare(
        0, "MASKDIFF: steps of the diffusion, in the bound and in generation; 0: continuous time",
        Range(0, 1 << 20), is_fixed=False)


class MaskDiff(Diffusion):
    """A masked diffusion model (see the module description); z_t is whether x_t is masked."""

    Options = Options
    evaluation_arguments = ("steps",)

    def __init__(
        self, decoder: DistModule, encoder: Encoder, network: BidirectionalTransformer, *,
        steps: int = 0, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from the network's outputs to the distribution of x_t.
          encoder: from x_t to the features that the network reads.
          network: reads the features of a sequence and which of its positions are masked.
          steps: N, of the diffusion; 0 for continuous time.

        Raises:
          ValueError: the decoder is a `MaskedDecoder`.
        """
        if isinstance(decoder, MaskedDecoder):
            raise ValueError("MASKDIFF learns from complete sequences and fills gaps without "
                             "missing_values; expected missing_values=none.")
        super().__init__(decoder, latent_size=1, state_spec=CoreState((), ()), name=name)
        self._encoder = encoder
        self._network = network
        self._steps = steps

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> MaskDiff:
        """Builds the core from hyperparameters; the transformer has `rnn_hidden_sizes`.

        Raises:
          ValueError: a decoder of missing values.
        """
        return cls(decoder, encoder, bidirectional_transformer(hparams, "network"),
                   steps=hparams.maskdiff_steps)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Tensor:
        return tf.convert_to_tensor(self._encoder(observed))

    def infer(
        self, context_features: Nest, features: Tensor, state: Nest,
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> Inferred:
        """Masks sequences at random and reads the remaining positions.

        Returns:
          The masks, 1 or 0, `[B, T, 1]`, with equal prior and posterior, and a `Masking`.
        """
        masked, weights = self._mask(features, lengths, seed)
        outputs = self.read(features, masked, lengths)
        latents = tf.cast(masked, self.dtype)[..., tf.newaxis]
        noise = tfd.VectorDeterministic(latents)
        return Inferred(latents, noise, noise, Masking(outputs, weights), state)

    def read(self, features: Tensor, masked: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the decoder's inputs, `[B, T, H]`.

        Args:
          features: of the observations, `[B, T, F]`.
          masked: bool `[B, T]`, which of them the network does not see.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
        """
        return self._network(
            (nest.mask(~masked, features), tf.cast(masked, features.dtype)[..., tf.newaxis]),
            lengths)

    def log_prob(self, outputs: Masking, observed: Nest) -> Tensor:
        """Returns the terms of the bound, weighted, in nats, `[B, T]`; see `SequenceCore`."""
        log_prob = super().log_prob(outputs.outputs, observed)
        # What is never masked has no term, but NaN: it is outside of the decoder's support.
        unweighted = tf.where(tf.math.is_nan(log_prob), log_prob, 0.0)
        return tf.where(outputs.weights > 0, outputs.weights * log_prob, unweighted)

    def _mask(
        self, features: Tensor, lengths: Tensor | None, seed: Seed
    ) -> tuple[Tensor, Tensor]:
        """Draws which positions are masked, bool `[B, T]`, and their weights, `[B, T]`."""
        rows, num_steps, _ = nest.shape_of(features)
        time_seed, mask_seed = seeds.split(seed, 2)
        time = seeds.uniform([rows, 1], time_seed)
        noise = seeds.uniform([rows, num_steps], mask_seed)
        if lengths is None:
            valid, size = tf.ones_like(noise, tf.bool), tf.cast(num_steps, time.dtype)
        else:
            valid = nest.mask_from_lengths(lengths, num_steps)
            noise = tf.where(valid, noise, 2.0)  # ranks after the positions of the sequence
            size = tf.cast(lengths, time.dtype)[:, tf.newaxis]
        if self._steps:
            step = 1.0 + tf.minimum(tf.floor(time * self._steps), self._steps - 1.0)
            masked, weight = noise * self._steps < step, self._steps / step
        else:
            count = 1.0 + tf.minimum(tf.floor(time * size), size - 1.0)
            ranks = tf.argsort(tf.argsort(noise, stable=True), stable=True)
            masked, weight = tf.cast(ranks, time.dtype) < count, size / count
        masked &= valid
        return masked, tf.cast(tf.where(masked, weight, 0.0), self.dtype)

    def begin(
        self, values: Nest, is_known: Tensor, *, seed: Seed
    ) -> tuple[Noisy, Sequence[int]]:
        """Draws at which step each unknown position is drawn, 0 for known ones; see `Diffusion`."""
        noise = np.where(is_known, -1.0, seeds.uniform(tf.shape(is_known), seed))
        if self._steps:
            number = 1 + np.minimum(np.floor(noise * self._steps), self._steps - 1)
        else:
            number = noise.argsort(1, kind="stable").argsort(1, kind="stable") + 1
            number = number - np.sum(is_known, 1, keepdims=True)
        number = np.where(is_known, 0, number).astype(np.int32)
        steps = sorted(set(number[number > 0].tolist()), reverse=True)
        return Noisy(values, tf.constant(number)), steps

    def denoise(
        self, noisy: Noisy, number: Tensor, lengths: Tensor | None = None, *,
        temperature: float | Tensor = 1.0, truncation: Truncation = Truncation(), seed: Seed,
    ) -> Noisy:
        masked = (noisy.noise > 0) & (noisy.noise <= number)
        features = tf.convert_to_tensor(self._encoder(noisy.values))
        params = self.decoder(self.read(features, masked, lengths))
        if tf.is_tensor(temperature) or temperature != 1:
            params = self.decoder.temper(params, temperature)
        if not truncation.leaves_all:
            params = self.decoder.truncate(params, truncation)
        values = self.decoder.dist(params).sample(seed=seed)
        return noisy._replace(values=nest.where(noisy.noise == number, values, noisy.values))
