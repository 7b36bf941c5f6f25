# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training loop: updates, metrics, validation and checkpoints.

Checkpoints hold everything the rest of a run depends on: weights, optimizer, step, recurrent
states, running averages, the best score and the state of callbacks. Batches and random numbers are
functions of the step. The checkpoint with the best validation score is kept beside the latest one;
with `patience` training stops early, after so many validations without improvement. A checkpoint is
saved before each validation, too; a run that ended within a validation repeats it.
"""
from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import data as data_lib
from vaeseq.bounds import ELBO
from vaeseq.data import Batch, DataSet
from vaeseq.evaluate.likelihood import ACTIVE_NATS, Score
from vaeseq.runs.checkpoint import Checkpoints, SavedNest
from vaeseq.runs.progress import Progress
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy
from vaeseq.train.loss import TrainState
from vaeseq.train.metrics import Writer
from vaeseq.train.ops import TrainMetrics, TrainOps
from vaeseq.vae.base import VAECore

Log = Callable[[str], None]
ShouldStop = Callable[[], bool]

_ANNEALED = 0.9  # share of the last KL weight at which annealing is nearly done
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

    def check(self) -> None:
        """Raises ValueError for a period below 1."""
        if min(self) < 1:
            raise ValueError(
                f"expected periods of at least 1 step, got log={self.log} and valid={self.valid}. "
                "For no validation before the end give a large number.")


class Callback:
    """Is called while a model trains; by default does nothing.

    Callbacks run in the chief's process. While `on_validation` runs, the model's weights are their
    average, if one is kept.

    Attributes:
      name: unique among the callbacks of a run; by default the name of the class.
      state: a variable or a module that is saved and restored with the run; None for none. A run
        that was begun without the callback leaves the state as it is.
    """

    state: Any = None

    @property
    def name(self) -> str:
        return type(self).__name__

    def on_step(self, step: int, metrics: TrainMetrics) -> None:
        """Runs after update number `step`, from 1."""

    def on_validation(self, step: int, score: Score) -> None:
        """Runs after the validation that follows update number `step`."""


class TrainResult(NamedTuple):
    """The outcome of a training session.

    Attributes:
      step: number of updates made, over all sessions of the run.
      stop_reason: "done", "stopped", "time" or "patience".
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
        self, ops: TrainOps, data: DataSet | tf.data.Dataset, checkpoints: Checkpoints, *,
        objects: dict[str, tf.Module], validate: Callable[[ShouldStop], Score | None] | None = None,
        after_validation: Callable[[int, Writer, Log], None] = lambda step, writer, log: None,
        periods: Periods = Periods(), unit: str = "step", strategy: Strategy = SINGLE_PROCESS,
        patience: int | None = None, callbacks: Sequence[Callback] = (), valid_checksum: int = 0,
    ):
        """Creates the trainer.

        Args:
          ops: the training operations, already built.
          data: the batches, or a `tf.data.Dataset` of them (see `data.TFDataSet`); update number n,
            from 0, takes batches n * `ops.accumulate` and on.
          checkpoints: where checkpoints are saved.
          objects: the model, saved by name beside the training state.
          validate: scores held-out sequences; without it no checkpoint is marked as the best. It
            calls its argument after every batch, and returns None soon after that returns True.
          after_validation: called with the step, the writer and a print function after each
            validation, for example to log a sample.
          periods: how often metrics are written and validation runs.
          unit: singular name of a sequence step, for messages.
          strategy: the strategy of `ops`; its chief validates, saves and writes.
          patience: number of validations without improvement after which training stops (early
            stopping); None or 0 for no limit.
          callbacks: called after updates and validations, in this order.
          valid_checksum: of what `validate` scores; a run that is resumed with another one looks
            for its best score anew.

        Raises:
          ValueError: two callbacks have one name, a period is below 1, or several replicas share a
            `tf.data.Dataset`.
        """
        periods.check()
        names = [callback.name for callback in callbacks]
        if len(set(names)) < len(names):
            raise ValueError(
                f"expected callbacks of different names, got {names}. Give each a `name`: their "
                "states are saved under it.")
        if isinstance(data, tf.data.Dataset):
            data = data_lib.TFDataSet(data)
        self._ops = ops
        self._data = data
        self._checkpoints = checkpoints
        self._validate = validate
        self._after_validation = after_validation
        self._periods = periods
        self._unit = unit
        self._strategy = strategy
        self._patience = patience or 0
        self._callbacks = tuple(callbacks)
        self._has_collapsed = False
        if isinstance(data, data_lib.TFDataSet) and strategy.num_replicas > 1:
            raise ValueError(
                "expected one replica for a tf.data.Dataset, whose position other workers cannot "
                f"restore; got {strategy.num_replicas}. Give several replicas a vaeseq.DataSet.")
        self._state = SavedNest(ops.initial_state(len(data.batch(0).lengths)))
        self._totals = tf.Variable(np.zeros(len(_AVERAGED) + 1), trainable=False)
        self._best = tf.Variable(math.inf, trainable=False, dtype=tf.float64)
        self._num_worse = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._valid_checksum = valid_checksum
        self._best_checksum = tf.Variable(valid_checksum, trainable=False, dtype=tf.int64)
        self._is_best_of_others = False
        self._objects = {
            **objects, "ops": ops, "carried": self._state, "recent": self._totals,
            "best": self._best}
        self._further = {
            "num_worse": self._num_worse, "valid_checksum": self._best_checksum,
            **({"data": data} if isinstance(data, tf.Module) else {}),
            **{f"callback {callback.name}": callback.state for callback in callbacks
               if callback.state is not None}}

    def restore(self) -> int:
        """Restores the latest checkpoint if there is one; returns the number of updates made."""
        if self._strategy.is_chief:
            self._checkpoints.restore(self._objects, further=self._further)
            if self._validate is not None and int(self._best_checksum) != self._valid_checksum:
                self._is_best_of_others = math.isfinite(float(self._best))
                self._best_checksum.assign(self._valid_checksum)
                self._best.assign(math.inf)
                self._num_worse.assign(0)
        self._strategy.broadcast(
            (*self._ops.variables, *self._state.variables, self._num_worse))
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
        """Trains until `num_steps`, or until time, patience or `should_stop` end the session.

        Args:
          num_steps: number of updates, including those of earlier sessions.
          writer: receives the metrics.
          progress: the progress bar.
          max_minutes: time limit of this session, which does not cut off the repetition of a
            validation during which an earlier session ended.
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
        if self._is_best_of_others:
            progress.write("The best validation so far was of other held-out data, and does not "
                           "count any more.")
        step = saved_step = int(self._ops.step.numpy())
        totals = self._totals.numpy()
        (pending,) = self._strategy.any_worker(self.is_validation_pending(num_steps))
        if self._is_out_of_patience() and step < num_steps and not pending:
            num_steps, stop_reason = step, "patience"
        while pending or step < num_steps:
            if not pending:
                metrics, state = self._ops(self._batches(step), state)
                step += 1
                totals += _metric_totals(metrics)
                first_step_seconds = first_step_seconds or time.monotonic() - start_time
                progress.advance(1, metrics.num_steps, nats=metrics.nats_per_step)
                if self._strategy.is_chief:
                    for callback in self._callbacks:
                        callback.on_step(step, metrics)
            score, interrupted = None, False
            validating = self._validates_at(step, num_steps)
            if validating and self._validate is not None:
                if not pending:
                    self._save(step, state, totals)
                    saved_step = step
                if self._strategy.is_chief:
                    with self._averaged_weights():
                        # A pending one is not cut by time: it may be longer than every session.
                        score = self._validate(
                            stops if pending else lambda: stops() or is_late())
                        if score is not None:
                            for callback in self._callbacks:
                                callback.on_validation(step, score)
                    interrupted = score is None
                (interrupted,) = self._strategy.any_worker(interrupted)
            pending = False
            if not interrupted and (validating or step % self._periods.log == 0):
                is_best = self._report(step, num_steps, writer, totals, score, progress.write)
                totals[:] = 0
                if validating:
                    self._save(step, state, totals, best=is_best)
                    saved_step = step
                    if self._strategy.is_chief:
                        with self._averaged_weights():
                            self._after_validation(step, writer, progress.write)
            ends = self._strategy.any_worker(
                stops(), validating and self._is_out_of_patience(), is_late())
            if (step < num_steps or interrupted) and any(ends):
                stop_reason = ("stopped", "patience", "time")[ends.index(True)]
                break
        if step > saved_step:
            self._save(step, state, totals)
        if self._strategy.is_chief and stop_reason == "time":
            self._warn_of_low_kl_weight(step, num_steps, progress.write)
        self._strategy.any_worker(False)  # A barrier: the chief has saved its checkpoint.
        return TrainResult(step, stop_reason, float(self._best), first_step_seconds)

    def _validates_at(self, step: int, num_steps: int) -> bool:
        return step % self._periods.valid == 0 or step == num_steps

    def _batches(self, step: int) -> Batch | list[Batch]:
        """Returns what update number `step`, from 0, is computed from."""
        count = self._ops.accumulate
        batches = [self._data.batch(step * count + number) for number in range(count)]
        return batches[0] if count == 1 else batches

    def _is_out_of_patience(self) -> bool:
        return 0 < self._patience <= int(self._num_worse.numpy())

    def _averaged_weights(self) -> contextlib.AbstractContextManager[None]:
        average = self._ops.average
        return contextlib.nullcontext() if average is None else average.as_weights()

    def _report(
        self, step: int, num_steps: int, writer: Writer, totals: np.ndarray, score: Score | None,
        log: Log,
    ) -> bool:
        """Writes the averages since the last line; returns whether `score` is the best so far."""
        if not self._strategy.is_chief:
            return False
        values = _averages(totals)
        if self._ops.weight_posterior is not None:
            values["weight_nats_per_step"] = float(self._ops.weight_nats_per_step())
        best = False
        if score is not None:
            values["valid_nats_per_step"] = score.nats_per_step
            values["valid_kl"] = score.kl
            if score.latent_kl.size:
                values["valid_active_units"] = score.active_units
            best = score.nats_per_step < float(self._best)
            if best:
                self._best.assign(np.float64(score.nats_per_step))
            self._num_worse.assign(0 if best else int(self._num_worse.numpy()) + 1)
            log(f"step {step}: validation {score.nats_per_step:.4f} nats per {self._unit}"
                + (", the best so far" if best else ""))
            if self._is_out_of_patience():
                log(f"step {step}: stopping early: no improvement in {self._patience} validations. "
                    f"The best one ({float(self._best):.4f}) is kept.")
            self._warn_of_collapse(step, num_steps, score, log)
        writer.scalars(step, values)
        writer.flush()
        return best

    def _annealed(self, step: int, num_steps: int) -> float:
        """Returns the KL weight as a share of that at the end of the run."""
        return float(self._ops.kl_weight(step)) / (float(self._ops.kl_weight(num_steps)) or 1.0)

    def _warn_of_collapse(self, step: int, num_steps: int, score: Score, log: Log) -> None:
        """Logs a line if the posterior has collapsed since the last validation."""
        collapsed = score.is_collapsed and self._annealed(step, num_steps) > 0.5
        if collapsed and not self._has_collapsed:
            has_free_bits = self._ops.loss.bound.name == ELBO.name
            log(f"step {step}: posterior collapse: no latent dimension carries more than "
                f"{ACTIVE_NATS} nats; try slower KL annealing (a larger divergence_strength_half)"
                f"{', free_bits,' if has_free_bits else ''} or context_dropout.")
        self._has_collapsed = collapsed

    def _warn_of_low_kl_weight(self, step: int, num_steps: int, log: Log) -> None:
        """Logs a line if the time was up before KL annealing came near its end."""
        share = self._annealed(step, num_steps)
        core = self._ops.loss.core
        if isinstance(core, VAECore) and core.latent_size and share < _ANNEALED:
            log(f"step {step}: time is up at {share:.2f} of the last KL weight: scores count the "
                "whole KL, and training has charged a part of it. Resume the run; or begin one "
                f"with a --num-steps of about {step}, which the annealing follows, or with a "
                "smaller divergence_strength_half.")

    def _save(
        self, step: int, state: TrainState, totals: np.ndarray, *, best: bool = False
    ) -> None:
        self._state.assign(self._strategy.gather(state))
        self._totals.assign(totals)
        if self._strategy.is_chief:
            self._checkpoints.save(step, {**self._objects, **self._further}, best=best)


def _metric_totals(metrics: TrainMetrics) -> np.ndarray:
    """Returns the averaged metrics times the number of sequence steps, and that number."""
    averages = [getattr(metrics, name) for name in _AVERAGED]
    return np.array([*averages, 1.0]) * metrics.num_steps


def _averages(totals: np.ndarray) -> dict[str, float]:
    """Returns the averages by name of accumulated `_metric_totals`."""
    num_steps = max(totals[-1], 1.0)
    return dict(zip(_AVERAGED, totals[:-1] / num_steps))
