# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The encoders of the library, which map observations to features.

    Flatten            the observation as a vector
    Embed              a learnt vector for each symbol
    MLPEncoder         dense layers over a flattened observation
    ConvEncoder        convolutions over a frame
    EncoderSequence    encoders in sequence
    Group              one encoder for each part of an observation, features concatenated
"""

from vaeseq.codec._composed import EncoderSequence, Group
from vaeseq.codec._tensor_encoders import ConvEncoder, Embed, Flatten, MLPEncoder

__all__ = ["ConvEncoder", "Embed", "EncoderSequence", "Flatten", "Group", "MLPEncoder"]
