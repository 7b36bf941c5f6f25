# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One shard of the batch per core.

The products of a step of a recurrent model are often too small for a second core to help. Rows
of a batch do not depend on each other, so each core can take some of them through the whole
program instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from vaeseq import nest as nest_lib
from vaeseq.types import Nest


def default_shards() -> int:
    """One for each core that this process may use; a single one where there is a GPU."""
    if tf.config.list_physical_devices("GPU"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare(num_shards: int | Literal["auto"], precision: str) -> None:
    """Gives each product one thread, where that is best; to be called before anything is computed.

    Products of bfloat16 are apart from what XLA compiles (`vaeseq.nn.scan.bfloat16_cpu`), and each would take
    all cores, which other shards have use for. Where TensorFlow has begun to compute, its threads
    are as they are: training is only slower.
    """
    if precision == "bfloat16" and num_shards != 1 and default_shards() > 1:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)


def parallel(fn: Callable[..., tuple[Nest, Nest]], num_shards: int, *,
             jit_compile: bool = True) -> Callable[..., tuple[Nest, Nest]]:
    """Runs `fn` on shards of the batch at once.

    What comes back is meant to be called inside a `tf.function` that is not itself compiled by
    XLA: TensorFlow then runs the shards side by side.

    Args:
      fn: (batch: nest of [B, *], *shared) -> (sums: nest of tensors that add up over the batch,
        such as gradients of a sum; rows: nest of [B, *]). Its variables must exist already.
      num_shards: how many, at least 1; not more than B of them are used.
      jit_compile: whether `fn` is compiled by XLA.

    Returns:
      A function with the arguments and results of `fn`. B must be known while tracing; if it does
      not divide, the first shards have one row more.

    Raises:
      ValueError: less than one shard, or an unknown B.
    """
    if num_shards < 1:
        raise ValueError(f"Expected at least one shard, got num_shards={num_shards}.")
    compiled = tf.function(fn, jit_compile=jit_compile, autograph=False)

    def sharded(batch: Nest, *shared: Nest) -> tuple[Nest, Nest]:
        sizes = _sizes(nest_lib.leading_dim(batch), num_shards)
        results = [compiled(shard, *shared) for shard in _cut(batch, sizes)]
        if len(results) == 1:
            return results[0]
        sums, rows = zip(*results)
        return (tf.nest.map_structure(lambda *xs: tf.add_n(xs), *sums),
                tf.nest.map_structure(lambda *xs: tf.concat(xs, 0), *rows))
    return sharded


def _sizes(batch_size: int, num_shards: int) -> list[int]:
    if not isinstance(batch_size, int):
        raise ValueError("Shards need a batch size that is known while tracing, got a batch whose "
                         "first dimension is None. Batch with drop_remainder=True, or give the "
                         "tf.function an input_signature.")
    share, rest = divmod(batch_size, num_shards)
    return [share + (i < rest) for i in range(min(num_shards, max(batch_size, 1)))]


def _cut(batch: Nest, sizes: list[int]) -> list[Nest]:
    flat = [tf.split(x, sizes) for x in tf.nest.flatten(batch)]
    return [tf.nest.pack_sequence_as(batch, parts) for parts in zip(*flat)]
