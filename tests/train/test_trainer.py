# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The training loop: periods, resuming, and checkpoints after a crash."""

import io
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq.bounds import ELBO
from vaeseq.data import Streams
from vaeseq.evaluate.likelihood import Score
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.runs.progress import Progress
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.metrics import Writer
from vaeseq.train.ops import TrainOps
from vaeseq.train.trainer import Callback, Periods, Trainer

pytestmark = pytest.mark.contract


class Recorder(Writer):
    """Collects scalars."""

    def __init__(self):
        self.lines = []

    def scalars(self, step, values):
        self.lines.append((step, dict(values)))


def score(nats_per_step):
    return Score(-nats_per_step, 1, "exact", 1, 0.0, 0.0, np.zeros(0), 1.0)


@pytest.fixture(scope="module")
def traced_ops():
    model = small.gen_core("RNN")
    ops = TrainOps(SequenceLoss(model.agent, model.core, ELBO()), learning_rate=lambda step: 0.01,
                   jit_compile=False, seed=small.SEED)
    ops.build(data().batch(0))
    return ops, [variable.numpy() for variable in ops.variables]


@pytest.fixture
def ops(traced_ops):
    """Operations with their first weights, traced once for all tests."""
    ops, initial = traced_ops
    for variable, value in zip(ops.variables, initial, strict=True):
        variable.assign(value)
    return ops


def data():
    return Streams(small.reals(60).numpy(), 2, 5, seed=0)


def make(ops, directory, scores=(), **options):
    remaining = iter(scores)
    if scores:
        options["validate"] = lambda should_stop: score(next(remaining))
    return Trainer(ops, data(), Checkpoints(directory), objects={"extra": tf.Variable(1.0)},
                   periods=Periods(log=2, valid=4), **options)


def go(trainer, num_steps, **options):
    writer = Recorder()
    with Progress("train", total=num_steps, unit="step", file=io.StringIO()) as progress:
        trained = trainer.run(num_steps, writer, progress, **options)
    return trained, writer.lines


def test_metrics_validation_and_checkpoints_follow_the_periods(ops, tmp_path):
    shown = []
    trainer = make(ops, tmp_path, [3.0, 1.0, 2.0],
                   after_validation=lambda step, writer, log: shown.append(step))
    trained, lines = go(trainer, 10)
    assert [step for step, _ in lines] == [2, 4, 6, 8, 10]
    assert [step for step, values in lines if "valid_nats_per_step" in values] == [4, 8, 10]
    assert shown == [4, 8, 10]
    assert (trained.step, trained.stop_reason, trained.best) == (10, "done", 1.0)
    assert Checkpoints(tmp_path).steps() == [4, 8, 10]
    assert Checkpoints(tmp_path).steps("best") == [8]


def test_without_validation_no_checkpoint_is_the_best(ops, tmp_path):
    trained, lines = go(make(ops, tmp_path), 4)
    assert trained.best == math.inf
    assert Checkpoints(tmp_path).steps("best") == []
    assert not any("valid_nats_per_step" in values for _, values in lines)


def test_line_of_metrics_is_an_average_since_the_last_line(ops, tmp_path):
    before = [variable.numpy() for variable in ops.variables]
    steps, state = [], ops.initial_state(2)
    for number in range(4):
        metrics, state = ops(data().batch(number), state)
        steps.append(metrics)
    for variable, value in zip(ops.variables, before):
        variable.assign(value)
    _, lines = go(make(ops, tmp_path), 4)
    assert len(lines) == 2
    for i, (_, values) in enumerate(lines):
        for name in ("loss", "nats_per_step", "gradient_norm"):
            expected = np.mean([getattr(metrics, name) for metrics in steps[2 * i:2 * i + 2]])
            assert values[name] == pytest.approx(expected)


@pytest.mark.parametrize("last", [1, 3, 4])
def test_resumed_run_equals_uninterrupted_run(ops, tmp_path, last):
    before = [variable.numpy() for variable in ops.variables]
    uninterrupted, lines = go(make(ops, tmp_path / "whole", [2.0, 1.0]), 6)
    expected = [variable.numpy() for variable in ops.variables]
    for variable, value in zip(ops.variables, before):
        variable.assign(value)
    calls = iter(range(1, 100))
    trained, first = go(make(ops, tmp_path / "cut", [2.0]), 6,
                        should_stop=lambda: next(calls) == last)
    assert (trained.step, trained.stop_reason) == (last, "stopped")
    assert next(calls) == last + 1
    for variable in ops.variables:
        variable.assign(tf.zeros_like(variable))
    resumed = make(ops, tmp_path / "cut", [1.0] if last == 4 else [2.0, 1.0])
    assert resumed.restore() == last
    trained, second = go(resumed, 6)
    small.same([variable.numpy() for variable in ops.variables], expected)
    assert trained.best == uninterrupted.best == 1.0
    assert [step for step, _ in first + second] == [2, 4, 6]
    for (_, one), (_, other) in zip(first + second, lines):
        assert one == other


@pytest.mark.parametrize("write", [1, 2, 3])
def test_kill_between_the_files_of_a_save_leaves_a_run_that_resumes(
        ops, tmp_path, monkeypatch, write):
    go(make(ops, tmp_path, [2.0]), 4)
    calls = itertools.count(1)
    plain = Checkpoints._write

    def killed(self, path, objects):
        plain(self, path, objects)
        if next(calls) == write:
            raise KeyboardInterrupt

    trainer = make(ops, tmp_path, [1.0])
    trainer.restore()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "_write", killed)
        go(trainer, 8)
    resumed = make(ops, tmp_path, [1.0])
    resumed.restore()
    go(resumed, 8)
    assert Checkpoints(tmp_path).steps() == [4, 8] and Checkpoints(tmp_path).steps("best") == [8]


def test_finished_run_makes_no_update(ops, tmp_path):
    go(make(ops, tmp_path), 4)
    trained, lines = go(make(ops, tmp_path), 4)
    assert (trained.step, trained.stop_reason, lines) == (4, "done", [])


def test_error_in_validation_loses_no_update(ops, tmp_path):
    def fail(should_stop):
        raise RuntimeError("validation broke")

    trainer = make(ops, tmp_path, validate=fail)
    with pytest.raises(RuntimeError, match="validation broke"):
        go(trainer, 8)
    assert make(ops, tmp_path).restore() == 4


@pytest.mark.parametrize("last", [4, 6])
@pytest.mark.parametrize("reason", ["stopped", "time"])
def test_validation_that_was_interrupted_is_repeated_by_the_resumed_run(
        ops, tmp_path, last, reason):
    def never_ends(should_stop):
        while not should_stop():
            pass

    before = [variable.numpy() for variable in ops.variables]
    _, lines = go(make(ops, tmp_path / "whole", [2.0, 1.0]), 6)
    for variable, value in zip(ops.variables, before):
        variable.assign(value)
    if last == 6:
        go(make(ops, tmp_path / "cut", [2.0]), 6, should_stop=lambda: int(ops.step.numpy()) == 5)
    cut = make(ops, tmp_path / "cut", validate=never_ends)
    cut.restore()
    stop = ({"max_minutes": 1 / 600} if reason == "time"
            else {"should_stop": lambda: int(ops.step.numpy()) == last})
    trained, first = go(cut, 6, **stop)
    assert (trained.step, trained.stop_reason, trained.best) == (
        last, reason, math.inf if last == 4 else 2.0)
    assert Checkpoints(tmp_path / "cut").steps()[-1] == last
    assert last not in [step for step, _ in first]
    resumed = make(ops, tmp_path / "cut", [2.0, 1.0] if last == 4 else [1.0])
    assert resumed.restore() == last and resumed.is_validation_pending(6)
    trained, second = go(resumed, 6)
    assert (trained.step, trained.best) == (6, 1.0)
    assert second == lines[-len(second):] and second[0][0] == last
    assert not resumed.is_validation_pending(6)


def test_a_validation_longer_than_every_session_ends_in_the_second(ops, tmp_path):
    def long(should_stop):
        return None if any(should_stop() for _ in range(3)) else score(2.0)

    for expected in ((4, "time", math.inf), (4, "time", 2.0), (5, "time", 2.0)):
        trainer = make(ops, tmp_path, validate=long)
        if trainer.restore() == 0:
            go(trainer, 12, should_stop=lambda: int(ops.step.numpy()) == 3)
        trained, _ = go(trainer, 12, max_minutes=0.0)
        assert (trained.step, trained.stop_reason, trained.best) == expected
    pending = make(ops, tmp_path / "pending", validate=long)
    go(pending, 12, should_stop=lambda: int(ops.step.numpy()) == 8)
    assert pending.is_validation_pending(12)
    trained, _ = go(pending, 12, should_stop=lambda: True)
    assert (trained.step, trained.stop_reason) == (8, "stopped")
    assert pending.is_validation_pending(12)


def test_training_stops_after_validations_without_improvement_also_when_resumed(ops, tmp_path):
    trained, lines = go(make(ops, tmp_path, [2.0, 1.0, 3.0], patience=2), 12)
    assert (trained.step, trained.stop_reason) == (12, "done")
    resumed = make(ops, tmp_path, [1.0, 9.0], patience=2)
    resumed.restore()
    trained, _ = go(resumed, 40)
    assert (trained.step, trained.stop_reason, trained.best) == (16, "patience", 1.0)
    assert Checkpoints(tmp_path).steps("best") == [8]
    again = make(ops, tmp_path, [0.0], patience=2)
    again.restore()
    assert go(again, 40)[0][:2] == (16, "patience")


def test_a_best_score_counts_for_the_data_that_it_was_of(ops, tmp_path, capsys):
    def resumed(last, scores=(), **options):
        trainer = make(ops, tmp_path, scores, patience=2, **options)
        trainer.restore()
        result = go(trainer, last)[0]
        return result.step, result.best, Checkpoints(tmp_path).steps("best")

    assert resumed(8, [1.0, 2.0], valid_checksum=7) == (8, 1.0, [4])
    assert resumed(12) == (12, 1.0, [4])
    assert resumed(40, [3.0, 4.0], valid_checksum=7) == (16, 1.0, [4])
    assert resumed(40, [5.0, 6.0, 4.0, 7.0, 7.0], valid_checksum=8) == (36, 4.0, [28])


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_checkpoint_without_a_checksum_keeps_its_best_score(ops, tmp_path, is_ours):
    first = make(ops, tmp_path, [1.0])
    if not is_ours:
        del first._further["valid_checksum"]
    go(first, 4)
    trainer = make(ops, tmp_path, [2.0], valid_checksum=7)
    trainer.restore()
    assert go(trainer, 8)[0].best == (2.0 if is_ours else 1.0)


class Counter(Callback):
    def __init__(self):
        self.state = tf.Variable(0)
        self.scores = []

    def on_step(self, step, metrics):
        self.state.assign_add(metrics.num_steps)

    def on_validation(self, step, score):
        self.scores.append((step, score.nats_per_step))


def test_state_of_a_callback_is_restored_and_a_new_callback_may_join(ops, tmp_path):
    go(make(ops, tmp_path, [2.0]), 4)
    for last, expected in ((8, 4 * 10), (12, 8 * 10)):
        counter = Counter()
        trainer = make(ops, tmp_path, [float(last)], callbacks=[counter])
        trainer.restore()
        go(trainer, last)
        assert (int(counter.state), counter.scores) == (expected, [(last, float(last))])
    with pytest.raises(ValueError, match="callbacks of different names"):
        make(ops, tmp_path, callbacks=[Counter(), Counter()])


@pytest.mark.parametrize("kls, is_told", [([0.0, 0.005], True), ([0.0, 0.02], False), ([], False)])
def test_collapse_of_the_posterior_is_said_once(ops, tmp_path, capsys, kls, is_told):
    score_ = score(1.0)._replace(latent_kl=np.array(kls))
    trainer, log = make(ops, tmp_path, validate=lambda should_stop: score_), io.StringIO()
    with Progress("train", total=8, unit="step", file=log) as progress:
        trainer.run(8, Recorder(), progress)
    assert log.getvalue().count("posterior collapse: no latent dimension") == is_told


@pytest.mark.parametrize("vae_type, weight, minutes, is_told", [
    ("ISEQ", 0.3, 0.0, True), ("ISEQ", 0.95, 0.0, False), ("RNN", 0.3, 0.0, False),
    ("ISEQ", 0.3, math.inf, False), ("ISEQ", 1.0, 0.0, False)])
def test_time_that_is_up_within_kl_annealing_is_said(
        tmp_path, eagerly, vae_type, weight, minutes, is_told):
    model = small.gen_core(vae_type)
    ops = TrainOps(SequenceLoss(model.agent, model.core, ELBO()), learning_rate=lambda step: 0.01,
                   kl_weight=lambda step: 0.2 * (1 if step == 2 else weight),
                   jit_compile=False, seed=small.SEED)
    ops.build(data().batch(0))
    log = io.StringIO()
    with Progress("train", total=2, unit="step", file=log) as progress:
        make(ops, tmp_path).run(2, Recorder(), progress, max_minutes=minutes)
    assert ("time is up at 0.30 of the last KL weight" in log.getvalue()) == is_told
