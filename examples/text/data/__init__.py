# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Texts: the vocabulary, reading a corpus, and the record of what a run is trained on."""
from .corpus import Corpus
from .vocabulary import UNKNOWN, FewCharactersError, Vocabulary

__all__ = ["UNKNOWN", "Corpus", "FewCharactersError", "Vocabulary"]
