# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""KL annealing and learning-rate schedules as pure functions of the training step.

The first step is step 0. `warmup`, `cosine` and `exponential` return factors of a peak learning
rate.

The half-life "auto" of a hyperparameter is a share of the run's number of updates, `kl_half` and
`learning_rate_half`.
"""

from __future__ import annotations

import math
from typing import Literal

_KL_SHARE = 0.1  # after a run of ten half-lives the weight is 0.999
_MOST_KL_HALF = 1000.0
_LEARNING_RATE_SHARE = 0.25  # four half-lives: 1/16 of the learning rate


def kl_half(half: float | Literal["auto"], num_steps: int) -> float:
    """Returns the half-life of `kl_weight` in a run of `num_steps` updates.

    Args:
      half: a number of updates, which is returned; or "auto": a tenth of the run, at most 1000.
      num_steps: updates of the whole run.
    """
    return min(_KL_SHARE * num_steps, _MOST_KL_HALF) if half == "auto" else float(half)


def learning_rate_half(half: float | Literal["auto"], num_steps: int) -> float:
    """Returns the half-life of `exponential` in a run of `num_steps` updates.

    Args:
      half: a number of updates, which is returned; or "auto": a quarter of the run.
      num_steps: updates of the whole run.
    """
    return _LEARNING_RATE_SHARE * num_steps if half == "auto" else float(half)


def kl_weight(step: float, *, start: float, half: float) -> float:
    """Returns the KL weight of exponential annealing: `1 - (1 - start) * 0.5 ** (step / half)`.

    Args:
      step: the training step, at least 0.
      start: the weight at step 0, in [0, 1].
      half: half-life of the distance to 1 in steps; 0 disables annealing: the weight is 1.
    """
    _check("start", start, 0.0, 1.0)
    _check("half", half, 0.0, math.inf)
    if half == 0:
        return 1.0
    return 1 - (1 - start) * 0.5 ** (step / half)


def warmup(step: float, *, num_steps: int) -> float:
    """Returns a linear warm-up factor: `1 / (num_steps + 1)` at step 0, 1 from `num_steps` on."""
    _check("num_steps", num_steps, 0, math.inf)
    return min((step + 1) / (num_steps + 1), 1.0)


def cosine(step: float, *, num_steps: int, final: float) -> float:
    """Returns a cosine decay factor: 1 at step 0, `final` from `num_steps` on.

    This is SGDR without restarts (Loshchilov and Hutter, https://arxiv.org/abs/1608.03983).
    """
    _check("num_steps", num_steps, 1, math.inf)
    _check("final", final, 0.0, 1.0)
    fraction = min(step / num_steps, 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * fraction))


def exponential(step: float, *, half: float) -> float:
    """Returns an exponential decay factor: 1 at step 0, halved every `half` steps."""
    _check("half", half, 0.0, math.inf)
    if half == 0:
        raise ValueError("half: expected a number of steps above 0; got 0")
    return 0.5 ** (step / half)


def learning_rate(
    step: float,
    *,
    highest: float,
    schedule: str = "constant",
    num_steps: int = 1,
    warmup_steps: int = 0,
    final: float = 0.0,
    half: float = 1.0,
) -> float:
    """Returns the learning rate of a step: `highest` times warm-up times schedule.

    Args:
      step: the training step.
      highest: the peak learning rate.
      schedule: "constant", "cosine" (uses `num_steps` and `final`) or "exponential" (uses `half`).
      num_steps: the step at which the cosine ends; it includes the warm-up.
      warmup_steps: length of the linear warm-up.
      final: factor at the end of the cosine.
      half: half-life of the exponential decay, in steps.

    Raises:
      ValueError: the schedule is unknown, or a number is out of range.
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
