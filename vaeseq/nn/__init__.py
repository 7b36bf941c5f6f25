# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Networks: linear layers, MLPs, recurrent stacks, and the scan over time that runs them."""
