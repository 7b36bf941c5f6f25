# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The sequence models and their registry, `VAE_TYPES`.

A new core is one file here and one line in `VAE_TYPES`, the table that `HParams.vae_type` is looked
up in. Tests of generation and of float64 run over the table; the contract and the saved runs have a
case of each. A core outside of the library is added by `register`. Options of a single core are
declared in its file, by its class attribute `Options`.
"""
from __future__ import annotations

from collections.abc import Callable

from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams, declare_core_options
from vaeseq.vae.base import CoreState, Inferred, SequenceCore, VAECore, require_steps
from vaeseq.vae.diffusion import Diffusion, Noisy
from vaeseq.vae.dmm import DMM
from vaeseq.vae.dsae import DSAE
from vaeseq.vae.flow_posterior import FlowPosterior
from vaeseq.vae.gaussdiff import GaussDiff
from vaeseq.vae.gen_core import GenCore, Generated, GenState, StepSample, draw
from vaeseq.vae.independent_sequence import IndependentSequence
from vaeseq.vae.kvae import KVAE
from vaeseq.vae.maskdiff import MaskDiff
from vaeseq.vae.rnn import RNN
from vaeseq.vae.rvae import RVAE
from vaeseq.vae.seqae import SEQAE
from vaeseq.vae.srnn import SRNN
from vaeseq.vae.storn import STORN
from vaeseq.vae.tdvae import TDVAE
from vaeseq.vae.vrnn import VRNN

__all__ = [
    "CoreState", "DMM", "DSAE", "Diffusion", "FlowPosterior", "GaussDiff", "GenCore", "GenState",
    "Generated", "IndependentSequence", "Inferred", "KVAE", "MaskDiff", "Noisy", "RNN", "RVAE",
    "SEQAE", "SRNN", "STORN", "SequenceCore", "StepSample", "TDVAE", "VAECore", "VAE_TYPES",
    "VRNN", "draw", "make", "register", "require_steps",
]

Builder = Callable[[HParams, DistModule, Encoder], SequenceCore]

VAE_TYPES: dict[str, type[SequenceCore] | Builder] = {
    "RNN": RNN,
    "ISEQ": IndependentSequence,
    "SRNN": SRNN,
    "VRNN": VRNN,
    "DMM": DMM,
    "STORN": STORN,
    "RVAE": RVAE,
    "KVAE": KVAE,
    "DSAE": DSAE,
    "SEQAE": SEQAE,
    "TDVAE": TDVAE,
    "MASKDIFF": MaskDiff,
    "GAUSSDIFF": GaussDiff,
}

for _name, _core in VAE_TYPES.items():
    if _options := getattr(_core, "Options", None):
        declare_core_options(_name, _options)


def register(
    name: str, builder: type[SequenceCore] | Builder, options: type | None = None
) -> None:
    """Makes `vae_type=NAME` build a core, in programs too.

    Args:
      name: of the core in `HParams.vae_type`.
      builder: a `VAECore` that defines `from_hparams`, or a function of hyperparameters, a decoder
        and an encoder that returns a core.
      options: a dataclass of the core's own options (`fields.declare`), which `HParams` accepts
        from then on; by default the class attribute `Options` of a `VAECore`.

    Raises:
      ValueError: a core of this name is registered, or an option has the name of a
        hyperparameter or of another core's option with another default or other values.
    """
    if name in VAE_TYPES:
        raise ValueError(f"expected another name than {', '.join(VAE_TYPES)}; got {name!r}, which "
                         "is registered.")
    if options is None:
        options = getattr(builder, "Options", None)
    if options is not None:
        declare_core_options(name, options)
    VAE_TYPES[name] = builder


def make(hparams: HParams, decoder: DistModule, encoder: Encoder) -> SequenceCore:
    """Builds the core named by `hparams.vae_type`.

    Args:
      hparams: the kind of core, and sizes and kinds of its networks.
      decoder: from a core's outputs to the distribution of one observation.
      encoder: from an observation to the features that the posterior sees.

    Raises:
      ValueError: `vae_type` is not in `VAE_TYPES`, or the core cannot have `posterior_flows`.
    """
    if hparams.vae_type not in VAE_TYPES:
        raise ValueError(
            f"vae_type: expected one of {', '.join(VAE_TYPES)}; got {hparams.vae_type!r}. A core "
            "of your own is added by vaeseq.vae.register, in a module that a program imports by "
            "--model-module.")
    builder = VAE_TYPES[hparams.vae_type]
    build: Builder = getattr(builder, "from_hparams", builder)
    core = build(hparams, decoder, encoder)
    if not hparams.posterior_flows:
        return core
    return FlowPosterior.wrap(require_steps(core, "posterior_flows"), hparams)
