# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The version, in its one place: setup.py reads it from this file."""

__version__ = "1.0.0.dev0"
