# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training loop: real episodes, updates, evaluations and checkpoints.

A run is a series of rounds. Each plays whole episodes and makes the updates that are due. A session
ends between rounds or updates, where no episode is open, so that a checkpoint needs no state of an
environment; the next one begins with the updates that are left.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.train.metrics import JsonLines, MultiWriter, TensorBoard, Writer

from ..envs import env
from ..envs.vector_env import VectorEnv
from ..hparams import PlayHParams
from .learner import Learner

PROGRAM = "vaeseq-play"
_NUM_RANDOM_ENVS = 8  # environments of the first, random round; more are no faster

# Metrics of episodes and updates, averaged since the previous evaluation.
_METRICS = (
    ("games", "score"), ("model", "nats_per_step"), ("model", "kl"),
    ("model", "gradient_norm"), ("policy", "imagined_return"), ("policy", "value_loss"),
    ("policy", "entropy"), ("policy", "policy_gradient_norm"), ("policy", "value_gradient_norm"))


class TrainingResult(NamedTuple):
    """How a session ended."""

    real_steps: int  # of the environment, over all sessions
    reason: str  # "done", "stopped" or "time"
    best: float  # the best mean score of an evaluation; NaN where there was none
    last: float  # that of the last evaluation
    nothing_to_do: bool  # the run had reached its last step before


def run(
    hparams: PlayHParams, log_dir: LogDir, *, num_steps: int, seed: int,
    max_minutes: float = math.inf, should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Trains on a game; resumes the run in `log_dir` if there is one.

    The limit `num_steps` is of real steps over all sessions, and the last episode is played to its
    end; that of `max_minutes` is of this session. `should_stop` is called after every update.

    Raises:
      UsageError: the environment is not registered or not supported.
      ValueError: `log_dir` holds another run, or is in use; the environment failed.
      NumericsError: a gradient is not finite.
    """
    game = env.game(hparams.game, hparams.observed_indices)
    with log_dir.locked():
        is_new = not log_dir.exists
        if not is_new:
            log_dir.check_same(hparams, seed)
        learner = Learner(hparams, game, seed=seed)  # refuses what cannot be built
        if is_new:
            log_dir.create(hparams, seed)
        session = _Session(learner, Checkpoints(log_dir.checkpoints))
        restored = session.restore()
        with Progress("train", total=num_steps, initial=min(restored, num_steps),
                      unit="step") as progress, _writer(log_dir, session.evaluated) as writer:
            if restored:
                progress.write(f"step {restored}: resumed")
            return session.run(num_steps, writer, progress, max_minutes, should_stop)


class _Session:
    """The loop, with the averages and evaluations that it saves beside the learner."""

    def __init__(self, learner: Learner, checkpoints: Checkpoints):
        self._learner = learner
        self._hparams = learner.hparams
        self._checkpoints = checkpoints
        self._averages = _Averages()
        self._evaluated = tf.Variable([0.0, -math.inf, math.nan], trainable=False,
                                      dtype=tf.float64)  # at which step, best, last
        self._objects = {
            **learner.objects, "averages": self._averages, "evaluated": self._evaluated}
        self._is_saved = True
        self._has_worked = False  # in this session

    def restore(self) -> int:
        """Restores the latest checkpoint, if there is one; returns its real step."""
        self._checkpoints.restore(self._objects)
        return self._learner.real_steps

    @property
    def evaluated(self) -> int:
        """The real step of the last evaluation; 0 before the first."""
        return int(self._evaluated.numpy()[0])

    def run(
        self, num_steps: int, writer: Writer, progress: Progress, max_minutes: float,
        should_stop: Callable[[], bool],
    ) -> TrainingResult:
        """Trains until `num_steps`, the time limit or a request to stop."""
        learner, began = self._learner, time.monotonic()

        def why_over() -> str:
            """Returns why the session is to end before its last step; "" if it is not."""
            late = time.monotonic() - began > 60 * max_minutes
            return "stopped" if should_stop() else "time" if late else ""

        reason = ""
        envs = max(_NUM_RANDOM_ENVS, self._hparams.games_per_round)
        with VectorEnv(learner.game, envs) as games, VectorEnv(
                learner.game, self._hparams.eval_games) as others:
            while not (reason := self._update(progress, why_over)):
                if self._is_due(num_steps):
                    self._evaluate(others, writer, progress)
                reason = "done" if learner.real_steps >= num_steps else why_over()
                if reason:
                    break
                self._collect(games, progress, num_steps)
        if not self._is_saved:
            self._save(best=False)
        _, best, last = self._evaluated.numpy().tolist()
        return TrainingResult(
            learner.real_steps, reason, best if best > -math.inf else math.nan, last,
            nothing_to_do=reason == "done" and not self._has_worked)

    def _update(self, progress: Progress, why_over: Callable[[], str]) -> str:
        """Makes the updates that are due; returns why the session ends before the last of them."""
        for number, (kind, metrics) in enumerate(self._learner.updates(), 1):
            self._is_saved, self._has_worked = False, True
            self._averages.add(kind, [metrics])
            progress.advance(0, 0, updates=number)
            reason = why_over()
            if reason:
                return reason
        return ""

    def _collect(self, games: VectorEnv, progress: Progress, num_steps: int) -> None:
        """Plays the episodes of a round."""
        learner, before = self._learner, self._learner.real_steps
        self._is_saved, self._has_worked = False, True
        self._averages.add("games", learner.collect(games))
        new_steps = learner.real_steps - before
        progress.advance(min(new_steps, max(num_steps - before, 0)), new_steps,
                         score=self._averages.means()["score"])

    def _is_due(self, num_steps: int) -> bool:
        """Returns whether a multiple of `eval_every` was passed since the last evaluation."""
        step, every = self._learner.real_steps, self._hparams.eval_every
        last = self.evaluated
        return step > last and (step // every > last // every or step >= num_steps)

    def _evaluate(self, games: VectorEnv, writer: Writer, progress: Progress) -> None:
        """Plays greedily, writes the metrics and saves a checkpoint."""
        step, scores = self._learner.real_steps, self._learner.evaluate(games)
        self._has_worked = True
        best, mean = float(self._evaluated[1]), float(scores.mean())
        is_best = mean > best
        self._evaluated.assign([step, max(mean, best), mean])
        writer.scalars(step, {
            "eval_mean": mean, "eval_median": float(np.median(scores)),
            "eval_min": float(scores.min()), "eval_std": float(scores.std()),
            **self._averages.means(), "games": self._learner.replay.episodes_added})
        writer.flush()
        self._averages.clear()
        self._save(best=is_best)
        progress.write(f"step {step}: mean score {mean:.1f} of {len(scores)} greedy games"
                       + (", the best so far" if is_best else ""))

    def _save(self, *, best: bool) -> None:
        self._checkpoints.save(self._learner.real_steps, self._objects, best=best)
        self._is_saved = True


class _Averages(tf.Module):
    """Averages of metrics between two evaluations."""

    def __init__(self) -> None:
        super().__init__(name="averages")
        # The sum and the count of each metric.
        self._totals = tf.Variable(np.zeros([len(_METRICS), 2]), trainable=False)

    def add(self, kind: str, items: Sequence[NamedTuple]) -> None:
        """Adds the metrics of episodes or updates."""
        if items:
            sums = self._totals.numpy()
            for row, (of, name) in enumerate(_METRICS):
                if of == kind:
                    sums[row] += sum(getattr(item, name) for item in items), len(items)
            self._totals.assign(sums)

    def means(self) -> dict[str, float]:
        """Returns the averages by name; NaN where nothing was added."""
        return {name: total / count if count else math.nan
                for (_, name), (total, count) in zip(_METRICS, self._totals.numpy())}

    def clear(self) -> None:
        """Resets the averages."""
        self._totals.assign(np.zeros_like(self._totals.numpy()))


def _writer(log_dir: LogDir, last_step: int) -> Writer:
    return MultiWriter([JsonLines(log_dir.metrics, last_step=last_step),
                        TensorBoard(log_dir.events)])
