# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bounds on the log-likelihood of sequences, by name."""
from __future__ import annotations

from vaeseq.bounds import resampling
from vaeseq.bounds.base import Bound, BoundResult, BoundState
from vaeseq.bounds.elbo import ELBO
from vaeseq.bounds.fivo import FIVO
from vaeseq.bounds.iwae import IWAE
from vaeseq.bounds.jumpy import Jumpy

__all__ = [
    "BOUNDS", "Bound", "BoundResult", "BoundState", "ELBO", "FIVO", "IWAE", "Jumpy", "make",
    "resampling"]

BOUNDS = {"elbo": ELBO, "iwae": IWAE, "fivo": FIVO}  # of any core; `Jumpy` is for TDVAE alone


def make(
    name: str, num_samples: int = 1, *, samples_at_once: int | None = 0, monte_carlo: bool = False,
    free_bits: float = 0.0,
) -> Bound:
    """Creates a bound by name.

    Args:
      name: "elbo", "iwae" or "fivo"; for training a TDVAE also "jumpy".
      num_samples: S, the number of samples of the latents.
      samples_at_once: for ELBO and IWAE, how many samples are in memory together, a divisor of S;
        0 for all; None for as many as the sequences' size allows. FIVO's particles interact and
        are always together.
      monte_carlo: for ELBO, whether the KL is estimated from the samples even where it has a
        closed form.
      free_bits: for ELBO, the bits a step of KL that the objective does not penalise.

    Raises:
      ValueError: an unknown name, or `free_bits` for a bound other than ELBO.
    """
    if name not in (*BOUNDS, Jumpy.name):
        raise ValueError(f"expected a bound among {', '.join(BOUNDS)}, got {name!r}.")
    if name == ELBO.name:
        return ELBO(num_samples, samples_at_once=samples_at_once, monte_carlo=monte_carlo,
                    free_bits=free_bits)
    if free_bits:
        raise ValueError(f"free_bits={free_bits}: only the elbo has a KL term of its own; "
                         f"expected 0 with {name!r}.")
    if name == IWAE.name:
        return IWAE(num_samples, samples_at_once=samples_at_once)
    if name == Jumpy.name:
        return Jumpy(num_samples, samples_at_once=samples_at_once)
    return FIVO(num_samples)
