# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The kinds of tokens: the value of `--tokens`, building a vocabulary of a text, reading one."""
from __future__ import annotations

import json

from vaeseq.cli.arguments import UsageError
from vaeseq.fields import short_repr

from ..hparams import TextHParams
from .byte_tokens import ByteTokens, byte_pairs, words
from .corpus import FILE_SEPARATOR, Corpus
from .tokens import DAMAGED, Tokens
from .vocabulary import FewCharactersError, Vocabulary


def build(name: str, corpus: Corpus, hparams: TextHParams) -> Tokens:
    """Returns the vocabulary of a text.

    Args:
      name: a value of `--tokens`.
      corpus: the text.
      hparams: `vocab_size` limits characters or words, `oov_buckets` is of characters.

    Raises:
      UsageError: the text has fewer than two different characters, or sentencepiece is missing.
    """
    if name == "bytes":
        return ByteTokens(name)
    if name == "words":
        return words(corpus.count_pieces(), hparams.vocab_size)
    if name.startswith("bpe:"):
        return byte_pairs(corpus.count_pieces(), int(name.partition(":")[2]))
    always = FILE_SEPARATOR if corpus.boundaries == "symbol" else ""
    try:
        return Vocabulary.of_counts(
            corpus.count_characters(), hparams.vocab_size, hparams.oov_buckets, always)
    except FewCharactersError as error:
        raise UsageError(f"{short_repr(corpus.name)}: {error}") from None


def from_json(text: str, source: str) -> Tokens:
    """Parses the output of `Tokens.to_json`; raises ValueError, naming `source`."""
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError
    except (RecursionError, ValueError):
        raise ValueError(f"{source}: expected a JSON object that describes a vocabulary. "
                         f"{DAMAGED}") from None
    kind = ByteTokens if "tokens" in values else Vocabulary
    return kind.from_json(values, source)
