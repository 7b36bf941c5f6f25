# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The probability of recorded sequences, with its unit in the name.

A figure is pooled: the sum over all steps of all sequences divided by the number of steps, every
step scored, the first too. It comes with the name of the bound it is, the number of samples, and
the standard error that the sampled latents leave in it (0 where the figure is exact).
"""
from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.agent import Agent
from vaeseq.bounds import Bound
from vaeseq.data import Batch, as_tensors
from vaeseq.types import Seed, Tensor
from vaeseq.vae.base import VAECore


class Score(NamedTuple):
    """How probable sequences are under a model.

    Attributes:
      nats: the bound on the log-likelihood of all of them together (a negative number).
      steps: how many steps that is.
      bound: "exact", or the name of the bound.
      num_samples: of the latents, for each sequence.
      variance: of `nats`, from the sampling of latents; NaN where one sample does not tell.
      kl: nats per step, posterior from prior.
      latent_kl: the same for each latent dimension, `[Z]`; empty if not factorised.
      effective_sample_size: mean over steps, 1 to the number of samples.
    """

    nats: float
    steps: int
    bound: str
    num_samples: int
    variance: float
    kl: float
    latent_kl: np.ndarray
    effective_sample_size: float

    @property
    def nats_per_step(self) -> float:
        """Negative log-likelihood (or a bound above it), nats per step: lower is better."""
        return -self.nats / self.steps

    @property
    def bits_per_step(self) -> float:
        """The same in bits."""
        return self.nats_per_step / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(nats_per_step); infinity where that is beyond a float."""
        return math.exp(self.nats_per_step) if self.nats_per_step < 709 else math.inf

    @property
    def standard_error(self) -> float:
        """Of `nats_per_step`, from the sampling of latents."""
        # Windows' variances telescope: their sum may come out a hair under 0; NaN stays NaN.
        return math.sqrt(0.0 if self.variance < 0 else self.variance) / self.steps

    @property
    def active_units(self) -> int:
        """Latent dimensions that say more than 0.01 nats a step: 0 is a collapsed posterior."""
        return int(np.sum(self.latent_kl > 0.01))

    def as_dict(self) -> dict[str, float | int | str | None]:
        """What `--json` prints; NaN and infinity, which JSON lacks, become None."""
        values: dict[str, float | int | str] = {
            "nats_per_step": self.nats_per_step, "bits_per_step": self.bits_per_step,
            "perplexity": self.perplexity, "steps": self.steps, "bound": self.bound,
            "num_samples": self.num_samples, "standard_error": self.standard_error}
        return {key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in values.items()}


class Window(NamedTuple):
    """The scores of one batch, as NumPy arrays; zeros after a row's length.

    Attributes:
      increments: nats, `[B, T]`.
      kl: nats, `[B, T]`.
      latent_kl: nats, `[B, T, Z]`.
      effective_sample_size: `[B, T]`.
      variance: nats squared, `[B]`.
      lengths: `[B]`.
    """

    increments: np.ndarray
    kl: np.ndarray
    latent_kl: np.ndarray
    effective_sample_size: np.ndarray
    variance: np.ndarray
    lengths: np.ndarray


class Evaluator:
    """Scores batches of sequences under an agent, a core and a bound, compiled once a shape.

    Attributes:
      bound: what the scores are.
      score_batch: (batch of tensors, state, seed) -> (the tensors of `Window`, next state).
    """

    def __init__(
        self, agent: Agent, core: VAECore, bound: Bound, *, jit_compile: bool = True
    ):
        self._agent = agent
        self._core = core
        self.bound = bound
        self.score_batch = tf.function(
            self._score_batch, jit_compile=jit_compile, autograph=False)

    @property
    def bound_name(self) -> str:
        """"exact" for a model without latents."""
        return self.bound.name if self._core.latent_size else "exact"

    def windows(self, batches: Iterable[Batch], *, seed: Seed) -> Iterator[Window]:
        """Scores batch after batch; rows that do not start a sequence go on with their state."""
        state = None
        for number, batch in enumerate(batches):
            if state is None:
                state = self.initial_state(len(batch.lengths))
            result, state = self.score_batch(
                as_tensors(batch, self._core.decoder.event_spec), state,
                seeds.fold_in(seed, number))
            increments, kl, latent_kl, sizes, variance = (
                array.numpy() for array in result)
            yield Window(increments, kl, latent_kl, sizes, variance, batch.lengths)

    def score(self, batches: Iterable[Batch], *, seed: Seed) -> Score:
        """The pooled score of all batches.

        Raises:
          ValueError: they hold no step.
        """
        return self.pool(self.windows(batches, seed=seed))

    def pool(self, windows: Iterable[Window]) -> Score:
        """The pooled score of windows that `windows` gave.

        Raises:
          ValueError: they hold no step.
        """
        return pool(windows, self.bound_name,
                    self.bound.num_samples if self._core.latent_size else 1)

    def initial_state(self, batch_size: int | Tensor) -> tuple:
        """The state of rows that have not begun."""
        return (self._agent.initial_state(batch_size),
                self.bound.initial_state(self._core, batch_size))

    def _score_batch(self, batch: Batch, state: tuple, seed: Seed) -> tuple[tuple, tuple]:
        agent_seed, bound_seed = seeds.split(seed, 2)
        observed, inputs = nest.mask_time((batch.observed, batch.inputs), batch.lengths)
        initial = self.initial_state(batch.lengths.shape[0])
        agent_state, bound_state = nest.where(batch.is_start, initial, state)
        contexts, agent_state = self._agent.contexts(
            observed, agent_state, inputs, batch.lengths, seed=agent_seed)
        result = self.bound(
            self._core, contexts, observed, bound_state, batch.lengths, seed=bound_seed)
        scores = (result.increments, result.kl, result.latent_kl,
                  result.effective_sample_size, result.variance)
        return scores, (agent_state, result.state)


def pool(windows: Iterable[Window], bound: str, num_samples: int) -> Score:
    """Adds windows up to one score.

    Raises:
      ValueError: they hold no step.
    """
    nats = variance = kl = sizes = 0.0
    steps = 0
    latent_kl: np.ndarray | float = 0.0
    for window in windows:
        steps += int(window.lengths.sum())
        nats += float(window.increments.sum(dtype=np.float64))
        kl += float(window.kl.sum(dtype=np.float64))
        latent_kl = latent_kl + window.latent_kl.sum(
            axis=(0, 1), dtype=np.float64)
        sizes += float(window.effective_sample_size.sum(dtype=np.float64))
        # A row that has ended adds nothing, not even the NaN of a single sample.
        variance += float(window.variance[window.lengths > 0].sum(dtype=np.float64))
    if not steps:
        raise ValueError("expected sequences of at least one step to score, got none.")
    return Score(nats, steps, bound, num_samples, variance, kl / steps,
                 np.asarray(latent_kl) / steps, sizes / steps)
