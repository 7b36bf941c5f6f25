# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Splits texts into lines or paragraphs, each a sequence of its own."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaeseq.cli.arguments import UsageError

from .tokens import Tokens

NEWLINES = {"line": 1, "paragraph": 2}  # that end a sequence, by the hyperparameter `unit`


def end_symbol(tokens: Tokens) -> int:
    """Returns the symbol of a line break; raises UsageError if the vocabulary has none."""
    symbols = tokens.encode("\n")
    if len(symbols) != 1 or tokens.unknown("\n"):
        raise UsageError("unit=line and unit=paragraph end sequences with line breaks; expected a "
                         "text with line breaks, and the vocabulary has none.")
    return int(symbols[0])


def split(texts: Sequence[np.ndarray], end: int, count: int) -> list[np.ndarray]:
    """Splits texts after every `count` consecutive end symbols.

    Args:
      texts: symbols, each `[N]`.
      end: the end symbol.
      count: how many of them in a row end a sequence: 1 for lines, 2 for paragraphs.

    Returns:
      The sequences, each with its end symbols; the last of a text may lack them. Texts that are
      such sequences are returned as they are.
    """
    parts: list[np.ndarray] = []
    for text in texts:
        start = run = 0
        last = -1
        for place in np.flatnonzero(np.asarray(text) == end).tolist():
            run = run + 1 if place == last + 1 else 1
            last = place
            if run == count:
                parts.append(text[start:place + 1])
                start, run, last = place + 1, 0, -1
        if start < len(text):
            parts.append(text[start:])
    return parts
