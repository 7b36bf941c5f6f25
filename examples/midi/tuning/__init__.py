# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning of a trained model towards a reward, such as the rules of counterpoint."""
