# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures of disentanglement: does each latent dimension follow one factor of the data?

They need data whose factors are known, such as sequences made by a formula.

    MIG   mutual information gap: of each factor, the information of the best dimension minus that
          of the second, over the factor's entropy (Chen et al., arXiv:1802.04942)
    DCI   disentanglement (a dimension follows one factor), completeness (a factor is in one
          dimension) and informativeness (the factors are there at all) of lasso regressions
          (Eastwood and Williams, ICLR 2018)

Axes: N sequences, Z latent, K factors.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

_PENALTY = 0.02  # of the lasso, for variables of variance 1
_SWEEPS = 200
_TOLERANCE = 1e-6
_NUM_BINS = 20


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, each 1 at best and 0 at worst.

    Attributes:
      disentanglement: 1 minus the entropy of each dimension's importances over factors, in units of
        its maximum; the mean is weighted by the importance of dimensions.
      completeness: likewise of each factor's importances over dimensions.
      informativeness: R^2 of predicting the factors of the second half of the sequences; negative
        where the mean predicts better.
      importances: `[Z, K]`, absolute coefficients of standardised variables.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importances: np.ndarray


def dci(z: np.ndarray, factors: np.ndarray) -> DCI:
    """Returns how latents `[N, Z]` follow factors `[N, K]`; Z and K are at least 2.

    The lasso is fitted to the first half of the sequences, which are in random order, and measured
    on the second. It is linear: what a dimension says about a factor in other ways does not count.

    Raises:
      ValueError: there are fewer than two dimensions or factors, or fewer than four sequences, or a
        factor is the same in all sequences of a half.
    """
    z, factors = (np.asarray(x, np.float64) for x in (z, factors))
    if min(z.shape[1], factors.shape[1]) < 2 or len(z) < 4 or len(z) != len(factors):
        raise ValueError("expected latents [N, Z] and factors [N, K] with N of at least 4, Z and K "
                         f"of at least 2; got {z.shape} and {factors.shape}.")
    half = len(z) // 2
    constant = [k for k, factor in enumerate(factors.T)
                if not factor[:half].std() or not factor[half:].std()]
    if constant:
        raise ValueError(f"expected factors that vary in both halves of the sequences; factor "
                         f"{constant[0]} does not. Give the sequences in random order.")
    z, factors = ((x - x[:half].mean(0)) / np.maximum(x[:half].std(0), 1e-12)
                  for x in (z, factors))
    weights = np.stack([_lasso(z[:half], factor) for factor in factors[:half].T], 1)
    errors = ((factors[half:] - z[half:] @ weights) ** 2).mean(0) / factors[half:].var(0)
    importances = np.abs(weights)
    total = max(importances.sum(), 1e-12)
    return DCI(
        float((_concentration(importances) * importances.sum(1)).sum() / total),
        float((_concentration(importances.T) * importances.sum(0)).sum() / total),
        float(1 - errors.mean()), importances)


def mutual_information_gap(z: np.ndarray, factors: np.ndarray) -> float:
    """Returns the mean over factors of the gap, 0 to 1.

    Args:
      z: latents, `[N, Z]`, Z at least 2; each dimension is divided into 20 bins of equal counts.
      factors: `[N, K]`; those with more than 20 different values are divided, too.
    """
    bins = [_bins(column) for column in np.asarray(z).T]
    gaps = []
    for column in np.asarray(factors).T:
        factor = _bins(column)
        second, best = np.sort([mutual_information(one, factor) for one in bins])[-2:]
        gaps.append((best - second) / max(mutual_information(factor, factor), 1e-12))
    return float(np.mean(gaps))


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the mutual information of two sequences of numbers from 0 as they occur, in nats."""
    joint = np.zeros([int(a.max()) + 1, int(b.max()) + 1])
    np.add.at(joint, (a, b), 1 / len(a))
    independent = joint.sum(1, keepdims=True) * joint.sum(0)
    occurs = joint > 0
    return float((joint[occurs] * np.log(joint[occurs] / independent[occurs])).sum())


def traverse(z: np.ndarray, dimension: int, values: np.ndarray) -> np.ndarray:
    """Returns copies of one latent `[Z]` with each of `values` `[n]` in a dimension, `[n, Z]`."""
    points = np.repeat(np.asarray(z, np.float64)[np.newaxis], len(values), 0)
    points[:, dimension] = values
    return points


def _bins(column: np.ndarray) -> np.ndarray:
    different, numbers = np.unique(column, return_inverse=True)
    if len(different) <= _NUM_BINS:
        return numbers
    edges = np.quantile(column, np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    return np.searchsorted(edges, column, side="right")


def _concentration(importances: np.ndarray) -> np.ndarray:
    """Returns 1 minus the normalised entropy of each row."""
    shares = importances / np.maximum(importances.sum(1, keepdims=True), 1e-12)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(1)
    return 1 - entropy / np.log(importances.shape[1])


def _lasso(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the weights that minimise |y - x w|^2 / 2N + penalty |w|_1, by coordinate descent."""
    weights = np.zeros(x.shape[1])
    scales = np.maximum((x ** 2).mean(0), 1e-12)
    rest = y.copy()
    for _ in range(_SWEEPS):
        largest = 0.0
        for column in range(x.shape[1]):
            before = weights[column]
            target = x[:, column] @ rest / len(x) + scales[column] * before
            shrunk = max(abs(target) - _PENALTY, 0) / scales[column]
            weights[column] = np.sign(target) * shrunk
            rest -= (weights[column] - before) * x[:, column]
            largest = max(largest, abs(weights[column] - before))
        if largest < _TOLERANCE:
            break
    return weights
