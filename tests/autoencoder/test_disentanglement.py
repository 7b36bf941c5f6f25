# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Measures of disentanglement on latents whose relation to the factors is known."""

import numpy as np
import pytest

from vaeseq.autoencoder import disentanglement
from vaeseq.autoencoder.disentanglement import dci, mutual_information_gap

RNG = np.random.default_rng(5)
FACTORS = RNG.integers(0, 5, [4000, 3])
NOISE = RNG.standard_normal([4000, 2])
TURN = np.array([[1.0, 1, 0], [-1, 1, 0], [0, 0, 1]])


def test_dimensions_that_are_the_factors_are_disentangled():
    z = np.concatenate([-3 * FACTORS[:, [2, 0, 1]], NOISE], 1)
    measured = dci(z, FACTORS)
    assert min(measured[:3]) > 0.98
    assert measured.importances.argmax(0).tolist() == [1, 2, 0]
    assert mutual_information_gap(z, FACTORS) > 0.98


def test_rotated_factors_are_informative_but_not_disentangled():
    z = (FACTORS - 2.0) @ TURN + 0.01 * RNG.standard_normal([4000, 3])
    measured = dci(z, FACTORS)
    assert measured.informativeness > 0.98
    # Two dimensions have the coefficients sqrt(0.5) of two factors, the third that of its own.
    both = 4 * np.sqrt(0.5)
    expected = (both * (1 - np.log(2) / np.log(3)) + 1) / (both + 1)
    assert measured.disentanglement == pytest.approx(expected, abs=0.03)
    assert measured.completeness == pytest.approx(expected, abs=0.03)
    assert mutual_information_gap(z, FACTORS) < 0.45


def test_a_copy_of_a_dimension_is_complete_no_more():
    z = np.concatenate([FACTORS, FACTORS + 0.01 * RNG.standard_normal([4000, 3])], 1)
    assert mutual_information_gap(z, FACTORS) < 0.05
    assert dci(z, FACTORS).disentanglement > 0.98


def test_noise_tells_nothing():
    measured = dci(NOISE, FACTORS)
    assert abs(measured.informativeness) < 0.02
    assert mutual_information_gap(NOISE, FACTORS) < 0.02
    with pytest.raises(ValueError, match="Z and K of at least 2"):
        dci(NOISE[:, :1], FACTORS)
    in_order = FACTORS[np.argsort(FACTORS[:, 1] > 2, kind="stable")]
    with pytest.raises(ValueError, match="factor 2 does not. Give the sequences in random order"):
        dci(NOISE, np.column_stack([in_order[:, :2], np.arange(len(NOISE)) < 2000]))


@pytest.mark.oracle
def test_mutual_information_and_lasso_worked_by_hand():
    a, b = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    expected = 0.5 * np.log(0.5 / 0.375) + 0.25 * np.log(0.25 / 0.125) + 0.25 * np.log(
        0.25 / 0.375)
    assert disentanglement.mutual_information(a, b) == pytest.approx(expected)
    # Orthonormal columns: each weight is shrunk by the penalty by itself.
    x = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    weights = disentanglement._lasso(x, x @ [0.5, -0.01])
    np.testing.assert_allclose(weights, [0.48, 0])
    points = disentanglement.traverse(np.array([1.0, 2.0]), 1, np.array([-1.0, 3.0]))
    assert points.tolist() == [[1, -1], [1, 3]]
