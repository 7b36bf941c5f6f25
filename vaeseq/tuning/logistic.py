# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bayesian logistic regression: a normal prior of the weights, and Laplace's approximation.

    w ~ N(m, L L^T)       p(y_i = 1 | w) = sigmoid(x_i w)

The posterior is approximated by a normal distribution at its maximum (MacKay, "The evidence
framework applied to classification networks", 1992). With w = m + L v the prior of v is N(0, I),
and only the part of v in the span of the rows of X L is learnt about: Newton's method is of
min(M, R) dimensions, whatever the number of features. Imports no TensorFlow.

Axes: M observations, F features, R columns of L, K = min(M, R).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_STEPS = 50  # of Newton's method at most
_MAX_ITERATIONS = 40  # of variances
_GAIN = 1e-3  # nats of evidence below which variances have converged
_RANGE = 1e-8, 1e3  # of variances
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Posterior(NamedTuple):
    """A normal distribution of weights, narrower than the prior where observations tell of them.

    Attributes:
      mean: `[F]`.
      reduction: A, where the covariance is that of the prior minus A A^T, `[F, K]`.
      log_evidence: Laplace's approximation of the log-probability of the observations, in nats.
    """

    mean: np.ndarray
    reduction: np.ndarray
    log_evidence: float


def laplace(
    inputs: np.ndarray, targets: np.ndarray, mean: np.ndarray, factor: np.ndarray
) -> Posterior:
    """Returns the posterior of the weights.

    Args:
      inputs: X, `[M, F]`; M may be 0.
      targets: y from 0 to 1, `[M]`; a fraction counts as so much of both answers.
      mean: of the prior, `[F]`.
      factor: L, a factor of the prior's covariance, `[F, R]`; or its diagonal, `[F]`.
    """
    scaled, offsets = inputs * factor if factor.ndim == 1 else inputs @ factor, inputs @ mean
    basis = (np.linalg.qr(scaled.T)[0] if scaled.shape[0] < scaled.shape[1]
             else np.eye(scaled.shape[1]))  # [R, K]
    rows = scaled @ basis

    def objective(weights: np.ndarray) -> float:
        logits = rows @ weights + offsets
        return float(targets @ logits - np.logaddexp(0, logits).sum() - 0.5 * weights @ weights)

    def derivatives(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities = sigmoid(rows @ weights + offsets)
        curvature = probabilities * (1 - probabilities)
        return (rows.T @ (targets - probabilities) - weights,
                np.eye(len(weights)) + (rows.T * curvature) @ rows)

    weights = np.zeros(rows.shape[1])
    value = objective(weights)
    for _ in range(_STEPS):
        gradient, negative_hessian = derivatives(weights)
        step = np.linalg.solve(negative_hessian, gradient)
        # The objective is concave, so that every short enough step of Newton's method raises it.
        while objective(weights + step) < value - 1e-9:
            step = 0.5 * step
        weights = weights + step
        value = objective(weights)
        if gradient @ step < 1e-12:
            break
    precisions, axes = np.linalg.eigh(derivatives(weights)[1])
    span = factor[:, None] * basis if factor.ndim == 1 else factor @ basis
    return Posterior(
        mean + span @ weights, span @ axes * np.sqrt(np.maximum(1 - 1 / precisions, 0)),
        value - 0.5 * float(np.log(precisions).sum()))


def fit_variances(
    inputs: np.ndarray, targets: np.ndarray, sizes: Sequence[int]
) -> np.ndarray:
    """Returns the prior variances of groups of weights that maximise the evidence, `[F]`.

    By MacKay's fixed point: the variance of a group is the square of its weights over the number of
    its weights that the observations determine. A group that explains nothing is switched off.

    Args:
      inputs: X, `[M, F]`.
      targets: y from 0 to 1, `[M]`.
      sizes: number of features of each group, in order.
    """
    groups = np.repeat(np.arange(len(sizes)), sizes)
    variances = 1.0 / np.maximum(sizes, 1)
    best, best_evidence = variances, -np.inf
    for _ in range(_MAX_ITERATIONS):
        posterior = laplace(inputs, targets, np.zeros(len(groups)), np.sqrt(variances[groups]))
        gain = posterior.log_evidence - best_evidence
        if gain > 0:
            best, best_evidence = variances, posterior.log_evidence
        if abs(gain) < _GAIN:
            break
        squares = np.bincount(groups, posterior.mean**2, len(sizes))
        determined = np.bincount(groups, (posterior.reduction**2).sum(1), len(sizes)) / variances
        variances = np.clip(squares / np.maximum(determined, 1e-9), *_RANGE)
    return best[groups]


def predict(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Returns the mean of sigmoid(a) for a ~ N(mean, variance), by Gauss-Hermite quadrature."""
    return _expected(sigmoid, means, variances)


def information(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Returns what an observation tells of the weights, in nats, given its logit a.

    It is the mutual information of the observation and a ~ N(mean, variance) (Houlsby et al.,
    arXiv:1112.5745), by Gauss-Hermite quadrature.
    """
    return _entropy(predict(means, variances)) - _expected(
        lambda logits: _entropy(sigmoid(logits)), means, variances)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-values))."""
    return 0.5 * (1 + np.tanh(0.5 * values))


def _expected(
    function: Callable[[np.ndarray], np.ndarray], means: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    deviations = np.sqrt(np.maximum(variances, 0))
    return function(means[..., None] + deviations[..., None] * _NODES) @ _WEIGHTS


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return -p * np.log(p) - (1 - p) * np.log1p(-p)
