# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of a game: a latent-variable sequence model of transitions, and rollouts in it."""
