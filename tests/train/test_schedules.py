# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Schedules against closed forms, in Python, as tensors and compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from vaeseq import hparams
from vaeseq.train import schedules

SCHEDULES = {
    "strength": lambda step: schedules.kl_weight(step, start=0.2, half=30.0),
    "strength at once": lambda step: schedules.kl_weight(step, start=0.2, half=0.0),
    "warmup": lambda step: schedules.warmup(step, num_steps=40),
    "no warmup": lambda step: schedules.warmup(step, num_steps=0),
    "cosine": lambda step: schedules.cosine(step, num_steps=90, final=0.1),
    "exponential": lambda step: schedules.exponential(step, half=25.0),
    "all": lambda step: schedules.learning_rate(
        step, highest=0.3, schedule="cosine", num_steps=90, warmup_steps=10, final=0.1
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_tensors_and_compiled_steps_give_what_python_gives(name):
    schedule = SCHEDULES[name]
    steps = [0, 1, 7, 40, 89, 90, 91, 100_000]
    expected = np.array([schedule(step) for step in steps])
    eager = schedule(tf.constant(steps, tf.int64))
    compiled = tf.function(schedule, jit_compile=True)(tf.constant(steps, tf.float64))
    assert eager.dtype == tf.float32
    np.testing.assert_allclose(eager, expected, rtol=2e-6)
    np.testing.assert_allclose(compiled, expected, rtol=1e-12)


def test_a_variable_is_a_step():
    step = tf.Variable(40, dtype=tf.int64)
    np.testing.assert_allclose(SCHEDULES["cosine"](step), SCHEDULES["cosine"](40), rtol=1e-6)


@pytest.mark.parametrize("start", [0.0, 1e-5, 0.5, 1.0])
def test_the_distance_of_the_strength_to_one_halves(start):
    distance = 1 - start
    for halvings in range(6):
        strength = schedules.kl_weight(17.0 * halvings, start=start, half=17.0)
        assert strength == pytest.approx(1 - distance, rel=1e-12)
        distance /= 2


def test_a_strength_without_half_life_is_one_from_the_first_step():
    assert schedules.kl_weight(0, start=0.0, half=0.0) == 1


def test_a_short_half_life_tends_to_none():
    short = schedules.kl_weight(1, start=0.0, half=1e-3)
    assert short == pytest.approx(schedules.kl_weight(1, start=0.0, half=0.0))


def test_warmup_is_a_line_that_never_stands_at_nought():
    factors = [schedules.warmup(step, num_steps=4) for step in range(7)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


def test_cosine_at_known_angles():
    at = lambda step: schedules.cosine(step, num_steps=120, final=0.2)  # noqa: E731
    quarter = 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2
    assert [at(0), at(30), at(60)] == pytest.approx([1.0, quarter, 0.6])
    assert [at(120), at(10**9)] == pytest.approx([0.2, 0.2])


def test_exponential_halves():
    assert schedules.exponential(75, half=25.0) == pytest.approx(0.125)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_the_learning_rate_is_a_product(schedule):
    factor = {
        "constant": 1.0,
        "cosine": schedules.cosine(5, num_steps=50, final=0.1),
        "exponential": schedules.exponential(5, half=7.0),
    }[schedule]
    rate = schedules.learning_rate(
        5, highest=0.02, schedule=schedule, num_steps=50, warmup_steps=9, final=0.1, half=7.0
    )
    assert rate == pytest.approx(0.02 * 0.6 * factor)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.kl_weight(0, start=1.5, half=1.0), "start: .* got 1.5"),
        (lambda: schedules.kl_weight(0, start=math.nan, half=1.0), "got nan"),
        (lambda: schedules.kl_weight(0, start=0.0, half=-1.0), "half: .* got -1"),
        (lambda: schedules.cosine(0, num_steps=0, final=0.0), "num_steps: .* got 0"),
        (lambda: schedules.exponential(0, half=0.0), "above 0; got 0"),
        (lambda: schedules.learning_rate(0, highest=1.0, schedule="step"), "got 'step'"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_schedule_that_a_hyperparameter_can_name_exists():
    row = next(r for r in hparams.HParams.help_rows() if r[0] == "learning_rate_schedule")
    for name in ("constant", "cosine", "exponential"):
        assert repr(name) in row[2]
    assert row[2].count("'") == 6
