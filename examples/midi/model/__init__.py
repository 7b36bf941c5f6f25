# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of music: observations and context agents."""
from .model import PROGRAM, MidiModel, saved_mean

__all__ = ["PROGRAM", "MidiModel", "saved_mean"]
