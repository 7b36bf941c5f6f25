# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measurements: one command each (`python -m benchmarks.GROUP.NAME --help`)."""
