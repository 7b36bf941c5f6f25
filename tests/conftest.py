# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Every test begins with the same random numbers, whichever tests ran before it."""

from __future__ import annotations

import pytest
import tensorflow as tf


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    # A hook and no fixture: fixtures of a whole module come before those of a test.
    tf.random.set_seed(0)
