# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""TFP's distributions, sampled by `vaeseq.seeds`: quick when compiled, and the same as eagerly.

Everything but the sampling is TFP's.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.types import Seed, Tensor


class Normal(tfd.Normal):
    """Normal(loc, scale)."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        return self.loc + self.scale * seeds.normal(shape, seed, self.dtype)


class Categorical(tfd.Categorical):
    """Categorical(logits), drawn as the largest of the logits, each with Gumbel noise."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        logits = self.logits_parameter()
        shape = tf.concat([[n], tf.shape(logits)], 0)
        tiny = np.finfo(logits.dtype.as_numpy_dtype).tiny  # log(0) would choose at random
        uniform = tf.maximum(seeds.uniform(shape, seed, logits.dtype), tiny)
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.cast(tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32), self.dtype)


class Bernoulli(tfd.Bernoulli):
    """Bernoulli(logits)."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        probs = self.probs_parameter()
        shape = tf.concat([[n], tf.shape(probs)], 0)
        return tf.cast(seeds.uniform(shape, seed, probs.dtype) < probs, self.dtype)
