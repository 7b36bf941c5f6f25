# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Data parallelism over the cores of one processor: each runs a shard of the batch.

The matrix products of a recurrent step are often too small for a second core to help. The rows of a
batch are independent, so each core runs the whole program on some of them instead.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import warnings
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.compilation import compiled
from vaeseq.types import Nest

CPUINFO = pathlib.Path("/proc/cpuinfo")  # of Linux


def default_shards() -> int:
    """Returns the number of cores that this process may use; 1 if there is a GPU."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare(num_shards: int | Literal["auto"], precision: str) -> None:
    """Sets TensorFlow's threads for training; call it before TensorFlow computes anything.

    On a CPU, bfloat16 products run outside of XLA (`vaeseq.nn.scan.bfloat16_cpu`), each on all
    cores, of which other shards run on some: they get one thread each. If TensorFlow's threads have
    started, they stay as they are, and training is slower. Warns if the processor has no matrix
    units for bfloat16.

    Args:
      num_shards: of each batch; "auto" for `default_shards`.
      precision: "float32" or "bfloat16".
    """
    if precision == "bfloat16" and _lacks_bfloat16_units():
        warnings.warn(
            "precision=bfloat16 is slower than float32 on this processor, which has neither "
            "AVX-512-BF16 nor AMX (a step took 1.37 times as long on an AVX2 EPYC). Use "
            "precision=float32.", stacklevel=2)
    if precision == "bfloat16" and num_shards != 1 and default_shards() > 1:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def parallel(fn: Callable[..., tuple[Nest, Nest]], num_shards: int, *,
             jit_compile: bool = True) -> Callable[..., tuple[Nest, Nest]]:
    """Returns a function that runs `fn` on shards of the batch in parallel.

    Call it inside a `tf.function` that XLA does not compile: TensorFlow then runs the shards in
    parallel.

    Args:
      fn: (batch: nest of [B, *], *shared) -> (sums: nest of tensors that add up over the batch,
        such as gradients of a sum; rows: nest of [B, *]). Its variables must exist already.
      num_shards: the number of shards, at least 1; at most B of them are used.
      jit_compile: whether `fn` is compiled by XLA.

    Returns:
      A function with the arguments and results of `fn`. B must be known while tracing; if it is no
      multiple of `num_shards`, the first shards have one row more.

    Raises:
      ValueError: `num_shards` is below 1, or B is unknown.
    """
    if num_shards < 1:
        raise ValueError(f"Expected at least one shard, got num_shards={num_shards}.")
    run = compiled(fn, jit_compile=jit_compile)

    def sharded(batch: Nest, *shared: Nest) -> tuple[Nest, Nest]:
        sizes = _sizes(nest_lib.leading_dim(batch), num_shards)
        results = [run(shard, *shared) for shard in _cut(batch, sizes)]
        if len(results) == 1:
            return results[0]
        sums, rows = zip(*results)
        return (tf.nest.map_structure(lambda *xs: tf.add_n(xs), *sums),
                tf.nest.map_structure(lambda *xs: tf.concat(xs, 0), *rows))
    return sharded


def _lacks_bfloat16_units() -> bool:
    """Whether training runs on a CPU that is known to have no matrix units for bfloat16."""
    if tf.config.list_physical_devices("GPU") or not CPUINFO.exists():
        return False
    flags = set(CPUINFO.read_text(encoding="utf-8").split())
    return "sse2" in flags and not flags & {"avx512_bf16", "amx_bf16"}


def _sizes(batch_size: int, num_shards: int) -> list[int]:
    if not isinstance(batch_size, int):
        raise ValueError("Shards need a batch size that is known while tracing, got a batch whose "
                         "first dimension is None. Batch with drop_remainder=True, or give the "
                         "tf.function an input_signature.")
    size, remainder = divmod(batch_size, num_shards)
    return [size + (i < remainder) for i in range(min(num_shards, max(batch_size, 1)))]


def _cut(batch: Nest, sizes: list[int]) -> list[Nest]:
    flat = [tf.split(x, sizes) for x in tf.nest.flatten(batch)]
    return [tf.nest.pack_sequence_as(batch, parts) for parts in zip(*flat)]
