# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-text (imports no TensorFlow, so that wrong ones are told at once)."""
from __future__ import annotations

import dataclasses

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.hparams import HParams

MOST_BUCKETS = 1 << 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextHParams(HParams):
    """Hyperparameters of a model of text."""

    embed_size: int = fields.declare(64, "size of a character's embedding", Range(1, 1 << 12))
    vocab_size: int = fields.declare(
        4096, "most characters in the vocabulary", Range(1, 1 << 20))
    oov_buckets: int = fields.declare(
        1, "symbols for the characters outside the vocabulary", Range(1, MOST_BUCKETS))
