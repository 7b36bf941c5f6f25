# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Encoders and decoders of observations, and the distributions of latents.

    encoders         `encoders.Embed`, `encoders.MLPEncoder`, ...
    decoders         `decoders.Categorical`, `decoders.Normal`, ...
    latent           distributions of the latent variables
    heads            building blocks of decoders
    distributions    TFP distributions with fast samplers under XLA on CPUs
"""

from vaeseq.codec import decoders, distributions, encoders, heads, latent

__all__ = ["decoders", "distributions", "encoders", "heads", "latent"]
