# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The signatures of an exported model of series.

The arrays of a window are those that `data.windows.WindowMaker` and `stack` make, in the model's
units. Rows have `context` steps T before an origin, padded, and H steps after it: the horizon that
the model was trained with in `score`, that of the export in `forecast`.

    score      values [B, T, D], seen [B, T, D], lengths [B], the inputs of each step, and the same
               of the steps after the origin (future_...), seed
               -> log_density [B, H] of each of these given the previous ones, in nats of the data's
               units, zeros in padding (for models with latents, what a bound gives: see
               `model.model.ScoredSteps`)
    forecast   values [1, T, D], seen [1, T, D], lengths [1], the inputs of each step, those of the
               steps after the origin (future_input_...), num_paths, seed
               -> paths [num_paths, horizon, D], in the model's units as well, whose deviations
               from their median are calibrated (`model.spread`)

`space` in `model.json` says what these are. Paths in the data's units (`WindowMaker.to_data`) are,
by the `loc` and the `scale` `[D]` of the window:

    scaled           paths scale + loc
    log              exp(paths scale + loc)
    counts, bits     paths
    classes          codes[d][paths] for each target d; `codes` is in `series.json`

Refused are lengths above T or H, codes that the model does not have, and values that are seen but
not finite, or that its output cannot have.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.data import Batch, Masked
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.evaluate.signatures import (
    Signature,
    assert_first,
    expect,
    flatten_named,
    pack_named,
)
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

    def window(prefix: str, size: int, steps: int) -> dict[str, Any]:
        specs = nest.with_leading((masked, model.input_spec), size, steps)
        return {f"{prefix}values": specs[0].values, f"{prefix}seen": specs[0].mask,
                f"{prefix}lengths": tf.TensorSpec([size], tf.int32),
                **flatten_named(f"{prefix}input", specs[1]._asdict())}

    def batch_of(tensors: dict[str, Tensor], prefix: str) -> Batch:
        observed = Masked(tensors[f"{prefix}values"], tensors[f"{prefix}seen"])
        lengths = tensors[f"{prefix}lengths"]
        observed, lengths = assert_first(
            (observed, lengths), _right_values(model, observed, lengths, prefix))
        return Batch(observed, lengths, tf.fill([lengths.shape[0]], not prefix),
                     inputs_of(tensors, prefix, lengths))

    def inputs_of(tensors: dict[str, Tensor], prefix: str, lengths: Tensor) -> Nest:
        inputs = type(model.input_spec)(
            **pack_named(model.input_spec._asdict(), f"{prefix}input", tensors))
        return assert_first(inputs, _right_inputs(model, inputs, lengths, prefix))

    scored = Evaluator(gen_core.agent, gen_core.core, evaluator.bound, jit_compile=jit_compile)

    def score(seed: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
        before_seed, after_seed = (
            seeds.fold_in(seeds.from_number(seed), number) for number in (0, 1))
        _, state = scored.score_batch(
            batch_of(tensors, ""), scored.initial_state(rows), before_seed)
        batch = batch_of(tensors, "future_")
        (increments, *_), _ = scored.score_batch(batch, state, after_seed)
        valid = tf.sequence_mask(batch.lengths, nest.leading_dim(increments, 1))
        return {"log_density": tf.where(valid, increments + batch.inputs.log_jacobian, 0.0)}

    sampler = tf.function(sample_paths, jit_compile=jit_compile, autograph=False)

    def forecast(num_paths: Tensor, seed: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
        batch = batch_of(tensors, "")
        num_paths = assert_first(
            num_paths, [expect(num_paths > 0, "num_paths: expected at least 1")])
        paths = sampler(
            gen_core, batch.observed, batch.lengths, batch.inputs,
            inputs_of(tensors, "future_", tf.constant([horizon])), num_paths, True, 1.0,
            seeds.from_number(seed))
        kind = model.maker.space.kind
        return {"paths": _calibrated(paths, model.spread.factors(kind, horizon), kind)}

    future = flatten_named(
        "future_input", nest.with_leading(model.input_spec, 1, horizon)._asdict())
    return {
        "score": Signature(score, {
            **window("", rows, context), **window("future_", rows, model.hparams.horizon),
            "seed": _SEED}),
        "forecast": Signature(forecast, {
            **window("", 1, context), **future, "num_paths": tf.TensorSpec([], tf.int32),
            "seed": _SEED})}


def _calibrated(paths: Tensor, factors: np.ndarray | None, kind: str) -> Tensor:
    """Returns paths `[M, H, D]` with the spread that `Spread.apply` gives them."""
    if factors is None:
        return paths
    ordered, count = tf.cast(tf.sort(paths, axis=0), tf.float64), tf.shape(paths)[0]
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    spread = median + factors[:, np.newaxis] * (tf.cast(paths, tf.float64) - median)
    return tf.cast(
        tf.maximum(tf.round(spread), 0.0) if kind == "counts" else spread, paths.dtype)


def _right_values(
    model: SeriesModel, observed: Masked, lengths: Tensor, prefix: str
) -> list[tf.Operation]:
    """Returns assertions about values `[B, T, D]` and their lengths; padding may be anything."""
    steps = nest.leading_dim(observed, 1)
    is_seen = observed.mask if observed.mask.shape.rank == 3 else observed.mask[..., tf.newaxis]
    return [
        expect(tf.reduce_all((lengths >= 0) & (lengths <= steps)),
               f"{prefix}lengths: expected 0 to {steps}"),
        _expect_in_steps(_is_possible(model, observed.values) | ~is_seen, lengths,
                         f"{prefix}values: expected {_values_of(model)} where seen")]


def _right_inputs(
    model: SeriesModel, inputs: Nest, lengths: Tensor, prefix: str
) -> list[tf.Operation]:
    """Returns assertions about the codes and the lags of steps; padding may be anything."""
    sizes = model.maker.inputs.code_sizes
    are_codes = (inputs.codes >= 0) & (inputs.codes < tf.constant(sizes, tf.int32))
    are_read = inputs.lags_seen & inputs.lags_given[..., tf.newaxis]
    return [
        _expect_in_steps(are_codes, lengths, f"{prefix}input_codes: expected codes from 0 to "
                         f"below {sizes}"),
        _expect_in_steps(_is_possible(model, inputs.lags) | ~are_read, lengths,
                         f"{prefix}input_lags: expected {_values_of(model)} where lags_seen")]


def _is_possible(model: SeriesModel, values: Tensor) -> Tensor:
    """Returns whether the model can read each of the values `[..., D]`."""
    kind = model.maker.space.kind
    if kind == "classes":
        return (values >= 0) & (values < tf.constant([*map(len, model.layout.codes)], tf.int32))
    if kind == "bits":
        return tf.equal(values, 0) | tf.equal(values, 1)
    if kind == "counts":
        return tf.math.is_finite(values) & (values >= 0) & tf.equal(values, tf.round(values))
    return tf.math.is_finite(values)


def _values_of(model: SeriesModel) -> str:
    return {"classes": "numbers of classes", "bits": "0 or 1", "counts": "counts",
            "scaled": "finite numbers"}[model.maker.space.kind]


def _expect_in_steps(condition: Tensor, lengths: Tensor, message: str) -> tf.Operation:
    """Returns the assertion that a condition `[B, T, ...]` holds at all steps of the rows."""
    at_step = tf.reduce_all(condition, axis=list(range(2, condition.shape.rank)))
    return expect(
        tf.reduce_all(at_step | ~tf.sequence_mask(lengths, condition.shape[1])), message)
