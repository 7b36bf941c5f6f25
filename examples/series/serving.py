# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The signatures of an exported model of series.

The arrays of a window are those that `data.windows.WindowMaker` and `stack` make, in the model's
units: B rows of T = context + horizon steps for `score`; one row of `context` steps before the
origin, padded, and the inputs of the steps after it for `forecast`.

    score      values [B, T, D], seen [B, T, D], lengths [B], the inputs of each step, seed
               -> log_density [B, T] of each step given the previous ones, in nats of the data's
               units (a lower bound for models with latents), zeros where a step is not scored
    forecast   values [1, T, D], seen [1, T, D], lengths [1], the inputs of each step, those of the
               steps ahead (future_...), num_paths, seed
               -> paths [num_paths, horizon, D]: times scale plus loc they are in the data's units

The calibration of the spread (`model.spread`) is not part of `forecast`; `model.json` has the
factors.
"""
from __future__ import annotations

from typing import Any

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.data import Batch, Masked
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.evaluate.signatures import Signature, flatten_named, pack_named
from vaeseq.types import Nest, Tensor

from .model import SeriesModel
from .model.model import sample_paths

_SEED = tf.TensorSpec([], tf.int64)


def signatures(
    model: SeriesModel, evaluator: Evaluator, *, rows: int, horizon: int, jit_compile: bool
) -> dict[str, Signature]:
    """Returns the signatures by name: `score` of B `rows`, and `forecast` of `horizon` steps."""
    gen_core = model.gen_core
    context = model.hparams.context
    masked = gen_core.core.decoder.event_spec

    def window(size: int, steps: int) -> dict[str, Any]:
        specs = _with_leading((masked, model.input_spec), size, steps)
        return {**flatten_named("values", specs[0].values), **flatten_named("seen", specs[0].mask),
                **flatten_named("input", specs[1]._asdict()),
                "lengths": tf.TensorSpec([size], tf.int32)}

    def unpacked(tensors: dict[str, Tensor]) -> tuple[Masked, Nest]:
        observed = Masked(tensors["values"], tensors["seen"])
        inputs = pack_named(model.input_spec._asdict(), "input", tensors)
        return observed, type(model.input_spec)(**inputs)

    scored = Evaluator(gen_core.agent, gen_core.core, evaluator.bound, jit_compile=jit_compile)

    def score(seed: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
        observed, inputs = unpacked(tensors)
        batch = Batch(observed, tensors["lengths"], tf.ones([rows], tf.bool), inputs)
        (increments, *_), _ = scored.score_batch(
            batch, scored.initial_state(rows), seeds.fold_in(seeds.from_number(seed), 0))
        valid = tf.sequence_mask(tensors["lengths"], nest.leading_dim(increments, 1))
        return {"log_density": tf.where(
            inputs.scored & valid, increments + inputs.log_jacobian, 0.0)}

    sampler = tf.function(sample_paths, jit_compile=jit_compile, autograph=False)

    def forecast(num_paths: Tensor, seed: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
        observed, inputs = unpacked(tensors)
        future = pack_named(model.input_spec._asdict(), "future", tensors)
        return {"paths": sampler(
            gen_core, observed, tensors["lengths"], inputs, type(model.input_spec)(**future),
            num_paths, True, 1.0, seeds.from_number(seed))}

    future = flatten_named("future", _with_leading(model.input_spec, 1, horizon)._asdict())
    return {
        "score": Signature(score, {
            **window(rows, context + model.hparams.horizon), "seed": _SEED}),
        "forecast": Signature(forecast, {
            **window(1, context), **future, "num_paths": tf.TensorSpec([], tf.int32),
            "seed": _SEED})}


def _with_leading(structure: Nest, *leading: int) -> Nest:
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([*leading, *spec.shape], spec.dtype), structure)
