# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training batches of several texts; each text starts from the initial state."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaeseq.data import Batch, DataSet, pad, sizes


class TextStreams(DataSet):
    """Reads texts one after the other in B parallel streams, for truncated BPTT.

    A window ends where its text ends, so it may be shorter than T; the window that begins a text
    starts from the initial state. Each epoch sees every symbol of a window once, cuts long texts at
    other places, and begins at another window. It leaves out fewer than B windows.
    """

    def __init__(
        self, texts: Sequence[np.ndarray], batch_size: int, sequence_size: int, *, seed: int
    ):
        """Creates the data set.

        Args:
          texts: each `[N]`, N at least 1; they may be memory maps, as only windows are read.
          batch_size: number of rows B; if there are fewer windows, a batch repeats them.
          sequence_size: number of steps T of a window.
          seed: for the places of cuts, and the order.

        Raises:
          ValueError: there is no text, or an empty one.
        """
        self._sizes = sizes(texts)
        if not len(texts) or not self._sizes.all():
            raise ValueError(f"expected texts that are not empty, got {len(texts)} texts, "
                             f"{np.count_nonzero(self._sizes == 0)} of them empty.")
        self.batch_size = batch_size
        self._texts = texts
        self._sequence_size = sequence_size
        num_windows = -(-self._sizes // sequence_size)
        self._first = np.concatenate([[0], np.cumsum(num_windows)])  # window of each text
        self._slack = num_windows * sequence_size - self._sizes
        self._seed = seed

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches that cover the data about once."""
        return max(1, int(self._first[-1]) // self.batch_size)

    def batch(self, step: int) -> Batch:
        epoch, index = divmod(step, self.batches_per_epoch)
        rng = np.random.default_rng([self._seed, epoch])
        start, cut = int(rng.integers(self._first[-1])), rng.random()
        numbers = (start + np.arange(self.batch_size) * self.batches_per_epoch + index) % (
            self._first[-1])
        rows = np.searchsorted(self._first, numbers, side="right") - 1
        windows = numbers - self._first[rows]
        batch = pad([self._window(*place, cut) for place in zip(rows, windows)],
                    self._sequence_size)
        return batch._replace(is_start=(windows == 0) | (index == 0))

    def _window(self, row: int, window: int, cut: float) -> np.ndarray:
        """Returns window number `window` of a text; `cut`, in [0, 1), shifts all but the first."""
        # The first and the last window share the slack of a text: T times windows minus size.
        shift = int(cut * (self._slack[row] + 1)) if self._sizes[row] > self._sequence_size else 0
        start = max(0, window * self._sequence_size - shift)
        stop = min((window + 1) * self._sequence_size - shift, self._sizes[row])
        return self._texts[row][start:stop]
