# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.performance.speed` times: the library's own training step and sampler."""
from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vaeseq import agent, bounds, data, hparams, seeds, vae
from vaeseq.codec import decoders, encoders
from vaeseq.nn import parallel
from vaeseq.train import TrainOps, distribute
from vaeseq.types import Spec

from .speed_rows import Row

_SYMBOLS = 65
_NOTES = 88


def make(row: Row, num_shards: int | None) -> tuple[Callable[[], object], float]:
    """What to run once, and how many operations its products have."""
    parallel.prepare(num_shards or "auto", row.precision)
    gen_core, batch = _model(row)
    ops = TrainOps(
        gen_core.agent, gen_core.core, bounds.ELBO(), learning_rate=lambda step: 1e-3,
        num_shards=num_shards or parallel.default_shards(), precision=row.precision,
        seed=seeds.make(0))
    ops.build(batch)
    products = sum(
        2 * row.batch * row.steps * weight.shape.num_elements()
        for weight in ops.variables_to_train
        if weight.shape.rank == 2 and "embeddings" not in weight.name)
    if row.work == "generate":
        return _sampling(gen_core, row), products
    state = ops.initial_state(row.batch)
    return lambda: ops(batch, state), 3 * products


def distributed(
    row: Row, num_workers: int
) -> tuple[Callable[[], object], Callable[[], object], int]:
    """Makes the step that `benchmarks.performance.distributed` times in each worker.

    Returns:
      A step as the training loop takes it, an all-reduce of two numbers, and the bytes of what a
      step adds up.
    """
    strategy = distribute.start("multi-worker", {}, seconds=300) if num_workers > 1 else (
        distribute.SINGLE_PROCESS)
    gen_core, batch = _model(row._replace(batch=row.batch * num_workers))
    ops = TrainOps(
        gen_core.agent, gen_core.core, bounds.ELBO(), learning_rate=lambda step: 1e-3,
        seed=seeds.make(0), strategy=strategy)
    ops.build(batch)
    state = strategy.local_rows(ops.initial_state(row.batch * num_workers))
    gradient = sum(w.shape.num_elements() * w.dtype.size for w in ops.variables_to_train)

    def small() -> object:
        return strategy.any_worker(False, False)

    return lambda: (ops(batch, state), small()), small, gradient


def matrix_rate(size: int = 2048) -> float:
    """Operations a second of one large fp32 product."""
    x = tf.random.stateless_normal([size, size], [1, 2])
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        tf.matmul(x, x).numpy()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


def _model(row: Row) -> tuple[vae.GenCore, data.Batch]:
    sizes = hparams.HParams(
        vae_type=row.model.upper(), rnn_hidden_sizes=(row.hidden,), latent_size=row.latent,
        latent_decoder_fc_layers=(row.hidden,))
    rng = np.random.default_rng(0)
    if row.model == "rnn":
        spec = Spec([], tf.int32)
        encoder = encoders.Embed(_SYMBOLS, 64)
        decoder = decoders.Categorical(_SYMBOLS, spec)
        observed = rng.integers(0, _SYMBOLS, [row.batch, row.steps])
    else:
        spec = Spec([_NOTES], tf.float32)
        layers = (row.hidden, row.hidden) if row.model == "vrnn" else ()
        encoder = encoders.MLPEncoder(spec, layers)
        decoder = decoders.Bernoulli(spec, hidden_sizes=(row.hidden,))
        observed = (rng.random([row.batch, row.steps, _NOTES]) < 0.05).astype(np.float32)
    core = vae.make(sizes, decoder, encoder)
    full = np.full([row.batch], row.steps, np.int32)
    batch = data.Batch(observed, full, np.ones([row.batch], bool))
    return vae.GenCore(agent.EncodeObserved(encoder, spec), core), batch


def _sampling(gen_core: vae.GenCore, row: Row) -> Callable[[], object]:
    seed = seeds.make(0)
    state = gen_core.initial_state(row.batch)
    return lambda: next(gen_core.stream(state, chunk=row.steps, seed=seed)).observed.numpy()
