# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encodes sequences into latents and decodes latents into sequences.

Axes: B batch, T time, N sequences, S samples, Z latent (see `vaeseq.types`).
"""
from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import data, nest, seeds
from vaeseq.autoencoder.states import StateModel
from vaeseq.codec.decoders import NormalParams
from vaeseq.compilation import compiled
from vaeseq.data import Batch
from vaeseq.evaluate.filling import refuse_outside
from vaeseq.evaluate.sampler import Sampler
from vaeseq.nn.scan import unroll
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Tensor
from vaeseq.vae import SEQAE, GenCore, GenState

_COLD = 1e-3  # a temperature near 0
_STEPS_AT_ONCE = 1 << 17  # of all rows of a batch, which bounds the memory for long sequences


class Encoded(NamedTuple):
    """The posteriors of sequences.

    Attributes:
      mean: `[N, Z]`, float32.
      stddev: `[N, Z]`; 0 where the posterior is deterministic.
    """

    mean: np.ndarray
    stddev: np.ndarray

    def sample(self, seed: int) -> np.ndarray:
        """Draws a latent of each sequence, `[N, Z]`."""
        noise = np.random.default_rng(seed).standard_normal(self.mean.shape)
        return (self.mean + self.stddev * noise).astype(np.float32)


class Likelihood(NamedTuple):
    """Importance-weighted lower bounds on log p(x_1:T) of sequences.

    Attributes:
      nats: of each sequence, `[N]`.
      variances: of these, due to sampling the latents, `[N]`; NaN for one sample.
      num_steps: of all sequences.
      num_samples: S.
    """

    nats: np.ndarray
    variances: np.ndarray
    num_steps: int
    num_samples: int

    @property
    def nats_per_step(self) -> float:
        """The negative bound in nats per step: lower is better."""
        return -float(self.nats.sum()) / self.num_steps

    @property
    def standard_error(self) -> float:
        """Standard error of `nats_per_step` due to sampling the latents."""
        return math.sqrt(float(self.variances.sum())) / self.num_steps


class Autoencoder:
    """Encodes and decodes with a trained `SEQAE`.

    Sequences are nests of arrays `[N, ...]`, as for `vaeseq.Model`; the agent takes no external
    inputs. Functions are compiled once for each padded size.
    """

    def __init__(self, gen_core: GenCore, *, batch_size: int = 64):
        """Creates the autoencoder.

        Args:
          gen_core: the agent and the core, such as `Model.gen_core` after `Model.restore`.
          batch_size: number of sequences computed together.

        Raises:
          ValueError: the core is no `SEQAE`.
        """
        if not isinstance(gen_core.core, SEQAE):
            raise ValueError("expected a model with one latent for a whole sequence, "
                             f"vae_type=SEQAE; got {type(gen_core.core).__name__}.")
        self._gen_core = gen_core
        self._core: SEQAE = gen_core.core
        self._batch_size = batch_size
        self._sampler = Sampler(gen_core)
        self._encode = compiled(self._encode_batch)
        self._score = compiled(self._score_batch)
        # A check alone: XLA's compilation would take longer than it.
        self._outside = compiled(self._outside_batch, jit_compile=False)

    @property
    def latent_size(self) -> int:
        """Z."""
        return self._core.latent_size

    @property
    def has_density(self) -> bool:
        """Whether the posterior has a density; see `log_likelihood`."""
        return self._core.has_density

    def encode(self, sequences: Sequence[Nest]) -> Encoded:
        """Returns the mean and the standard deviation of each sequence's posterior.

        Raises:
          ValueError: an observation is no number, or outside of the support of the decoder.
        """
        return self._encode_all(self._batches(sequences), len(sequences))

    def _encode_all(self, batches: Iterable[tuple[np.ndarray, Batch]], count: int) -> Encoded:
        encoded = Encoded(*(np.zeros([count, self.latent_size], np.float32) for _ in range(2)))
        for rows, batch in batches:
            # The encoder's look-up of a class that it lacks gives another one, or fails.
            refuse_outside(self._outside(batch.observed, batch.lengths).numpy(), batch.observed,
                           "an observation", "sequence", rows)
            params = self._encode(batch.observed, batch.lengths)
            for array, values in zip(encoded, (params.loc, params.scale)):
                array[rows] = values.numpy()[:len(rows)]
        return encoded

    def decode(
        self, z: np.ndarray, *, length: int, temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: int = 0,
    ) -> list[Nest]:
        """Samples a sequence for each latent.

        Args:
          z: latents, `[N, Z]`.
          length: largest number of steps of each.
          temperature: above 1 flattens the distribution of observations, below 1 sharpens it.
          truncation: which classes a decoder of classes may draw; `Truncation(top_k=1)` takes the
            most likely one at each step.
          seed: equal seeds give equal sequences.

        Returns:
          A list of nests of arrays `[n, ...]`; n is less than `length` if the agent finished.

        Raises:
          ValueError: `z` has another shape.
        """
        z = self._as_latents(z)
        results: list[Nest] = []
        for first in range(0, len(z), self._batch_size):
            part = z[first:first + self._batch_size]
            size = self._num_rows(len(z))
            padded = np.concatenate([part, np.zeros([size - len(part), z.shape[1]], z.dtype)])
            results += self._sampler.generate(
                num_samples=size, length=length, temperature=temperature, truncation=truncation,
                seed=seed + (first << 31), state=self.begin(padded))[:len(part)]
        return results

    def decode_greedily(self, z: np.ndarray, *, length: int, seed: int = 0) -> list[Nest]:
        """Decodes latents `[N, Z]` with the most likely symbol at each step.

        Observations that are no symbols are sampled at a temperature near 0, at 1 if the decoder
        has no other.

        Args:
          z: latents, `[N, Z]`.
          length: largest number of steps of each.
          seed: of what is sampled.
        """
        spec = self._core.observation_spec
        if isinstance(spec, tf.TensorSpec) and spec.shape.rank == 0 and spec.dtype.is_integer:
            with contextlib.suppress(NotImplementedError):  # the decoder has no classes
                return self.decode(z, length=length, truncation=Truncation(top_k=1), seed=seed)
        with contextlib.suppress(NotImplementedError):
            return self.decode(z, length=length, temperature=_COLD, seed=seed)
        return self.decode(z, length=length, seed=seed)

    def begin(self, z: np.ndarray) -> GenState:
        """Returns the state, for a `Sampler`, of sequences whose latents are z, `[B, Z]`."""
        state = self._gen_core.initial_state(len(z))
        return state._replace(core=self._core.begin(tf.constant(z, self._core.dtype)))

    def log_prob(self, sequences: Sequence[Nest], z: np.ndarray) -> np.ndarray:
        """Returns log p(x_1:T | z) of each sequence, teacher-forced, in nats, float64 `[N]`.

        Args:
          sequences: N of them.
          z: a latent for each, `[N, Z]`.

        Raises:
          ValueError: `z` has another shape, or a result is NaN, as that of a class which the
            decoder lacks.
        """
        return self._log_prob(
            self._batches(sequences), self._as_latents(z, num_rows=len(sequences)))

    def _as_latents(self, z: np.ndarray, num_rows: int | None = None) -> np.ndarray:
        z = np.asarray(z, self._core.dtype.as_numpy_dtype)
        if z.ndim != 2 or z.shape != (len(z) if num_rows is None else num_rows, self.latent_size):
            raise ValueError(f"expected latents of shape [{num_rows or 'N'}, {self.latent_size}], "
                             f"got {list(z.shape)}.")
        return z

    def _log_prob(self, batches: Iterable[tuple[np.ndarray, Batch]], z: np.ndarray) -> np.ndarray:
        nats = np.zeros(len(z))
        for rows, batch in batches:
            latents = np.zeros([len(batch.lengths), z.shape[1]], z.dtype)
            latents[:len(rows)] = z[rows]
            nats[rows] = self._score(
                batch.observed, batch.lengths, tf.constant(latents)).numpy()[:len(rows)]
        if np.isnan(nats).any():
            raise ValueError(
                f"sequence {np.argmax(np.isnan(nats))}: expected latents that are numbers and "
                "observations in the support of the decoder's distribution, got a log-density of "
                "NaN. Classes, for example, are below the decoder's number of classes.")
        return nats

    def log_likelihood(
        self, sequences: Sequence[Nest], states: StateModel | None = None, *,
        num_samples: int = 100, seed: int = 0,
    ) -> Likelihood:
        """Bounds log p(x_1:T) by importance sampling (arXiv:1509.00519).

        log mean_s p(x | z_s) p(z_s) / q(z_s | x), with z_s of the posterior.

        Args:
          sequences: N of them.
          states: p(z), a fitted model of latents; by default the standard normal prior.
          num_samples: S.
          seed: of the samples.

        Raises:
          ValueError: there is no bound: the posterior is a point, or p(z) has no density; or an
            observation is no number, or outside of the support of the decoder.
        """
        if not self.has_density:
            raise ValueError(
                "expected an encoder that gives a distribution, got one that gives a point "
                "(seqae_posterior=deterministic): sequences have no likelihood. Compare "
                "reconstructions and samples instead, or train with seqae_posterior=gaussian.")
        if states is not None and not states.has_density:
            raise ValueError(
                f"expected a state model with a density, got {states.name!r}, which only draws "
                "samples: sequences have no likelihood. Take normal, mixture, flow or vamp.")
        batches = list(self._batches(sequences))
        encoded = self._encode_all(batches, len(sequences))
        log_weights = np.zeros([len(sequences), num_samples])
        for number in range(num_samples):
            z = encoded.sample(seed + (number << 31))
            prior = normal_log_prob(z) if states is None else states.log_prob(z)
            log_weights[:, number] = self._log_prob(batches, z) + prior - normal_log_prob(
                z, encoded.mean, encoded.stddev)
        highest = log_weights.max(1, keepdims=True)
        weights = np.exp(log_weights - highest)
        means = weights.mean(1)
        variances = np.full(len(sequences), np.nan)
        if num_samples > 1:  # of the logarithm of a mean, by the delta method
            variances = weights.var(1, ddof=1) / num_samples / means ** 2
        num_steps = sum(len(tf.nest.flatten(sequence)[0]) for sequence in sequences)
        return Likelihood(highest[:, 0] + np.log(means), variances, num_steps, num_samples)

    def reconstruct(
        self, sequences: Sequence[Nest], *, length: int,
        latent: Literal["mean", "sample"] = "mean", temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: int = 0,
    ) -> list[Nest]:
        """Encodes sequences and decodes them, free-running: the decoder reads its own outputs.

        Args:
          sequences: N of them.
          length: largest number of steps of a result.
          latent: whether z is the mean of the posterior or a sample of it.
          temperature: as for `decode`.
          truncation: as for `decode`.
          seed: of the latents and the decoder.
        """
        encoded = self.encode(sequences)
        z = encoded.mean if latent == "mean" else encoded.sample(seed)
        return self.decode(
            z, length=length, temperature=temperature, truncation=truncation, seed=seed)

    def interpolate(
        self, start: Nest, end: Nest, n: int, *, length: int, temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: int = 0,
    ) -> list[Nest]:
        """Decodes `n` latents on the way from one sequence's mean to another's, both included.

        Args:
          start: a sequence.
          end: another.
          n: number of sequences, at least 2.
          length: largest number of steps of a result.
          temperature: as for `decode`.
          truncation: as for `decode`.
          seed: of the decoder.
        """
        a, b = self.encode([start, end]).mean
        return self.decode(spherical(a, b, n), length=length, temperature=temperature,
                           truncation=truncation, seed=seed)

    def analogy(
        self, a: Nest, b: Nest, c: Nest, *, length: int, temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: int = 0,
    ) -> Nest:
        """Decodes z_c + z_b - z_a: what `b` is to `a`, the result is to `c`."""
        z_a, z_b, z_c = self.encode([a, b, c]).mean
        return self.decode((z_c + z_b - z_a)[None], length=length, temperature=temperature,
                           truncation=truncation, seed=seed)[0]

    def sample(
        self, n: int, *, length: int, states: StateModel | None = None, temperature: float = 1.0,
        truncation: Truncation = Truncation(), seed: int = 0,
    ) -> list[Nest]:
        """Decodes latents drawn from a model of latents, by default from the prior."""
        if states is None:
            z = np.random.default_rng(seed).standard_normal([n, self.latent_size])
        else:
            z = states.sample(n, seed)
        return self.decode(
            z, length=length, temperature=temperature, truncation=truncation, seed=seed)

    def _batches(self, sequences: Sequence[Nest]) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yields row numbers and padded batches of sequences of similar length."""
        data.check_finite(sequences)
        sizes = data.sizes(sequences)
        order = np.argsort(-sizes, kind="stable")
        longest = int(sizes.max(initial=1))
        while len(order):
            length = data.quartered_bucket(int(sizes[order[0]]), longest)
            count = min(self._num_rows(len(sequences)), max(1, _STEPS_AT_ONCE // length))
            rows, order = order[:count], order[count:]
            group = [sequences[row] for row in rows]
            empty = tf.nest.map_structure(lambda array: array[:0], group[0])
            batch = data.pad(group + [empty] * (count - len(rows)), length)
            yield rows, data.as_tensors(batch, self._core.observation_spec)

    def _num_rows(self, count: int) -> int:
        """Returns the rows of every batch of `count` sequences."""
        return min(self._batch_size, data.bucket(count))

    def _encode_batch(self, observed: Nest, lengths: Tensor) -> NormalParams:
        return self._core.encode(nest.mask_time(observed, lengths), lengths)

    def _score_batch(self, observed: Nest, lengths: Tensor, z: Tensor) -> Tensor:
        observed = nest.mask_time(observed, lengths)
        nats = self._core.log_prob(self._outputs(observed, lengths, z), observed)
        return tf.reduce_sum(nest.mask_time(nats, lengths), 1)

    def _outputs(self, observed: Nest, lengths: Tensor | None, z: Tensor) -> Tensor:
        """Returns what the decoder reads of sequences whose latents are z, `[B, T, F]`."""
        rows, num_steps = (nest.leading_dim(observed, axis) for axis in (0, 1))
        agent = self._gen_core.agent
        contexts, _ = agent.contexts(
            observed, agent.initial_state(rows), (), lengths, seed=seeds.make(0))
        state = self._core.begin(z)
        contexts, _ = self._core.encode_contexts(contexts, state.context, lengths)
        unread = tf.zeros([rows, num_steps, self.latent_size], z.dtype)
        return self._core.infer_given(
            contexts, NormalParams(unread, unread + 1), unread, state.latent, lengths).outputs

    def _outside_batch(self, observed: Nest, lengths: Tensor) -> Tensor:
        """Returns which steps are outside of the support of the decoder, bool `[B, T]`."""
        def score(steps: Nest, params: Nest, number: Tensor | None) -> tuple[Tensor, Nest]:
            del number
            repeated = tf.nest.map_structure(
                lambda leaf: tf.repeat(leaf, nest.leading_dim(steps, 1), axis=1), params)
            return self._core.decoder.dist(repeated).log_prob(steps), params

        # The support does not depend on what the decoder reads: one step's parameters, repeated,
        # save its products. The segments of one long row bound the memory of many classes.
        params = self._core.decoder(self._outputs(
            nest.zeros(self._core.observation_spec, 1, 1), None,
            tf.zeros([1, self.latent_size], self._core.dtype)))
        row = tf.nest.map_structure(lambda leaf: leaf[tf.newaxis], nest.merge_leading(observed))
        nats, _ = unroll.by_segments(score, row, params)
        shape = [nest.leading_dim(observed, axis) for axis in (0, 1)]
        return nest.mask_time(tf.reshape(tf.math.is_nan(nats), shape), lengths)


def spherical(start: np.ndarray, end: np.ndarray, n: int) -> np.ndarray:
    """Returns `n` points from one latent to another, both included, `[n, Z]`.

    Directions move along the great circle (slerp) and norms linearly, because most draws of a
    normal distribution of many dimensions have nearly the same norm, and points on the straight
    line between them are shorter. Latents of nearly opposite or equal direction are joined by the
    straight line.

    Args:
      start: `[Z]`.
      end: `[Z]`.
      n: at least 2.

    Raises:
      ValueError: `n` is below 2.
    """
    if n < 2:
        raise ValueError(f"expected at least 2 points, the ends included; got n={n}.")
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    weights = np.linspace(0, 1, n)[:, None]
    norms = np.linalg.norm(start), np.linalg.norm(end)
    if min(norms) > 0:
        one, other = start / norms[0], end / norms[1]
        angle = math.acos(float(np.clip(one @ other, -1, 1)))
        if 1e-4 < angle < math.pi - 1e-4:
            direction = (np.sin((1 - weights) * angle) * one
                         + np.sin(weights * angle) * other) / math.sin(angle)
            return direction * ((1 - weights) * norms[0] + weights * norms[1])
    return (1 - weights) * start + weights * end


def neighbours(z: np.ndarray, states: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the `k` latents nearest to one, the nearest first.

    Args:
      z: `[Z]`.
      states: `[N, Z]`.
      k: at most N are returned.

    Returns:
      Their numbers and their Euclidean distances, `[k]` each.
    """
    distances = np.linalg.norm(np.asarray(states, np.float64) - z, axis=1)
    order = np.argsort(distances, kind="stable")[:k]
    return order, distances[order]


def normal_log_prob(
    z: np.ndarray, mean: np.ndarray | float = 0.0, stddev: np.ndarray | float = 1.0
) -> np.ndarray:
    """Returns the log-density of independent normals over the last axis, `[..., Z]` -> `[...]`."""
    z = np.asarray(z, np.float64)
    scaled = (z - mean) / stddev
    return -0.5 * (scaled ** 2 + math.log(2 * math.pi)).sum(-1) - np.broadcast_to(
        np.log(stddev), z.shape).sum(-1)
