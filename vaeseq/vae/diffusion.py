# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of diffusion models, which generate a whole sequence at once.

A forward process destroys a sequence x in steps, by noise of a known distribution; the model learns
to undo one step at a time. In the terms of `SequenceCore` the noise is the latent: its prior and
posterior are equal, so the KL of the core is 0, and `log_prob` of the noisy sequence is an unbiased
estimate of the evidence lower bound. So `bounds.ELBO` trains and scores it, and the standard error
is that over several samples of the noise. Bounds that need importance weights, IWAE and FIVO, are
refused.

Generation starts from noise and performs the steps of the reverse process; in each, the network
reads the whole sequence. Known steps of a sequence stay as they are (infilling); a prime is
a known beginning.

Axes: B batch, T time (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

from vaeseq.truncation import Truncation
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore

MOST_STEPS = 1 << 14  # of a sequence that is generated as a whole


class Noisy(NamedTuple):
    """A sequence on its way from noise to data.

    Attributes:
      values: what is known of the sequence so far, a nest of `[B, T, ...]`.
      noise: what else the model needs, a nest of `[B, T, ...]`.
    """

    values: Nest
    noise: Nest


class Diffusion(SequenceCore):
    """A model that generates a whole sequence by denoising it in steps.

    It does not read the contexts of agents, which encode earlier observations.
    """

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return contexts[..., :0], state

    @abc.abstractmethod
    def begin(
        self, values: Nest, is_known: Tensor, *, seed: Seed
    ) -> tuple[Noisy, Sequence[int]]:
        """Returns the noise that generation starts from; called eagerly.

        Args:
          values: a nest of `[B, T, ...]`; values of unknown steps mean nothing.
          is_known: bool `[B, T]`, which steps are known.
          seed: int32 `[2]`.

        Returns:
          The noisy sequence and the numbers of the steps to perform, in this order.
        """

    @abc.abstractmethod
    def denoise(
        self, noisy: Noisy, number: Tensor, lengths: Tensor | None = None, *,
        temperature: float | Tensor = 1.0, truncation: Truncation = Truncation(), seed: Seed,
    ) -> Noisy:
        """Performs a step of the reverse process.

        Args:
          noisy: the sequence before the step.
          number: of the step, int32 scalar, one of those that `begin` returned.
          lengths: int32 `[B]`, valid steps of each row, those after which `begin` took as known;
            all T by default.
          temperature: above 0, of the distribution that the step draws from.
          truncation: which classes it may draw, after the temperature.
          seed: int32 `[2]`.

        Returns:
          The sequence after it; after the last step, `values` is the sample.
        """
