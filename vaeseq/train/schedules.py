# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The weight of the divergence and the learning rate as pure functions of the training step.

Each function takes the step as a Python number and gives a float, or as a tensor of any shape and
gives a tensor of that shape (of the step's dtype where it is a floating one, else float32), inside
a `tf.function` too. The first step is step 0. Factors multiply a highest learning rate.
"""

from __future__ import annotations

import math
from typing import TypeVar

import tensorflow as tf

Number = TypeVar("Number", float, tf.Tensor)


def kl_weight(step: Number, *, start: float, half: float) -> Number:
    """The weight of the divergence in the loss: `1 - (1 - start) * 0.5 ** (step / half)`.

    Args:
      step: the training step, at least 0.
      start: the weight at step 0, in [0, 1].
      half: steps in which the distance to 1 halves; 0 is the limit, a weight that is always 1.
    """
    _check("start", start, 0.0, 1.0)
    _check("half", half, 0.0, math.inf)
    if half == 0:
        return _real(step) * 0 + 1
    return 1 - (1 - start) * 0.5 ** (_real(step) / half)


def warmup(step: Number, *, num_steps: int) -> Number:
    """A factor that rises in a line, from `1 / (num_steps + 1)` at step 0 to 1 at `num_steps`."""
    _check("num_steps", num_steps, 0, math.inf)
    return _minimum((_real(step) + 1) / (num_steps + 1), 1.0)


def cosine(step: Number, *, num_steps: int, final: float) -> Number:
    """A factor that falls from 1 at step 0 to `final` at `num_steps` on half a cosine, and stays.

    SGDR without restarts (Loshchilov and Hutter, https://arxiv.org/abs/1608.03983).
    """
    _check("num_steps", num_steps, 1, math.inf)
    _check("final", final, 0.0, 1.0)
    done = _minimum(_real(step) / num_steps, 1.0)
    return final + (1 - final) * 0.5 * (1 + _cos(math.pi * done))


def exponential(step: Number, *, half: float) -> Number:
    """A factor that halves every `half` steps, from 1 at step 0."""
    _check("half", half, 0.0, math.inf)
    if half == 0:
        raise ValueError("half: expected a number of steps above 0; got 0")
    return 0.5 ** (_real(step) / half)


def learning_rate(
    step: Number,
    *,
    highest: float,
    schedule: str = "constant",
    num_steps: int = 1,
    warmup_steps: int = 0,
    final: float = 0.0,
    half: float = 1.0,
) -> Number:
    """The learning rate at a step: `highest`, times the warm-up, times the schedule.

    Args:
      step: the training step.
      highest: the rate that the factors multiply.
      schedule: "constant", "cosine" (uses `num_steps` and `final`) or "exponential" (`half`).
      num_steps: the step at which the cosine ends; the warm-up is a part of these steps.
      warmup_steps: see `warmup`.
      final: see `cosine`.
      half: see `exponential`.

    Raises:
      ValueError: the schedule is none of these, or a number is out of its range.
    """
    rate = highest * warmup(step, num_steps=warmup_steps)
    if schedule == "constant":
        return rate
    if schedule == "cosine":
        return rate * cosine(step, num_steps=num_steps, final=final)
    if schedule == "exponential":
        return rate * exponential(step, half=half)
    raise ValueError(f"schedule: expected 'constant', 'cosine' or 'exponential'; got {schedule!r}")


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}; got {value!r}")


def _is_tensor(value: object) -> bool:
    return isinstance(value, (tf.Tensor, tf.Variable))


def _real(step: Number) -> Number:
    """The step as a floating-point number."""
    if not _is_tensor(step):
        return float(step)
    tensor = tf.convert_to_tensor(step)
    return tensor if tensor.dtype.is_floating else tf.cast(tensor, tf.float32)


def _minimum(value: Number, most: float) -> Number:
    return tf.minimum(value, most) if _is_tensor(value) else min(value, most)


def _cos(angle: Number) -> Number:
    return tf.cos(angle) if _is_tensor(angle) else math.cos(angle)
