# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The encoders and decoders that ship: `encoders.Embed`, `decoders.Categorical` and so on."""

from vaeseq.codec import decoders, encoders

__all__ = ["decoders", "encoders"]
