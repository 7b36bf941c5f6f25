# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Runs saved by earlier versions load and give the same figures (see `cases`)."""

import json
import re
import shutil

import numpy as np
import pytest

from tests.golden import cases
from vaeseq.vae import VAE_TYPES

pytestmark = pytest.mark.golden

# A float32 has 24 bits. Another machine may sum tens of numbers in another order, and the errors of
# 20 steps may accumulate: 2**-24 * 50 * 20 = 6e-5 of figures of order one.
TOLERANCE = {"rtol": 6e-5, "atol": 6e-5}
# In GAUSSDIFF's bound a rounding error of an observation near 1 counts 2**-24 / 1e-3 (the least
# noise) * 23 (the rate of g) * 2 (sequences destroyed in two parts) = 3e-3, times a normal number.
COARSE = {("numbers-gaussdiff", "nats"): {**TOLERANCE, "atol": 1e-2}}


@pytest.mark.parametrize("name", cases.NAMES)
def test_scores_and_samples_are_those_of_the_saved_run(name):
    expected = json.loads((cases.RUNS / name / "expected.json").read_text())
    actual = cases.figures(name, cases.RUNS / name)
    # A sample of symbols differs if a random number is within a rounding error of a boundary: for
    # 20 symbols on about one machine in 10,000, for 160 notes in 1,000.
    for key, values in actual.items():
        tolerance = COARSE.get((name, key), TOLERANCE)
        np.testing.assert_allclose(values, expected[key], **tolerance, err_msg=key)


def test_every_core_of_the_registry_has_a_saved_run():
    kinds = {name.partition("-")[2].upper() for name in cases.NAMES}
    assert kinds == set(VAE_TYPES)


@pytest.mark.xla  # which draws other random numbers from a seed
def test_a_saved_run_resumes_with_the_same_next_step(tmp_path):
    log_dir = tmp_path / "log"
    shutil.copytree(cases.RUNS / cases.RESUMED, log_dir)
    cases.train(cases.RESUMED, log_dir, cases.NUM_STEPS + 1)
    expected = json.loads((log_dir / "expected.json").read_text())["next"]
    actual = cases.last_metrics(log_dir)
    assert actual["step"] == cases.NUM_STEPS + 1
    for key in ("loss", "nats_per_step", "gradient_norm"):
        np.testing.assert_allclose(actual[key], expected[key], **TOLERANCE)


def test_saved_runs_are_small_and_contain_no_paths():
    files = [path for path in cases.RUNS.rglob("*") if path.is_file()]
    assert {path.relative_to(cases.RUNS).parts[0] for path in files} == set(cases.NAMES)
    assert sum(path.stat().st_size for path in files) < 500_000
    for path in files:
        assert not re.search(rb"/(home|root|tmp|usr|Users|work)\b", path.read_bytes()), path
