# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models of an autoencoder's latents that are networks: a flow with a density, a sampler without.

Both are fitted to latents that are standardised: each dimension has mean 0 and variance 1. A batch
holds samples of the posteriors, drawn anew for each update.

Axes: B batch, N latents, Z their size.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from vaeseq import seeds
from vaeseq.autoencoder.states import StateModel
from vaeseq.bounds import mmd
from vaeseq.codec.flows import InverseAutoregressiveFlow
from vaeseq.compilation import compiled
from vaeseq.nn import initializers
from vaeseq.nn.networks import MLP
from vaeseq.train.optimizers import Adam, WeightAverage
from vaeseq.types import Seed, Tensor

_BATCH = 256
_LEAST_STDDEV = 1e-6
_CRITIC_SPEED = 2.0  # its learning rate, relative to the generator's (arXiv:1706.08500)
_AVERAGE_DECAY = 0.99


class _Standardised(StateModel):
    """Draws batches of standardised latents, and maps samples back."""

    def __init__(self, num_steps: int, seed: int):
        if num_steps < 1:
            raise ValueError(f"expected at least one update, got num_steps={num_steps}.")
        self._num_steps = num_steps
        self._seed = seed

    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        self._shift = states.mean(0)
        self._scale = np.maximum(np.sqrt(states.var(0) + variances.mean(0)), _LEAST_STDDEV)
        means = tf.constant((states - self._shift) / self._scale, tf.float32)
        noise = tf.constant(np.sqrt(variances) / self._scale, tf.float32)
        rows = tf.cast(len(states), tf.float32)

        def batch(seed: Seed) -> Tensor:
            row_seed, noise_seed = seeds.split(seed, 2)
            numbers = tf.cast(seeds.uniform([_BATCH], row_seed) * rows, tf.int32)
            numbers = tf.minimum(numbers, len(states) - 1)
            return tf.gather(means, numbers) + tf.gather(noise, numbers) * seeds.normal(
                [_BATCH, means.shape[1]], noise_seed)

        with initializers.weights_seed(seeds.make(self._seed)):
            step = self._make_step(batch)
            step(seeds.make(self._seed))  # creates the variables
        update = compiled(step)
        for number in range(self._num_steps):
            update(seeds.fold_in(seeds.make(self._seed), number))

    def _make_step(self, batch: Callable[[Seed], Tensor]) -> Callable[[Seed], None]:
        """Creates the networks; returns the function that makes one update."""
        raise NotImplementedError


class Flow(_Standardised):
    """A masked autoregressive flow (Papamakarios et al., arXiv:1705.07057).

    The steps of `vaeseq.codec.flows` map a latent to a standard normal variable, so that the
    density takes one pass and a sample Z passes. A scale of each dimension follows each step,
    whose gates can only shrink.
    """

    name = "flow"

    def __init__(self, num_flows: int = 4, hidden_size: int = 64, *, num_steps: int = 2000,
                 learning_rate: float = 2e-3, seed: int = 0):
        """Creates the model.

        Args:
          num_flows: number of autoregressive steps.
          hidden_size: units of the hidden layer of each.
          num_steps: updates of `fit`.
          learning_rate: of Adam, at first; it falls linearly to 0.
          seed: of weights and batches.

        Raises:
          ValueError: `num_flows` or `num_steps` is below 1.
        """
        super().__init__(num_steps, seed)
        if num_flows < 1:
            raise ValueError(f"expected at least one flow, got {num_flows}.")
        self._sizes = num_flows, hidden_size
        self._learning_rate = learning_rate

    def _make_step(self, batch: Callable[[Seed], Tensor]) -> Callable[[Seed], None]:
        num_flows, hidden_size = self._sizes
        size = len(self._shift)
        self._flows = [InverseAutoregressiveFlow(size, (hidden_size,)) for _ in range(num_flows)]
        # The reciprocal of the initial gates.
        initial = math.log1p(math.exp(-2.0))
        self._log_scales = [tf.Variable(tf.fill([size], initial)) for _ in range(num_flows)]
        rate, num_updates = tf.Variable(self._learning_rate), tf.Variable(0.0)
        optimizer = Adam(rate)

        def step(seed: Seed) -> None:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(self._standardised_log_prob(batch(seed)))
            variables = [*(v for flow in self._flows for v in flow.trainable_variables),
                         *self._log_scales]
            gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 5.0)
            rate.assign(self._learning_rate * (1 - num_updates / (self._num_steps + 1)))
            num_updates.assign_add(1.0)
            optimizer.apply(gradients, variables)

        return step

    def _sample(self, n: int, seed: int) -> np.ndarray:
        x = seeds.normal([n, len(self._shift)], seed)
        for flow, log_scale in zip(reversed(self._flows), reversed(self._log_scales)):
            x, _ = flow.inverse(x * tf.exp(-log_scale))
        return self._shift + self._scale * x.numpy().astype(np.float64)

    def _log_prob(self, z: np.ndarray) -> np.ndarray:
        x = tf.constant((z - self._shift) / self._scale, tf.float32)
        return self._standardised_log_prob(x).numpy().astype(np.float64) - np.log(
            self._scale).sum()

    def _standardised_log_prob(self, x: Tensor) -> Tensor:
        log_det = tf.zeros(tf.shape(x)[:-1])
        for flow, log_scale in zip(self._flows, self._log_scales):
            x, one = flow(x)
            x *= tf.exp(log_scale)
            log_det += one + tf.reduce_sum(log_scale)
        return log_det - 0.5 * tf.reduce_sum(x ** 2 + math.log(2 * math.pi), -1)


class Generator(_Standardised):
    """A network from normal noise to latents: a GAN, or a moment matching network.

    "logistic" trains against a critic with `critic_loss` and the non-saturating loss (Goodfellow et
    al., arXiv:1406.2661); samples are those of the average of the generator's weights. "mmd"
    minimises the maximum mean discrepancy of a batch, without a critic (generative moment matching,
    Li et al., arXiv:1502.02761). There is no density.
    """

    has_density = False

    def __init__(self, loss: Literal["logistic", "mmd"] = "logistic", *,
                 hidden_sizes: tuple[int, ...] = (128, 128), num_steps: int = 2000,
                 learning_rate: float = 1e-3, seed: int = 0):
        """Creates the model.

        Args:
          loss: see above.
          hidden_sizes: units of the hidden layers of generator and critic.
          num_steps: updates of the generator in `fit`, each after one of the critic.
          learning_rate: of Adam for the generator, at first; it falls linearly to 0. The critic's
            is twice as high.
          seed: of weights and batches.

        Raises:
          ValueError: an unknown loss, or `num_steps` is below 1.
        """
        super().__init__(num_steps, seed)
        if loss not in ("logistic", "mmd"):
            raise ValueError(f"expected a loss of logistic or mmd, got {loss!r}.")
        self.name = "gan" if loss == "logistic" else "gmmn"
        self._loss = loss
        self._hidden_sizes = hidden_sizes
        self._learning_rate = learning_rate

    def _fit(self, states: np.ndarray, variances: np.ndarray) -> None:
        super()._fit(states, variances)
        self._average.assign_to_weights()

    def _make_step(self, batch: Callable[[Seed], Tensor]) -> Callable[[Seed], None]:
        size = len(self._shift)
        self._generator = MLP((*self._hidden_sizes, size), name="generator")
        critic = MLP((*self._hidden_sizes, 1), name="critic")
        rate, critic_rate, num_updates = (tf.Variable(0.0) for _ in range(3))
        optimizer, critic_optimizer = (Adam(r, beta1=0.0, beta2=0.99) for r in (rate, critic_rate))
        self._generator(tf.zeros([1, size]))
        variables = self._generator.trainable_variables
        self._average = WeightAverage(_AVERAGE_DECAY, variables)

        def step(seed: Seed) -> None:
            real_seed, fake_seed, generator_seed = seeds.split(seed, 3)
            rate.assign(self._learning_rate * (1 - num_updates / (self._num_steps + 1)))
            critic_rate.assign(_CRITIC_SPEED * rate)
            num_updates.assign_add(1.0)
            real = batch(real_seed)
            if self._loss == "logistic":
                generated = self._generator(seeds.normal([_BATCH, size], fake_seed))
                with tf.GradientTape() as tape:
                    loss = critic_loss(critic, real, generated)
                critic_optimizer.apply(_dense(tape.gradient(
                    loss, critic.trainable_variables,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO)),
                    critic.trainable_variables)
            with tf.GradientTape() as tape:
                generated = self._generator(seeds.normal([_BATCH, size], generator_seed))
                loss = (generator_loss(critic, generated) if self._loss == "logistic"
                        else mmd.squared_mmd(generated, real))
            optimizer.apply(_dense(tape.gradient(loss, variables)), variables)
            self._average.update(num_updates)

        return step

    def _sample(self, n: int, seed: int) -> np.ndarray:
        noise = seeds.normal([n, len(self._shift)], seed)
        return self._shift + self._scale * self._generator(noise).numpy().astype(np.float64)


def critic_loss(
    critic: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, *, penalty: float = 1.0
) -> Tensor:
    """Returns the loss of a critic that tells real points from generated ones.

        E_real softplus(-f) + E_gen softplus(f) + penalty / 2 (E_real |f'|^2 + E_gen |f'|^2)

    The zero-centred gradient penalty makes training converge to the data's distribution where other
    losses circle around it (Mescheder et al., arXiv:1801.04406).

    Args:
      critic: f, from `[B, Z]` to logits `[B, 1]`.
      real: `[B, Z]`.
      generated: `[B, Z]`.
      penalty: weight of the squared norms of gradients.

    Returns:
      A scalar.
    """
    loss = tf.zeros([], real.dtype)
    for points, sign in ((real, -1.0), (generated, 1.0)):
        with tf.GradientTape() as tape:
            tape.watch(points)
            logits = critic(points)
        norms = tf.reduce_sum(tape.gradient(logits, points) ** 2, -1)
        loss += tf.reduce_mean(tf.nn.softplus(sign * logits)) + penalty / 2 * tf.reduce_mean(norms)
    return loss


def generator_loss(critic: Callable[[Tensor], Tensor], generated: Tensor) -> Tensor:
    """Returns E softplus(-f) of generated points `[B, Z]`, a scalar: the non-saturating loss."""
    return tf.reduce_mean(tf.nn.softplus(-critic(generated)))


def _dense(gradients: list[Tensor]) -> list[Tensor]:
    return [tf.convert_to_tensor(gradient) for gradient in gradients]
