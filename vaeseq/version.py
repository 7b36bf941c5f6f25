# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The version, defined here only; setup.py reads this file."""

__version__ = "1.0.0.dev0"
