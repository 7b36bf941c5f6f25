# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Warnings of reward hacking: the reward rises while the model gets worse or its samples alike.

A reward measures a part of what is wanted. Two other figures show when tuning exploits it: the
score of held-out data, and the diversity of samples, distinct-n (Li et al., arXiv:1510.03055).
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq.evaluate import samples
from vaeseq.types import Nest

ORDER = 4  # of the n-grams of `distinct`
WORSE_NATS = 0.05  # share of the held-out nats that may be lost without a warning
WORSE_DISTINCT = 0.1  # likewise of the diversity


def distinct(sequences: Sequence[Nest], order: int = ORDER) -> float:
    """Returns the share of different n-grams among all n-grams of sequences: distinct-n.

    Args:
      sequences: each NumPy arrays, a nest of `[N, ...]`; an n-gram is n successive observations.
      order: n.

    Returns:
      From near 0 (all alike) to 1; NaN if no sequence has n steps.
    """
    rows = [np.concatenate([np.asarray(leaf).reshape(len(leaf), -1)
                            for leaf in tf.nest.flatten(sequence)], 1) for sequence in sequences]
    _, symbols = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    ends = np.cumsum([len(row) for row in rows])
    return samples.distinct(np.split(symbols.reshape(-1), ends[:-1]), order)


def hacking_warnings(
    *, reward: tuple[float | None, float | None], nats_per_step: tuple[float | None, float | None],
    distinct: tuple[float, float],
) -> list[str]:
    """Returns warnings where the mean reward of a sample rose at the cost of something else.

    The nats of held-out data (None without any) and the diversity of samples are, like the reward,
    those before and after. The reward is None where it learns and so cannot be compared.
    """
    if reward[0] is not None and reward[1] is not None and not reward[1] > reward[0]:
        return []
    event = "the model was tuned" if reward[0] is None else "the reward rose"
    warnings = []
    before, after = nats_per_step
    if before is not None and after is not None and before > 0:
        lost = after / before - 1
        if lost > WORSE_NATS:
            warnings.append(
                f"{event}, and held-out data cost {lost:.0%} more nats: the model forgets "
                "its data. Try a larger --likelihood or a smaller --strength.")
    lost = 1 - distinct[1] / distinct[0] if distinct[0] > 0 else 0.0
    if lost > WORSE_DISTINCT:
        warnings.append(
            f"{event}, and samples have {lost:.0%} fewer distinct {ORDER}-grams: they "
            "become alike. Look at them; try a smaller --strength or a --kl-budget.")
    return warnings
