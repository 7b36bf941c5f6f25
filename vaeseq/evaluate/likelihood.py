# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The log-likelihood of recorded sequences, or bounds on it.

Scores are pooled: the sum over all steps of all sequences, the first steps included, divided by the
number of steps. A score carries its bound, the number of samples, and the standard error due to
sampling the latents (0 for exact scores).
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
from vaeseq.codec.missing import fill
from vaeseq.compilation import compiled
from vaeseq.data import Batch, Masked, as_tensors, num_missing
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore

ACTIVE_NATS = 0.01  # KL above which a latent dimension counts as active


class Score(NamedTuple):
    """The log-likelihood of sequences under a model, or a bound on it.

    Attributes:
      nats: total log-likelihood of all sequences in nats, or a lower bound on it.
      steps: total number of steps.
      bound: "exact", or the name of the bound.
      num_samples: number of samples of the latents of each sequence.
      variance: variance of `nats` due to sampling the latents; NaN if estimated from one sample.
      kl: KL divergence of the posterior from the prior, nats per step.
      latent_kl: the KL divergence of each latent dimension, in nats, averaged over the steps at
        which it is drawn (the first one of each sequence, for a latent of a whole sequence), `[Z]`;
        empty if the latent distribution does not factorise.
      effective_sample_size: of the importance weights of IWAE and FIVO, averaged over steps; 1 to
        `num_samples`. The ELBO weighs samples equally, so there it is `num_samples`.
      num_missing: values that were not seen, and so not scored.
    """

    nats: float
    steps: int
    bound: str
    num_samples: int
    variance: float
    kl: float
    latent_kl: np.ndarray
    effective_sample_size: float
    num_missing: int = 0

    @property
    def nats_per_step(self) -> float:
        """Negative log-likelihood, or an upper bound on it, in nats per step: lower is better."""
        return -self.nats / self.steps

    @property
    def bits_per_step(self) -> float:
        """Negative log-likelihood, or an upper bound on it, in bits per step."""
        return self.nats_per_step / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(nats_per_step); infinity if that overflows a float."""
        return math.exp(self.nats_per_step) if self.nats_per_step < 709 else math.inf

    @property
    def standard_error(self) -> float:
        """Standard error of `nats_per_step` due to sampling the latents."""
        # The variances of windows telescope, so rounding may leave a sum below 0; NaN stays NaN.
        return math.sqrt(0.0 if self.variance < 0 else self.variance) / self.steps

    @property
    def active_units(self) -> int:
        """Number of latent dimensions with a `latent_kl` above 0.01; 0 where that is empty."""
        return int(np.sum(self.latent_kl > ACTIVE_NATS))

    @property
    def is_collapsed(self) -> bool:
        """Whether the model has latents and none is active: posterior collapse."""
        return self.latent_kl.size > 0 and not self.active_units

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Returns the values for JSON; NaN and infinity become None."""
        values: dict[str, float | int | str] = {
            "nats_per_step": self.nats_per_step, "bits_per_step": self.bits_per_step,
            "perplexity": self.perplexity, "steps": self.steps, "bound": self.bound,
            "num_samples": self.num_samples, "standard_error": self.standard_error}
        return {key: None if isinstance(value, float) and not math.isfinite(value) else value
                for key, value in values.items()}


class Window(NamedTuple):
    """The scores of one batch as NumPy arrays, with zeros after the length of a row.

    Attributes:
      increments: log-likelihood (or bound) of each step in nats, `[B, T]`.
      kl: KL divergence of the posterior from the prior in nats, `[B, T]`.
      latent_kl: KL divergence of each latent dimension in nats, `[B, T, Z]`.
      effective_sample_size: of the importance weights, `[B, T]`.
      variance: variance of the sum of a row's increments, in nats squared, `[B]`.
      lengths: number of valid steps of each row, `[B]`.
      num_missing: values that were not seen, and so not scored.
    """

    increments: np.ndarray
    kl: np.ndarray
    latent_kl: np.ndarray
    effective_sample_size: np.ndarray
    variance: np.ndarray
    lengths: np.ndarray
    num_missing: int = 0


class Evaluator:
    """Scores batches of sequences under an agent, a core and a bound; compiles once a shape.

    Attributes:
      bound: the bound.
      score_batch: maps a batch of tensors, a state and a seed to the tensors of a `Window` and the
        next state.
    """

    def __init__(
        self, agent: Agent, core: SequenceCore, bound: Bound, *, jit_compile: bool = True
    ):
        """Creates the evaluator; raises ValueError if the bound is not defined for the core."""
        bound.check(core)
        self._agent = agent
        self._core = core
        self.bound = bound
        self.score_batch = compiled(self._score_batch, jit_compile=jit_compile)

    @property
    def bound_name(self) -> str:
        """The name of the bound; "exact" for a model without latents."""
        return self.bound.name if self._core.latent_size else "exact"

    def windows(self, batches: Iterable[Batch], *, seed: int | Seed) -> Iterator[Window]:
        """Yields the scores of each batch, carrying the state of rows from batch to batch.

        Raises:
          ValueError: a score is NaN, as that of a class which the decoder lacks, or a batch has
            another number of rows than the first.
        """
        state, num_rows, seed = None, 0, seeds.make(seed)
        for number, batch in enumerate(batches):
            if state is None:
                num_rows = len(batch.lengths)
                state = self.initial_state(num_rows)
            if len(batch.lengths) != num_rows:
                raise ValueError(
                    f"batch {number}: expected {num_rows} rows, as in the first batch, whose state "
                    f"is carried, got {len(batch.lengths)}. Add rows of length 0 to the smaller.")
            tensors = as_tensors(batch, self._core.observation_spec)
            result, state = self.score_batch(tensors, state, seeds.fold_in(seed, number))
            increments, kl, latent_kl, sizes, variance = (
                array.numpy() for array in result)
            _check_numbers(increments, batch, tensors)
            yield Window(increments, kl, latent_kl, sizes, variance, batch.lengths,
                         num_missing(batch))

    def score(self, batches: Iterable[Batch], *, seed: int | Seed) -> Score:
        """Returns the pooled score of batches.

        Raises:
          ValueError: there are no steps to score, or a score is NaN.
        """
        return self.pool(self.windows(batches, seed=seed))

    def pool(self, windows: Iterable[Window]) -> Score:
        """Returns the pooled score of windows of this evaluator.

        Raises:
          ValueError: there are no steps to score.
        """
        return pool(windows, self.bound_name,
                    self.bound.num_samples if self._core.latent_size else 1)

    def initial_state(self, batch_size: int | Tensor) -> tuple:
        """Returns the state of rows at the start of a sequence."""
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


def _check_numbers(increments: np.ndarray, batch: Batch, tensors: Batch) -> None:
    """Raises ValueError if a score, of `[B, T]`, is NaN; it names the step that made it so."""
    is_wrong = np.isnan(increments).any(1)
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        are_numbers = _are_finite(tensors.inputs, batch.lengths, increments.shape)[row]
        if not are_numbers.all():
            step = int(np.argmin(are_numbers))
            value = tf.nest.map_structure(lambda x: np.asarray(x[row, step]).tolist(), batch.inputs)
            raise ValueError(f"row {row}, step {step} of a batch: expected numbers in "
                             f"Batch.inputs, got {value!r:.200}.")
        # What is no number may be read at all steps. After a step without probability, the scores
        # of a row may be NaN. So the first one counts.
        observed = tensors.observed
        if isinstance(observed, Masked):
            observed = fill(observed).values
        is_finite = _are_finite(observed, batch.lengths, increments.shape)[row]
        if is_finite.all():
            is_finite = np.isfinite(increments[row])
        step = int(np.argmin(is_finite))
        value = tf.nest.map_structure(lambda x: np.asarray(x[row, step]).tolist(), batch.observed)
        score = str(increments[row, step]).replace("nan", "NaN")
        raise ValueError(
            f"row {row}, step {step} of a batch: expected an observation in the support of the "
            f"decoder's distribution, got {value!r:.200}, whose score is {score}. Classes, for "
            "example, are below the decoder's number of classes.")


def _are_finite(values: Nest, lengths: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """Returns whether all values `[B, T, ...]` of a step are finite, or padding, bool `[B, T]`."""
    is_padding = np.arange(shape[1]) >= np.asarray(lengths)[:, np.newaxis]
    return is_padding | np.all([np.ones(shape, bool), *(
        np.isfinite(leaf).reshape([*shape, -1]).all(-1) for leaf in tf.nest.flatten(values))], 0)


def pool(windows: Iterable[Window], bound: str, num_samples: int) -> Score:
    """Returns the pooled score of windows.

    Raises:
      ValueError: there are no steps to score.
    """
    nats = variance = kl = sizes = 0.0
    steps = missing = 0
    latent_kl: np.ndarray | float = 0.0
    num_drawn: np.ndarray | int = 0
    for window in windows:
        steps += int(window.lengths.sum())
        missing += window.num_missing
        nats += float(window.increments.sum(dtype=np.float64))
        kl += float(window.kl.sum(dtype=np.float64))
        latent_kl = latent_kl + window.latent_kl.sum(
            axis=(0, 1), dtype=np.float64)
        # After its first step, a latent of a whole sequence has a KL of exactly 0.
        num_drawn = num_drawn + np.count_nonzero(window.latent_kl, axis=(0, 1))
        sizes += float(window.effective_sample_size.sum(dtype=np.float64))
        # Excludes rows that have ended: with one sample their variance is NaN.
        variance += float(window.variance[window.lengths > 0].sum(dtype=np.float64))
    if not steps:
        raise ValueError("expected sequences of at least one step to score, got none.")
    return Score(nats, steps, bound, num_samples, variance, kl / steps,
                 np.asarray(latent_kl) / np.maximum(num_drawn, 1), sizes / steps, missing)
