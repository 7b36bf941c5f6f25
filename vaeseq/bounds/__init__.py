# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds on the log-likelihood of sequences, by name."""
from __future__ import annotations

from vaeseq.bounds import resampling
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.bounds.elbo import ELBO
from vaeseq.bounds.fivo import FIVO
from vaeseq.bounds.iwae import IWAE

__all__ = ["BOUNDS", "Bound", "BoundResult", "BoundState", "ELBO", "FIVO", "IWAE", "resampling"]

BOUNDS = {"elbo": ELBO, "iwae": IWAE, "fivo": FIVO}
