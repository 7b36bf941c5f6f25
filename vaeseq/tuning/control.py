# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""KL control: how much a reward counts against the divergence from the model before tuning.

The strength c is what a reward of 1 is worth in nats. Without a limit, the optimum of tuning is
p_0(x) exp(c * reward(x)) up to a constant.

A target of the KL divergence adapts the strength: it rises while the divergence is below the target
and falls above it (Ziegler et al., arXiv:1909.08593, section 2.2). A budget is a hard limit: while
the divergence of the samples exceeds it, rewards do not count, and updates only reduce it.
"""
from __future__ import annotations

import math

import tensorflow as tf

_GAIN = 0.1  # of the logarithm of the strength, for each update
_RANGE = 1e3  # factor by which the strength moves at most, in both directions


class KLControl(tf.Module):
    """The strength of a reward, adapted to a target, and a budget of the KL divergence."""

    def __init__(self, strength: float, *, target: float = 0.0, budget: float = 0.0):
        """Creates the control.

        Args:
          strength: factor on rewards, in nats; the initial one if there is a target.
          target: KL divergence from the model before tuning that is aimed at, nats per step; 0
            fixes the strength.
          budget: largest KL divergence at which rewards count, nats per step; 0 for no limit.

        Raises:
          ValueError: a number is negative or not finite, or there is a target and no strength.
        """
        super().__init__(name="kl_control")
        for label, value in (("strength", strength), ("target", target), ("budget", budget)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{label}: expected a finite number of at least 0, got {value!r}.")
        if target and not strength:
            raise ValueError("target: expected a strength above 0, which it multiplies; got the "
                             f"strength {strength!r} and the target {target!r}. Give another "
                             "strength, or no target.")
        self._initial, self._target, self._budget = strength, target, budget
        self._strength = tf.Variable(
            strength, trainable=False, dtype=tf.float64, name="strength")

    @property
    def strength(self) -> float:
        """The present strength."""
        return float(self._strength)

    def update(self, kl: float) -> float:
        """Adapts the strength to the KL divergence of the latest samples.

        Args:
          kl: mean divergence of the samples of an update, nats per step.

        Returns:
          The factor on the rewards of these samples: the strength before adaptation, or 0 above
          the budget.
        """
        strength = self.strength
        if self._target and math.isfinite(kl):
            error = min(1.0, max(-1.0, (self._target - kl) / self._target))
            adapted = strength * math.exp(_GAIN * error)
            self._strength.assign(
                min(self._initial * _RANGE, max(self._initial / _RANGE, adapted)))
        return 0.0 if self._budget and kl > self._budget else strength


def mixer_prefix(update: int, *, start: int, end: int, every: int, by: int) -> int:
    """Returns how many steps of the data an update gives, by MIXER's schedule.

    MIXER (Ranzato et al., arXiv:1511.06732) trains the first steps of a sequence by likelihood and
    the rest by policy gradients, and moves the border towards the beginning.

    Args:
      update: number of the update, from 0.
      start: steps given by the first updates; the whole length is training by likelihood alone.
      end: steps given by the last updates, such as a source that is translated.
      every: updates between two moves of the border, at least 1.
      by: steps of a move.
    """
    return max(end, start - by * (update // every))
