# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds on the log-likelihood of sequences, by name."""
from __future__ import annotations

from vaeseq.bounds import mmd, resampling
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.bounds.elbo import ELBO
from vaeseq.bounds.fivo import FIVO
from vaeseq.bounds.iwae import IWAE
from vaeseq.bounds.jumpy import Jumpy
from vaeseq.bounds.reconstruction import MMD, Adversarial, Reconstruction

__all__ = [
    "Adversarial", "BOUNDS", "Bound", "BoundResult", "BoundState", "ELBO", "FIVO", "IWAE", "Jumpy",
    "MMD", "Reconstruction", "make", "mmd", "resampling"]

BOUNDS = {"elbo": ELBO, "iwae": IWAE, "fivo": FIVO}  # of any core
# `Jumpy` is for TDVAE alone, the others are for SEQAE and no bounds.
_OBJECTIVES: dict[str, type[Reconstruction | MMD | Adversarial | Jumpy]] = {
    kind.name: kind for kind in (Jumpy, Reconstruction, MMD, Adversarial)}


def make(
    name: str, num_samples: int = 1, *, chunked: bool = False, monte_carlo: bool = False,
    free_bits: float = 0.0, free_bits_per: str = "total",
) -> Bound:
    """Creates a bound by name.

    Args:
      name: "elbo", "iwae" or "fivo"; for training a TDVAE also "jumpy"; for a SEQAE
        "reconstruction", "mmd" or "adversarial".
      num_samples: S, the number of samples of the latents.
      chunked: scores as many samples at a time as the sequences' size allows, which bounds the
        memory; by default all of them. FIVO's particles interact and are always together.
      monte_carlo: for ELBO, whether the KL is estimated from the samples even where it has a
        closed form.
      free_bits: for ELBO, the bits a step of KL that the objective does not penalise.
      free_bits_per: whether these are of all dimensions ("total") or of each ("dimension").

    Raises:
      ValueError: an unknown name, or `free_bits` for a bound other than ELBO.
    """
    if name not in (*BOUNDS, *_OBJECTIVES):
        raise ValueError(f"expected a bound among {', '.join(BOUNDS)}, got {name!r}.")
    if name == ELBO.name:
        return ELBO(num_samples, chunked=chunked, monte_carlo=monte_carlo,
                    free_bits=free_bits, free_bits_per=free_bits_per)
    if free_bits:
        raise ValueError(f"free_bits={free_bits}: only the elbo has a KL term of its own; "
                         f"expected 0 with {name!r}.")
    if name == IWAE.name:
        return IWAE(num_samples, chunked=chunked)
    if name in _OBJECTIVES:
        return _OBJECTIVES[name](num_samples, chunked=chunked)
    return BOUNDS[name](num_samples)
