# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Programs that stand on the library, installed as `vaeseq.examples`."""
