# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The policy, its value function, and their training on imagined rollouts."""
