# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Texts: tokens, reading a corpus, and the record of what a run is trained on."""
from .corpus import Corpus
from .tokens import Tokens
from .vocabulary import UNKNOWN, FewCharactersError, Vocabulary

__all__ = ["UNKNOWN", "Corpus", "FewCharactersError", "Tokens", "Vocabulary"]
