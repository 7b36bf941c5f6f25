# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The encoders that ship: observations to features.

    Flatten            an observation's numbers side by side
    Embed              a learnt row for each symbol
    MLPEncoder         dense layers over a flattened observation
    ConvEncoder        convolutions over a frame
    EncoderSequence    one encoder after the other
    Group              one encoder for each part of an observation, features side by side
"""

from vaeseq.codec._composed import EncoderSequence, Group
from vaeseq.codec._tensor_encoders import ConvEncoder, Embed, Flatten, MLPEncoder

__all__ = ["ConvEncoder", "Embed", "EncoderSequence", "Flatten", "Group", "MLPEncoder"]
