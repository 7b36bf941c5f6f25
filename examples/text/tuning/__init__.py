# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning of models of text towards rewards, and rewards learnt from readers' choices."""
