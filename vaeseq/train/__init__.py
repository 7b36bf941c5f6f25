# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training: one update (`TrainOps`), the training loop (`Trainer`), optimizers and schedules."""

from vaeseq.train.ops import NumericsError, TrainMetrics, TrainOps, TrainState
from vaeseq.train.trainer import Periods, Trainer, TrainResult

__all__ = [
    "NumericsError", "Periods", "TrainMetrics", "TrainOps", "TrainResult", "TrainState", "Trainer"]
