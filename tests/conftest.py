# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Seeds TensorFlow's global generator before every test, and leaves out XLA where it may be."""

import contextlib
import gc

import pytest

import vaeseq

# Tracing makes hundreds of thousands of objects that stay: looks for garbage less often.
gc.set_threshold(100_000, 20, 50)


def pytest_addoption(parser):
    parser.addoption("--xla", action="store_true",
                     help="compile with XLA in every test, as programs do")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Wraps a test with its fixtures, those of modules and sessions too.

    XLA compiles for longer than the rest of a test takes. What the library compiles by itself runs
    without it, unless the test is marked `xla`; a test's own tf.function is as it says.
    """
    import tensorflow as tf  # not in the process that only distributes tests
    tf.random.set_seed(0)
    uses_xla = item.config.getoption("--xla") or item.get_closest_marker("xla")
    with contextlib.nullcontext() if uses_xla else vaeseq.without_xla():
        return (yield)


@pytest.fixture
def eagerly():
    """Runs TensorFlow's functions without compiling them."""
    import tensorflow as tf
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
