# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Seeds TensorFlow's global generator before every test."""

from __future__ import annotations

import pytest
import tensorflow as tf


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    # A hook, because a fixture would run after the module-scoped ones.
    tf.random.set_seed(0)
