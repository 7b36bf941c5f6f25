# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The hyperparameters of vaeseq-series. Imports no TensorFlow, so that errors show at once."""
from __future__ import annotations

import dataclasses
from typing import Literal

from vaeseq import fields
from vaeseq.fields import Range, redeclare
from vaeseq.hparams import HParams

OUTPUTS = ("normal", "student_t", "mixture", "lognormal", "negative_binomial", "zero_inflated",
           "categorical", "bernoulli", "strokes")
RELATIVE_OUTPUTS = ("normal", "student_t", "mixture", "lognormal")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesHParams(HParams):
    """Hyperparameters of a model of series of numbers."""

    # What a step is. `train` finds 0 and "auto" before a run begins.
    horizon: int = fields.declare(
        0, "steps of a forecast; 0: by the step of the data", Range(0, 1 << 14))
    season: int = fields.declare(
        0, "steps of a season; 0: by the step of the data", Range(0, 1 << 14))
    context: int = fields.declare(
        0, "steps that are read before a forecast begins; 0: by horizon and season",
        Range(0, 1 << 14))
    lags: tuple[int, ...] = fields.declare(
        (), "earlier values that each step reads; []: by the season", Range(1, 1 << 14))
    scaling: Literal["auto", "history", "training"] = fields.declare(
        "auto", "values are scaled by the history before each window, or by the training data")

    # The model.
    output: Literal[
        "auto", "normal", "student_t", "mixture", "lognormal", "negative_binomial",
        "zero_inflated", "categorical", "bernoulli", "strokes"] = fields.declare(
        "auto", "distribution of a value; auto: chosen by the data and by validation")
    num_components: int = fields.declare(
        5, "components of the outputs mixture and strokes", Range(1, 256))
    base: Literal["none", "last", "season"] = fields.declare(
        "none", "what predictions are relative to: last, the value before; season, that and the "
        "change of a season ago")
    embed_size: int = fields.declare(
        4, "size of the embeddings of calendar and series", Range(1, 256))
    level_inputs: bool = fields.declare(
        True, "the level and scale of a window are inputs; train: only if there are several series")
    embed_series: bool = fields.declare(True, "learn an embedding of each series")

    vae_type: str = redeclare(HParams, "vae_type", "RNN")
    rnn_hidden_sizes: tuple[int, ...] = redeclare(HParams, "rnn_hidden_sizes", (64,))
    latent_size: int = redeclare(HParams, "latent_size", 8)
    latent_decoder_fc_layers: tuple[int, ...] = redeclare(
        HParams, "latent_decoder_fc_layers", (64,))
    context_skip: bool = redeclare(HParams, "context_skip", True)
    positive_eps: float = redeclare(HParams, "positive_eps", 0.01)
    missing_values: Literal["none", "values", "observations"] = redeclare(
        HParams, "missing_values", "values")
    sequence_size: int = redeclare(HParams, "sequence_size", 64)
    batch_size: int = redeclare(HParams, "batch_size", 32)
    learning_rate: float = redeclare(HParams, "learning_rate", 2e-3)
    learning_rate_final: float = redeclare(HParams, "learning_rate_final", 0.01)
    # A series is short beside the number of weights.
    weight_average: float = redeclare(HParams, "weight_average", 0.99)
    dropout: float = redeclare(HParams, "dropout", 0.3)
    context_dropout: float = redeclare(HParams, "context_dropout", 0.2)
    weight_decay: float = redeclare(HParams, "weight_decay", 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base != "none" and self.output not in ("auto", *RELATIVE_OUTPUTS):
            raise ValueError(f"base: expected none with output={self.output}, got {self.base}. "
                             f"The outputs {', '.join(RELATIVE_OUTPUTS)} have one.")
        if self.base != "none" and (self.vae_type != "RNN" or not self.context_skip):
            raise ValueError(f"base: expected none unless vae_type=RNN and context_skip=true, got "
                             f"{self.base}.")
        needed = "observations" if self.output == "strokes" else "values"
        if self.missing_values != needed:
            if self.output == "strokes" and self.missing_values == "values":
                object.__setattr__(self, "missing_values", needed)
                return
            raise ValueError(f"missing_values: expected {needed}, which output={self.output} "
                             f"needs; got {self.missing_values}")
