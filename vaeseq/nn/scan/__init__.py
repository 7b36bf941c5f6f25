# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The scan over time: one step function, run eagerly or as a compiled loop."""
