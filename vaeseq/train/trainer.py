# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training loop: updates, metrics, validation and checkpoints.

Checkpoints hold everything the rest of a run depends on: weights, optimizer, step, recurrent
states, running averages and the best score. Batches and random numbers are functions of the step.
The checkpoint with the best validation score is kept beside the latest one, as for early stopping.
A checkpoint is saved before each validation, too; a run that ended within a validation repeats it.
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
ShouldStop = Callable[[], bool]

# The metrics that are written: none depends on the clock, so a resumed run writes the same file.
_AVERAGED = ("loss", "nats_per_step", "log_prob", "kl", "gradient_norm")


class Periods(NamedTuple):
    """Periods in training steps.

    Attributes:
      log: steps between two lines of metrics.
      valid: steps between two validations, each with a checkpoint.
    """

    log: int = 50
    valid: int = 500


class TrainResult(NamedTuple):
    """The outcome of a training session.

    Attributes:
      step: number of updates made, over all sessions of the run.
      stop_reason: "done", "stopped" or "time".
      best: the best validation score in nats per step; infinite without validation.
      first_step_seconds: time from the start of the session to the end of its first update, mostly
        compilation; 0 if no update was made.
    """

    step: int
    stop_reason: str
    best: float
    first_step_seconds: float


class Trainer:
    """Runs `TrainOps` over a data set; validates, saves checkpoints and writes metrics."""

    def __init__(
        self, ops: TrainOps, data: DataSet, checkpoints: Checkpoints, *,
        objects: dict[str, tf.Module], validate: Callable[[ShouldStop], Score | None] | None = None,
        after_validation: Callable[[int, Writer, Log], None] = lambda step, writer, log: None,
        periods: Periods = Periods(), unit: str = "step", strategy: Strategy = SINGLE_PROCESS,
    ):
        """Creates the trainer.

        Args:
          ops: the training operations, already built.
          data: the batches.
          checkpoints: where checkpoints are saved.
          objects: the model, saved by name beside the training state.
          validate: scores held-out sequences; without it no checkpoint is marked as the best. It
            calls its argument after every batch, and returns None soon after that returns True.
          after_validation: called with the step, the writer and a print function after each
            validation, for example to log a sample.
          periods: how often metrics are written and validation runs.
          unit: singular name of a sequence step, for messages.
          strategy: the strategy of `ops`; its chief validates, saves and writes.
        """
        self._ops = ops
        self._data = data
        self._checkpoints = checkpoints
        self._validate = validate
        self._after_validation = after_validation
        self._periods = periods
        self._unit = unit
        self._strategy = strategy
        self._state = SavedNest(ops.initial_state(data.batch_size))
        self._totals = tf.Variable(np.zeros(len(_AVERAGED) + 1), trainable=False)
        self._best = tf.Variable(math.inf, trainable=False, dtype=tf.float64)
        self._objects = {
            **objects, "ops": ops, "carried": self._state, "recent": self._totals,
            "best": self._best}

    def restore(self) -> int:
        """Restores the latest checkpoint if there is one; returns the number of updates made."""
        if self._strategy.is_chief:
            self._checkpoints.restore(self._objects)
        self._strategy.broadcast((*self._ops.variables, *self._state.variables))
        return int(self._ops.step.numpy())

    def is_validation_pending(self, num_steps: int) -> bool:
        """Returns whether the restored session ended within the validation of its last step."""
        # The totals are reset after each validation.
        step = int(self._ops.step.numpy())
        return self._validates_at(step, num_steps) and self._totals.numpy()[-1] > 0

    def run(
        self, num_steps: int, writer: Writer, progress: Progress, *,
        max_minutes: float = math.inf, should_stop: ShouldStop = lambda: False,
    ) -> TrainResult:
        """Trains until `num_steps`, until the time is up, or until `should_stop` returns True.

        Args:
          num_steps: number of updates, including those of earlier sessions.
          writer: receives the metrics.
          progress: the progress bar.
          max_minutes: time limit of this session.
          should_stop: called after every update and every batch of validation.
        """
        start_time = time.monotonic()
        was_stopped = False

        def is_late() -> bool:
            return time.monotonic() - start_time > 60 * max_minutes

        def stops() -> bool:
            nonlocal was_stopped
            was_stopped = was_stopped or should_stop()
            return was_stopped

        state, first_step_seconds = self._strategy.local_rows(self._state.value()), 0.0
        stop_reason = "done"
        step = saved_step = int(self._ops.step.numpy())
        totals = self._totals.numpy()
        (pending,) = self._strategy.any_worker(self.is_validation_pending(num_steps))
        while pending or step < num_steps:
            if not pending:
                metrics, state = self._ops(self._data.batch(step), state)
                step += 1
                totals += _metric_totals(metrics)
                first_step_seconds = first_step_seconds or time.monotonic() - start_time
                progress.advance(1, metrics.num_steps, nats=metrics.nats_per_step)
            score, interrupted = None, False
            validating = self._validates_at(step, num_steps)
            if validating and self._validate is not None:
                if not pending:
                    self._save(step, state, totals)
                    saved_step = step
                if self._strategy.is_chief:
                    score = self._validate(lambda: stops() or is_late())
                    interrupted = score is None
                (interrupted,) = self._strategy.any_worker(interrupted)
            pending = False
            if not interrupted and (validating or step % self._periods.log == 0):
                is_best = self._report(step, writer, totals, score, progress.write)
                totals[:] = 0
                if validating:
                    self._save(step, state, totals, best=is_best)
                    saved_step = step
                    if self._strategy.is_chief:
                        self._after_validation(step, writer, progress.write)
            stopped, late = self._strategy.any_worker(stops(), is_late())
            if (step < num_steps or interrupted) and (stopped or late):
                stop_reason = "stopped" if stopped else "time"
                break
        if step > saved_step:
            self._save(step, state, totals)
        self._strategy.any_worker(False)  # A barrier: the chief has saved its checkpoint.
        return TrainResult(step, stop_reason, float(self._best), first_step_seconds)

    def _validates_at(self, step: int, num_steps: int) -> bool:
        return step % self._periods.valid == 0 or step == num_steps

    def _report(
        self, step: int, writer: Writer, totals: np.ndarray, score: Score | None, log: Log
    ) -> bool:
        """Writes the averages since the last line; returns whether `score` is the best so far."""
        if not self._strategy.is_chief:
            return False
        values = _averages(totals)
        best = False
        if score is not None:
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
        self, step: int, state: TrainState, totals: np.ndarray, *, best: bool = False
    ) -> None:
        self._state.assign(self._strategy.gather(state))
        self._totals.assign(totals)
        if self._strategy.is_chief:
            self._checkpoints.save(step, self._objects, best=best)


def _metric_totals(metrics: TrainMetrics) -> np.ndarray:
    """Returns the averaged metrics times the number of sequence steps, and that number."""
    averages = [getattr(metrics, name) for name in _AVERAGED]
    return np.array([*averages, 1.0]) * metrics.num_steps


def _averages(totals: np.ndarray) -> dict[str, float]:
    """Returns the averages by name of accumulated `_metric_totals`."""
    num_steps = max(totals[-1], 1.0)
    return dict(zip(_AVERAGED, totals[:-1] / num_steps))
