# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The rows of the table of speed: what is timed, and its sizes."""
from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One thing to measure."""

    work: str
    model: str
    hidden: int
    latent: int
    batch: int
    steps: int
    precision: str = "float32"


ROWS = {
    "rnn-512": Row("train", "rnn", 512, 0, 32, 64),
    "rnn-256": Row("train", "rnn", 256, 0, 32, 64),
    "srnn": Row("train", "srnn", 256, 64, 16, 100),
    "vrnn": Row("train", "vrnn", 256, 64, 16, 100),
    "bfloat16": Row("train", "rnn", 512, 0, 64, 64, "bfloat16"),
    "sample-1": Row("generate", "rnn", 512, 0, 1, 500),
    "sample-64": Row("generate", "rnn", 512, 0, 64, 500),
}
