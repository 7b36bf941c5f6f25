# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Warm start of a model of text from another run, whose vocabulary may differ."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from vaeseq.runs import warm_start
from vaeseq.runs.warm_start import Adapt
from vaeseq.train.distribute import Strategy
from vaeseq.vae import pretrained

from .data import Tokens, Vocabulary
from .model import TextModel

# Variables with an axis of symbols, by the end of their path, and that axis.
_SYMBOL_AXES = {"embeddings": 0, "decoder/_head/_linear/w": 1, "decoder/_head/_linear/b": 0}


def initialize_from(source: Path, model: TextModel, strategy: Strategy) -> None:
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
        other = TextModel.load(source)
    same_vocabulary = other.vocabulary == model.vocabulary
    model.origin = warm_start.begin(
        model.log_dir, source, other.step, other.gen_core, model.gen_core,
        *() if same_vocabulary else (by_content(other.vocabulary, model.vocabulary),),
        values=pretrained.weights(other.gen_core, model.gen_core))
    print(model.origin.summary())
    if not same_vocabulary:
        new = set(model.vocabulary.contents()) - set(other.vocabulary.contents())
        print(f"{len(new)} {model.unit}s of the vocabulary are new; their weights are initialised "
              "at random.")


def by_content(theirs: Tokens, ours: Tokens) -> Adapt:
    """Returns a function that copies the weights of each symbol from those of the same text.

    Out-of-vocabulary buckets are copied by number; new symbols keep their initial weights.
    """
    symbols = {content: i for i, content in enumerate(theirs.contents()) if content is not None}
    matches = [-1 if content is None else symbols.get(content, -1) for content in ours.contents()]
    if isinstance(ours, Vocabulary) and isinstance(theirs, Vocabulary):
        common = min(ours.oov_buckets, theirs.oov_buckets)
        for i in range(common):
            matches[len(ours.characters) + i] = len(theirs.characters) + i
    source = np.array(matches)

    def adapt(name: str, old: np.ndarray, initial: np.ndarray) -> np.ndarray | None:
        axis = next((axis for end, axis in _SYMBOL_AXES.items() if name.endswith(end)), None)
        if axis is None or np.delete(old.shape, axis).tolist() != np.delete(
                initial.shape, axis).tolist():
            return None
        rows = np.moveaxis(initial.copy(), axis, 0)
        rows[source >= 0] = np.moveaxis(old, axis, 0)[source[source >= 0]]
        return np.moveaxis(rows, 0, axis)

    return adapt
