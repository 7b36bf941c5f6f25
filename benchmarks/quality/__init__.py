# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Likelihoods and scores: text, polyphonic music, games."""
