# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How many samples of a bound are in memory together."""
from __future__ import annotations

from typing import NamedTuple

from vaeseq.types import Tensor

# Sequence steps of all samples together: at 1,000 numbers each, half a gigabyte.
_STEPS_AT_ONCE = 1 << 17


class Chunks(NamedTuple):
    """How many samples are in memory together.

    Attributes:
      num_samples: S.
      at_once: a divisor of S; 0 for all of them; None for as many as suit the sequences.
    """

    num_samples: int
    at_once: int | None

    def check(self) -> Chunks:
        """The same, if the samples divide into such chunks.

        Raises:
          ValueError: they do not.
        """
        if self.at_once is not None and (
                self.at_once < 0 or self.num_samples % (self.at_once or self.num_samples)):
            raise ValueError(
                f"expected samples_at_once to divide num_samples={self.num_samples}, or 0 for all "
                f"of them at once, or None, got {self.at_once}.")
        return self

    def size(self, rows: int | Tensor, steps: int) -> int:
        """The samples of a chunk, for `rows` sequences of so many steps."""
        if self.at_once is not None or not isinstance(rows, int):
            return self.at_once or self.num_samples
        fitting = max(1, _STEPS_AT_ONCE // max(1, rows * steps))
        return max(size for size in range(1, self.num_samples + 1)
                   if self.num_samples % size == 0 and size <= fitting)
