# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Policy gradients with KL control: tunes a trained model towards a reward.

The objective of an update, in nats per step, over sequences x with latents z (none for an RNN):

      E_p[ strength * reward(x) - log p(x, z) / p_0(x, z) ] / T        over samples of p
    + likelihood * bound on log p(data)                                over training data

p is the policy, the tuned model; p_0 is the model before tuning, which is fixed. Without the last
line the optimum is p_0(x, z) exp(strength * reward(x)) up to a constant: KL control (Jaques et al.,
arXiv:1611.02796). The last line keeps the likelihood of data that the policy no longer samples.

The gradient of the first line is that of sum_t A_t log p(x_t, z_t | x_<t, z_<t), where A_t is the
return of the steps from t on (the sum of reward minus log-ratio) minus the mean return of the other
samples (the leave-one-out baseline). With a discount below 1 later rewards count less: the gradient
has far less variance, and the optimum differs a little if rewards are credited to the steps that
cause them.

Several passes over the same samples use the clipped ratio of proximal policy optimization
(arXiv:1707.06347). With a prefix, each sample continues the beginning of a training sequence, whose
likelihood counts up to the prefix only: MIXER (arXiv:1511.06732).

Deviations: Jaques et al. learn a Q function off-policy, one note at a time. An observation here may
have any number of values, so the policy gradient is used. The likelihood term is an addition.

The agent must be a function of the observations, without randomness and external inputs.

Axes: B samples, T steps, Z latent.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.data import Batch, as_tensors
from vaeseq.train.loss import LossOutput, SequenceLoss
from vaeseq.train.ops import NumericsError, Schedule
from vaeseq.tuning.control import KLControl
from vaeseq.tuning.settings import SAMPLES_PER_PREFIX
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import GenCore, GenState


class Rollouts(NamedTuple):
    """Samples of the policy, after their prefix if there is one.

    Attributes:
      observed: a nest of `[B, T, ...]`.
      latents: `[B, T, Z]`.
      lengths: int32 `[B]`, valid steps.
      log_prob: log p of each step and its latents in nats, `[B, T]`; zeros after a row's length.
      log_ratio: log p / p_0 of each step and its latents in nats, `[B, T]`.
    """

    observed: Nest
    latents: Tensor
    lengths: Tensor
    log_prob: Tensor
    log_ratio: Tensor


class Samples(NamedTuple):
    """What a reward sees: whole sequences, with their prefix.

    Attributes:
      observed: NumPy arrays, a nest of `[B, P + T, ...]`, where P is the length of the prefix.
      lengths: int `[B]`, valid steps, the prefix included.
      prefix: P; 0 where a sample begins a sequence.
      references: rows of the training batch, a nest of `[R, N, ...]`; with a prefix, row b is the
        sequence that sample b continues.
      reference_lengths: int `[R]`.
    """

    observed: Nest
    lengths: np.ndarray
    prefix: int
    references: Nest
    reference_lengths: np.ndarray


class TuneMetrics(NamedTuple):
    """Metrics of an update.

    Attributes:
      reward: mean reward of a sample; NaN if none was drawn.
      kl: mean KL from the model before tuning, in nats per step; NaN if no sample was drawn.
      nats_per_step: negative bound on the training data, in nats per step.
      gradient_norm: global norm of the gradients before clipping, in the last pass.
      strength: factor on rewards; 0 above the budget of the KL divergence.
    """

    reward: float
    kl: float
    nats_per_step: float
    gradient_norm: float
    strength: float


def log_density(
    gen_core: GenCore, observed: Nest, latents: Tensor, lengths: Tensor | None = None,
    state: GenState | None = None,
) -> Tensor:
    """Returns log p(x_t, z_t | x_<t, z_<t) of sequences in nats, `[B, T]`.

    Args:
      gen_core: the model.
      observed: a nest of `[B, T, ...]`.
      latents: `[B, T, Z]`.
      lengths: int32 `[B]`, valid steps; later ones have a density of 0. All T by default.
      state: before the first step; by default that of the beginning of a sequence.
    """
    agent, core = gen_core.agent, gen_core.core
    observed = nest.fill_time(observed, lengths)
    if state is None:
        state = gen_core.initial_state(nest.leading_dim(latents))
    # The agent is deterministic: any seed does.
    contexts, _ = agent.contexts(observed, state.agent, (), lengths, seed=seeds.make(0))
    context_features, _ = core.encode_contexts(contexts, state.core.context, lengths)
    features = core.encode_observed(context_features, observed, lengths)
    inferred = core.infer_given(
        context_features, features, latents, state.core.latent, lengths)
    density = core.log_prob(inferred.outputs, observed) + inferred.prior.log_prob(latents)
    return nest.mask_time(density, lengths)


def advantages(rewards: np.ndarray, discount: float, group: int | None = None) -> np.ndarray:
    """Returns the return from each step on, minus the mean of the other samples, `[B, T]`.

    The baseline does not depend on the sample itself, so the gradient stays unbiased.

    Args:
      rewards: rewards of each step, `[B, T]`.
      discount: factor on a reward for each step before it.
      group: number of successive samples that share a baseline, because they have a prefix in
        common; at least 2, a divisor of B. By default all B.
    """
    to_go = np.array(rewards, np.float64)
    for step in reversed(range(to_go.shape[1] - 1)):
        to_go[:, step] += discount * to_go[:, step + 1]
    group = group or len(to_go)
    grouped = to_go.reshape(-1, group, to_go.shape[1])
    centred = (grouped - grouped.mean(axis=1, keepdims=True)) * (group / (group - 1))
    return centred.reshape(to_go.shape)


def clipped_objective(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_ratio: float
) -> Tensor:
    """Returns the objective of proximal policy optimization for each step, `[B, T]`.

    Where the two densities are equal its gradient is that of advantage * log_prob.

    Args:
      log_prob: of the policy, `[B, T]`.
      old_log_prob: of the policy that drew the samples, `[B, T]`.
      advantage: `[B, T]`.
      clip_ratio: largest change of the ratio of densities, up or down, that is rewarded.
    """
    ratio = tf.exp(log_prob - old_log_prob)
    clipped = tf.clip_by_value(ratio, 1 - clip_ratio, 1 + clip_ratio)
    return tf.minimum(ratio * advantage, clipped * advantage)


class TuneOps(snt.Module):
    """Updates a policy from samples of it, a reward and batches of training data.

    Attributes:
      step: number of updates so far, an int64 variable.
      control: the strength of the reward.
    """

    def __init__(
        self, policy: GenCore, prior: GenCore, loss: SequenceLoss, *,
        rewards: Callable[[Samples], np.ndarray], num_samples: int, length: int,
        control: KLControl, discount: float = 1.0, likelihood: float = 0.0,
        learning_rate: Schedule, clip_gradient_norm: float = 0.0, epochs: int = 1,
        clip_ratio: float = 0.2, prefix: Callable[[int], int] | None = None,
        samples_per_prefix: int = SAMPLES_PER_PREFIX, seed: Seed,
    ):
        """Creates the operations; both models must have their variables already.

        Args:
          policy: the model that is tuned.
          prior: the model before tuning; it is not changed.
          loss: the loss of the policy on training data.
          rewards: maps samples to rewards of each step, `[B, P + T]`.
          num_samples: number of samples of an update, B; at least 2.
          length: steps of a sample, its prefix included.
          control: the strength of the reward against the KL divergence.
          discount: factor on a reward for each step before it.
          likelihood: weight of the loss.
          learning_rate: maps the number of an update, from 0, to the learning rate of Adam.
          clip_gradient_norm: maximum of the gradients' global norm; 0 for none.
          epochs: passes over the samples of an update.
          clip_ratio: see `clipped_objective`.
          prefix: maps the number of an update to the steps of training sequences that are given,
            P, or fewer where the longest of the batch are shorter; see `control.mixer_prefix`. An
            update with P of at least `length` trains by likelihood alone. None: samples begin
            sequences.
          samples_per_prefix: samples that continue one training sequence, a divisor of B; at least
            2. They are each other's baseline.
          seed: int32 `[2]`, of samples and dropout.

        Raises:
          ValueError: a number is out of its range.
        """
        super().__init__(name="tune_ops")
        group = samples_per_prefix if prefix else num_samples
        if min(group, length + 1, epochs + 1) < 2 or num_samples % group:
            raise ValueError(
                "expected at least 2 samples of at least 1 step, at least 1 epoch, and at least 2 "
                "samples per prefix, a divisor of their number; got "
                f"num_samples={num_samples}, length={length}, epochs={epochs}, "
                f"samples_per_prefix={samples_per_prefix}.")
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.control = control
        self._policy, self._loss = policy, loss
        self._rewards = rewards
        self._num_samples, self._length, self._group = num_samples, length, group
        self._discount, self._likelihood = discount, likelihood
        self._clip_gradient_norm = clip_gradient_norm
        self._epochs, self._clip_ratio = epochs, clip_ratio
        self._prefix = prefix
        self._seed = seed
        self._learning_rate = learning_rate
        self._rate = tf.Variable(0.0, trainable=False, name="learning_rate")
        self._optimizer = snt.optimizers.Adam(self._rate)
        self._optimizer._initialize(policy.trainable_variables)
        # XLA would compile for about ten seconds for each length of the training batches.
        self._prime = tf.function(functools.partial(_primed, policy), autograph=False)
        self._log_density, self._prior_density = (
            tf.function(functools.partial(_density, model), autograph=False)
            for model in (policy, prior))
        self._update = tf.function(self._make_update, autograph=False)
        self._train = tf.function(self._make_likelihood_update, autograph=False)

    def __call__(self, batch: Batch) -> TuneMetrics:
        """Makes one update with a batch of whole training sequences, or windows of them.

        Raises:
          NumericsError: a gradient is not finite; the weights are those of the last pass before.
          ValueError: the batch has fewer sequences than samples continue.
        """
        number = int(self.step)
        self._rate.assign(np.float32(self._learning_rate(number)))
        draw_seed, dropout_seed = seeds.split(seeds.fold_in(self._seed, number), 2)
        prefix = min(self._prefix(number), self._length) if self._prefix else 0
        if 0 < prefix < self._length:
            batch, prefix = self._longest_first(batch, prefix)
        tensors = as_tensors(batch, self._policy.core.observation_spec)
        if self._prefix:
            tensors = tensors._replace(lengths=tf.minimum(tensors.lengths, prefix))
        if prefix == self._length:
            nats, norm, finite = self._train(tensors, dropout_seed)
            return self._end(number, TuneMetrics(
                np.nan, np.nan, float(nats), float(norm), 0.0), finite)
        prompt = self._prompt(tensors, prefix)
        rollouts = self._draw(prompt, self._length - prefix, draw_seed)
        reward = self._rewards(self._samples(batch, prompt, prefix, rollouts))[:, prefix:]
        kl = float(tf.reduce_sum(rollouts.log_ratio)
                   / _count(rollouts.lengths, rollouts.log_ratio.dtype))
        strength = self.control.update(kl)
        with np.errstate(over="ignore"):  # an overflow gives a gradient that is not finite, below
            log_ratio = rollouts.log_ratio.numpy()
            advantage = tf.constant(advantages(
                strength * reward - log_ratio, self._discount, self._group
            ).astype(log_ratio.dtype))
        for epoch in range(self._epochs):
            nats, norm, finite = self._update(
                rollouts, advantage, tensors, prompt, draw_seed,
                seeds.fold_in(dropout_seed, epoch) if epoch else dropout_seed)
            if not bool(finite):
                break
        return self._end(number, TuneMetrics(
            float(reward.sum(axis=1).mean()), kl, float(nats), float(norm), strength), finite)

    def _end(self, number: int, metrics: TuneMetrics, finite: Tensor) -> TuneMetrics:
        if not bool(finite):
            raise NumericsError(
                f"step {number}: a gradient is not finite. The weights are those "
                "of the step before. Try a smaller --learning-rate or --strength.")
        self.step.assign_add(1)
        return metrics

    def _longest_first(self, batch: Batch, prefix: int) -> tuple[Batch, int]:
        """Returns the rows from the longest to the shortest, and a prefix that the first go beyond.

        Samples continue the first rows, which may end soon, and have nothing after their end.
        """
        rows = self._num_samples // self._group
        lengths = np.asarray(batch.lengths)
        if len(lengths) < rows:
            raise ValueError(
                f"expected a batch of at least {rows} sequences, one for each {self._group} of "
                f"{self._num_samples} samples; got {len(lengths)}.")
        order = np.argsort(-lengths, kind="stable")
        batch = tf.nest.map_structure(lambda leaf: np.asarray(leaf)[order], batch)
        return batch, max(0, min(prefix, int(lengths[order[rows - 1]]) - 1))

    def _prompt(self, batch: Batch, prefix: int) -> Nest | None:
        """Returns the prefix of each sample, a nest of `[B, P, ...]`, if there is one."""
        if not prefix:
            return None
        rows = self._num_samples // self._group
        return tf.nest.map_structure(
            lambda leaf: tf.repeat(leaf[:rows, :prefix], self._group, axis=0), batch.observed)

    def _draw(self, prompt: Nest | None, steps: int, seed: Seed) -> Rollouts:
        state = (self._policy.initial_state(self._num_samples) if prompt is None
                 else self._prime(prompt, seed))
        generated = next(self._policy.stream(state, chunk=steps, seed=seed))
        sequences = generated.observed, generated.latents, generated.lengths
        # Both densities are computed alike, so that equal models have a log-ratio of exactly 0.
        ours, prior = (density(*sequences, prompt, seed)
                       for density in (self._log_density, self._prior_density))
        return Rollouts(*sequences, ours, ours - prior)

    def _samples(
        self, batch: Batch, prompt: Nest | None, prefix: int, rollouts: Rollouts
    ) -> Samples:
        observed = rollouts.observed if prompt is None else tf.nest.map_structure(
            lambda before, after: tf.concat([before, tf.cast(after, before.dtype)], 1), prompt,
            rollouts.observed)
        observed, references = (
            tf.nest.map_structure(np.asarray, leaves) for leaves in (observed, batch.observed))
        lengths = np.asarray(batch.lengths)
        if prefix or self._prefix:
            rows = np.repeat(np.arange(self._num_samples // self._group), self._group)
            references = tf.nest.map_structure(lambda leaf: leaf[rows], references)
            lengths = lengths[rows]
        return Samples(observed, rollouts.lengths.numpy() + prefix, prefix, references, lengths)

    def _make_update(
        self, rollouts: Rollouts, advantage: Tensor, batch: Batch, prompt: Nest | None,
        draw_seed: Seed, seed: Seed,
    ) -> tuple[Tensor, Tensor, Tensor]:
        with tf.GradientTape() as tape:
            log_p = _density(self._policy, rollouts.observed, rollouts.latents, rollouts.lengths,
                             prompt, draw_seed)
            objective = tf.reduce_sum(clipped_objective(
                log_p, rollouts.log_prob, advantage, self._clip_ratio))
            objective /= _count(rollouts.lengths, objective.dtype)
            out = self._data_loss(batch, seed)
            loss = -objective + self._likelihood * out.loss
        return out.nats_per_step, *self._apply(tape, loss)

    def _make_likelihood_update(self, batch: Batch, seed: Seed) -> tuple[Tensor, Tensor, Tensor]:
        with tf.GradientTape() as tape:
            out = self._data_loss(batch, seed)
            loss = self._likelihood * out.loss
        return out.nats_per_step, *self._apply(tape, loss)

    def _data_loss(self, batch: Batch, seed: Seed) -> LossOutput:
        """Returns the loss of a batch whose rows begin sequences."""
        out, _ = self._loss(batch, self._loss.initial_state(batch.lengths.shape[0]), seed=seed)
        return out

    def _apply(self, tape: tf.GradientTape, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Updates the weights if the gradient is finite; returns its norm and whether it is."""
        weights = self._policy.trainable_variables
        gradients = tape.gradient(
            loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm)
        if self._clip_gradient_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self._clip_gradient_norm, use_norm=norm)
        tf.cond(finite, lambda: self._optimizer.apply(gradients, weights), lambda: None)
        return norm, finite


def _primed(gen_core: GenCore, prompt: Nest, seed: Seed) -> GenState:
    return gen_core.prime(prompt, gen_core.initial_state(nest.leading_dim(prompt)), seed=seed)


def _density(
    gen_core: GenCore, observed: Nest, latents: Tensor, lengths: Tensor, prompt: Nest | None,
    seed: Seed,
) -> Tensor:
    # The latents of a prefix are a function of its seed, so gradients pass through them.
    state = None if prompt is None else _primed(gen_core, prompt, seed)
    return log_density(gen_core, observed, latents, lengths, state)


def _count(lengths: Tensor, dtype: tf.DType) -> Tensor:
    return tf.cast(tf.maximum(tf.reduce_sum(lengths), 1), dtype)
