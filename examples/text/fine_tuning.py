# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""How a run begins from the weights of another, whose vocabulary may be another one."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from vaeseq.runs import warm_start
from vaeseq.runs.warm_start import Adapt
from vaeseq.train.distribute import Strategy

from .data import Vocabulary
from .model import TextModel

# Where a model has numbers for each symbol, and along which axis.
_BY_SYMBOL = {"embeddings": 0, "decoder/_head/_linear/w": 1, "decoder/_head/_linear/b": 0}


def begin(model: TextModel, source: Path, train: np.ndarray, strategy: Strategy) -> None:
    """Gives a model its first weights, those of the run in `source`, and says what it took.

    Args:
      model: not trained yet.
      source: a log directory.
      train: the symbols to train on.
      strategy: who train it; the chief has the weights for all.

    Raises:
      ValueError: there is no such run, it is damaged, or nothing of it fits.
    """
    with strategy.scope():
        model.build()
    if not strategy.is_chief:
        return
    with warm_start.as_init_from_error():
        other = TextModel.load(source)
    same = other.vocabulary == model.vocabulary
    model.origin = warm_start.begin(
        model.log_dir, source, other.step, other.gen_core, model.gen_core,
        *() if same else (by_character(other.vocabulary, model.vocabulary),))
    print(model.origin.summary())
    if not same:
        new = other.vocabulary.unknown(model.vocabulary.characters)
        print(f"The vocabulary has {len(new)} characters that the other lacks; they begin anew.")
    unknown = int(np.count_nonzero(train >= len(model.vocabulary.characters)))
    if unknown:
        print(f"{unknown:,} of the {len(train):,} characters are outside the vocabulary: the model "
              "learns that there is something, not what. --vocab-corpus gives it another one.")


def by_character(theirs: Vocabulary, ours: Vocabulary) -> Adapt:
    """Takes the numbers of each symbol from those of the same character, or bucket, if any."""
    symbols = {character: i for i, character in enumerate(theirs.characters)}
    known = [symbols.get(character, -1) for character in ours.characters]
    known += [len(symbols) + i if i < theirs.oov_buckets else -1 for i in range(ours.oov_buckets)]
    source = np.array(known)

    def adapt(name: str, old: np.ndarray, first: np.ndarray) -> np.ndarray | None:
        axis = next((axis for end, axis in _BY_SYMBOL.items() if name.endswith(end)), None)
        if axis is None or np.delete(old.shape, axis).tolist() != np.delete(
                first.shape, axis).tolist():
            return None
        rows = np.moveaxis(first.copy(), axis, 0)
        rows[source >= 0] = np.moveaxis(old, axis, 0)[source[source >= 0]]
        return np.moveaxis(rows, 0, axis)

    return adapt
