# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Bayesian logistic regression, against finite differences and quadrature."""

import numpy as np
import pytest

from vaeseq.tuning import logistic

pytestmark = pytest.mark.oracle


def _log_joint(weights, inputs, targets, mean, covariance):
    logits = inputs @ weights
    prior = -0.5 * (weights - mean) @ np.linalg.solve(covariance, weights - mean)
    return targets @ logits - np.logaddexp(0, logits).sum() + prior


def _gradient(function, point, size=1e-4):
    steps = size * np.eye(len(point))
    return np.array([(function(point + step) - function(point - step)) / (2 * size)
                     for step in steps])


@pytest.mark.parametrize("count", [0, 2, 9])
def test_the_posterior_is_at_the_maximum_and_as_wide_as_its_curvature(count):
    """Fewer and more observations than weights; targets of half; a prior with correlations."""
    rng = np.random.default_rng(count)
    inputs, mean = rng.normal(size=[count, 4]), rng.normal(size=4)
    targets = rng.choice([0, 0.5, 1], count)
    factor = rng.normal(size=[4, 4])
    covariance = factor @ factor.T
    posterior = logistic.laplace(inputs, targets, mean, factor)

    def joint(weights):
        return _log_joint(weights, inputs, targets, mean, covariance)

    np.testing.assert_allclose(_gradient(joint, posterior.mean), 0, atol=1e-6)
    hessian = _gradient(lambda weights: _gradient(joint, weights), posterior.mean)
    np.testing.assert_allclose(
        covariance - posterior.reduction @ posterior.reduction.T, np.linalg.inv(-hessian),
        rtol=1e-4, atol=1e-5)
    evidence = joint(posterior.mean) - 0.5 * np.linalg.slogdet(-hessian @ covariance)[1]
    assert posterior.log_evidence == pytest.approx(evidence, abs=1e-5)
    diagonal = logistic.laplace(inputs, targets, mean, np.abs(factor[0]))
    full = logistic.laplace(inputs, targets, mean, np.diag(np.abs(factor[0])))
    np.testing.assert_allclose(diagonal.mean, full.mean, atol=1e-10)


def test_one_weight_agrees_with_quadrature():
    """The posterior of 400 observations is nearly normal."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=[400, 1])
    targets = (rng.random(400) < logistic.sigmoid(1.3 * inputs[:, 0])).astype(float)
    posterior = logistic.laplace(inputs, targets, np.zeros(1), np.array([2.0]))
    grid = np.linspace(-1, 4, 4001)
    logits = inputs * grid
    log_joint = (targets @ logits - np.logaddexp(0, logits).sum(0)
                 - grid**2 / 8 - np.log(2 * np.sqrt(2 * np.pi)))
    highest, step = log_joint.max(), grid[1] - grid[0]
    density = np.exp(log_joint - highest)
    total = density.sum() * step
    mean = density @ grid * step / total
    variance = density @ (grid - mean)**2 * step / total
    assert posterior.log_evidence == pytest.approx(highest + np.log(total), abs=0.02)
    assert posterior.mean[0] == pytest.approx(mean, abs=0.01)
    assert 4 - (posterior.reduction**2).sum() == pytest.approx(variance, rel=0.05)
    normal = np.exp(-0.5 * (grid - 1.5)**2 / 0.3) * step / np.sqrt(2 * np.pi * 0.3)
    assert logistic.predict(np.array([1.5]), np.array([0.3]))[0] == pytest.approx(
        normal @ logistic.sigmoid(grid), abs=1e-4)


def test_prior_variances_are_a_maximum_of_the_evidence():
    """One group of weights of variance 4, and one that explains nothing."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=[500, 14])
    logits = inputs[:, :6] @ (2 * rng.normal(size=6))
    targets = (rng.random(500) < logistic.sigmoid(logits)).astype(float)
    variances = logistic.fit_variances(inputs, targets, [6, 0, 8])

    def evidence(variances):
        return logistic.laplace(
            inputs, targets, np.zeros(14), np.sqrt(variances)).log_evidence

    assert 1 < variances[0] < 12 and variances[-1] < 0.1
    for factor in (0.5, 2.0):
        changed = variances * np.where(np.arange(14) < 6, factor, 1)
        assert evidence(changed) < evidence(variances)


def test_information_is_of_what_is_not_known():
    """0 for a known logit, be it sure or not, and log 2 for two sure opponents."""
    values = logistic.information(np.array([9.0, 0, 0, 0]), np.array([0, 0, 1, 1e6]))
    np.testing.assert_allclose(values[:2], 0, atol=1e-12)
    assert 0 < values[2] < values[3] < np.log(2)
    assert values[3] == pytest.approx(np.log(2), abs=0.01)
