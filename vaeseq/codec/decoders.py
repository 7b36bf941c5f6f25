# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The decoders of the library: `DistModule`s that map features to a distribution over an event.

    Categorical, Bernoulli, Binomial     discrete, independent over the event's dimensions
    MaskedBernoulli                      binary, each dimension conditioned on those before it
    RelativeBernoulli                    binary, over a row of similar positions
    NegativeBinomial, ZeroInflated       counts without a limit, and counts with extra zeros
    Normal, MixtureOfNormals, Beta       real, independent over the event's dimensions
    StudentT                             the same with heavy tails
    MixtureOfBivariateNormals            pairs of real numbers with a correlation
    Group                                a nest of decoders for a nest of observations
"""

from vaeseq.codec._bivariate import BivariateMixtureParams, MixtureOfBivariateNormals
from vaeseq.codec._continuous import (
    Beta,
    BetaParams,
    MixtureOfNormals,
    MixtureParams,
    Normal,
    NormalParams,
    StudentT,
    StudentTParams,
)
from vaeseq.codec._counts import (
    NegativeBinomial,
    NegativeBinomialParams,
    ZeroInflated,
    ZeroInflatedParams,
)
from vaeseq.codec._discrete import Bernoulli, Binomial, Categorical
from vaeseq.codec._group import Group, GroupDistribution
from vaeseq.codec._masked import MaskedBernoulli, MaskedBernoulliDistribution, MaskedParams
from vaeseq.codec._relative import RelativeBernoulli

__all__ = [
    "Bernoulli", "Beta", "BetaParams", "Binomial", "BivariateMixtureParams", "Categorical", "Group",
    "GroupDistribution", "MaskedBernoulli", "MaskedBernoulliDistribution", "MaskedParams",
    "MixtureOfBivariateNormals", "MixtureOfNormals", "MixtureParams", "NegativeBinomial",
    "NegativeBinomialParams", "Normal", "NormalParams", "RelativeBernoulli", "StudentT",
    "StudentTParams", "ZeroInflated", "ZeroInflatedParams"]
