# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Settings of the code that is being traced, which layers read without being passed them.

One context variable holds one immutable record. Each setting has a public function beside the code
that reads it; this module only stores them:

    precision, matmul_interceptor,
    intercepted_graph               `vaeseq.nn.scan.matmul`
    dropout                         `vaeseq.nn.dropout`
    weight_seeds                    `vaeseq.nn.initializers`
    noise                           `vaeseq.seeds`
    dtype                           `vaeseq.dtypes`
    xla                             `vaeseq.compilation`
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq.types import Seed, Tensor


class Precision(NamedTuple):
    """How matrix products are computed.

    Attributes:
      bfloat16: whether float32 products are computed in bfloat16.
      split_steps: whether a scan runs its products outside of what XLA compiles (see
        `vaeseq.nn.scan.bfloat16_cpu`).
    """
    bfloat16: bool = False
    split_steps: bool = False


class TraceContext(NamedTuple):
    """The settings of one piece of code.

    Attributes:
      precision: of matrix products.
      matmul_interceptor: computes matrix products instead of `matmul.product`; None for none.
      intercepted_graph: the graph whose products it computes.
      dropout: the seed of a training step, and the number of each layer that has used it; None
        switches dropout off.
      weight_seeds: seeds for the weights that are created; None for TensorFlow's generator.
      noise: at most one tensor of normal numbers, removed when it is used.
      dtype: floating dtype of the modules that are constructed.
      xla: whether XLA compiles the functions that are created.
    """
    precision: Precision = Precision()
    matmul_interceptor: Callable[..., Tensor] | None = None
    intercepted_graph: tf.Graph | None = None
    dropout: tuple[Seed, dict[int, int]] | None = None
    weight_seeds: Iterator[Seed] | None = None
    noise: list[Tensor] | None = None
    dtype: tf.DType = tf.float32
    xla: bool = True


_DEFAULT = TraceContext()
_CONTEXT: contextvars.ContextVar[TraceContext] = contextvars.ContextVar("vaeseq_trace_context")


def current() -> TraceContext:
    """Returns the settings of the code that calls it."""
    return _CONTEXT.get(_DEFAULT)


@contextlib.contextmanager
def replace(**fields: Any) -> Iterator[None]:
    """Replaces fields of the current `TraceContext` for the code inside."""
    token = _CONTEXT.set(current()._replace(**fields))
    try:
        yield
    finally:
        _CONTEXT.reset(token)
