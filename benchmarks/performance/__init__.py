# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Speed and memory: training steps, sampling, play, several workers."""
