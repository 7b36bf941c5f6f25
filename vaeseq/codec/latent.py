# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Distributions of the latent variables: Gaussian, standard, residual."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec import distributions, heads
from vaeseq.codec.decoders import Normal, NormalParams
from vaeseq.nn.scan.matmul import as_parts
from vaeseq.types import Tensor


class _NormalLatent(heads.TensorDecoder):
    """A latent [Z] of independent normals, with parameters `NormalParams` of [..., Z]."""

    def __init__(self, size: int, name: str | None = None) -> None:
        if size < 0:
            raise ValueError(f"{type(self).__name__} expects a size of 0 or more, got {size}. A "
                             "size of 0 is a model without latents.")
        super().__init__(tf.TensorSpec([size], tf.float32), "floating", name=name)

    def dist(self, params: NormalParams) -> tfd.Distribution:
        """Returns the distribution over [Z], of batch shape [...] (see `normal` for padding)."""
        return normal(params)


class DiagonalNormal(_NormalLatent):
    """A latent [Z] of independent normals: features -> `NormalParams` of [..., Z].

    With a size of 0 samples are [..., 0], log-densities and KL 0.
    """

    def __init__(self, size: int, hidden_sizes: Sequence[int] = (), *, activation: str = "relu",
                 positive_projection: str = "softplus", positive_eps: float = 1e-5,
                 initial_scale: float = 1.0, name: str | None = None) -> None:
        """Builds the network; its variables are created by the first call.

        Args:
          size: Z.
          hidden_sizes: units of the layers between features and parameters.
          activation: of those layers, a name as for `networks.MLP`.
          positive_projection: the function that makes a scale positive: "softplus", or "exp"
            (constant above e^30).
          positive_eps: lower limit of the scale, above 0.
          initial_scale: the scale for zero features before training.

        Raises:
          ValueError: a negative size, an unknown projection, or an eps or initial_scale that is
            not positive.
        """
        super().__init__(size, name=name)
        self._normal = Normal(
            self.event_spec, hidden_sizes=hidden_sizes, activation=activation,
            positive_projection=positive_projection, positive_eps=positive_eps,
            initial_scale=initial_scale)

    def __call__(self, features: Tensor) -> NormalParams:
        """Computes parameters of [..., Z] from features [..., F]."""
        return self._normal(features)


class StandardNormal(_NormalLatent):
    """A latent [Z] of standard normals, independent of the features.

    Its constructor takes Z, which is 0 for a model without latents, and the module's name.
    """

    def __call__(self, features: Tensor) -> NormalParams:
        """Returns zeros and ones of [..., Z] for features [..., F]."""
        features = as_parts(features)[0]
        shape = nest.shape_of(features)[:-1] + [self.event_spec.shape[0]]
        return NormalParams(tf.zeros(shape, features.dtype), tf.ones(shape, features.dtype))


def normal(params: NormalParams) -> tfd.Distribution:
    """Returns independent normals over [Z] of loc and scale, [..., Z] each.

    A scale of 0, as in the zeros that `scan` returns for padding, is replaced by 1, so that the
    densities of padding are finite.
    """
    scale = tf.where(params.scale == 0.0, tf.ones_like(params.scale), params.scale)
    return tfd.Independent(distributions.Normal(params.loc, scale), 1)


def normal_params(dist: tfd.Distribution) -> NormalParams | tuple[()]:
    """Returns the parameters of a result of `normal`, and () for any other distribution."""
    base = getattr(dist, "distribution", None)
    if not isinstance(base, distributions.Normal) or dist.event_shape.rank != 1:
        return ()
    loc, scale = base.loc, base.scale  # of a core of one's own, of shapes that broadcast
    return NormalParams(loc + tf.zeros_like(scale), scale + tf.zeros_like(loc))


def residual(prior: NormalParams, delta: NormalParams) -> NormalParams:
    """Returns a posterior relative to the prior (Res-q, arXiv:1605.07571, section 3.2).

    Args:
      prior: parameters of p(z_t), [..., Z].
      delta: the outputs of the posterior's network, [..., Z].

    Returns:
      Parameters of q(z_t): the prior's loc plus delta's, and delta's scale.
    """
    return NormalParams(prior.loc + delta.loc, delta.scale)
