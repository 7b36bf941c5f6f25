# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Evaluation: the likelihood of recorded sequences, sampling, and export as a SavedModel."""

from vaeseq.evaluate.likelihood import Evaluator, Score, Window, pool
from vaeseq.evaluate.sampler import Sampler

__all__ = ["Evaluator", "Sampler", "Score", "Window", "pool"]
