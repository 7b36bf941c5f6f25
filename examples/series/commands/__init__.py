# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The commands of vaeseq-series, one module each; importing one imports TensorFlow."""
