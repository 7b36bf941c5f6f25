# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Splits texts into lines or paragraphs, each a sequence of its own."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.data import RaggedArray

from .tokens import Tokens

NEWLINES = {"line": 1, "paragraph": 2}  # that end a sequence, by the hyperparameter `unit`
_SEARCHED_AT_ONCE = 1 << 22  # symbols


def end_symbol(tokens: Tokens) -> int:
    """Returns the symbol of a line break.

    Raises:
      UsageError: the vocabulary has none, or symbols of line breaks and more.
    """
    symbols = tokens.encode("\n")
    if any(content and b"\n" in content and content != b"\n" for content in tokens.contents()):
        raise UsageError("unit=line and unit=paragraph end sequences with single line breaks, and "
                         f"the vocabulary has symbols of several; expected --tokens characters or "
                         f"bytes, got {tokens.name}.")
    if len(symbols) != 1 or tokens.unknown("\n"):
        raise UsageError("unit=line and unit=paragraph end sequences with line breaks; expected a "
                         "text with line breaks, and the vocabulary has none.")
    return int(symbols[0])


def split(texts: Sequence[np.ndarray], end: int, count: int) -> RaggedArray:
    """Splits texts after every `count` consecutive end symbols.

    Args:
      texts: symbols, each `[N]`.
      end: the end symbol.
      count: how many of them in a row end a sequence: 1 for lines, 2 for paragraphs.

    Returns:
      The sequences, each with its end symbols; the last of a text may lack them. Texts that are
      such sequences are returned as they are.
    """
    ragged = RaggedArray.of(texts)
    places = _places(ragged.values, end)
    is_first = np.diff(places, prepend=-2) != 1  # of a run of end symbols
    is_first |= np.isin(places, ragged.row_splits)
    numbers = np.arange(len(places))
    numbers -= np.maximum.accumulate(np.where(is_first, numbers, 0))
    cuts = np.concatenate([ragged.row_splits, places[numbers % count == count - 1] + 1])
    cuts.sort(kind="stable")  # in linear time for two sorted arrays, unlike np.union1d
    return RaggedArray(ragged.values, cuts[np.diff(cuts, prepend=-1) > 0])


def _places(symbols: np.ndarray, symbol: int) -> np.ndarray:
    """Returns where a symbol occurs in symbols `[N]`, int64; they may be on disk."""
    return np.concatenate([np.zeros([0], np.int64), *(
        start + np.flatnonzero(symbols[start:start + _SEARCHED_AT_ONCE] == symbol)
        for start in range(0, len(symbols), _SEARCHED_AT_ONCE))])
