# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Compilation: what the library compiles with XLA, and a context in which it does not.

    with vaeseq.without_xla():
        model.train(sequences, num_steps=10)

XLA compiles a program for seconds and runs it faster than TensorFlow's graph. For a run of a few
steps, a debugger or a test, the graph alone is there sooner. Its results are the same up to
rounding where nothing is drawn; from the same seed XLA draws other random numbers.
"""
from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq import trace_context


def without_xla() -> contextlib.AbstractContextManager[None]:
    """Returns a context in which functions are traced into graphs that XLA does not compile.

    A function keeps the choice that held when it was created: what is created inside runs
    without XLA afterwards, too. Exported models and `precision=bfloat16` are not affected.
    """
    return trace_context.replace(xla=False)


def compiled(function: Callable[..., Any], *, jit_compile: bool = True) -> Callable[..., Any]:
    """Returns `function` as a `tf.function`.

    Args:
      function: maps nests of tensors to a nest of tensors.
      jit_compile: compile with XLA, unless this is called inside of `without_xla`.
    """
    # TensorFlow warns of a function that is traced often, and takes functions of equal code, such
    # as the methods of several models, for one. A partial has no code.
    return tf.function(
        functools.partial(function), jit_compile=jit_compile and trace_context.current().xla,
        autograph=False)
