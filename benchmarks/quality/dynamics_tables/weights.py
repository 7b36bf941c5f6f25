# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Weight uncertainty on the JSB chorales, beside dropout and beside neither.

One network, the RNN of the table `chorales` (128 units, factorised decoder, no transposition, no
recall), without weight decay and without dropout of contexts: as it is, with a dropout rate of 0.2
or 0.4, with recurrent weights dropped, with both, and with `weight_posterior=gaussian`, by the
minimum description length (`weights`) and with a tenth of the weights' cost (`weights-0.1`, which
has three times as many updates). Scores are those of the posterior's means; the best validation
chooses the updates in all rows.
"""
from __future__ import annotations

from typing import Any

from benchmarks.quality.dynamics_tables import chorales
from benchmarks.quality.dynamics_tables.table import Settings, Table

_COMMON = ("transpose=0,transpose_share=0.0,relative_channels=8,rnn_hidden_sizes=[128],recall=0,"
           "beats=0,weight_decay=0.0,context_dropout=0.0,vae_type=RNN")
MODELS = {
    "neither": f"{_COMMON},dropout=0.0",
    "dropout-0.2": f"{_COMMON},dropout=0.2",
    "dropout-0.4": f"{_COMMON},dropout=0.4",
    "recurrent-0.5": f"{_COMMON},dropout=0.0,weight_dropout=0.5",
    "both": f"{_COMMON},dropout=0.4,weight_dropout=0.5",
    "weights": f"{_COMMON},dropout=0.0,weight_posterior=gaussian",
    "weights-0.1": f"{_COMMON},dropout=0.0,weight_posterior=gaussian,weight_cost=0.1",
}


def run(name: str, settings: Settings) -> dict[str, Any]:
    """Trains, scores and samples a model of the table."""
    return chorales.measured(MODELS[name], settings)


TABLE = Table(
    "Weight uncertainty on the JSB chorales: nats per frame, exact",
    "validation of the weights' posterior under that of the network without dropout",
    {"valid_nats_per_step": "validation", "nats_per_step": "test", "best_step": "best update",
     "unlike": "free-running, unlike (of 6)"},
    MODELS, 500, run, checksum=chorales.checksum, other_updates={"weights-0.1": 1500})
