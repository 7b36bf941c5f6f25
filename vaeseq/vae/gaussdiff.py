# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""GAUSSDIFF: Gaussian diffusion over real-valued sequences (DDPM, 2006.11239; VDM, 2107.00630).

Notation: x_i observation at position i of T; z_i the noisy one; t_i in [0, 1] its time; D numbers
in an observation.

    Forward process                           Reverse process

    z_i = a(t_i) x_i + s(t_i) eps_i           z_1..T, t ----> transformer ----> N(m_i, v_i)
    a^2 + s^2 = 1                                                                   |
    g(t) = log(s^2 / a^2), linear in t        x^_i = E[x_i] given z_i and the prior N(m_i, v_i)

The decoder, a `decoders.Normal`, predicts each position from all of them; Bayes' rule then combines
the prediction with the position's own noisy value,

    x^_i = m_i + v_i / (v_i + e^g) (z_i / a - m_i),     v^_i = v_i e^g / (v_i + e^g)

so little noise needs no precise network, and the initial mean and scale of the decoder are those of
the data. A step of the reverse process draws from q(z_s | z_t, x), averaged over N(x^, v^).
Independent normal observations are modelled exactly, with any number of steps.

With one time for all positions the continuous-time bound (VDM, eq. 17) is

    log p(x) >= E log N(x; z_0 / a_0, s_0^2 / a_0^2) - KL(q(z_1 | x) || N(0, I))
                - 1/2 E_t [g'(t) e^-g(t) |x - x^|^2]

where the first two terms have closed forms. With `steps` = N the last one is that of the sampler of
N steps, the KL of each from t = j / N to s = (j - 1) / N,

    N/2 E_j sum [log(1 + k v^) + k ((x - x^)^2 - v^) / (1 + k v^)],   k = e^-g(s) - e^-g(t)

Filling of gaps needs noisy positions beside clean ones. So a share `filling` of the sequences is
destroyed in two parts, one after the other: first a random set of positions while the others stay
at time 0, then these, while the first ones are at time 1. The bound of any such plan is a bound on
log p(x), by the same derivation with a time for each position, and the mean over random plans
is what is trained and reported. Known steps of a sequence then stay at time 0 in generation: gaps
are drawn from p(x_unknown | x_known) as the model has it, not by an approximation.

Deviations: a time for each position; x^ is neither the noise nor the velocity, but the mean above;
the variance of a reverse step has v^ in it (without it: VDM, eq. 13); g is linear and not learned.
Transformers are those of `vaeseq.nn.transformer`. As in `vaeseq.vae.maskdiff`, contexts of agents
are not read, and windows of a long sequence, or, of more than 1,024 steps in compiled programs, its
segments of at most 512, are modelled as independent of each other.
"""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.codec.decoders import Normal, NormalParams
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

_LAST_LEVEL = 2 * math.log(100)  # g(1): a signal of scale 1 in noise of scale 100
_SAMPLING_STEPS = 256  # of a model in continuous time


class Denoised(NamedTuple):
    """The estimate of a sequence from its noisy version.

    Attributes:
      estimate: x^ and the root of v^, `[B, T, *E]` each.
      precision: k, or its rate -d e^-g / dt in continuous time, `[B, T]`.
      weights: how often each position counts in the bound, `[B, T]`.
    """

    estimate: NormalParams
    precision: Tensor
    weights: Tensor


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of GAUSSDIFF alone."""

    gaussdiff_steps: int = declare(
        0, "GAUSSDIFF: steps of the diffusion, in the bound and in generation; 0: the bound in "
        f"continuous time, and generation in {_SAMPLING_STEPS} steps", Range(0, 1 << 20),
        is_fixed=False)
    gaussdiff_noise: float = declare(
        1e-3, "GAUSSDIFF: standard deviation of the noise at time 0, below the scale of the "
        "data's details", Range(0, 1, open_low=True))
    gaussdiff_filling: float = declare(
        0.5, "GAUSSDIFF: share of the sequences that are destroyed in two parts, which teaches to "
        "fill gaps", Range(0, 1), is_fixed=False)


class GaussDiff(Diffusion):
    """A Gaussian diffusion model (see the module description); z_t is the noise level of x_t."""

    Options = Options
    evaluation_arguments = ("steps", "filling")

    def __init__(
        self, decoder: DistModule, encoder: Encoder, network: BidirectionalTransformer, *,
        steps: int = 0, noise: float = 1e-3, filling: float = 0.5, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from the network's outputs to the mean and scale of x_t, a `decoders.Normal`.
          encoder: from a noisy x_t to the features that the network reads.
          network: reads the features of a sequence and the noise level of each position.
          steps: N, of the diffusion; 0 for continuous time.
          noise: the standard deviation at time 0 of the noise of a signal of scale 1.
          filling: the probability that a sequence is destroyed in two parts.

        Raises:
          ValueError: another decoder.
        """
        if not isinstance(decoder, Normal):
            raise ValueError(
                "GAUSSDIFF models complete sequences of real numbers; expected the decoder "
                f"decoders.Normal, got {type(decoder).__name__}. Symbols are for MASKDIFF, and "
                "gaps are filled without missing_values.")
        super().__init__(decoder, latent_size=1, state_spec=CoreState((), ()), name=name)
        self._encoder = encoder
        self._network = network
        self._steps = steps
        self._first_level = 2 * math.log(noise)
        self._filling = filling

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> GaussDiff:
        """Builds the core from hyperparameters; the transformer has `rnn_hidden_sizes`.

        Raises:
          ValueError: a decoder that is no `decoders.Normal`.
        """
        return cls(decoder, encoder, bidirectional_transformer(hparams, "network"),
                   steps=hparams.gaussdiff_steps, noise=hparams.gaussdiff_noise,
                   filling=hparams.gaussdiff_filling)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Tensor:
        return observed

    def infer(
        self, context_features: Nest, features: Tensor, state: Nest,
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> Inferred:
        """Adds noise to sequences and estimates them from the noisy numbers.

        Returns:
          The noise levels g, `[B, T, 1]`, with equal prior and posterior, and a `Denoised`.
        """
        plan_seed, noise_seed = seeds.split(seed, 2)
        level, precision, weights = self._plan(features, lengths, plan_seed)
        signal, noise = _scales(self._wide(level))
        noisy = signal * features + noise * seeds.normal(
            tf.shape(features), noise_seed, self.dtype)
        latents = level[..., tf.newaxis]
        fixed = tfd.VectorDeterministic(latents)
        denoised = Denoised(self.estimate(noisy, level, lengths), precision, weights)
        return Inferred(latents, fixed, fixed, denoised, state)

    def estimate(
        self, noisy: Tensor, level: Tensor, lengths: Tensor | None = None
    ) -> NormalParams:
        """Returns x^ and the root of v^, `[B, T, *E]` each.

        Args:
          noisy: z, `[B, T, *E]`.
          level: g, log(s^2 / a^2) of each position, `[B, T]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
        """
        position = (level - self._first_level) / (_LAST_LEVEL - self._first_level)
        angles = math.pi * tf.constant([1, 2, 4, 8], self.dtype) * position[..., tf.newaxis]
        params = self.decoder(self._network(
            (tf.convert_to_tensor(self._encoder(noisy)), tf.cos(angles), tf.sin(angles)), lengths))
        level = self._wide(level)
        gain = 1 / (1 + tf.exp(level) / params.scale ** 2)
        return NormalParams(
            params.loc + gain * (noisy / _scales(level)[0] - params.loc),
            tf.sqrt(gain) * tf.exp(level / 2))

    def log_prob(self, outputs: Denoised, observed: Tensor) -> Tensor:
        """Returns the terms of the bound, in nats, `[B, T]`; see `SequenceCore`."""
        def total(x: Tensor) -> Tensor:
            return tf.reduce_sum(tf.reshape(x, [*nest.shape_of(x)[:2], size]), -1)

        size = self.decoder.event_spec.shape.num_elements()
        reconstruction = -0.5 * size * (1 + math.log(2 * math.pi) + self._first_level)
        signal, noise = (1 / (1 + math.exp(sign * _LAST_LEVEL)) for sign in (1, -1))  # squared
        prior = 0.5 * (signal * total(observed ** 2) + size * (noise - 1 - math.log(noise)))
        error = (observed - outputs.estimate.loc) ** 2
        precision = self._wide(outputs.precision)
        if self._steps:
            variance = outputs.estimate.scale ** 2
            widened = precision * variance
            error = tf.math.log1p(widened) + precision * (error - variance) / (1 + widened)
        else:
            error *= precision
        return reconstruction - prior - 0.5 * outputs.weights * total(error)

    def begin(
        self, values: Nest, is_known: Tensor, *, seed: Seed
    ) -> tuple[Noisy, Sequence[int]]:
        """Draws the sequence at time 1, and known steps at time 0; see `Diffusion`."""
        noise = seeds.normal(tf.shape(values), seed, self.dtype)
        signal, scale = _scales(tf.constant(self._first_level, self.dtype))
        mask = tf.constant(is_known)
        noisy = nest.where(mask, signal * values + scale * noise, noise)
        steps = range(0 if is_known.all() else self._steps or _SAMPLING_STEPS, 0, -1)
        return Noisy(values, (noisy, mask)), steps

    def denoise(
        self, noisy: Noisy, number: Tensor, lengths: Tensor | None = None, *,
        temperature: float | Tensor = 1.0, truncation: Truncation = Truncation(), seed: Seed,
    ) -> Noisy:
        if not truncation.leaves_all:
            self.decoder.truncate((), truncation)
        values, is_known = noisy.noise
        time = tf.cast(number, self.dtype) / (self._steps or _SAMPLING_STEPS)
        before = self._level(time)
        after = self._level(time - 1 / (self._steps or _SAMPLING_STEPS))
        estimate = self.estimate(
            values, tf.where(is_known, self._level(0.0), before), lengths)
        retained = tf.exp(after - before)
        widened = 1 + (tf.exp(-after) - tf.exp(-before)) * estimate.scale ** 2
        (signal, _), (signal_after, noise_after) = _scales(before), _scales(after)
        noise_seed, end_seed = seeds.split(seed, 2)
        root = tf.sqrt(tf.cast(temperature, self.dtype))
        moved = (signal_after / signal * retained * values
                 + signal_after * (1 - retained) * estimate.loc
                 + root * noise_after * tf.sqrt((1 - retained) * widened) * seeds.normal(
                     tf.shape(values), noise_seed, self.dtype))
        sampled = moved / signal_after + root * math.exp(self._first_level / 2) * seeds.normal(
            tf.shape(values), end_seed, self.dtype)
        return Noisy(nest.where(is_known, noisy.values, sampled),
                     (nest.where(is_known, values, moved), is_known))

    def _plan(
        self, observed: Tensor, lengths: Tensor | None, seed: Seed
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws the noise levels; returns them with the other fields of `Denoised`, `[B, T]`."""
        rows, num_steps = nest.shape_of(observed)[:2]
        time_seed, kind_seed, set_seed = seeds.split(seed, 3)
        time = seeds.uniform([rows, 1], time_seed, self.dtype)
        kind = seeds.uniform([rows, 1], kind_seed, self.dtype)
        first = self._random_set(rows, num_steps, lengths, set_seed)
        is_split, is_second = kind < self._filling, kind < self._filling / 2
        moves = tf.where(is_second, ~first, first | ~is_split)
        if self._steps:
            step = 1 + tf.minimum(tf.floor(time * self._steps), self._steps - 1.0)
            time = step / self._steps
            precision = (tf.exp(-self._level((step - 1) / self._steps))
                         - tf.exp(-self._level(time)))
        else:
            precision = (_LAST_LEVEL - self._first_level) * tf.exp(-self._level(time))
        count = tf.where(is_split, tf.cast(2, self.dtype), 1) * max(1, self._steps)
        level = self._level(tf.where(moves, time, tf.cast(is_second, self.dtype)))
        return level, precision + tf.zeros_like(level), tf.where(moves, count, 0)

    def _random_set(
        self, rows: int | Tensor, num_steps: int | Tensor, lengths: Tensor | None, seed: Seed
    ) -> Tensor:
        """Draws sets of positions, bool `[B, T]`: an interval, the rest, or single ones."""
        kind_seed, ends_seed, noise_seed = seeds.split(seed, 3)
        kind = seeds.uniform([rows, 1], kind_seed, self.dtype)
        ends = seeds.uniform([rows, 2], ends_seed, self.dtype)
        size = num_steps if lengths is None else lengths[:, tf.newaxis]
        place = (tf.cast(tf.range(num_steps), self.dtype) + 0.5) / tf.cast(
            tf.maximum(size, 1), self.dtype)
        inside = (place > tf.reduce_min(ends, 1, keepdims=True)) & (
            place < tf.reduce_max(ends, 1, keepdims=True))
        single = seeds.uniform([rows, num_steps], noise_seed, self.dtype) < ends[:, :1]
        return tf.where(kind < 0.5, single, inside ^ (kind < 0.75))

    def _level(self, time: float | Tensor) -> Tensor:
        """Returns g at a time."""
        time = tf.cast(time, self.dtype)
        return self._first_level + (_LAST_LEVEL - self._first_level) * time

    def _wide(self, level: Tensor) -> Tensor:
        """Returns levels `[B, T]` with the axes of the event, `[B, T, 1...]`."""
        rank = self.decoder.event_spec.shape.rank
        return tf.reshape(level, [*nest.shape_of(level), *[1] * rank])


def _scales(level: float | Tensor) -> tuple[Tensor, Tensor]:
    """Returns a and s, the scales of the signal and of the noise, at a level g."""
    level = tf.convert_to_tensor(level)
    return tf.sqrt(tf.sigmoid(-level)), tf.sqrt(tf.sigmoid(level))
