# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""Weight uncertainty: a normal posterior of each weight (Graves, NeurIPS 2011).

*Practical Variational Inference for Neural Networks*. Each weight w_i is drawn from

    Q(w_i) = N(mu_i, sigma_i^2)            prior P(w_i) = N(m, s^2)

and training minimises the minimum description length of the training data, in nats:

    E_Q[-log p(data | w)] + KL(Q || P)     cost of the data, and of the weights

One noise sample is drawn for each update. A gradient g of the cost of the data with respect to the
sampled weights is one for mu, and g * sigma * noise one for log sigma (reparameterisation).

m and s of each weight tensor are those of the least cost, as in section 3 of the paper:

    m = mean(mu_i)    s^2 = mean(sigma_i^2 + (mu_i - m)^2)    KL = sum_i log(s / sigma_i)

Deviations: the paper has one prior for the whole network, and its noise is drawn for each sequence.
The two numbers of a tensor's prior are not counted.
"""
from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import tensorflow as tf

from vaeseq import seeds
from vaeseq.train.optimizers import assigned
from vaeseq.types import Seed, Tensor


class GaussianWeights(tf.Module):
    """Standard deviations of the weights of a network, whose own values are the means.

    Attributes:
      log_stddevs: log sigma, a variable of the shape of each weight tensor.
    """

    def __init__(self, weights: Sequence[tf.Variable], stddev: float):
        """Creates the posterior of weights, all with one first standard deviation, above 0."""
        super().__init__(name="weight_posterior")
        self._weights = tuple(weights)
        self.log_stddevs = [
            tf.Variable(tf.fill(weight.shape, tf.cast(math.log(stddev), weight.dtype)))
            for weight in weights]

    @contextlib.contextmanager
    def sampled(self, seed: Seed) -> Iterator[list[Tensor]]:
        """Returns a context in which the weights are a sample; after it they are the means again.

        It can be used inside of a `tf.function`.

        Args:
          seed: int32 `[2]`.

        Yields:
          The sample minus the means, of each weight tensor.
        """
        offsets = [
            tf.exp(log_stddev) * seeds.normal(weight.shape.as_list(), one, weight.dtype)
            for weight, log_stddev, one in zip(
                self._weights, self.log_stddevs, seeds.split(seed, len(self._weights)))]
        with assigned(self._weights, [
                weight + offset for weight, offset in zip(self._weights, offsets)]):
            yield offsets

    def kl(self) -> Tensor:
        """Returns KL(Q || P), the cost of the weights in nats."""
        return tf.add_n([_kl(tf.convert_to_tensor(weight), tf.convert_to_tensor(log_stddev))
                         for weight, log_stddev in zip(self._weights, self.log_stddevs)])


def _kl(mean: Tensor, log_stddev: Tensor) -> Tensor:
    """Returns the divergence of a tensor's posterior from its prior of the least cost."""
    variance = tf.reduce_mean(tf.exp(2 * log_stddev)) + tf.math.reduce_variance(mean)
    return tf.reduce_sum(0.5 * tf.math.log(variance) - log_stddev)
