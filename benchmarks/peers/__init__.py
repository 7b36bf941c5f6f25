# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of others to compare with, run by their own Python."""
