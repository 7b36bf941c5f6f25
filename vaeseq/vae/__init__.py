# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The sequence models and their registry, `VAE_TYPES`.

A new core is one file here and one line in `VAE_TYPES`, the table that `HParams.vae_type` is looked
up in. The contract, replay and generation tests run over the table.
"""
from __future__ import annotations

from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams
from vaeseq.vae.base import CoreState, Inferred, VAECore
from vaeseq.vae.dmm import DMM
from vaeseq.vae.gen_core import GenCore, Generated, GenState, StepSample, draw
from vaeseq.vae.independent_sequence import IndependentSequence
from vaeseq.vae.rnn import RNN
from vaeseq.vae.srnn import SRNN
from vaeseq.vae.vrnn import VRNN

__all__ = [
    "DMM", "VAE_TYPES", "CoreState", "GenCore", "GenState", "Generated", "IndependentSequence", "Inferred",
    "RNN", "SRNN", "StepSample", "VAECore", "VRNN", "draw", "make",
]

VAE_TYPES: dict[str, type[VAECore]] = {
    "RNN": RNN,
    "ISEQ": IndependentSequence,
    "SRNN": SRNN,
    "VRNN": VRNN,
    "DMM": DMM,
}


def make(hparams: HParams, decoder: DistModule, encoder: Encoder) -> VAECore:
    """Builds the core named by `hparams.vae_type`.

    Args:
      hparams: the kind of core, and sizes and kinds of its networks.
      decoder: from a core's outputs to the distribution of one observation.
      encoder: from an observation to the features that the posterior sees.

    Raises:
      ValueError: `vae_type` is not in `VAE_TYPES`.
    """
    if hparams.vae_type not in VAE_TYPES:
        raise ValueError(
            f"vae_type: expected one of {', '.join(VAE_TYPES)}; got {hparams.vae_type!r}.")
    return VAE_TYPES[hparams.vae_type].from_hparams(hparams, decoder, encoder)
