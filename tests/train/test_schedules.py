# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Schedules against closed forms."""

import math
from typing import get_args, get_type_hints

import pytest

from tests import small
from vaeseq.hparams import HParams
from vaeseq.nn import parallel
from vaeseq.train import schedules
from vaeseq.train.ops import TrainOps, shards_of


@pytest.mark.parametrize("start", [0.0, 1e-5, 0.5, 1.0])
def test_distance_of_the_kl_weight_to_one_halves(start):
    distance = 1 - start
    for halvings in range(6):
        weight = schedules.kl_weight(17.0 * halvings, start=start, half=17.0)
        assert weight == pytest.approx(1 - distance, rel=1e-12)
        distance /= 2


def test_half_life_of_zero_is_the_limit_of_short_ones():
    assert schedules.kl_weight(0, start=0.0, half=0.0) == 1
    assert schedules.kl_weight(1, start=0.0, half=1e-3) == pytest.approx(1)


def test_warmup_is_linear_and_never_zero():
    factors = [schedules.warmup(step, num_steps=4) for step in range(7)]
    assert factors == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


def test_cosine_at_known_angles():
    at = lambda step: schedules.cosine(step, num_steps=120, final=0.2)  # noqa: E731
    quarter = 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2
    assert [at(0), at(30), at(60)] == pytest.approx([1.0, quarter, 0.6])
    assert [at(120), at(10**9)] == pytest.approx([0.2, 0.2])


def test_exponential_halves():
    assert schedules.exponential(75, half=25.0) == pytest.approx(0.125)


def test_default_half_lives_are_shares_of_the_run_and_numbers_are_kept():
    assert [schedules.kl_half("auto", num_steps) for num_steps in (300, 5000, 10**6)] == [
        30, 500, 1000]
    assert [schedules.learning_rate_half("auto", num_steps) for num_steps in (300, 10**6)] == [
        75, 250_000]
    assert schedules.kl_half(0, 300) == 0
    assert schedules.kl_half(700.0, 300) == schedules.learning_rate_half(700.0, 300) == 700
    assert HParams().divergence_strength_half == HParams().learning_rate_half == "auto"
    assert HParams().parse("divergence_strength_half=30").divergence_strength_half == 30


def test_every_run_charges_the_whole_kl_at_its_end():
    gen_core = small.gen_core("RNN")
    for num_steps in (10, 300, 5000, 10**6):
        ops = TrainOps.from_hparams(gen_core, HParams(), num_steps=num_steps, seed=0)
        assert ops.kl_weight(0) < 0.001 and ops.kl_weight(num_steps) > 0.999


@pytest.mark.parametrize(("overrides", "cores", "replicas", "expected"), [
    ("", 24, 1, 24), ("num_shards=3", 24, 1, 3), ("train_bound=mmd", 24, 1, 2),
    ("train_bound=mmd", 2, 1, 2), ("train_bound=mmd", 24, 2, 1),
    ("train_bound=mmd,batch_size=6", 24, 1, 1), ("train_bound=mmd,num_shards=8", 2, 1, 8)])
def test_shards_leave_mmd_rows_to_compare(monkeypatch, overrides, cores, replicas, expected):
    monkeypatch.setattr(parallel, "default_shards", lambda: cores)
    assert shards_of(HParams().parse(overrides), replicas) == expected


@pytest.mark.parametrize("overrides", ["batch_size=1", "num_shards=16", "num_shards=9"])
def test_mmd_refuses_shards_of_one_row(overrides):
    hparams = HParams().parse(f"train_bound=mmd,{overrides}")
    with pytest.raises(ValueError, match="compares the rows of a shard; expected at least 2"):
        shards_of(hparams)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_learning_rate_is_a_product(schedule):
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
def test_numbers_out_of_range_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_choice_of_the_hyperparameter_is_a_schedule():
    choices = get_args(get_type_hints(HParams)["learning_rate_schedule"])
    assert len(choices) == 3
    for schedule in choices:
        assert 0 < schedules.learning_rate(1, highest=0.1, schedule=schedule, num_steps=9) <= 0.1
