# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Sequences with some of their values fixed, drawn from a model trained on complete sequences.

    given = clamping.with_missing_values(gen_core)
    imputed = imputation.impute(given, Masked(values, mask), num_particles=256, seed=0)

The posterior of such a model expects complete sequences, so that the particles draw z_t from the
prior instead. They are weighted by the density of the fixed values alone,

    z_t ~ p(z_t | h_t)      x_t ~ p(x_t | h_t, z_t, fixed part)      w_t = p(fixed part | h_t, z_t)

and the mean weight is an unbiased estimate of the density of the fixed values (a bootstrap
particle filter: Gordon, Salmond and Smith, 1993). Agents observe completed steps.

Axes: B batch, T time, F features (see `vaeseq.types`).
"""
from __future__ import annotations

from tensorflow_probability import distributions as tfd

from vaeseq.agent import Agent
from vaeseq.codec.missing import MaskedDecoder
from vaeseq.data import Masked
from vaeseq.dist_module import DistModule
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import VAECore, WrappedCore, require_steps
from vaeseq.vae.gen_core import GenCore


def with_missing_values(gen_core: GenCore, *, temperature: float = 1.0) -> GenCore:
    """Returns a `GenCore` of `Masked` observations with the weights of one of complete ones.

    Args:
      gen_core: a model of complete observations. The density of its decoder factorises over the
        dimensions of an observation, or has a method `sample_given`, as `MaskedBernoulli`'s.
      temperature: above 0, of the decoder's distribution: below 1 sharpens, above 1 flattens.

    Raises:
      ValueError: the core has no single steps, or its observations may be incomplete already.
    """
    core = require_steps(gen_core.core, "drawing sequences around fixed values by particles")
    if isinstance(core.decoder, MaskedDecoder):
        raise ValueError("expected a model of complete observations, got one of missing values. "
                         "Draw from it by imputation.impute as it is.")
    return GenCore(_ValuesAgent(gen_core.agent), _PriorProposal(core, temperature))


class _ValuesAgent(Agent):
    """An agent that observes the values of completed observations."""

    def __init__(self, inner: Agent) -> None:
        super().__init__(name="values_agent")
        self._inner = inner

    @property
    def context_size(self) -> int:
        return self._inner.context_size

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return self._inner.initial_state(batch_size)

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return self._inner.context(state, inputs, seed=seed)

    def observe(self, observation: Masked, context: Tensor, state: Nest) -> Nest:
        return self._inner.observe(observation.values, context, state)

    def finished(self, state: Nest) -> Tensor:
        return self._inner.finished(state)


class _TemperedDecoder(DistModule):
    """Another decoder at a fixed temperature."""

    def __init__(self, decoder: DistModule, temperature: float) -> None:
        super().__init__(name="tempered_decoder")
        self._decoder = decoder
        self._temperature = temperature

    @property
    def event_spec(self) -> Nest:
        return self._decoder.event_spec

    def __call__(self, features: Tensor) -> Nest:
        return self._decoder.temper(self._decoder(features), self._temperature)

    def dist(self, params: Nest) -> tfd.Distribution:
        return self._decoder.dist(params)


class _PriorProposal(WrappedCore):
    """Another core whose posterior is its prior, and whose observations may be incomplete."""

    def __init__(self, core: VAECore, temperature: float) -> None:
        decoder = core.decoder if temperature == 1 else _TemperedDecoder(core.decoder, temperature)
        super().__init__(core, MaskedDecoder(decoder), name="prior_proposal")
        self.has_density = True

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        return ()

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        del feature
        return self.prior(h)
