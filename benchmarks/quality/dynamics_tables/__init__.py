# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The tables of `benchmarks.quality.dynamics`, a module each with its `TABLE`."""
