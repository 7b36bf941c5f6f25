# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The version, which setup.py reads here; CITATION.cff repeats it."""

__version__ = "1.0.0.dev0"
