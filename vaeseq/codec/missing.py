# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Missing values: an encoder and a decoder of partially observed data.

An observation with missing values is one nest, `Masked(values, mask)`, which agents, cores, bounds
and samplers pass on like any other. Only its two ends look inside:

    encoder = missing.MaskedEncoder(encoder, spec)     features of the values and of the mask
    decoder = missing.MaskedDecoder(decoder)           the density of what was seen

Where a value is unseen, the encoder reads 0, and whatever stood there changes nothing. A mask is
either per dimension, of the shape of the values, or per leaf: the whole leaf is seen or not.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf
import tree
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec.decoders import GroupDistribution
from vaeseq.data import Masked
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Spec, Tensor


def masked_spec(spec: Nest, *, per_dimension: bool = True) -> Masked:
    """Returns the specs of a masked observation.

    Args:
      spec: a nest of `tf.TensorSpec` of one observation.
      per_dimension: whether single dimensions of a leaf may be unseen.
    """
    return Masked(spec, tf.nest.map_structure(
        lambda leaf: tf.TensorSpec(leaf.shape if per_dimension else [], tf.bool), spec))


def fill(observed: Masked) -> Masked:
    """Returns the observation with zeros (False) in place of unseen values."""
    def zero(values: Tensor, mask: Tensor) -> Tensor:
        return tf.where(_broadcast(mask, values), values, tf.zeros_like(values))
    return observed._replace(
        values=tf.nest.map_structure(zero, observed.values, observed.mask))


def fill_seen(values: Nest, mask: Nest, specs: Nest) -> Nest:
    """Replaces each unseen value by the greatest seen one of the same dimension (a bool by False).

    A seen value, unlike zero, is in the support of the decoder's distribution; the density
    outside of it may be NaN, which would reach the gradients. In a dimension without a seen value,
    finite values stay and others become zeros.

    Args:
      values: a nest of `[..., *E]`.
      mask: bool, a nest of `[..., *E]` or `[...]`.
      specs: of the values of one observation.
    """
    def choose(values: Tensor, mask: Tensor, spec: Spec) -> Tensor:
        size = spec.shape.num_elements()
        columns = tf.reshape(values, [-1, size])
        is_seen = tf.reshape(
            tf.broadcast_to(_broadcast(mask, values), tf.shape(values)), [-1, size])
        if values.dtype == tf.bool:
            return tf.reshape(is_seen & columns, nest.shape_of(values))
        filler = tf.reduce_max(tf.where(is_seen, columns, values.dtype.min), 0)
        finite = columns
        if values.dtype.is_floating:
            finite = tf.where(tf.math.is_finite(columns), columns, tf.zeros_like(columns))
        filler = tf.where(tf.reduce_any(is_seen, 0), filler, finite)
        return tf.reshape(tf.where(is_seen, columns, filler), nest.shape_of(values))
    return tf.nest.map_structure(choose, values, mask, specs)


def all_seen(values: Nest, mask_spec: Nest, batch_rank: int) -> Masked:
    """Returns an observation without missing values.

    Args:
      values: a nest of `[..., *E]`.
      mask_spec: specs of the mask of one observation.
      batch_rank: the number of leading dimensions.
    """
    def ones(leaf: Tensor, spec: Spec) -> Tensor:
        return tf.ones([*nest.shape_of(leaf)[:batch_rank], *spec.shape], tf.bool)
    return Masked(values, tf.nest.map_structure(ones, values, mask_spec))


class MaskedEncoder(Encoder):
    """Encodes the values with another encoder, and appends the mask: [..., F + size of the mask].

    The mask tells a zero that was seen from one that stands for an unseen value.
    """

    def __init__(self, encoder: Encoder, spec: Masked, name: str | None = None) -> None:
        """Wraps an encoder.

        Args:
          encoder: from the values of an observation to features.
          spec: of one observation (`masked_spec`).
        """
        super().__init__(name=name)
        self._encoder = encoder
        self._spec = spec
        self._mask_size = sum(leaf.shape.num_elements() for leaf in tf.nest.flatten(spec.mask))

    @property
    def input_spec(self) -> Masked:
        return self._spec

    @property
    def output_size(self) -> int:
        return self._encoder.output_size + self._mask_size

    def __call__(self, observation: Masked) -> Tensor:
        observation = fill(observation)
        features = self._encoder(observation.values)
        leading = nest.shape_of(features)[:-1]
        masks = [tf.reshape(tf.cast(mask, features.dtype), [*leading, spec.shape.num_elements()])
                 for mask, spec in zip(*map(tf.nest.flatten, (observation.mask, self._spec.mask)))]
        return tf.concat([features, *masks], -1)


class MaskedDecoder(DistModule):
    """A decoder whose density counts seen values only, and whose samples have no missing values."""

    def __init__(self, decoder: DistModule, *, per_dimension: bool = True,
                 name: str | None = None) -> None:
        """Wraps a decoder.

        Args:
          decoder: of the values of an observation.
          per_dimension: whether single dimensions of a leaf may be unseen. The density of a leaf
            must then factorise over its dimensions; most decoders' does (`tfd.Independent`).
        """
        super().__init__(name=name)
        self.decoder = decoder
        self._per_dimension = per_dimension

    @property
    def event_spec(self) -> Masked:
        return masked_spec(self.decoder.event_spec, per_dimension=self._per_dimension)

    def __call__(self, features: Tensor) -> Nest:
        return self.decoder(features)

    def dist(self, params: Nest) -> MaskedDistribution:
        return MaskedDistribution(self.decoder.dist(params), self.event_spec)

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        return self.decoder.temper(params, temperature)

    def truncate(self, params: Nest, truncation: Truncation) -> Nest:
        return self.decoder.truncate(params, truncation)


class MaskedDistribution(tfd.Distribution):
    """A distribution over `Masked` observations.

    `log_prob` is the marginal log-density of the seen values; the mask itself has no density. A
    sample has no missing values.
    """

    def __init__(
        self, distribution: tfd.Distribution, spec: Masked, name: str = "MaskedDistribution"
    ) -> None:
        """Wraps a distribution of the values; the spec is of one observation."""
        self._distribution = distribution
        self._spec = spec
        none = tfd.NOT_REPARAMETERIZED
        super().__init__(
            dtype=tf.nest.map_structure(lambda leaf: leaf.dtype, spec),
            reparameterization_type=tf.nest.map_structure(lambda leaf: none, spec),
            validate_args=False, allow_nan_stats=True,
            parameters={"distribution": distribution, "spec": spec}, name=name)

    def sample_given(self, observed: Masked, *, seed: Seed) -> tuple[Masked, Tensor]:
        """Samples the unseen values given the seen ones.

        Args:
          observed: an observation, a nest of `[..., *E]`.
          seed: int32 `[2]`.

        Returns:
          The observation without missing values, and the log of its importance weight, nats
          `[...]`. The weight is an unbiased estimate of the density of the seen values; where
          dimensions are independent, the density itself.

        Raises:
          ValueError: single dimensions are unseen of a distribution that does not factorise over
            them and has no method `sample_given(values, mask, *, seed)`, as `MaskedBernoulli`'s.
        """
        observation = fill(Masked(*observed))
        # A distribution with dependent dimensions may define its own, as `MaskedBernoulli` does.
        if (hasattr(self._distribution, "sample_given")
                and observation.mask.shape.rank == observation.values.shape.rank):
            values, log_weight = self._distribution.sample_given(*observation, seed=seed)
            return self._fully_observed(values, 0), log_weight
        sample = self.sample(seed=seed)
        values = tf.nest.map_structure(
            lambda mask, one, other: nest.where(mask, one, other),
            observation.mask, observation.values, sample.values)
        return sample._replace(values=values), self.log_prob(observation)

    def _batch_shape(self) -> tf.TensorShape:
        return self._distribution.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._distribution.batch_shape_tensor()

    def _event_shape(self) -> Nest:
        return tf.nest.map_structure(lambda leaf: leaf.shape, self._spec)

    def _sample_n(self, n: int | Tensor, seed: Any = None) -> Masked:
        return self._fully_observed(self._distribution.sample(n, seed=seed), 1)

    def _mode(self) -> Masked:
        return self._fully_observed(self._distribution.mode(), 0)

    def _mean(self) -> Masked:
        return self._fully_observed(self._distribution.mean(), 0)

    def _fully_observed(self, values: Nest, sample_rank: int) -> Masked:
        return all_seen(
            values, self._spec.mask, sample_rank + self._distribution.batch_shape.rank)

    def _log_prob(self, observed: Masked) -> Tensor:
        observed = Masked(*observed)
        values = fill_seen(*observed, self._spec.values)
        return _seen_log_prob(self._distribution, values, observed.mask)


def _seen_log_prob(distribution: tfd.Distribution, values: Nest, mask: Nest) -> Tensor:
    """Returns the log-density of the seen values, `[...]`."""
    if isinstance(distribution, GroupDistribution):
        parts = distribution.parts
        return functools.reduce(tf.add, [
            _seen_log_prob(*part) for part in zip(
                tf.nest.flatten(parts), tree.flatten_up_to(parts, values, check_types=False),
                tree.flatten_up_to(parts, mask, check_types=False), strict=True)])
    event_rank = distribution.event_shape.rank
    if mask.shape.rank == values.shape.rank - event_rank:
        log_prob = distribution.log_prob(values)
        return tf.where(mask, log_prob, tf.zeros_like(log_prob))
    # Of a distribution that is no composite tensor, tfd.Independent makes another class.
    if hasattr(distribution, "reinterpreted_batch_ndims"):
        log_prob = distribution.distribution.log_prob(values)
        if log_prob.shape.rank == values.shape.rank:
            counted = tf.where(mask, log_prob, tf.zeros_like(log_prob))
            return tf.reduce_sum(counted, list(range(-event_rank, 0)))
    raise ValueError(
        f"{distribution.name} does not factorise over the dimensions {distribution.event_shape} "
        "of an observation, so that no single one can be left out. Mask whole observations "
        "(per_dimension=False), or use a decoder of independent dimensions.")


def _broadcast(mask: Tensor, values: Tensor) -> Tensor:
    """A mask of `[...]` or `[..., *E]` for values of `[..., *E]`."""
    trailing = [1] * (values.shape.rank - mask.shape.rank)
    return tf.reshape(mask, nest.shape_of(mask) + trailing)
