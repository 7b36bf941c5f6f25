# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""What a run leaves on disk and prints: log directory, checkpoints, progress."""
