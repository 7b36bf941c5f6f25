# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Distributions of the latent variables: Gaussian, residual, constant, empty."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec import distributions
from vaeseq.codec.decoders import Normal, NormalParams
from vaeseq.dist_module import DistModule
from vaeseq.nn.scan.matmul import as_parts
from vaeseq.types import Spec, Tensor


class DiagonalNormal(DistModule):
    """A latent [Z] of independent normals: features -> `NormalParams` of [..., Z].

    A size of 0 is legal: samples are [..., 0], densities and divergences 0.
    """

    def __init__(self, size: int, hidden_sizes: Sequence[int] = (), *, activation: str = "relu",
                 dropout: float = 0.0, positive_projection: str = "softplus",
                 positive_eps: float = 1e-5, initial_scale: float = 1.0,
                 name: str | None = None) -> None:
        """Builds the network; the variables come with the first call.

        Args:
          size: Z.
          hidden_sizes: units of the layers between features and parameters.
          activation: of those layers (see `networks.MLP`).
          dropout: the share of their units dropped, inside `dropout.enable_dropout`.
          positive_projection: how a scale is made positive: "softplus" or "exp".
          positive_eps: the least scale, above 0.
          initial_scale: where the features are zero at the start of training.
          name: of the module.

        Raises:
          ValueError: a negative size, an unknown projection, an eps or initial_scale that is not
            positive.
        """
        super().__init__(name=name)
        self._normal = Normal(
            _latent_spec("DiagonalNormal", size), hidden_sizes=hidden_sizes,
            activation=activation, dropout=dropout, positive_projection=positive_projection,
            positive_eps=positive_eps, initial_scale=initial_scale)

    @property
    def event_spec(self) -> Spec:
        """[Z]."""
        return self._normal.event_spec

    def __call__(self, features: Tensor) -> NormalParams:
        """[..., F] -> parameters of [..., Z]."""
        return self._normal(features)

    def dist(self, params: NormalParams) -> tfd.Distribution:
        """Over [Z], batch shape [...]; standard normals where `params` are a scan's padding."""
        return normal(params)

    def _temper(self, params: NormalParams, temperature: float | Tensor) -> NormalParams:
        return self._normal.temper(params, temperature)


class StandardNormal(DistModule):
    """A latent [Z] of standard normals, whatever the features; Z = 0 is the empty latent."""

    def __init__(self, size: int, name: str | None = None) -> None:
        """Args: size: Z. Raises: ValueError: a negative size."""
        super().__init__(name=name)
        self._event_spec = _latent_spec("StandardNormal", size)

    @property
    def event_spec(self) -> Spec:
        """[Z]."""
        return self._event_spec

    def __call__(self, features: Tensor) -> NormalParams:
        """[..., F] -> zeros and ones of [..., Z]."""
        features = as_parts(features)[0]
        shape = nest.shape_of(features)[:-1] + [self._event_spec.shape[0]]
        return NormalParams(tf.zeros(shape, features.dtype), tf.ones(shape, features.dtype))

    def dist(self, params: NormalParams) -> tfd.Distribution:
        """Over [Z], batch shape [...]."""
        return normal(params)

    def _temper(self, params: NormalParams, temperature: float | Tensor) -> NormalParams:
        root = tf.sqrt(tf.cast(temperature, params.scale.dtype))
        return params._replace(scale=params.scale * root)


def normal(params: NormalParams) -> tfd.Distribution:
    """Independent normals over [Z].

    Past a row's length a `scan` gives zeros. A scale of 0, which no network here gives, is taken
    as 1, so that densities there are finite.

    Args:
      params: [..., Z] each.
    """
    scale = tf.where(params.scale == 0.0, tf.ones_like(params.scale), params.scale)
    return tfd.Independent(distributions.Normal(params.loc, scale), 1)


def normal_params(dist: tfd.Distribution) -> NormalParams | tuple[()]:
    """Of what `normal` gives; () of any other distribution."""
    base = getattr(dist, "distribution", None)
    if not isinstance(base, distributions.Normal) or dist.event_shape.rank != 1:
        return ()
    return NormalParams(base.loc, base.scale)


def residual(prior: NormalParams, delta: NormalParams) -> NormalParams:
    """A posterior relative to the prior (SRNN's Res-q, arXiv:1605.07571, section 3).

    Args:
      prior: parameters of p(z_t), [..., Z].
      delta: what the posterior's network says, [..., Z].

    Returns:
      Parameters of q(z_t): the prior's loc plus delta's, and delta's scale.
    """
    return NormalParams(prior.loc + delta.loc, delta.scale)


def _latent_spec(owner: str, size: int) -> Spec:
    if size < 0:
        raise ValueError(f"{owner} expects a size of 0 or more, got {size}. A size of 0 is a "
                         "model without latents.")
    return tf.TensorSpec([size], tf.float32)
