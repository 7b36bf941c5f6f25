# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints are promises: runs of earlier versions give what they gave (see `cases`)."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from tests.golden import cases

pytestmark = pytest.mark.golden

# A float32 has 24 bits; another machine adds up some tens of numbers in another order, over 20
# steps whose errors may add up: 2**-24 * 50 * 20 = 6e-5 of figures of the size of one.
TOLERANCE = {"rtol": 6e-5, "atol": 6e-5}


@pytest.mark.parametrize("name", cases.NAMES)
def test_scores_and_samples(name):
    expected = json.loads((cases.RUNS / name / "expected.json").read_text())
    found = cases.figures(name, cases.RUNS / name)
    np.testing.assert_allclose(found["nats"], expected["nats"], **TOLERANCE)
    np.testing.assert_allclose(found["divergence"], expected["divergence"], **TOLERANCE)
    # A draw changes where a random number is within a rounding error of a boundary: one of 20
    # symbols in some 10,000 machines, one of 160 notes in some 1,000.
    assert found["sample"] == expected["sample"]


def test_a_run_goes_on(tmp_path):
    """From the optimizer, the data, the carried states and the random numbers it had."""
    log_dir = tmp_path / "log"
    shutil.copytree(cases.RUNS / "text-rnn", log_dir)
    cases.train("text-rnn", log_dir, cases.NUM_STEPS + 1)
    expected = json.loads((log_dir / "expected.json").read_text())["next"]
    found = cases.last_metrics(log_dir)
    assert found["step"] == cases.NUM_STEPS + 1
    for key in ("loss", "nats_per_step", "gradient_norm"):
        np.testing.assert_allclose(found[key], expected[key], **TOLERANCE)


def test_they_are_small_and_know_no_machine():
    files = [path for path in cases.RUNS.rglob("*") if path.is_file()]
    assert {path.relative_to(cases.RUNS).parts[0] for path in files} == set(cases.NAMES)
    assert sum(path.stat().st_size for path in files) < 400_000
    for path in files:
        assert not re.search(rb"/(home|root|tmp|usr|Users|work)\b", path.read_bytes()), path
