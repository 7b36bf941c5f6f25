# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training loop: step, report, score, save; it knows no model by name.

Everything that decides the future of a run is in its checkpoints: weights, optimizer, step,
carried states, best score. Batches and random numbers are functions of the step.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.data import DataSet
from vaeseq.evaluate.likelihood import Score
from vaeseq.runs.checkpoint import Checkpoints, SavedNest
from vaeseq.runs.progress import Progress
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy
from vaeseq.train.metrics import Writer
from vaeseq.train.ops import TrainMetrics, TrainOps, TrainState

Log = Callable[[str], None]

# What is written of a step; nothing that depends on the clock, so that a run that was resumed
# leaves the same metrics as one that was not.
_AVERAGED = ("loss", "nats_per_step", "log_prob", "kl", "gradient_norm")


class Periods(NamedTuple):
    """How often things happen, in training steps.

    Attributes:
      log: a line of metrics.
      valid: a validation score, a sample and a checkpoint.
    """

    log: int = 50
    valid: int = 500


class TrainResult(NamedTuple):
    """How a sitting ended.

    Attributes:
      step: updates made, over all sittings.
      reason: "done", "stopped" or "time".
      best: the best validation score, nats per step; infinite without validation.
      first_step_seconds: from the start of the sitting to the end of its first update, most of
        which is compilation; 0 where there was nothing to do.
    """

    step: int
    reason: str
    best: float
    first_step_seconds: float


class Trainer:
    """Runs `TrainOps` over a data set, and saves, scores and reports on the way."""

    def __init__(
        self, ops: TrainOps, data: DataSet, checkpoints: Checkpoints, *,
        objects: dict[str, tf.Module], validate: Callable[[], Score] | None = None,
        after_validation: Callable[[int, Writer, Log], None] = lambda step, writer, log: None,
        periods: Periods = Periods(), unit: str = "step", strategy: Strategy = SINGLE_PROCESS,
    ):
        """Creates the trainer.

        Args:
          ops: the step, already built.
          data: its batches.
          checkpoints: where states are saved.
          objects: what is saved besides the training state: the model.
          validate: scores held-out sequences; without it no state is the best.
          after_validation: called after each, to show a sample say.
          periods: how often.
          unit: the singular name of a sequence step, for rates.
          strategy: those of `ops`; of them the chief saves, scores and reports.
        """
        self._ops = ops
        self._data = data
        self._checkpoints = checkpoints
        self._validate = validate
        self._after_validation = after_validation
        self._periods = periods
        self._unit = unit
        self._workers = strategy
        self._state = SavedNest(ops.initial_state(data.batch_size))
        self._recent = tf.Variable(np.zeros(len(_AVERAGED) + 1), trainable=False)
        self._best = tf.Variable(math.inf, trainable=False, dtype=tf.float64)
        self._objects = {
            **objects, "ops": ops, "carried": self._state, "recent": self._recent,
            "best": self._best}

    def restore(self) -> int:
        """Goes back to the latest checkpoint, if there is one; the step to go on from."""
        if self._workers.is_chief:
            self._checkpoints.restore(self._objects)
        self._workers.share((*self._ops.variables, *self._state.variables))
        return int(self._ops.step.numpy())

    def run(
        self, num_steps: int, writer: Writer, progress: Progress, *,
        max_minutes: float = math.inf, should_stop: Callable[[], bool] = lambda: False,
    ) -> TrainResult:
        """Trains until `num_steps` updates were made in all, or time is up, or it should stop.

        Args:
          num_steps: counted from the run's very beginning; what was done already counts.
          writer: where metrics go.
          progress: shows them meanwhile.
          max_minutes: of this sitting.
          should_stop: asked after every step.
        """
        began = time.monotonic()
        state, first_step_seconds, reason = self._workers.rows(self._state.value()), 0.0, "done"
        step = saved = int(self._ops.step.numpy())
        recent = self._recent.numpy()
        while step < num_steps:
            metrics, state = self._ops(self._data.batch(step), state)
            step += 1
            recent += _weighted(metrics)
            first_step_seconds = first_step_seconds or time.monotonic() - began
            progress.advance(1, metrics.num_steps, nats=metrics.nats_per_step)
            validating = step % self._periods.valid == 0 or step == num_steps
            if validating or step % self._periods.log == 0:
                is_best = self._report(step, writer, recent, validating, progress.write)
                recent[:] = 0
            if validating:
                self._save(step, state, recent, best=is_best)
                saved = step
                if self._workers.is_chief:
                    self._after_validation(step, writer, progress.write)
            stopped, is_late = self._workers.any(
                should_stop(), time.monotonic() - began > 60 * max_minutes)
            if step < num_steps and (stopped or is_late):
                reason = "stopped" if stopped else "time"
                break
        if step > saved:
            self._save(step, state, recent)
        self._workers.any(False)  # the chief has saved when it answers
        return TrainResult(step, reason, float(self._best), first_step_seconds)

    def _report(
        self, step: int, writer: Writer, recent: np.ndarray, validating: bool, log: Log
    ) -> bool:
        """Writes the averages since the last line; whether a validation was the best so far."""
        if not self._workers.is_chief:
            return False
        values = _averages(recent)
        best = False
        if validating and self._validate is not None:
            score = self._validate()
            values["valid_nats_per_step"] = score.nats_per_step
            values["valid_kl"] = score.kl
            values["valid_active_units"] = score.active_units
            best = score.nats_per_step < float(self._best)
            self._best.assign(np.float64(min(score.nats_per_step, float(self._best))))
            log(f"step {step}: validation {score.nats_per_step:.4f} nats per {self._unit}"
                + (", the best so far" if best else ""))
        writer.scalars(step, values)
        writer.flush()
        return best

    def _save(
        self, step: int, state: TrainState, recent: np.ndarray, *, best: bool = False
    ) -> None:
        self._state.assign(self._workers.gather(state))
        self._recent.assign(recent)
        if self._workers.is_chief:
            self._checkpoints.save(step, self._objects, best=best)


def _weighted(metrics: TrainMetrics) -> np.ndarray:
    """Averages times the steps they are of, so that they add up; and those steps."""
    averages = [getattr(metrics, name) for name in _AVERAGED]
    return np.array([*averages, 1.0]) * metrics.num_steps


def _averages(recent: np.ndarray) -> dict[str, float]:
    """The averages by name, over all steps since `recent` was zeros."""
    num_steps = max(recent[-1], 1.0)
    return dict(zip(_AVERAGED, recent[:-1] / num_steps))
