# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a table is, and how its models are trained and filtered."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.report import Sessions
from vaeseq import nest, seeds
from vaeseq.bounds import resampling
from vaeseq.nn.scan import unroll
from vaeseq.train.trainer import Periods
from vaeseq.types import Nest, Seed, Tensor


class Settings(NamedTuple):
    """How one model of a table is run."""

    seed: int  # of weights, training and samples
    updates: int  # number of updates
    max_minutes: float  # limit of the training time
    log_dir: Path  # of the training run
    data: Path | None = None  # a file, for tables whose data are not generated


class Table(NamedTuple):
    """A table: its models, and what is measured."""

    title: str  # one line
    aim: str  # what the table is to reach
    columns: Mapping[str, str]  # the figures that are printed, by their key
    # By name, the hyperparameters in the syntax of `--hparams`; None for a baseline that is not
    # trained
    models: Mapping[str, str | None]
    updates: int  # number of updates of all models but those of `other_updates`
    # From the name of a model and its settings to its figures, which are saved as JSON
    run: Callable[[str, Settings], dict[str, Any]]
    # From `Settings.data` to a checksum of what it contains; None where no file is read
    checksum: Callable[[Path], str] | None = None
    other_updates: Mapping[str, int] = {}  # number of updates of other models, by name

    def num_updates(self, model: str) -> int:
        """Returns the default number of updates of a model."""
        return self.other_updates.get(model, self.updates)


def train(
    model: vaeseq.Model, settings: Settings, sequences: Sequence[Nest], valid: Sequence[Nest],
    valid_every: int = 200,
) -> dict[str, Any]:
    """Trains a model, which then has the weights with the best validation score.

    Returns:
      The number of updates, the best one and its validation score, and the seconds of training in
      all sessions.
    """
    with Sessions(settings.log_dir) as sessions:
        trained = model.train(
            sequences, num_steps=settings.updates, valid=valid, max_minutes=settings.max_minutes,
            periods=Periods(valid=valid_every))
    return {"updates": trained.step, "best_step": model.step,
            "valid_nats_per_step": trained.best, "train_seconds": round(sessions.seconds)}


def train_best_start(
    make: Callable[[Path, int], vaeseq.Model], settings: Settings, sequences: Sequence[Nest],
    valid: Sequence[Nest], *, starts: int, start_updates: int,
) -> tuple[vaeseq.Model, dict[str, Any]]:
    """Trains from several initial weights, and goes on from the best by the validation score.

    Args:
      make: from a folder and a seed to a model.
      settings: the limit of the time is that of all starts together.
      sequences: for training.
      valid: for validation.
      starts: their number; their seeds begin with `starts` times that of the settings.
      start_updates: number of updates of each start.

    Returns:
      The model, and what `train` returns, with the score of each start in nats per step.
    """
    models, figures = [], []
    for number in range(starts):
        log_dir = settings.log_dir / f"start-{number}"
        models.append(make(log_dir, starts * settings.seed + number))
        figures.append(train(models[-1], settings._replace(
            log_dir=log_dir, updates=min(start_updates, settings.updates),
            max_minutes=settings.max_minutes / starts), sequences, valid))
    scores = [one["valid_nats_per_step"] for one in figures]
    best = int(np.argmin(scores))
    seconds = sum(one["train_seconds"] for one in figures)
    final = train(models[best], settings._replace(
        log_dir=settings.log_dir / f"start-{best}",
        max_minutes=max(0.0, settings.max_minutes - seconds / 60)), sequences, valid)
    # Those of the best start are within its own.
    final["train_seconds"] += seconds - figures[best]["train_seconds"]
    return models[best], {**final, "start_nats_per_step": scores}


class Filtered(NamedTuple):
    """Expectations under the filtering distribution of a model."""

    predicted: np.ndarray  # the mean of p(x_t | x_1:t-1), `[B, T, *E]`
    latents: np.ndarray  # the mean of p(z_t | x_1:t), `[B, T, Z]`
    increments: np.ndarray  # an estimate of log p(x_t | x_1:t-1), nats `[B, T]`


def particle_filter(
    model: vaeseq.Model, observed: np.ndarray, *, num_particles: int, seed: int
) -> Filtered:
    """Filters sequences of one length by particles.

    At each step the particles are moved by the prior, which gives the prediction, and by the
    posterior, which gives the weights; they are resampled where few of them carry the weight.

    Args:
      model: its posterior must read no later observations.
      observed: `[B, T, *E]`.
      num_particles: of each sequence.
      seed: of the particles.
    """
    agent, core = model.gen_core.agent, model.gen_core.core
    criterion = resampling.when_ess_below(0.5)

    @tf.function(jit_compile=True, autograph=False)
    def run(observed: Tensor, seed: Seed) -> tuple[Tensor, Tensor, Tensor]:
        batch_size, num_steps = (nest.leading_dim(observed, axis) for axis in (0, 1))
        contexts, _ = agent.contexts(observed, agent.initial_state(batch_size), seed=seed)
        context_features, _ = core.encode_contexts(
            contexts, core.initial_state(batch_size).context)
        features = core.encode_observed(context_features, observed)

        def step(inputs: tuple, particles: tuple) -> tuple[tuple, tuple]:
            context_feature, feature, x, step_seed = inputs
            state, log_weights = particles
            prior_seed, posterior_seed, resample_seed = seeds.split(step_seed[0], 3)
            context_feature, feature, x = nest.merge_leading(
                nest.repeat_rows((context_feature, feature, x), num_particles))
            h = core.hidden(context_feature, state)
            prior, posterior = core.prior(h), core.posterior(h, feature)
            ahead = core.emit(h, prior.sample(seed=prior_seed))[0].mean()
            z = posterior.sample(seed=posterior_seed)
            emitted, state = core.emit(h, z)
            weights = tf.nn.softmax(log_weights, 1)
            predicted = _mean(weights, ahead, num_particles)
            log_weights += nest.split_samples(
                emitted.log_prob(x) + prior.log_prob(z) - posterior.log_prob(z), num_particles)
            increments = resampling.log_mean_exp(log_weights)
            log_weights -= increments[:, tf.newaxis]
            latents = _mean(tf.nn.softmax(log_weights, 1), z, num_particles)
            resample = criterion(log_weights)
            ancestors = tf.where(
                resample[:, tf.newaxis], resampling.systematic(log_weights, seed=resample_seed),
                tf.range(num_particles))
            state = nest.merge_leading(tf.nest.map_structure(
                lambda leaf: tf.gather(leaf, ancestors, batch_dims=1),
                nest.split_samples(state, num_particles)))
            return (predicted, latents, increments), (state, nest.mask(~resample, log_weights))

        start = (core.initial_state(batch_size * num_particles).latent,
                 tf.zeros([batch_size, num_particles]))
        return unroll.scan(step, (context_features, features, observed,
                                  seeds.per_step(seed, num_steps)), start)[0]

    results = run(tf.convert_to_tensor(observed), seeds.make(seed))
    return Filtered(*(result.numpy() for result in results))


def _mean(weights: Tensor, values: Tensor, num_particles: int) -> Tensor:
    """Averages values `[B * S, ...]` by weights `[B, S]`."""
    values = nest.split_samples(values, num_particles)
    shape = [*nest.shape_of(weights), *[1] * (values.shape.rank - 2)]
    return tf.reduce_sum(tf.reshape(weights, shape) * values, 1)


def r_squared(
    fit: np.ndarray, test: np.ndarray, fit_targets: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Returns R^2 of least squares with an offset, for each target, `[K]`.

    Args:
      fit: features to fit on, `[..., F]`.
      test: features to measure on, `[..., F]`.
      fit_targets: `[..., K]`.
      targets: `[..., K]`.
    """
    def with_offset(x: np.ndarray) -> np.ndarray:
        x = x.reshape(-1, x.shape[-1])
        return np.concatenate([x, np.ones([len(x), 1])], 1)

    flat_fit, flat = (x.reshape(-1, x.shape[-1]) for x in (fit_targets, targets))
    weights = np.linalg.lstsq(with_offset(fit), flat_fit, rcond=None)[0]
    return 1 - np.mean((flat - with_offset(test) @ weights) ** 2, 0) / flat.var(0)
