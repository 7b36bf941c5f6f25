# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of series of numbers: reads past values and what is known ahead, gives the next ones."""
from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import bounds, nest, seeds
from vaeseq.agent import Agent
from vaeseq.codec.missing import MaskedEncoder
from vaeseq.compilation import compiled
from vaeseq.data import Batch, DataSet, as_tensors, bucket
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate import imputation
from vaeseq.evaluate.likelihood import Evaluator, Window
from vaeseq.model import Model
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.warm_start import Origin
from vaeseq.train.loss import LossOutput, SequenceLoss, TrainState
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.gen_core import GenCore

from ..data.layout import Layout
from ..data.table import Series, Table
from ..data.windows import (
    SPACES,
    Places,
    RandomWindows,
    WindowMaker,
    cut,
    scoring_batches,
    stack,
)
from ..hparams import SeriesHParams
from .agent import SeriesAgent, input_spec
from .outputs import ValueEncoder, make_decoder, observation_spec
from .spread import Spread

PROGRAM = "vaeseq-series"


class SeriesModel(Model):
    """A model of series (see `vaeseq.model.Model`).

    Sequences are steps of a table (`data.windows.Places`); `table` must hold it before training and
    validation.

    Attributes:
      layout: what the run knows of its data.
      maker: cuts windows out of tables.
      table: the data that places refer to.
      spread: widens or narrows the sample paths of forecasts.
      origin: of the initial weights, written into `log_dir` when training begins; None without a
        warm start.
    """

    hparams: SeriesHParams
    hparams_class = SeriesHParams
    program = PROGRAM

    def __init__(
        self, hparams: SeriesHParams, layout: Layout, log_dir: str | os.PathLike[str], *,
        seed: int = 0, table: Table | None = None,
    ):
        """Creates the model, of hyperparameters without zeros and "auto" (`data.sources.resolve`).
        """
        self.layout = layout
        self.table = table
        self.spread = Spread()
        self.origin: Origin | None = None
        space = dataclasses.replace(
            SPACES[hparams.output], history=hparams.scaling == "history")
        self.maker = WindowMaker(
            layout, space, season=hparams.season, lags=hparams.lags,
            embed_series=hparams.embed_series, level_inputs=hparams.level_inputs,
            binary=[2] if hparams.output == "strokes" else [])
        self.observation_spec = observation_spec(hparams.output, layout.num_targets)
        self.input_spec = input_spec(
            self.maker.num_floats, len(self.maker.inputs.code_sizes), len(hparams.lags),
            self.observation_spec)
        super().__init__(hparams, log_dir, seed=seed)
        self._sample_paths = compiled(functools.partial(sample_paths, self.gen_core))
        self._complete = compiled(functools.partial(imputation.samples, self.gen_core))

    @classmethod
    def arguments_of(cls, run: LogDir) -> dict[str, Any]:
        return {"layout": Layout.load(run)}

    def save_files(self) -> None:
        self.layout.save(self.log_dir)
        if self.origin is not None:
            self.origin.save(self.log_dir)

    def restore(self, *, best: bool = True) -> int:
        step = super().restore(best=best)
        self.spread = Spread.load(self.log_dir, step)
        return step

    def make_encoder(self) -> Encoder:
        return ValueEncoder(self.maker.space.kind, self.observation_spec,
                            max(map(len, self.layout.codes)))

    def make_decoder(self) -> DistModule:
        return make_decoder(self.hparams, self.layout, self.maker.num_floats)

    def make_agent(self, encoder: Encoder) -> Agent:
        assert isinstance(encoder, MaskedEncoder)
        return SeriesAgent(
            encoder, self.sequence_spec, self.hparams.lags, self.maker.num_floats,
            self.maker.inputs.code_sizes, self.hparams.embed_size)

    def make_loss(self, bound: bounds.Bound) -> SequenceLoss:
        return LossInDataUnits(
            self.gen_core.agent, self.gen_core.core, bound,
            context_dropout=self.hparams.context_dropout)

    def make_evaluator(self, bound: bounds.Bound) -> Evaluator:
        return ScoredSteps(self.gen_core.agent, self.gen_core.core, bound)

    def data_set(self, sequences: Sequence[Places]) -> DataSet:
        return RandomWindows(
            self.maker, self._table(), sequences, self.hparams.batch_size,
            self.hparams.sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[Places]) -> Iterable[Batch]:
        return scoring_batches(
            self.maker, self._table(), sequences, self.hparams.context, self.hparams.horizon,
            self.hparams.batch_size)

    def forecast(
        self, series: Series, origin: int, *, horizon: int, num_paths: int = 200,
        known: np.ndarray | None = None, temperature: float = 1.0, calibrated: bool = True,
        seed: int = 0,
    ) -> np.ndarray:
        """Samples what follows in a series.

        Nothing of the series after the origin is read. The paths depend on the series, the origin
        and the seed alone, not on what else is forecast.

        Args:
          series: the series.
          origin: the first step to forecast, counted from the first of the series.
          horizon: the number of steps.
          num_paths: the number of samples.
          known: covariates known ahead from the series' end on, `[N, K]`.
          temperature: below 1 sharpens the distribution of each step, above 1 flattens it.
          calibrated: change the spread of the paths by `spread`.
          seed: equal seeds give equal paths.

        Returns:
          Paths in the data's units, `[num_paths, horizon, D]`.

        Raises:
          NotImplementedError: the output can be sampled at temperature 1 only.
        """
        self._ensure_weights()
        start = max(self.maker.first(origin), origin - self.hparams.context)
        window = self.maker.window(
            series, start, origin + horizon, origin=origin, known=known)
        before, after = cut(window, 0, origin - start), cut(window, origin - start)
        prime = as_tensors(
            stack([before], 1, self.hparams.context), self.gen_core.core.observation_spec)
        inputs = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[None]), after.inputs)
        # Paths differ in what was missing and in latents before the origin, if there are any.
        early = bool(self.gen_core.core.latent_size) or not before.is_observed.all()
        scalar = 1.0 if temperature == 1 else tf.constant(temperature, tf.float32)
        paths = self._sample_paths(
            prime.observed, prime.lengths, prime.inputs, inputs, num_paths, early, scalar,
            _seed_of(series, seed)).numpy()
        if calibrated:
            paths = self.spread.apply(paths, self.maker.space.kind)
        return self.maker.to_data(paths, window.loc, window.scale)

    def complete(
        self, series: Series, start: int, stop: int, *, lookahead: int, num_samples: int,
        num_particles: int, seed: int = 0,
    ) -> np.ndarray:
        """Samples the missing values between two steps, given values before, between and after.

        Args:
          series: the series.
          start: the first step, counted from the first of the series.
          stop: the step after the last.
          lookahead: how many steps after a missing value count. With all of a long window, few
            different particles would be left at its beginning.
          num_samples: the number of completions.
          num_particles: of the filter that they are drawn from.
          seed: equal seeds give equal completions.

        Returns:
          Values in the data's units, `[num_samples, stop - start, D]`. Where a value is observed,
          it is this value with the noise of its rounding unit.
        """
        self._ensure_weights()
        begin = max(self.maker.first(start), start - self.hparams.context)
        end = min(stop + lookahead, len(series.values))
        window = self.maker.window(series, begin, end, own_from=begin)
        # The size of a window with all its history: gaps near the beginning compile nothing anew.
        size = bucket(self.hparams.context + stop - start + lookahead)
        batch = as_tensors(
            stack([window], 1, size), self.gen_core.core.observation_spec)
        completions, _ = self._complete(
            batch.observed, batch.lengths, num_samples, num_particles, lookahead,
            _seed_of(series, seed), batch.inputs)
        return self.maker.to_data(
            completions.numpy()[:, start - begin:stop - begin], window.loc, window.scale)

    def log_densities(
        self, table: Table, places: Sequence[Places], *, bound: str | None = None,
        num_samples: int | None = None, seed: int = 0,
    ) -> Iterator[np.ndarray]:
        """Scores steps one by one, each given all before it; bound and samples as for `evaluate`.

        With latents, what the bound gives for the steps of a run of at most `horizon` adds up to a
        bound of them all; of a posterior that reads ahead, a step's part depends on later ones.

        Yields:
          Log-densities of the next steps in the order of `places`, in nats of the data's units,
          `[N]`; NaN where nothing was observed.
        """
        batches, again = itertools.tee(scoring_batches(
            self.maker, table, places, self.hparams.context, self.hparams.horizon,
            self.hparams.batch_size))
        windows = self.evaluator(bound, num_samples).windows(batches, seed=seed)
        for batch, window in zip(itertools.islice(again, 1, None, 2), windows):
            valid = np.arange(window.increments.shape[1]) < batch.lengths[:, None]
            observed = batch.observed_mask.any(-1)
            yield np.where(observed, window.increments, np.nan)[valid]

    def _table(self) -> Table:
        if self.table is None:
            raise ValueError("expected a table, which the places of steps refer to, got none. Set "
                             "model.table.")
        return self.table


def _seed_of(series: Series, seed: int) -> Seed:
    """Returns the seed of one series of a table, so that those of one seed are independent."""
    base = seeds.make(seed)
    return seeds.fold_in(base, zlib.crc32(series.name.encode()) >> 1) if series.name else base


class LossInDataUnits(SequenceLoss):
    """The loss of scaled values, whose `nats_per_step` are of the data's units.

    What validation prints has the same unit. The objective and its gradient are not changed.
    """

    def __call__(
        self, batch: Batch, state: TrainState, *, seed: int | Seed,
        kl_weight: float | Tensor = 1.0, is_training: bool = True,
    ) -> tuple[LossOutput, TrainState]:
        output, state = super().__call__(
            batch, state, seed=seed, kl_weight=kl_weight, is_training=is_training)
        steps = nest.leading_dim(batch.inputs.log_jacobian, 1)
        valid = tf.sequence_mask(batch.lengths, steps)
        log_jacobian = nest.mask(valid, tf.cast(batch.inputs.log_jacobian, output.loss.dtype))
        increments = output.result.increments + log_jacobian
        nats = -tf.reduce_sum(increments) / tf.maximum(output.num_steps, 1.0)
        return output._replace(
            nats_per_step=nats, result=output.result._replace(increments=increments)), state


class ScoredSteps(Evaluator):
    """Scores the second of each two batches of `scoring_batches`, in nats of the data's units.

    The ELBO of these steps is a bound given latents of the steps before that are drawn from their
    posterior, as in a forecast. IWAE and FIVO weigh these latents: the score is a difference of two
    bounds, which comes close to the log-density as samples become many.
    """

    def windows(self, batches: Iterable[Batch], *, seed: int | Seed) -> Iterator[Window]:
        batches, again = itertools.tee(batches)
        parts = zip(again, super().windows(batches, seed=seed))
        for (_, before), (batch, window) in zip(parts, parts):
            # A latent of a whole sequence is drawn at its first step: `latent_kl` has that, too.
            yield window._replace(
                increments=window.increments + batch.inputs.log_jacobian,
                latent_kl=np.concatenate([before.latent_kl, window.latent_kl], 1))


def sample_paths(
    gen_core: GenCore, observed: Nest, lengths: Tensor, inputs: Nest, future: Nest,
    num_paths: int | Tensor, early: bool, temperature: float | Tensor, seed: Seed,
) -> Tensor:
    """Samples continuations of one window, `[num_paths, H, D]`.

    Args:
      gen_core: the agent and the core.
      observed: the window before the origin, a nest of `[1, T, ...]`.
      lengths: its number of steps, `[1]`.
      inputs: of these steps.
      future: the inputs of the steps to sample, a nest of `[1, H, ...]`.
      num_paths: the number of paths.
      early: whether paths differ before the origin.
      temperature: of the distribution of each step.
      seed: int32 `[2]`.
    """
    prime_seed, path_seed = seeds.split(seed, 2)

    def repeat(tree: Nest) -> Nest:
        return tf.nest.map_structure(lambda leaf: tf.repeat(leaf, num_paths, axis=0), tree)

    rows = num_paths if early else 1
    if early:
        observed, lengths, inputs = repeat((observed, lengths, inputs))
    observed, inputs = nest.mask_time((observed, inputs), lengths)
    state = gen_core.prime(
        observed, gen_core.initial_state(rows), inputs, lengths, seed=prime_seed)
    if not early:
        state = repeat(state)
    horizon = nest.leading_dim(future, 1)
    generated, _ = gen_core.generate(
        horizon, state, repeat(future), temperature=temperature, seed=path_seed)
    return generated.observed.values
