# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Assertions and random inputs of the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.nn.dropout import enable_dropout
from vaeseq.types import Nest, Seed, Tensor


def fill_padding(tensors: Nest, lengths: Tensor) -> Nest:
    """Fills the padding of floats with NaN and that of other dtypes with 1."""
    def fill(x: Tensor) -> Tensor:
        garbage = tf.fill(tf.shape(x), tf.cast(np.nan if x.dtype.is_floating else 1, x.dtype))
        return nest.where(nest.mask_from_lengths(lengths, x.shape[1]), x, garbage)
    return tf.nest.map_structure(fill, tensors)


def at(tensors: Nest, index: int | slice, axis: int = 1) -> Nest:
    """Indexes one axis of every tensor: by default that of time, [B, T, ...]."""
    where = (slice(None),) * axis + (index,)
    return tf.nest.map_structure(lambda x: x[where], tensors)


def take(tensors: Nest, order: np.ndarray) -> Nest:
    """Gathers rows."""
    return tf.nest.map_structure(lambda x: tf.gather(x, order), tensors)


def seed(number: int) -> Seed:
    """Returns a fixed seed, int32 [2]."""
    return tf.constant([0, number], tf.int32)


def random_nest(specs: Nest, leading: Sequence[int]) -> Nest:
    """Returns tensors [*leading, *spec.shape]: normal floats, integers and bools of 0 and 1."""
    def draw(spec: tf.TensorSpec) -> Tensor:
        shape = [*leading, *spec.shape]
        if spec.dtype.is_floating:
            return tf.random.stateless_normal(shape, seed(1), dtype=spec.dtype)
        bits = tf.random.stateless_uniform(shape, seed(1), 0, 2, tf.int32)
        return tf.cast(bits, spec.dtype)
    return tf.nest.map_structure(draw, specs)


def changed(tensors: Nest) -> Nest:
    """Returns other values: floats plus 1, and zeros where other dtypes are not 0."""
    return tf.nest.map_structure(
        lambda x: x + 1 if x.dtype.is_floating else tf.cast(tf.equal(tf.cast(x, tf.int32), 0),
                                                            x.dtype), tensors)


def pairs(one: Nest, other: Nest) -> list[tuple]:
    return list(zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True))


def require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def require_finite(tensor: Tensor, what: str) -> None:
    require(bool(tf.reduce_all(tf.math.is_finite(tensor))),
             f"{what} must be finite, got {tensor.numpy()}.")


def require_close(one: Tensor, other: Tensor, message: str, tolerance: float = 1e-4) -> None:
    one, other = (np.asarray(x, np.float64) for x in (one, other))
    difference = np.abs(one - other)
    scale = 1.0 + np.abs(other)
    require(bool(np.all(difference <= tolerance * scale)),
             f"{message} The largest difference is {np.max(difference, initial=0.0)}.")


def require_zero_mean(x: np.ndarray, message: str) -> None:
    """Requires that numbers [..., Z] have mean 0 for each of Z, within 6 standard errors."""
    if not x.size:
        return
    x = x.reshape(-1, x.shape[-1])
    mean, error = x.mean(0), x.std(0) / np.sqrt(len(x))
    require(bool(np.all(np.abs(mean) <= 6 * error)), f"{message}, but the difference is {mean} "
            f"(+- {error}).")


def require_all_close(one: Nest, other: Nest, message: str) -> None:
    for a, b in pairs(one, other):
        require_close(a, b, message)


def require_like(one: Nest, other: Nest, message: str) -> None:
    tf.nest.assert_same_structure(other, one)
    for a, b in pairs(one, other):
        require(a.dtype == b.dtype and a.shape.as_list() == b.shape.as_list(),
                 f"{message} It is {a.dtype.name} {a.shape.as_list()} instead of {b.dtype.name} "
                 f"{b.shape.as_list()}.")


def check_no_noise(run: Callable[[], Nest], what: str, before: Nest = None) -> None:
    """Checks that a result with fixed seeds is the same again, also after dropout was on."""
    before = run() if before is None else before
    with enable_dropout(seed(3)):
        run()
    for one, other in pairs(before, run()):
        require(np.array_equal(one, other), f"{what} must be the same in two evaluations: draw "
                "from the given seed only, and drop units inside enable_dropout only.")


def check_kl_with_itself(dist: tfd.Distribution, what: str) -> None:
    """Checks that KL(q || q) is 0, where it has a closed form."""
    try:
        kl = dist.kl_divergence(dist)
    except NotImplementedError:
        return
    require_close(kl, tf.zeros_like(kl), f"KL(q || q) of {what} must be 0: its closed form lacks a "
                  "constant.")


def check_standardised(dist: tfd.Distribution, sample: Tensor, what: str) -> None:
    """Checks that a sample [B, T, Z], standardised, is independent, of mean 0 and variance 1.

    Distributions without moments pass, as do those that are not reparameterized: rare classes have
    no standard error.
    """
    if dist.reparameterization_type != tfd.FULLY_REPARAMETERIZED:
        return
    try:
        loc, scale = dist.mean(), dist.stddev().numpy()
    except NotImplementedError:
        return
    if not np.all(np.isfinite(scale) & (scale > 0)):  # a point
        return
    x = ((sample - loc) / scale).numpy().astype(np.float64)
    require_zero_mean(x, f"Samples of {what} must have its mean")
    require_zero_mean(x**2 - 1, f"Samples of {what} must have its variance")
    axes = {"rows": 0, "steps": 1}
    if isinstance(dist, tfd.Independent):
        axes["dimensions"] = 2
    for name, axis in axes.items():
        after = np.arange(1, x.shape[axis])
        require_zero_mean(x.take(after, axis) * x.take(after - 1, axis),
                          f"Samples of {what} must be independent over {name}")


def check_gradients(module: tf.Module, loss: Callable[[], Tensor], where: str = "") -> None:
    """Checks that every trainable variable has a finite gradient."""
    loss()  # Creates the variables.
    with tf.GradientTape() as tape:
        value = loss()
    require_finite(value, f"The loss{where}")
    variables = module.trainable_variables
    for variable, gradient in zip(
            variables, tape.gradient(value, variables), strict=True):
        require(gradient is not None, f"Variable {variable.name} gets no gradient{where}.")
        require_finite(tf.convert_to_tensor(gradient),
                        f"The gradient of {variable.name}{where}")
