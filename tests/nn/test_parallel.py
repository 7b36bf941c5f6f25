# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Shards of a batch against the whole batch."""

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.dtypes import float_dtype
from vaeseq.nn import networks, parallel


@pytest.fixture(autouse=True)
def unknown_processor(monkeypatch, tmp_path):
    """No warning depends on the machine that runs these tests."""
    monkeypatch.setattr(parallel, "CPUINFO", tmp_path / "none")


def make_step(stack):
    def step(batch, scale):
        inputs, lengths = batch["inputs"], batch["lengths"]
        with tf.GradientTape() as tape:
            outputs, _ = stack(inputs, stack.initial_state(inputs.shape[0]), lengths)
            loss = scale * tf.reduce_sum(outputs ** 2)
        gradients = tape.gradient(loss, stack.trainable_variables)
        return {"loss": loss, "gradients": list(gradients)}, outputs
    return step


@pytest.mark.xla
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("batch_size,num_shards", [(4, 1), (4, 2), (5, 2), (1, 2), (3, 8)])
def test_shards_add_up(batch_size, num_shards, jit_compile):
    rng = np.random.default_rng(2)
    with float_dtype(tf.float64):
        stack = networks.RecurrentStack((3,))
    batch = {"inputs": tf.constant(rng.normal(size=[batch_size, 4, 2])),
             "lengths": tf.constant(rng.integers(0, 5, size=[batch_size]))}
    step = make_step(stack)
    expected_sums, expected_rows = step(batch, 0.5)
    sharded = parallel.parallel(step, num_shards, jit_compile=jit_compile)
    sums, rows = tf.function(sharded, autograph=False)(batch, tf.constant(0.5, tf.float64))
    np.testing.assert_allclose(rows, expected_rows, atol=1e-12)
    for ours, theirs in zip(tf.nest.flatten(sums), tf.nest.flatten(expected_sums), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(("num_shards", "precision", "cores", "expected"), [
    ("auto", "bfloat16", 2, [1]), (4, "bfloat16", 2, [1]), ("auto", "float32", 2, []),
    (1, "bfloat16", 2, []), ("auto", "bfloat16", 1, [])])
def test_products_of_bfloat16_have_one_thread_each(
        monkeypatch, num_shards, precision, cores, expected):
    threads = []
    monkeypatch.setattr(parallel, "default_shards", lambda: cores)
    monkeypatch.setattr(tf.config.threading, "set_intra_op_parallelism_threads", threads.append)
    parallel.prepare(num_shards, precision)
    assert threads == expected


@pytest.mark.parametrize(("flags", "precision", "warns"), [
    ("fpu sse2 avx2 avx512f", "bfloat16", True), ("fpu sse2 avx2 avx512f", "float32", False),
    ("fpu sse2 avx2 avx512_bf16", "bfloat16", False), ("fpu sse2 amx_bf16", "bfloat16", False),
    ("asimd bf16", "bfloat16", False), (None, "bfloat16", False)])
def test_bfloat16_warns_on_a_processor_without_units_for_it(
        monkeypatch, tmp_path, recwarn, flags, precision, warns):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(parallel, "CPUINFO", cpuinfo)
    parallel.prepare(1, precision)
    assert [str(w.message).split(" on ")[0] for w in recwarn] == warns * [
        "precision=bfloat16 is slower than float32"]


def test_running_threads_stay_as_they_are():
    tf.ones([1]).numpy()
    before = tf.config.threading.get_intra_op_parallelism_threads()
    parallel.prepare(2, "bfloat16")
    assert tf.config.threading.get_intra_op_parallelism_threads() == before


def test_rows_may_be_empty():
    sharded = parallel.parallel(lambda x: (tf.reduce_sum(x), ()), 2)
    sums, rows = tf.function(sharded)(tf.ones([4, 3]))
    assert (float(sums), rows) == (12.0, ())


def test_there_is_at_least_one_shard():
    with pytest.raises(ValueError, match="at least one shard, got num_shards=0"):
        parallel.parallel(lambda x: (x, x), 0)


def test_the_batch_size_must_be_known():
    sharded = parallel.parallel(lambda x: (tf.reduce_sum(x), x), 2)
    function = tf.function(sharded, input_signature=[tf.TensorSpec([None, 3])])
    with pytest.raises(ValueError, match="batch size that is known while tracing.*is None"):
        function.get_concrete_function()
