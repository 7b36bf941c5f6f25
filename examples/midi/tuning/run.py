# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A trained model goes on towards a reward, in a run of its own.

    LOG_DIR/tuning.json   see `settings`
    LOG_DIR/report.json   samples and held-out score before and after

Beside them is what any run has, so that the other commands take it as one. Checkpoints hold the
model it was, too: a run that goes on needs nothing of the directory it began from.

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
from .policy import TuneOps, TuneStep
from .rewards import Reward
from .settings import Tuned

_REPORT = "report.json"
_WARMUP = 50  # updates in which the learning rate rises: Adam's first steps are large ones
_FINAL = 0.1  # share of it that is left at the last update
_REPORT_SEED = 1 << 31  # samples of reports are others than those of `generate`


class Measured(NamedTuple):
    """What a model does.

    Attributes:
      reward: of a sample, on average.
      rules: the share of bars that keep each rule of counterpoint.
      rules_kept: the mean of these.
      nats_per_step: of the held-out music; None where there is none.
    """

    reward: float
    rules: dict[str, float]
    rules_kept: float
    nats_per_step: float | None


class Report(NamedTuple):
    """What tuning did.

    Attributes:
      step: updates made.
      samples: that were measured.
      before: at step 0.
      after: at `step`.
    """

    step: int
    samples: int
    before: Measured
    after: Measured

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**self._asdict(), "before": self.before._asdict(), "after": self.after._asdict()}


class Tuning:
    """A run of tuning: the model, the one it was, and what the log directory keeps.

    Attributes:
      model: the one that is tuned; it has its weights once `run` has begun.
    """

    def __init__(
        self, log_dir: LogDir, tuned: Tuned, reward: Reward, music: Music, hparams: MidiHParams,
        mean: np.ndarray, *, num_steps: int, seed: int,
    ):
        """Creates the run, or the one in `log_dir` again.

        Args:
          log_dir: of the run.
          tuned: what is tuned, and how.
          reward: a function of a roll, bool `[T, 128]`: see `rewards`.
          music: what the model was trained and validated on.
          hparams: of the model.
          mean: of the model: see `MidiModel`.
          num_steps: updates in all, those of earlier sittings counted.
          seed: of everything random.
        """
        self.model = MidiModel(
            hparams, log_dir.path, mean=mean, seed=seed, trained_on=music.description)
        self._prior = MidiModel(hparams, log_dir.path, mean=mean, seed=seed)
        self._log_dir, self._tuned, self._music = log_dir, tuned, music
        self._reward = reward
        self._seed = seed
        self._bar = tuned.settings.bar or hparams.frames.bar
        self._checkpoints = Checkpoints(log_dir.checkpoints)
        self.model.build()
        self._prior.build()
        self._num_steps = num_steps
        self._ops = self._make_ops(num_steps)
        self._recent = tf.Variable(np.zeros(len(TuneStep._fields) + 1), trainable=False)
        self._objects = {"gen_core": self.model.gen_core, "prior": self._prior.gen_core,
                         "ops": self._ops, "recent": self._recent}

    def run(
        self, *, save_every: int, max_minutes: float = math.inf,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainResult, Report | None]:
        """Tunes, going on where the run stopped.

        Args:
          save_every: updates between checkpoints, each with a held-out score and a sample.
          max_minutes: of this sitting.
          should_stop: asked after every update.

        Returns:
          How the sitting ended, and the report unless it was stopped.

        Raises:
          ValueError: `log_dir` is in use or damaged, or the model to begin from has no checkpoint.
          NumericsError: a gradient is not finite.
        """
        with self._log_dir.locked():
            done = self._begin()
            before = self._before(done)
            with Progress("tune", total=self._num_steps, initial=done) as progress, \
                    self.model.make_writer(done) as writer:
                if done:
                    progress.write(f"step {done}: going on from here")
                trained = self._loop(save_every, max_minutes, should_stop, writer, progress)
            if trained.stop_reason == "stopped":
                return trained, None
            report = Report(trained.step, self._tuned.settings.report_samples, before,
                            self.measure())
            self._write(report)
            return trained, report

    def measure(self) -> Measured:
        """What the model does as it is now."""
        drawn = self._drawn()
        heard = [rewards.sounding(roll, self.model.hparams.frames) for roll in drawn]
        kept = [counterpoint.shares_of_bars(roll, self._bar) for roll in heard]
        rules = {name: float(np.mean([shares[name] for shares in kept])) for name in kept[0]}
        return Measured(
            float(np.mean([rewards.by_frame(self._reward, roll).sum() for roll in heard])),
            rules, float(np.mean(list(rules.values()))), self._held_out())

    def _drawn(self) -> list[np.ndarray]:
        """The samples that are measured."""
        settings = self._tuned.settings
        count, size = settings.report_samples, settings.batch_size
        drawn: list[np.ndarray] = []
        with Progress("measure", total=count, unit="sample") as progress:
            # As many at once as in an update, so that the sampler is compiled for one size only.
            for first in range(0, count, size):
                drawn += self.model.compose(
                    num_samples=size, length=settings.bars * self._bar,
                    seed=_REPORT_SEED + self._seed + (first << 32))
                progress.advance(min(size, count - first))
        return drawn[:count]

    def _begin(self) -> int:
        """Makes the run, or restores it; the step to go on from."""
        begun = self._log_dir.exists
        step = self._checkpoints.restore(self._objects) if begun else None
        if step is None:
            start = Checkpoints(LogDir(self._tuned.start, PROGRAM).checkpoints)
            for made in (self.model, self._prior):
                if start.restore({"gen_core": made.gen_core}, best=True) is None:
                    raise UsageError(f"--from: expected a checkpoint in {self._tuned.start!r}, "
                                     "found none. Train first.")
            if not begun:
                self._tuned.save(self._log_dir)
                self.model.save_files()
                self._log_dir.create(self.model.hparams, self._seed)
            self._checkpoints.save(0, self._objects)
            step = 0
        self.model.restore()
        return step

    def _before(self, step: int) -> Measured:
        """What the model did at step 0; measured there, and kept."""
        if step:
            return read_report(self._log_dir).before
        before = self.measure()
        self._write(Report(0, self._tuned.settings.report_samples, before, before))
        return before

    def _loop(
        self, save_every: int, max_minutes: float, should_stop: Callable[[], bool],
        writer: Writer, progress: Progress,
    ) -> TrainResult:
        num_steps = self._num_steps
        began, first_step_seconds, reason = time.monotonic(), 0.0, "done"
        data = self.model.data_set([piece.roll for piece in self._music.train])
        step = saved = int(self._ops.step)
        while step < num_steps:
            made = self._ops(data.batch(step))
            step += 1
            self._recent.assign_add([*made, 1.0])
            first_step_seconds = first_step_seconds or time.monotonic() - began
            progress.advance(1, reward=made.reward, kl=made.kl)
            if step % save_every == 0 or step == num_steps:
                self._tell(step, writer, progress)
                self._checkpoints.save(step, self._objects)
                saved = step
                self.model.after_validation(step, writer, progress.write)
            stopped = should_stop()
            if step < num_steps and (stopped or time.monotonic() - began > 60 * max_minutes):
                reason = "stopped" if stopped else "time"
                break
        if step > saved:
            self._checkpoints.save(step, self._objects)
        return TrainResult(step, reason, math.inf, first_step_seconds)

    def _tell(self, step: int, writer: Writer, progress: Progress) -> None:
        """Writes the averages since the last line, and the held-out score."""
        *sums, count = self._recent.numpy()
        values = {name: total / count for name, total in zip(TuneStep._fields, sums)}
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
        """Nats per frame of the held-out music, if there is any."""
        held_out = [piece.roll for piece in self._music.valid]
        return self.model.evaluate(held_out).nats_per_step if held_out else None

    def _write(self, report: Report) -> None:
        self._log_dir.write(_REPORT, json.dumps(report.as_dict(), indent=2) + "\n")

    def _make_ops(self, num_steps: int) -> TuneOps:
        hparams, settings = self.model.hparams, self._tuned.settings
        return TuneOps(
            self.model.gen_core, self._prior.gen_core,
            bounds.make(hparams.train_bound, hparams.train_samples,
                        monte_carlo=hparams.use_monte_carlo_kl, free_bits=hparams.free_bits),
            rewards=self._rewards, num_samples=settings.batch_size,
            length=settings.bars * self._bar, strength=settings.strength,
            discount=settings.discount, likelihood=settings.likelihood,
            learning_rate=lambda step: schedules.learning_rate(
                step, highest=settings.learning_rate, schedule="cosine", num_steps=num_steps,
                warmup_steps=_WARMUP, final=_FINAL),
            clip_gradient_norm=hparams.clip_gradient_norm, seed=seeds.make(self._seed))

    def _rewards(self, observed: Nest) -> np.ndarray:
        """Of samples, a nest of `[B, T, ...]`: `[B, T]`."""
        rows = range(len(tf.nest.flatten(observed)[0]))
        drawn = [observations.to_roll(
            tf.nest.map_structure(lambda leaf, row=row: leaf[row], observed), self.model.hparams)
            for row in rows]
        grid = self.model.hparams.frames
        return np.stack([
            rewards.by_frame(self._reward, rewards.sounding(roll, grid)) for roll in drawn])


def read_report(log_dir: LogDir) -> Report:
    """The report in a log directory; raises ValueError where it is damaged."""
    try:
        values = json.loads(log_dir.read(_REPORT))
        before, after = (Measured(**values.pop(name)) for name in ("before", "after"))
        for made in (before, after):
            _check_numbers([made.reward, made.rules_kept, *made.rules.values()])
            _check_numbers([] if made.nats_per_step is None else [made.nats_per_step])
        return Report(before=before, after=after, **values)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _REPORT)!r}: expected a JSON object of what was measured. The "
            "log directory is damaged; begin anew in another.") from None


def _check_numbers(values: list[Any]) -> None:
    if not all(type(value) in (int, float) for value in values):
        raise TypeError(values)
