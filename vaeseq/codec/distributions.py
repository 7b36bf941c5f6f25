# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""TFP distributions with samplers that are fast under XLA on a CPU.

TFP samples with TensorFlow's default stateless generator, which XLA compiles for CPUs to code that
takes a hundred times longer (some 300 ns a number), and whose numbers differ from eager execution.
These subclasses sample with `vaeseq.seeds` (Philox) instead; everything else is TFP's. Use them in
a decoder of your own wherever samples are drawn in compiled loops.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import seeds
from vaeseq.types import Seed, Tensor


class Normal(tfd.Normal):
    """tfd.Normal, sampled by Philox."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        shape = tf.concat([[n], self.batch_shape_tensor()], 0)
        return self.loc + self.scale * seeds.normal(shape, seed, self.dtype)


class Categorical(tfd.Categorical):
    """tfd.Categorical, sampled by the Gumbel-max trick with Philox."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        logits = self.logits_parameter()
        shape = tf.concat([[n], tf.shape(logits)], 0)
        tiny = np.finfo(logits.dtype.as_numpy_dtype).tiny  # keeps the noise finite
        uniform = tf.maximum(seeds.uniform(shape, seed, logits.dtype), tiny)
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.cast(tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32), self.dtype)


class Bernoulli(tfd.Bernoulli):
    """tfd.Bernoulli, sampled by Philox."""

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        probs = self.probs_parameter()
        shape = tf.concat([[n], tf.shape(probs)], 0)
        return tf.cast(seeds.uniform(shape, seed, probs.dtype) < probs, self.dtype)
