# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Warm start of a model of series from another run, whose series may be others."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from vaeseq.runs import warm_start
from vaeseq.runs.warm_start import Adapt
from vaeseq.train.distribute import Strategy

from .data.layout import Layout
from .model import SeriesModel


def initialize_from(source: Path, model: SeriesModel, strategy: Strategy) -> None:
    """Sets the initial weights of a new model to those of a trained one, and prints a summary.

    Args:
      source: the log directory of the trained model.
      model: the new model.
      strategy: of training; the chief loads the weights and broadcasts them later.

    Raises:
      ValueError: `source` holds no run, is damaged, or no weight matches.
    """
    with strategy.scope():
        model.build()
    if not strategy.is_chief:
        return
    with warm_start.as_init_from_error():
        other = SeriesModel.load(source)
    embed = other.maker.inputs.embeds_series and model.maker.inputs.embeds_series
    model.origin = warm_start.begin(
        model.log_dir, source, other.step, other.gen_core, model.gen_core,
        by_name(other.layout, model.layout,
                len(model.maker.inputs.code_sizes) - 1 if embed else None))
    print(model.origin.summary())


def by_name(theirs: Layout, ours: Layout, number: int | None) -> Adapt:
    """Returns a function that copies the embedding of each series from that of the same name.

    The code of series is number `number` among the new model's codes; None where not both models
    have one.
    """
    rows = {name: row for row, name in enumerate(theirs.names, 1)}
    source = np.array([0, *(rows.get(name, 0) for name in ours.names)])  # 0 is an unknown series

    def adapt(name: str, old: np.ndarray, initial: np.ndarray) -> np.ndarray | None:
        if f"_embeddings/{number}/" not in name or old.shape[1:] != initial.shape[1:] or (
                len(old) != len(theirs.names) + 1 or len(initial) != len(source)):
            return None
        return None if theirs.names == ours.names else old[source]

    return adapt
