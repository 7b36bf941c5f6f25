# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""STORN: independent latents inferred forwards (Bayer and Osendorfer, arXiv:1411.7610).

Notation: c_t context (usually features of x_t-1), z_t latent, d_t recurrent state and output,
x_t observation, e_t forward recurrence over contexts and observations: a filtering posterior.

    Generative                          Inference

    z_1     z_2     z_3   ~ N(0, I)     z_1     z_2     z_3
     |       |       |                   ^       ^       ^
     v       v       v                   |       |       |
    d_1 --> d_2 --> d_3                 e_1 --> e_2 --> e_3
     |  ^    |  ^    |  ^                ^       ^       ^
     v  |    v  |    v  |                |       |       |
    x_1 c_1 x_2 c_2 x_3 c_3            c_1,x_1 c_2,x_2 c_3,x_3

    p(z_t) = N(0, I)                    q(z_t | x_1:t) = N(mean, stddev) of e_t
    d_t = cell([c_t, z_t], d_t-1)
    p(x_t | d_t)

The generative model is that of ISEQ; the recognition network runs forwards rather than backwards,
so that latents can be inferred while a sequence arrives. The paper's one-step latency, x_t-1 as
the input of d_t, is the agent's default context.

Deviations: the cells are gated (the paper has tanh units); the recognition network reads the
context beside x_t; at the beginning of a window of a longer sequence e starts from zeros, and every
bound stays a bound.
"""
from __future__ import annotations

from vaeseq.types import Nest, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.independent_sequence import IndependentSequence


class STORN(IndependentSequence):
    """A stochastic recurrent network of independent latents (graphs in the module description).

    The arguments are those of `IndependentSequence`; here `e_core` runs forwards.
    """

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        inputs = (context_features, self._encoder(observed))
        return _builders.forward(self._e_core, inputs, lengths)
