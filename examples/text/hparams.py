# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-text. Imports no TensorFlow, so that errors show at once."""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range
from vaeseq.hparams import HParams

MOST_BUCKETS = 1 << 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextHParams(HParams):
    """Hyperparameters of a model of text."""

    embed_size: int = fields.declare(64, "size of a character's embedding", Range(1, 1 << 12))
    vocab_size: int = fields.declare(
        4096, "greatest number of characters in the vocabulary", Range(1, 1 << 20))
    oov_buckets: int = fields.declare(
        1, "symbols that out-of-vocabulary characters share", Range(1, MOST_BUCKETS))
    unit: Literal["text", "line", "paragraph"] = fields.declare(
        "text", "what a sequence is: a whole text, or a line or a paragraph, each on its own and "
        "with its line breaks")

    # Chosen by the score after some minutes on a megabyte of prose.
    learning_rate: float = fields.redeclare(HParams, "learning_rate", 0.005)
    dropout: float = fields.redeclare(HParams, "dropout", 0.1)
    latent_size: int = fields.redeclare(HParams, "latent_size", 16)
    latent_decoder_fc_layers: tuple[int, ...] = fields.redeclare(
        HParams, "latent_decoder_fc_layers", (64,))
    free_bits: float = fields.redeclare(HParams, "free_bits", 0.02)
