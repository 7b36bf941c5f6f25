# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of series: distributions of values, the agent, training, scores and forecasts."""
from .model import PROGRAM, SeriesModel

__all__ = ["PROGRAM", "SeriesModel"]
