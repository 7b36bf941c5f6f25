# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A run of tuning: a trained model is tuned towards rewards, in a log directory of its own.

    LOG_DIR/tuning.json   see `settings`
    LOG_DIR/report.json   metrics of samples and of the held-out data before and after

The log directory also has the files of any other run, so that the other commands work on it. Its
checkpoints include the model before tuning and the variables of rewards: to resume, the original
directory is not needed.

Axes: B samples, T steps.
"""
from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import seeds
from vaeseq.cli.arguments import UsageError
from vaeseq.evaluate import validation
from vaeseq.model import Model
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.train import schedules
from vaeseq.train.metrics import Writer
from vaeseq.train.ops import training_bound
from vaeseq.train.trainer import TrainResult
from vaeseq.tuning.control import KLControl
from vaeseq.tuning.features import SequenceFeatures
from vaeseq.tuning.monitor import distinct, hacking_warnings
from vaeseq.tuning.policy import Samples, TuneMetrics, TuneOps
from vaeseq.tuning.rewards import RewardSum, Sample
from vaeseq.tuning.settings import TuningRecord
from vaeseq.types import Nest

_REPORT = "report.json"
_WARMUP_STEPS = 50  # Adam's first steps are large
_FINAL_RATE = 0.1  # learning rate of the last update, relative to the peak
_REPORT_SEED = 1 << 31  # reports have other samples than `generate`


class Measurement(NamedTuple):
    """Metrics of a model."""

    reward: float  # mean weighted reward of a sample
    parts: dict[str, float]  # mean of each reward alone, without its weight, by its label
    rules: dict[str, float]  # shares that the program measures on its samples, by name
    rules_kept: float | None  # the mean of these shares; None without any
    distinct: float | None  # diversity of the samples; see `monitor.distinct`
    nats_per_step: float | None  # of the held-out data; None without any


class Report(NamedTuple):
    """The effect of tuning."""

    step: int  # number of updates
    samples: int  # number of samples measured
    before: Measurement  # metrics at step 0
    after: Measurement  # metrics at `step`
    warnings: list[str]  # of reward hacking; see `monitor`

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as `--json` prints it."""
        return {**self._asdict(), "before": self.before._asdict(), "after": self.after._asdict()}

    def table(self, unit: str, length: str) -> str:
        """Returns the metrics before and after, side by side."""
        before, after = self.before, self.after
        lines = [f"{f'{self.samples} samples of {length}':32} {'before':>8} {'after':>8}",
                 f"{'reward':32} {before.reward:8.3f} {after.reward:8.3f}"]
        if len(after.parts) > 1:
            lines += [f"{f'  {label}':32.32} {before.parts[label]:8.3f} {value:8.3f}"
                      for label, value in after.parts.items()]
        shares = [(f"bars: {name}", share, after.rules[name])
                  for name, share in before.rules.items()]
        if before.rules_kept is not None and after.rules_kept is not None:
            shares.append(("bars: all rules, on average", before.rules_kept, after.rules_kept))
        for name, share, new in shares:
            gain = f"{(new - share) / (1 - share):+7.0%} of the possible gain" if share < 1 else ""
            lines.append(f"{name:32} {share:8.1%} {new:8.1%} {gain}")
        if before.distinct is not None and after.distinct is not None:
            lines.append(f"{'distinct 4-grams':32} {before.distinct:8.1%} {after.distinct:8.1%}")
        if before.nats_per_step is not None and after.nats_per_step is not None:
            change = after.nats_per_step / before.nats_per_step - 1
            lines.append(f"{f'held-out nats per {unit}':32} {before.nats_per_step:8.4f} "
                         f"{after.nats_per_step:8.4f} {change:+7.1%}")
        return "\n".join([*lines, *(f"Warning: {warning}" for warning in self.warnings)])


class Tuning:
    """A run of tuning; a program overrides what depends on its observations.

    Attributes:
      model: the tuned model; `run` restores its weights.
    """

    def __init__(
        self, log_dir: LogDir, record: TuningRecord, rewards: RewardSum,
        make_model: Callable[[], Model], train: Sequence[Nest], valid: Sequence[Nest], *,
        length: int, num_steps: int, valid_steps: int, seed: int,
    ):
        """Creates a new run, or the one in `log_dir`.

        Args:
          log_dir: the directory of the run.
          record: the model before tuning, the names of the rewards, and the settings.
          rewards: what the record names.
          make_model: creates the model, whose log directory is `log_dir`; without
            `weight_average`, which tuning does not continue.
          train: the sequences that the model was trained on.
          valid: the sequences that it was validated on; may be none.
          length: steps of a sample.
          num_steps: number of updates in all sessions together.
          valid_steps: largest number of held-out steps that a checkpoint is scored on; 0 for all.
            The report always scores all.
          seed: of all random numbers.
        """
        self.model, self._prior = make_model(), make_model()
        self._log_dir, self._record, self._score = log_dir, record, rewards
        self._train, self._valid = train, valid
        self._valid_sample = (
            validation.spread_sample(valid, valid_steps, self.model.alignment)
            if valid_steps and len(valid) else valid)
        self._seed, self._length, self._num_steps = seed, length, num_steps
        self._checkpoints = Checkpoints(log_dir.checkpoints)
        self.model.build()
        self._prior.build()
        self._ops = self._make_ops()
        self._parts = dict.fromkeys(rewards.labels, 0.0)
        # Sums of the metrics since the last checkpoint, and their number.
        self._recent = tf.Variable(
            np.zeros(len(TuneMetrics._fields) + len(self._parts) + 1), trainable=False)
        self._objects = {"gen_core": self.model.gen_core, "prior": self._prior.gen_core,
                         "ops": self._ops, "recent": self._recent, "rewards": rewards}

    @property
    def prefix(self) -> Callable[[int], int] | None:
        """How many steps of training sequences samples continue; see `TuneOps`. By default none."""
        return None

    def content(self, observed: Nest) -> Any:
        """Returns what rewards see of a sequence, `[N, ...]` NumPy arrays; by default all."""
        return observed

    def rules(self, contents: Sequence[Any]) -> dict[str, float]:
        """Returns shares measured on the contents of samples, by name; by default none."""
        del contents
        return {}

    def held_out_nats(self, sequences: Sequence[Nest]) -> float:
        """Returns the nats per step of held-out sequences under the tuned model."""
        return self.model.evaluate(sequences).nats_per_step

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
          ValueError: `log_dir` is in use or damaged, the model to tune has no checkpoint, or a
            reward failed.
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
            after = self.measure()
            report = Report(result.step, self._record.settings.report_samples, before, after,
                            hacking_warnings(
                                reward=(self._score.fixed_total(before.parts),
                                        self._score.fixed_total(after.parts)),
                                nats_per_step=(before.nats_per_step, after.nats_per_step),
                                distinct=(before.distinct or math.nan, after.distinct or 0.0)))
            self._write(report)
            return result, report

    def measure(self) -> Measurement:
        """Measures the model with its present weights."""
        samples = self._draw()
        batch = self._data.batch(0)
        references = self._as_samples(batch.observed, batch.lengths)
        scored = self._score.score(samples, references, self._length)
        rules = self.rules([sample.content for sample in samples])
        diversity = distinct([sample.observed for sample in samples])
        return Measurement(
            float(scored.values.sum(axis=1).mean()), scored.parts, rules,
            float(np.mean(list(rules.values()))) if rules else None,
            diversity if math.isfinite(diversity) else None,
            self.held_out_nats(self._valid) if len(self._valid) else None)

    def _draw(self) -> list[Sample]:
        """Draws the samples of a report."""
        settings = self._record.settings
        count, size = settings.report_samples, settings.batch_size
        samples: list[Nest] = []
        with Progress("measure", total=count, unit="sample") as progress:
            # The batch and the chunk of an update, so that the sampler is compiled only once.
            for first in range(0, count, size):
                samples += self.model.sampler.generate(
                    num_samples=size, length=self._length, chunk=self._length,
                    seed=_REPORT_SEED + self._seed + (first << 32))
                progress.advance(min(size, count - first))
        return [Sample(observed, self.content) for observed in samples[:count]]

    def _begin(self) -> int:
        """Begins the run or restores it; returns the number of updates so far."""
        exists = self._log_dir.exists
        step = self._checkpoints.restore(self._objects) if exists else None
        if step is None:
            _restore_original(self._prior, self._record, self._log_dir)
            _copy_weights(self._prior, self.model)
            if not exists:
                self._record.save(self._log_dir)
                self.model.save_files()
                self._log_dir.create(self.model.hparams, self._seed)
            self._checkpoints.save(0, self._objects)
            step = 0
        self.model.restore()
        self._data = self.model.data_set(self._train)
        return step

    def _measure_before(self, step: int) -> Measurement:
        """Measures the model at step 0, or reads that measurement from the report."""
        if step:
            return read_report(self._log_dir).before
        before = self.measure()
        self._write(Report(0, self._record.settings.report_samples, before, before, []))
        return before

    def _loop(
        self, save_every: int, max_minutes: float, should_stop: Callable[[], bool],
        writer: Writer, progress: Progress,
    ) -> TrainResult:
        num_steps = self._num_steps
        start, first_step_seconds, reason = time.monotonic(), 0.0, "done"
        step = saved = int(self._ops.step)
        while step < num_steps:
            metrics = self._ops(self._data.batch(step))
            step += 1
            self._recent.assign_add([*metrics, *self._parts.values(), 1.0])
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
        names = [*TuneMetrics._fields, *(f"reward/{label}" for label in self._parts)]
        values = {name: total / count for name, total in zip(names, sums)}
        line = f"step {step}: reward {values['reward']:.3f}, KL {values['kl']:.3f}"
        if len(self._valid_sample):
            nats = self.held_out_nats(self._valid_sample)
            values["valid_nats_per_step"] = nats
            line += f", held-out {nats:.4f} nats per {self.model.unit}"
        progress.write(line)
        writer.scalars(step, values)
        writer.flush()
        self._recent.assign(np.zeros_like(self._recent))

    def _write(self, report: Report) -> None:
        self._log_dir.write(_REPORT, json.dumps(report.as_dict(), indent=2) + "\n")

    def _make_ops(self) -> TuneOps:
        hparams, settings = self.model.hparams, self._record.settings
        return TuneOps(
            self.model.gen_core, self._prior.gen_core,
            self.model.make_loss(training_bound(hparams)),
            rewards=self._rewards, num_samples=settings.batch_size, length=self._length,
            control=KLControl(settings.strength, target=settings.kl_target,
                              budget=settings.kl_budget),
            discount=settings.discount, likelihood=settings.likelihood, epochs=settings.epochs,
            clip_ratio=settings.clip_ratio,
            learning_rate=lambda step: schedules.learning_rate(
                step, highest=settings.learning_rate, schedule="cosine",
                num_steps=self._num_steps, warmup_steps=_WARMUP_STEPS, final=_FINAL_RATE),
            clip_gradient_norm=hparams.clip_gradient_norm, prefix=self.prefix,
            seed=seeds.make(self._seed))

    def _rewards(self, samples: Samples) -> np.ndarray:
        """Returns the rewards `[B, T]` of the samples of an update, and lets rewards learn."""
        own = self._as_samples(samples.observed, samples.lengths)
        references = self._as_samples(samples.references, samples.reference_lengths)
        scored = self._score.score(own, references, self._length)
        self._parts = scored.parts
        self._score.update(own, references)
        return scored.values

    def _as_samples(self, observed: Nest, lengths: np.ndarray) -> list[Sample]:
        rows = [tf.nest.map_structure(
            lambda leaf, row=row, length=length: np.asarray(leaf[row])[:length], observed)
            for row, length in enumerate(lengths)]
        return [Sample(row, self.content) for row in rows]


def original_features(
    model: Model, record: TuningRecord, log_dir: LogDir
) -> SequenceFeatures:
    """Returns features of sequences by the model before tuning, built and restored in `model`.

    The `log_dir` of the tuned model need not exist yet.

    Raises:
      UsageError: there is no checkpoint.
      ValueError: the checkpoints are damaged, or of another model.
    """
    model.build()
    _restore_original(model, record, log_dir)
    return SequenceFeatures(model.gen_core)


def read_report(log_dir: LogDir) -> Report:
    """Reads the report of a run; raises ValueError where it is damaged."""
    try:
        values = json.loads(log_dir.read(_REPORT))
        before, after = (Measurement(**values.pop(name)) for name in ("before", "after"))
        for measured in (before, after):
            numbers = [measured.reward, *measured.rules.values(), *measured.parts.values(), *(
                value for value in (measured.rules_kept, measured.distinct, measured.nats_per_step)
                if value is not None)]
            if not all(type(value) in (int, float) for value in numbers):
                raise TypeError(numbers)
        return Report(before=before, after=after, **values)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _REPORT)!r}: expected a JSON object of measurements. The log "
            "directory is damaged; start again in another.") from None


def _restore_original(model: Model, record: TuningRecord, log_dir: LogDir) -> None:
    """Restores the model before tuning: from checkpoints of its tuning, else from where it begins.
    """
    saved = Checkpoints(log_dir.checkpoints)
    if log_dir.exists and saved.restore({"prior": model.gen_core}) is not None:
        return
    if not Checkpoints(LogDir(record.start, log_dir.program).checkpoints).steps():
        raise UsageError(f"--from: expected a checkpoint in {record.start!r}, found none. Train "
                         "first.")
    # A loaded model has averaged weights, if the run has them.
    _copy_weights(type(model).load(record.start), model)


def _copy_weights(source: Model, target: Model) -> None:
    for theirs, ours in zip(
            source.gen_core.variables, target.gen_core.variables, strict=True):
        ours.assign(theirs)
