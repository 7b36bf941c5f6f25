# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The agent of series: earlier values, the calendar and covariates make the context of a step."""
from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from vaeseq import dtypes, nest
from vaeseq.agent import Agent
from vaeseq.codec.encoders import Embed
from vaeseq.codec.missing import MaskedEncoder
from vaeseq.data import Masked
from vaeseq.types import Nest, Seed, Spec, Tensor

from ..data.windows import StepInputs


def input_spec(
    num_floats: int, num_codes: int, num_lags: int, observation: Spec
) -> StepInputs:
    """Returns the specs of the inputs of one step."""
    dims = observation.shape[0]
    return StepInputs(
        tf.TensorSpec([num_floats], tf.float32), tf.TensorSpec([num_codes], tf.int32),
        tf.TensorSpec([num_lags, dims], observation.dtype),
        tf.TensorSpec([num_lags, dims], tf.bool), tf.TensorSpec([num_lags], tf.bool),
        tf.TensorSpec([], tf.float32))


class SeriesAgent(Agent):
    """The context of a step: features, embedded codes, and encoded earlier values (lags).

    Lagged values are given by the inputs, or, where `lags_given` is False, taken from the sequence
    itself: what was observed or sampled since it began. The state holds the last values, as many as
    the longest lag.
    """

    def __init__(
        self, encoder: MaskedEncoder, spec: Masked, lags: Sequence[int], num_floats: int,
        code_sizes: Sequence[int], embed_size: int, name: str | None = None,
    ):
        """Creates the agent of observations with `spec`; each lag is at least 1.

        A step has `num_floats` features, and for each of `code_sizes` a code with an embedding.
        """
        super().__init__(name=name)
        self._encoder = encoder
        self._spec = dtypes.cast_specs(spec)
        self._lags = tuple(lags)
        self._num_floats = num_floats
        self._embed_size = embed_size
        self._embeddings = [Embed(size, embed_size, name=f"code_{number}")
                            for number, size in enumerate(code_sizes)]

    @property
    def context_size(self) -> int:
        return (self._num_floats + self._embed_size * len(self._embeddings)
                + len(self._lags) * self._encoder.output_size)

    def initial_state(self, batch_size: int | Tensor) -> Masked:
        return nest.zeros(self._spec, batch_size, max(self._lags))

    def context(self, state: Masked, inputs: Nest = (), *, seed: Seed) -> Tensor:
        del seed
        longest = max(self._lags)
        own = tf.nest.map_structure(
            lambda leaf: tf.stack([leaf[:, longest - lag] for lag in self._lags], 1), state)
        return self._context(inputs, own)

    def observe(self, observation: Masked, context: Tensor, state: Masked) -> Masked:
        del context
        return tf.nest.map_structure(
            lambda past, new: tf.concat([past[:, 1:], tf.cast(new, past.dtype)[:, None]], 1),
            state, Masked(*observation))

    def contexts(
        self, observed: Masked, state: Masked, inputs: Nest = (),
        lengths: Tensor | None = None, *, seed: Seed,
    ) -> tuple[Tensor, Masked]:
        del seed
        longest = max(self._lags)
        extended = tf.nest.map_structure(
            lambda past, new: tf.concat([past, tf.cast(new, past.dtype)], 1), state,
            Masked(*observed))
        steps = nest.leading_dim(observed, 1)
        own = tf.nest.map_structure(
            lambda leaf: tf.stack([leaf[:, longest - lag:longest - lag + steps]
                                   for lag in self._lags], 2), extended)
        contexts = self._context(inputs, own)
        if lengths is None:
            return contexts, tf.nest.map_structure(lambda leaf: leaf[:, steps:], extended)
        last = tf.cast(lengths, tf.int32)[:, None] + tf.range(longest)
        return contexts, tf.nest.map_structure(
            lambda leaf: tf.gather(leaf, last, batch_dims=1), extended)

    def _context(self, inputs: StepInputs, own: Masked) -> Tensor:
        """Computes contexts `[..., F]` from inputs `[..., *]` and lags `[..., L, D]`."""
        is_past = inputs.lags_given
        past = tf.cast(inputs.lags, own.values.dtype)
        lags = Masked(nest.where(is_past, past, own.values),
                      nest.where(is_past, inputs.lags_seen, self._per_value(own)))
        mask = lags.mask if self._spec.mask.shape.rank else tf.reduce_all(lags.mask, -1)
        encoded = self._encoder(Masked(lags.values, mask))
        leading = nest.shape_of(encoded)[:-2]
        flat = tf.reshape(encoded, [*leading, len(self._lags) * self._encoder.output_size])
        parts = [tf.cast(inputs.floats, flat.dtype), flat]
        parts += [tf.convert_to_tensor(embed(inputs.codes[..., number]))
                  for number, embed in enumerate(self._embeddings)]
        return tf.concat(parts, -1)

    def _per_value(self, own: Masked) -> Tensor:
        """Returns the mask of each single value, where the model masks whole observations."""
        if self._spec.mask.shape.rank:
            return own.mask
        return tf.broadcast_to(own.mask[..., tf.newaxis], tf.shape(own.values))
