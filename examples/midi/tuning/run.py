# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A run of tuning: a trained model is tuned towards a reward, in a log directory of its own.

    LOG_DIR/tuning.json   see `settings`
    LOG_DIR/report.json   metrics of samples and of the held-out music before and after

The log directory also has the files of any other run, so that the other commands work on it. Its
checkpoints include the model before tuning: to resume, the original directory is not needed.

Axes: B samples, T frames.
"""
from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import bounds, seeds
from vaeseq.cli.arguments import UsageError
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.train import schedules
from vaeseq.train.metrics import Writer
from vaeseq.train.trainer import TrainResult
from vaeseq.types import Nest

from ..data.sources import Music
from ..hparams import MidiHParams
from ..model import observations
from ..model.model import PROGRAM, MidiModel
from . import counterpoint, rewards
from .policy import TuneMetrics, TuneOps
from .rewards import Reward
from .settings import TuningRecord

_REPORT = "report.json"
_WARMUP_STEPS = 50  # Adam's first steps are large
_FINAL_RATE = 0.1  # learning rate of the last update, relative to the peak
_REPORT_SEED = 1 << 31  # reports have other samples than `generate`


class Measurement(NamedTuple):
    """Metrics of a model.

    Attributes:
      reward: mean reward of a sample.
      rules: share of bars that keep each rule of counterpoint.
      rules_kept: the mean of these shares.
      nats_per_step: of the held-out music; None without any.
    """

    reward: float
    rules: dict[str, float]
    rules_kept: float
    nats_per_step: float | None


class Report(NamedTuple):
    """The effect of tuning.

    Attributes:
      step: number of updates.
      samples: number of samples measured.
      before: metrics at step 0.
      after: metrics at `step`.
    """

    step: int
    samples: int
    before: Measurement
    after: Measurement

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as `--json` prints it."""
        return {**self._asdict(), "before": self.before._asdict(), "after": self.after._asdict()}


class Tuning:
    """A run of tuning.

    Attributes:
      model: the tuned model; `run` restores its weights.
    """

    def __init__(
        self, log_dir: LogDir, record: TuningRecord, reward: Reward, music: Music,
        hparams: MidiHParams, mean: np.ndarray, *, num_steps: int, seed: int,
    ):
        """Creates a new run, or the one in `log_dir`.

        Args:
          log_dir: the directory of the run.
          record: the model before tuning, the name of the reward, and the settings.
          reward: a function of a roll, bool `[T, 128]`; see `rewards`.
          music: the music that the model was trained and validated on.
          hparams: the hyperparameters of the model.
          mean: how often each column is on in the training music, `[P]`.
          num_steps: number of updates in all sessions together.
          seed: of all random numbers.
        """
        self.model = MidiModel(
            hparams, log_dir.path, mean=mean, seed=seed, trained_on=music.description)
        self._prior = MidiModel(hparams, log_dir.path, mean=mean, seed=seed)
        self._log_dir, self._record, self._music = log_dir, record, music
        self._reward = reward
        self._seed = seed
        self._bar = record.settings.bar or hparams.frames.bar
        self._checkpoints = Checkpoints(log_dir.checkpoints)
        self.model.build()
        self._prior.build()
        self._num_steps = num_steps
        self._ops = self._make_ops()
        # Sums of the metrics since the last checkpoint, and their number.
        self._recent = tf.Variable(np.zeros(len(TuneMetrics._fields) + 1), trainable=False)
        self._objects = {"gen_core": self.model.gen_core, "prior": self._prior.gen_core,
                         "ops": self._ops, "recent": self._recent}

    def run(
        self, *, save_every: int, max_minutes: float = math.inf,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainResult, Report | None]:
        """Tunes the model, or resumes its tuning.

        Args:
          save_every: updates between checkpoints; each checkpoint comes with a held-out score and
            a sample.
          max_minutes: maximum duration of this session.
          should_stop: called after each update; true ends the session.

        Returns:
          How the session ended, and the report unless `should_stop` ended it.

        Raises:
          ValueError: `log_dir` is in use or damaged, or the model to tune has no checkpoint.
          NumericsError: a gradient is not finite.
        """
        with self._log_dir.locked():
            step = self._begin()
            before = self._measure_before(step)
            with Progress("tune", total=self._num_steps, initial=step) as progress, \
                    self.model.make_writer(step) as writer:
                if step:
                    progress.write(f"step {step}: resuming")
                result = self._loop(save_every, max_minutes, should_stop, writer, progress)
            if result.stop_reason == "stopped":
                return result, None
            report = Report(result.step, self._record.settings.report_samples, before,
                            self.measure())
            self._write(report)
            return result, report

    def measure(self) -> Measurement:
        """Measures the model with its present weights."""
        rolls = [rewards.sounding(roll, self.model.hparams.frames) for roll in self._draw()]
        kept = [counterpoint.shares_of_bars(roll, self._bar) for roll in rolls]
        rules = {name: float(np.mean([shares[name] for shares in kept])) for name in kept[0]}
        return Measurement(
            float(np.mean([rewards.by_frame(self._reward, roll).sum() for roll in rolls])),
            rules, float(np.mean(list(rules.values()))), self._held_out())

    def _draw(self) -> list[np.ndarray]:
        """Draws the samples of a report."""
        settings = self._record.settings
        count, size = settings.report_samples, settings.batch_size
        rolls: list[np.ndarray] = []
        with Progress("measure", total=count, unit="sample") as progress:
            # The batch size of an update, so that the sampler is compiled only once.
            for first in range(0, count, size):
                rolls += self.model.compose(
                    num_samples=size, length=settings.bars * self._bar,
                    seed=_REPORT_SEED + self._seed + (first << 32))
                progress.advance(min(size, count - first))
        return rolls[:count]

    def _begin(self) -> int:
        """Begins the run or restores it; returns the number of updates so far."""
        exists = self._log_dir.exists
        step = self._checkpoints.restore(self._objects) if exists else None
        if step is None:
            start = Checkpoints(LogDir(self._record.start, PROGRAM).checkpoints)
            for model in (self.model, self._prior):
                if start.restore({"gen_core": model.gen_core}, best=True) is None:
                    raise UsageError(f"--from: expected a checkpoint in {self._record.start!r}, "
                                     "found none. Train first.")
            if not exists:
                self._record.save(self._log_dir)
                self.model.save_files()
                self._log_dir.create(self.model.hparams, self._seed)
            self._checkpoints.save(0, self._objects)
            step = 0
        self.model.restore()
        return step

    def _measure_before(self, step: int) -> Measurement:
        """Measures the model at step 0, or reads that measurement from the report."""
        if step:
            return read_report(self._log_dir).before
        before = self.measure()
        self._write(Report(0, self._record.settings.report_samples, before, before))
        return before

    def _loop(
        self, save_every: int, max_minutes: float, should_stop: Callable[[], bool],
        writer: Writer, progress: Progress,
    ) -> TrainResult:
        num_steps = self._num_steps
        start, first_step_seconds, reason = time.monotonic(), 0.0, "done"
        data = self.model.data_set([piece.roll for piece in self._music.train])
        step = saved = int(self._ops.step)
        while step < num_steps:
            metrics = self._ops(data.batch(step))
            step += 1
            self._recent.assign_add([*metrics, 1.0])
            first_step_seconds = first_step_seconds or time.monotonic() - start
            progress.advance(1, reward=metrics.reward, kl=metrics.kl)
            if step % save_every == 0 or step == num_steps:
                self._log_metrics(step, writer, progress)
                self._checkpoints.save(step, self._objects)
                saved = step
                self.model.after_validation(step, writer, progress.write)
            stopped = should_stop()
            if step < num_steps and (stopped or time.monotonic() - start > 60 * max_minutes):
                reason = "stopped" if stopped else "time"
                break
        if step > saved:
            self._checkpoints.save(step, self._objects)
        return TrainResult(step, reason, math.inf, first_step_seconds)

    def _log_metrics(self, step: int, writer: Writer, progress: Progress) -> None:
        """Writes the mean metrics since the last checkpoint, and the held-out score."""
        *sums, count = self._recent.numpy()
        values = {name: total / count for name, total in zip(TuneMetrics._fields, sums)}
        line = f"step {step}: reward {values['reward']:.3f}"
        nats = self._held_out()
        if nats is not None:
            values["valid_nats_per_step"] = nats
            line += f", held-out {nats:.4f} nats per {self.model.unit}"
        progress.write(line)
        writer.scalars(step, values)
        writer.flush()
        self._recent.assign(np.zeros_like(self._recent))

    def _held_out(self) -> float | None:
        """Returns the nats per frame of the held-out music, if there is any."""
        rolls = [piece.roll for piece in self._music.valid]
        return self.model.evaluate(rolls).nats_per_step if rolls else None

    def _write(self, report: Report) -> None:
        self._log_dir.write(_REPORT, json.dumps(report.as_dict(), indent=2) + "\n")

    def _make_ops(self) -> TuneOps:
        hparams, settings = self.model.hparams, self._record.settings
        return TuneOps(
            self.model.gen_core, self._prior.gen_core,
            bounds.make(hparams.train_bound, hparams.train_samples,
                        monte_carlo=hparams.use_monte_carlo_kl, free_bits=hparams.free_bits,
                        free_bits_per=hparams.free_bits_per),
            rewards=self._rewards, num_samples=settings.batch_size,
            length=settings.bars * self._bar, strength=settings.strength,
            discount=settings.discount, likelihood=settings.likelihood,
            learning_rate=lambda step: schedules.learning_rate(
                step, highest=settings.learning_rate, schedule="cosine",
                num_steps=self._num_steps, warmup_steps=_WARMUP_STEPS, final=_FINAL_RATE),
            clip_gradient_norm=hparams.clip_gradient_norm, seed=seeds.make(self._seed))

    def _rewards(self, observed: Nest) -> np.ndarray:
        """Returns the rewards `[B, T]` of samples, a nest of `[B, T, ...]`."""
        rows = range(len(tf.nest.flatten(observed)[0]))
        rolls = [observations.to_roll(
            tf.nest.map_structure(lambda leaf, row=row: leaf[row], observed), self.model.hparams)
            for row in rows]
        grid = self.model.hparams.frames
        return np.stack([
            rewards.by_frame(self._reward, rewards.sounding(roll, grid)) for roll in rolls])


def read_report(log_dir: LogDir) -> Report:
    """Reads the report of a run; raises ValueError where it is damaged."""
    try:
        values = json.loads(log_dir.read(_REPORT))
        before, after = (Measurement(**values.pop(name)) for name in ("before", "after"))
        for measured in (before, after):
            _check_numbers([measured.reward, measured.rules_kept, *measured.rules.values()])
            _check_numbers([] if measured.nats_per_step is None else [measured.nats_per_step])
        return Report(before=before, after=after, **values)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _REPORT)!r}: expected a JSON object of measurements. The log "
            "directory is damaged; start again in another.") from None


def _check_numbers(values: list[Any]) -> None:
    if not all(type(value) in (int, float) for value in values):
        raise TypeError(values)
