# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One step of the Kalman filter and of the Rauch-Tung-Striebel smoother, in square-root form.

    z_t = A_t z_t-1 + b_t + N(0, Q)       Q, R diagonal
    y_t = C_t z_t + N(0, R)

A covariance is the product F F' of a factor F of any width, so that it is positive semi-definite
whatever rounding does; the update is Joseph's form, which adds such products only.

Axes: Z state, A observation. All functions accept any leading axes.
"""
from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from vaeseq.codec import distributions
from vaeseq.types import Tensor


class Gaussian(NamedTuple):
    """A normal distribution of z."""

    mean: Tensor  # `[..., Z]`
    factor: Tensor  # F, `[..., Z, N]`, whose product F F' is the covariance

    @property
    def covariance(self) -> Tensor:
        """F F', `[..., Z, Z]`."""
        return tf.matmul(self.factor, self.factor, transpose_b=True)


def predict(belief: Gaussian, transition: Tensor, noise: Tensor) -> Gaussian:
    """Returns p(z_t | y_1:t-1) from p(z_t-1 | y_1:t-1), with a square, triangular factor.

    Args:
      belief: of z_t-1.
      transition: A_t, `[..., Z, Z]`.
      noise: standard deviations of the diagonal Q, `[Z]`, above 0.
    """
    moved = Gaussian(tf.linalg.matvec(transition, belief.mean),
                     tf.matmul(transition, belief.factor))
    return moved._replace(
        factor=tf.linalg.cholesky(moved.covariance + tf.linalg.diag(noise ** 2)))


def observation(
    predicted: Gaussian, emission: Tensor, noise: Tensor
) -> distributions.MultivariateNormalTriL:
    """Returns p(y_t | y_1:t-1).

    Args:
      predicted: p(z_t | y_1:t-1).
      emission: C_t, `[..., A, Z]`.
      noise: standard deviations of the diagonal R, `[A]`, above 0.
    """
    covariance = Gaussian(predicted.mean, tf.matmul(emission, predicted.factor)).covariance
    return distributions.MultivariateNormalTriL(
        tf.linalg.matvec(emission, predicted.mean),
        tf.linalg.cholesky(covariance + tf.linalg.diag(noise ** 2)))


def condition(predicted: Gaussian, emission: Tensor, noise: Tensor, value: Tensor) -> Gaussian:
    """Returns p(z_t | y_1:t), with a factor `[..., Z, Z + A]`.

    Args:
      predicted: p(z_t | y_1:t-1), with a factor `[..., Z, Z]`.
      emission: C_t, `[..., A, Z]`.
      noise: standard deviations of the diagonal R, `[A]`.
      value: y_t, `[..., A]`.
    """
    expected = observation(predicted, emission, noise)
    projected = tf.matmul(emission, predicted.factor)
    gain = tf.linalg.adjoint(tf.linalg.cholesky_solve(
        expected.scale.to_dense(), tf.matmul(projected, predicted.factor, transpose_b=True)))
    return Gaussian(
        predicted.mean + tf.linalg.matvec(gain, value - expected.loc),
        tf.concat([predicted.factor - tf.matmul(gain, projected), gain * noise], -1))


def smooth(
    belief: Gaussian, transition: Tensor, noise: Tensor, predicted_mean: Tensor,
    later_mean: Tensor, later_covariance: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns mean and covariance of p(z_t | y_1:T) from those of p(z_t+1 | y_1:T).

    Args:
      belief: p(z_t | y_1:t).
      transition: A_t+1, `[..., Z, Z]`; zeros if nothing follows step t.
      noise: standard deviations of the diagonal Q, `[Z]`.
      predicted_mean: of p(z_t+1 | y_1:t), `[..., Z]`.
      later_mean: of p(z_t+1 | y_1:T), `[..., Z]`.
      later_covariance: of p(z_t+1 | y_1:T), `[..., Z, Z]`.
    """
    factor = predict(belief, transition, noise).factor
    gain = tf.linalg.adjoint(tf.linalg.cholesky_solve(
        factor, tf.matmul(transition, belief.covariance)))
    rest = belief.factor - tf.matmul(gain, tf.matmul(transition, belief.factor))
    later = later_covariance + tf.linalg.diag(noise ** 2)
    return (belief.mean + tf.linalg.matvec(gain, later_mean - predicted_mean),
            tf.matmul(rest, rest, transpose_b=True)
            + tf.matmul(gain, tf.matmul(later, gain, transpose_b=True)))
