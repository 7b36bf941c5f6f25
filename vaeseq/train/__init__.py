# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Training: one update (`TrainOps`), the training loop (`Trainer`), optimizers and schedules."""

from vaeseq.train.ops import NumericsError, TrainOps, TrainState, TrainStep
from vaeseq.train.trainer import Periods, Trained, Trainer

__all__ = ["NumericsError", "Periods", "TrainOps", "TrainState", "TrainStep", "Trained", "Trainer"]
