# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training: one update (`TrainOps`), the training loop (`Trainer`), optimizers and schedules."""

from vaeseq.train.loss import LossOutput, SequenceLoss, TrainState
from vaeseq.train.ops import NumericsError, TrainMetrics, TrainOps
from vaeseq.train.trainer import Callback, Periods, Trainer, TrainResult

__all__ = [
    "Callback", "LossOutput", "NumericsError", "Periods", "SequenceLoss", "TrainMetrics",
    "TrainOps", "TrainResult", "TrainState", "Trainer"]
