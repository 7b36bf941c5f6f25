# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Truncated sampling: leaves out a categorical distribution's unlikely classes.

    top-k     the k most likely classes (Fan et al., arXiv:1805.04833)
    top-p     the smallest set of most likely classes whose probability is at least p: the nucleus
              (Holtzman et al., arXiv:1904.09751)
    min-p     the classes at least p times as likely as the most likely one (arXiv:2407.01082)

They apply after the temperature and in this order; each works on the distribution that the ones
before it left, renormalised. Classes whose probabilities tie with the last one of a set stay, so
that the result does not depend on the order of the classes.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from vaeseq.types import Tensor


@dataclasses.dataclass(frozen=True)
class Truncation:
    """Which classes a categorical decoder may draw.

    Attributes:
      top_k: the number of classes left, at least 1; 0 leaves all.
      top_p: the probability of the nucleus, in (0, 1]; 1 leaves all.
      min_p: the least probability relative to the most likely class, in [0, 1]; 0 leaves all.
    """

    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    @property
    def leaves_all(self) -> bool:
        """Whether every class stays."""
        return self == Truncation()

    def check(self) -> Truncation:
        """Returns the same value.

        Raises:
          ValueError: a number is out of its range.
        """
        if self.top_k < 0:
            raise ValueError(f"top_k: expected a number of classes, or 0 for all; got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected a probability above 0, up to 1; got {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p: expected a number from 0 to 1; got {self.min_p}")
        return self

    def __call__(self, logits: Tensor) -> Tensor:
        """Sets the logits [..., V] of the classes left out to -inf; does not normalise the others.
        """
        if self.top_k and self.top_k < logits.shape[-1]:
            least = tf.math.top_k(logits, self.top_k).values[..., -1:]
            logits = _keep(logits >= least, logits)
        if self.top_p < 1:
            descending = tf.sort(tf.nn.softmax(logits), direction="DESCENDING")
            before = tf.cumsum(descending, axis=-1, exclusive=True)
            # The least probability among the classes that are needed to reach top_p. The first is
            # needed always, also where float32 rounds top_p to 0.
            is_needed = (before < self.top_p) | (before == 0)
            needed = tf.where(is_needed, descending, tf.ones_like(descending))
            logits = _keep(
                tf.nn.softmax(logits) >= tf.reduce_min(needed, -1, keepdims=True), logits)
        if self.min_p > 0:
            least = tf.reduce_max(logits, -1, keepdims=True) + math.log(self.min_p)
            logits = _keep(logits >= least, logits)
        return logits


def _keep(mask: Tensor, logits: Tensor) -> Tensor:
    return tf.where(mask, logits, tf.constant(-math.inf, logits.dtype))
