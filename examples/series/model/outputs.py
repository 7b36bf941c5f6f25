# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The distribution of the targets of one step, and the encoder of such values."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import dtypes, seeds
from vaeseq.codec import decoders
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Seed, Spec, Tensor

from ..data.layout import MOST_CLASSES, Layout
from ..hparams import SeriesHParams

_SQUASH = 5.0  # scaled values beyond some multiples of the spread grow like a logarithm


def make_decoder(hparams: SeriesHParams, layout: Layout, num_floats: int) -> DistModule:
    """Creates the decoder that `hparams.output` names; its targets are independent.

    Takes initial parameters from the layout of the data. The context of a step has `num_floats`
    numbers before the earlier values.

    Raises:
      ValueError: the output cannot have such targets.
    """
    decoder = _output(hparams, layout)
    if hparams.base == "none":
        return decoder
    last, *season = [(1, 1.0)] if hparams.base == "last" else [
        (1, 1.0), (hparams.season, 1.0), (hparams.season + 1, -1.0)]
    first, size = hparams.rnn_hidden_sizes[-1] + num_floats, 2 * layout.num_targets
    last_values, season_values = (
        [(first + size * hparams.lags.index(lag), weight) for lag, weight in terms]
        for terms in ([last], season))
    return Relative(decoder, last_values, season_values)


def _output(hparams: SeriesHParams, layout: Layout) -> DistModule:
    spec = observation_spec(hparams.output, layout.num_targets)
    network: dict[str, Any] = {"hidden_sizes": hparams.obs_decoder_fc_hidden_layers,
               "activation": hparams.activation}
    scale: dict[str, Any] = {**network, "positive_projection": hparams.positive_projection,
             "positive_eps": hparams.positive_eps}
    center = np.array(layout.center)
    if hparams.output in ("normal", "lognormal"):
        return decoders.Normal(spec, **scale)
    if hparams.output == "student_t":
        return decoders.StudentT(spec, **scale)
    if hparams.output == "mixture":
        return decoders.MixtureOfNormals(hparams.num_components, spec, **scale)
    if hparams.output == "strokes":
        return Strokes(hparams.num_components, spec, **scale)
    if hparams.output == "bernoulli":
        rate = np.clip(center, 1e-3, 1 - 1e-3)
        return decoders.Bernoulli(spec, initial_logits=np.log(rate / (1 - rate)), **network)
    if hparams.output == "categorical":
        for target, codes in zip(layout.roles.targets, layout.codes):
            if not codes:
                raise ValueError(
                    f"column {target!r}: expected at most {MOST_CLASSES} different values for "
                    "output=categorical, got more. --hparams output=auto finds one that suits the "
                    "data.")
        return decoders.Categorical(max(map(len, layout.codes)), spec, **network)
    counts = decoders.NegativeBinomial(spec, initial_mean=np.maximum(center, 1e-2), **network)
    return counts if hparams.output == "negative_binomial" else decoders.ZeroInflated(counts)


def observation_spec(output: str, num_targets: int) -> Spec:
    """Returns the spec of the targets of a step, `[D]`."""
    dtype = tf.int32 if output == "categorical" else tf.float32
    return tf.TensorSpec([num_targets], dtype, "targets")


class ValueEncoder(Encoder):
    """Encodes the targets of a step one by one: large values are squashed, classes are one-hot."""

    def __init__(self, kind: str, spec: Spec, num_classes: int, name: str | None = None):
        """Creates the encoder of targets `[D]`: "scaled", "counts", "bits" or "classes"."""
        super().__init__(name=name)
        self._kind = kind
        self._spec = spec
        self._num_classes = num_classes
        self._dtype = dtypes.default_dtype()

    @property
    def input_spec(self) -> Spec:
        return self._spec

    @property
    def output_size(self) -> int:
        return self._spec.shape[0] * (self._num_classes if self._kind == "classes" else 1)

    def __call__(self, observation: Tensor) -> Tensor:
        if self._kind == "classes":
            one_hot = tf.one_hot(observation, self._num_classes, dtype=self._dtype)
            leading = one_hot.shape[:-2].as_list()
            return tf.reshape(one_hot, [-1 if n is None else n for n in leading]
                              + [self.output_size])
        values = tf.cast(observation, self._dtype)
        if self._kind == "counts":
            return tf.math.log1p(tf.maximum(values, 0.0))
        return _SQUASH * tf.asinh(values / _SQUASH) if self._kind == "scaled" else values


class Relative(DistModule):
    """A decoder whose locations are added to a value extrapolated from earlier ones.

    The earlier values and their masks are among the features, as `ValueEncoder` and `MaskedEncoder`
    give them. Where one that is needed was not seen, the extrapolation does without the season;
    where the last value was not seen, it is 0, the level of the window.
    """

    def __init__(
        self, decoder: DistModule, last: Sequence[tuple[int, float]],
        season: Sequence[tuple[int, float]], name: str | None = None,
    ):
        """Creates the decoder.

        Args:
          decoder: one whose parameters have a `loc`.
          last: where in the features encoded values `[D]` begin that are added, and their weights.
          season: further ones; empty for none.
        """
        super().__init__(name=name)
        self._decoder = decoder
        self._last, self._season = list(last), list(season)

    @property
    def event_spec(self) -> Spec:
        return self._decoder.event_spec

    def __call__(self, features: Tensor) -> Any:
        params = self._decoder(features)
        base, is_seen = self._sum(features, self._last)
        season, has_season = self._sum(features, self._season)
        base = tf.where(is_seen, base + tf.where(has_season, season, 0.0), 0.0)
        if params.loc.shape.rank > base.shape.rank:  # a mixture's components
            base = base[..., tf.newaxis]
        return params._replace(loc=params.loc + base)

    def dist(self, params: Nest) -> tfd.Distribution:
        return self._decoder.dist(params)

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        return self._decoder.temper(params, temperature)

    def _sum(
        self, features: Tensor, terms: Sequence[tuple[int, float]]
    ) -> tuple[Tensor, Tensor]:
        """Returns the weighted sum of earlier values, and whether all of them were seen."""
        size = self.event_spec.shape[0]
        total = tf.zeros_like(features[..., :size])
        is_seen = tf.ones_like(total, tf.bool)
        for first, weight in terms:
            encoded = features[..., first:first + size]
            total += weight * _SQUASH * tf.sinh(encoded / _SQUASH)
            is_seen &= features[..., first + size:first + 2 * size] > 0.5
        return total, is_seen


class Strokes(DistModule):
    """A pen's offset, a mixture of bivariate normals, and whether the pen is lifted after it.

    The output of Graves (arXiv:1308.0850): events [dx, dy, pen] with a pen of 0 or 1. `temper`
    tempers both parts.
    """

    def __init__(self, num_components: int, spec: Spec, *, hidden_sizes: tuple[int, ...],
                 activation: str, positive_projection: str, positive_eps: float,
                 name: str | None = None):
        """Creates the decoder; arguments as for `decoders.MixtureOfBivariateNormals`.

        Raises:
          ValueError: the event is not of shape [3].
        """
        super().__init__(name=name)
        if spec.shape.as_list() != [3]:
            raise ValueError("output=strokes: expected the targets dx, dy and pen, got "
                             f"{spec.shape[0]} targets. Name them: --targets dx,dy,pen.")
        self._spec = spec
        self._offset = decoders.MixtureOfBivariateNormals(
            num_components, tf.TensorSpec([2], spec.dtype), hidden_sizes=hidden_sizes,
            activation=activation, positive_projection=positive_projection,
            positive_eps=positive_eps)
        self._pen = decoders.Bernoulli(
            tf.TensorSpec([], spec.dtype), hidden_sizes=hidden_sizes, activation=activation,
            initial_logits=-3.0)

    @property
    def event_spec(self) -> Spec:
        return self._spec

    def __call__(self, features: Tensor) -> Nest:
        return self._offset(features), self._pen(features)

    def dist(self, params: Nest) -> tfd.Distribution:
        offset, pen = params
        return _StrokesDistribution(self._offset.dist(offset), self._pen.dist(pen))

    def temper(self, params: Nest, temperature: float | Tensor) -> Nest:
        offset, pen = params
        return (self._offset.temper(offset, temperature), self._pen.temper(pen, temperature))


class _StrokesDistribution(tfd.Distribution):
    """The product of the distributions of the offset and of the pen."""

    def __init__(self, offset: tfd.Distribution, pen: tfd.Distribution):
        self._offset = offset
        self._pen = pen
        super().__init__(
            dtype=offset.dtype, reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False, allow_nan_stats=True,
            parameters={"offset": offset, "pen": pen}, name="Strokes")

    def _batch_shape(self) -> tf.TensorShape:
        return self._pen.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._pen.batch_shape_tensor()

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([3])

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        offset_seed, pen_seed = seeds.split(seed, 2)
        offset = self._offset.sample(n, seed=offset_seed)
        pen = tf.cast(self._pen.sample(n, seed=pen_seed), offset.dtype)
        return tf.concat([offset, pen[..., tf.newaxis]], -1)

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._offset.log_prob(x[..., :2]) + self._pen.log_prob(x[..., 2])
