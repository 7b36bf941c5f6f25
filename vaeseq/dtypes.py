# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The floating dtype in which models are built: float32, or float64 inside `float_dtype`.

    with vaeseq.float_dtype(tf.float64):
        decoder = decoders.Normal(tf.TensorSpec([3], tf.float32))
        core = vae.RNN(decoder, networks.RecurrentStack((64,)))

What is built inside computes in float64: weights, states, latents, observations and densities.
Modules read the dtype when they are constructed, and keep it. A spec of float32 stands for this
dtype; any other is left as it is.
"""
from __future__ import annotations

import contextlib

import tensorflow as tf

from vaeseq import trace_context
from vaeseq.types import Nest


def float_dtype(dtype: tf.DType) -> contextlib.AbstractContextManager[None]:
    """Returns a context in which models are built with this floating dtype.

    Args:
      dtype: `tf.float32` or `tf.float64`.

    Raises:
      ValueError: another dtype.
    """
    dtype = tf.as_dtype(dtype)
    if dtype not in (tf.float32, tf.float64):
        raise ValueError(f"expected tf.float32 or tf.float64, got {dtype.name}. Matrix products of "
                         "bfloat16 are an option of training: precision=bfloat16.")
    return trace_context.replace(dtype=dtype)


def default_dtype() -> tf.DType:
    """Returns the floating dtype of modules that are constructed now."""
    return trace_context.current().dtype


def cast_specs(specs: Nest, dtype: tf.DType | None = None) -> Nest:
    """Returns specs in which `dtype`, by default the current one, replaces float32."""
    dtype = dtype or default_dtype()
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec(spec.shape, dtype, spec.name)
        if spec.dtype == tf.float32 else spec, specs)
