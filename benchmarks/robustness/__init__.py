# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Runs that are killed."""
