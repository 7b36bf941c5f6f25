# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sampling from diffusion models: whole sequences, or the unknown parts of sequences."""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.compilation import compiled
from vaeseq.dist_module import check_temperature
from vaeseq.runs.progress import Progress
from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Spec
from vaeseq.vae.diffusion import MOST_STEPS, Diffusion, Noisy


class Filler:
    """Draws the unknown steps of sequences from a diffusion model; compiles once for a shape."""

    def __init__(self, core: Diffusion):
        """Creates a filler of the model `core`, whose variables exist at the first call."""
        self._core = core
        self._denoise = compiled(self._denoise_step)

    def fill(
        self, values: Nest, is_known: np.ndarray, lengths: np.ndarray | None = None, *,
        temperature: float = 1.0, truncation: Truncation = Truncation(), seed: int | Seed,
    ) -> Nest:
        """Draws the unknown steps, given the known ones before and after them.

        Args:
          values: a nest of arrays `[B, T, ...]`; those of unknown steps mean nothing.
          is_known: bool `[B, T]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          temperature: below 1 sharpens the distribution of a step, above 1 flattens it.
          truncation: which classes a decoder of classes may draw.
          seed: equal seeds give equal sequences.

        Returns:
          A nest of arrays `[B, T, ...]`, whose known steps are as they were; zeros after a row's
          length.

        Raises:
          ValueError: a sequence of more than `diffusion.MOST_STEPS` steps, a temperature not above
            0, or a known step outside of the support of the decoder's distribution.
        """
        valid = np.ones(is_known.shape, bool)
        if lengths is not None:
            valid = np.arange(is_known.shape[1]) < lengths[:, np.newaxis]
        is_known = is_known & valid
        longest = int(valid.sum(1).max(initial=0))
        if longest > MOST_STEPS:
            raise ValueError(
                f"a diffusion model draws a sequence as a whole; expected at most {MOST_STEPS:,} "
                f"steps, got {longest:,}. Draw shorter ones.")
        scalar = check_temperature(temperature, tf.float32)
        limits = dataclasses.astuple(truncation.check())
        begin_seed, step_seed = seeds.split(seeds.make(seed), 2)

        def cast_known(leaf: np.ndarray, spec: Spec) -> tf.Tensor:
            mask = is_known.reshape([*is_known.shape, *[1] * spec.shape.rank])
            return tf.cast(tf.where(mask, leaf, tf.zeros_like(leaf)), spec.dtype)

        values = tf.nest.map_structure(cast_known, values, self._core.observation_spec)
        if is_known.any():
            self._check_support(values, is_known)
        # Nothing is drawn in the padding.
        noisy, numbers = self._core.begin(values, is_known | ~valid, seed=begin_seed)
        valid_steps = None if lengths is None else tf.constant(lengths, tf.int32)
        with Progress("sample", total=len(numbers), is_brief=True) as progress:
            for number in numbers:
                noisy = self._denoise(
                    noisy, tf.constant(number), valid_steps, limits, seed=step_seed,
                    temperature=1.0 if temperature == 1 else scalar)
                progress.advance()
        return tf.nest.map_structure(lambda leaf: leaf.numpy(), noisy.values)

    def _check_support(self, values: Nest, is_known: np.ndarray) -> None:
        """Raises ValueError if a known step, bool `[B, T]`, is outside of the decoder's support."""
        core, (rows, num_steps) = self._core, is_known.shape
        # The support does not depend on what the network reads, which may fail on such a step.
        features = core.encode_observed((), nest.zeros(core.observation_spec, 1, num_steps))
        inferred = core.infer((), features, core.initial_state(1).latent, seed=seeds.make(0))
        outputs = tf.nest.map_structure(lambda leaf: tf.repeat(leaf, rows, 0), inferred.outputs)
        is_outside = np.isnan(core.log_prob(outputs, values)) & is_known
        refuse_outside(is_outside, values, "a known step", "row", range(len(is_outside)))

    def _denoise_step(
        self, noisy: Noisy, number: tf.Tensor, lengths: tf.Tensor | None, limits: tuple, *,
        temperature: float | tf.Tensor, seed: Seed,
    ) -> Noisy:
        return self._core.denoise(noisy, number, lengths, temperature=temperature,
                                  truncation=Truncation(*limits), seed=seeds.fold_in(seed, number))


def refuse_outside(
    is_outside: np.ndarray, observed: Nest, kind: str, row_kind: str,
    numbers: Sequence[int] | np.ndarray,
) -> None:
    """Raises ValueError for the first step outside of the support of a decoder's distribution.

    Args:
      is_outside: bool `[B, T]`.
      observed: a nest of tensors `[B, T, ...]`.
      kind: what the message calls the step, with an article.
      row_kind: what it calls a row.
      numbers: of the rows, without those of padding behind them.
    """
    if is_outside.any():
        row, step = map(int, np.argwhere(is_outside)[0])
        value = tf.nest.map_structure(lambda leaf: leaf[row, step].numpy().tolist(), observed)
        raise ValueError(
            f"{row_kind} {numbers[row]}, step {step}: expected {kind} in the support of the "
            f"decoder's distribution, got {value!r:.200}. Classes, for example, are below the "
            "decoder's number of classes.")
