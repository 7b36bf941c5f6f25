# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The loss of a batch of sequences: from an agent, a core and a bound to one differentiable number.

A training loop of one's own needs no more than this:

    loss = vaeseq.SequenceLoss(agent, core, vaeseq.ELBO())
    state = loss.initial_state(batch_size=16)
    for step in range(1000):
        with tf.GradientTape() as tape:
            out, state = loss(data.batch(step), state, seed=step, kl_weight=min(1.0, step / 500))
        variables = loss.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(out.loss, variables), variables))

The state carries recurrences and latents from window to window of a long sequence (truncated
backpropagation through time); no gradient passes through it. Everything runs eagerly, inside a
`tf.function`, and compiled by XLA.

Axes: B batch, T time (see `vaeseq.types`).
"""
from __future__ import annotations

import contextlib
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.agent import Agent, initial_state
from vaeseq.bounds import Bound, BoundResult, BoundState
from vaeseq.data import Batch, as_tensors
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate, enable_dropout
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae.base import SequenceCore


class TrainState(NamedTuple):
    """The state carried from batch to batch where sequences go on.

    Attributes:
      agent: the agent's state, a nest of `[B, ...]`.
      bound: the bound's state, which holds the core's.
    """

    agent: Nest
    bound: BoundState


class LossOutput(NamedTuple):
    """The loss of a batch, and what it is made of; scalars in nats.

    Attributes:
      loss: the negative objective of the bound, averaged over the valid steps: the number to
        minimise. With a `kl_weight` of 1 and no surrogate terms it equals `nats_per_step`.
      nats_per_step: the negative bound, averaged over the valid steps.
      log_prob: log p(x_t | h_t, z_t), averaged over the valid steps.
      kl: of the posterior from the prior, averaged over the valid steps.
      num_steps: the valid steps of the batch, in the dtype of the loss.
      result: the bound step by step, `[B, T]` tensors.
    """

    loss: Tensor
    nats_per_step: Tensor
    log_prob: Tensor
    kl: Tensor
    num_steps: Tensor
    result: BoundResult


class SequenceLoss(snt.Module):
    """Computes the loss of batches of sequences.

    Its variables are those of the agent and the core.
    """

    def __init__(
        self, agent: Agent, core: SequenceCore, bound: Bound, *, context_dropout: float = 0.0,
        name: str | None = None,
    ):
        """Creates the loss.

        Args:
          agent: gives the contexts.
          core: the sequence model.
          bound: its objective is maximised.
          context_dropout: the share of the contexts' numbers dropped while training.

        Raises:
          ValueError: `context_dropout` is outside [0, 1), or the bound is not defined for the
            core.
        """
        super().__init__(name=name)
        check_dropout_rate(context_dropout)
        bound.check(core)
        self.agent = agent
        self.core = core
        self.bound = bound
        self._context_dropout = context_dropout

    def initial_state(self, batch_size: int | Tensor) -> TrainState:
        """Returns the state in which every row begins a sequence."""
        return TrainState(initial_state(self.agent, batch_size),
                          self.bound.initial_state(self.core, batch_size))

    def __call__(
        self, batch: Batch, state: TrainState, *, seed: int | Seed,
        kl_weight: float | Tensor = 1.0, is_training: bool = True,
    ) -> tuple[LossOutput, TrainState]:
        """Computes the loss of a batch.

        Args:
          batch: rows of sequences, NumPy arrays or tensors. Padding after a row's length reaches
            neither the loss nor its gradient. Rows with `is_start` begin from the initial state.
          state: what the call on the batch before returned, or `initial_state`.
          seed: a number, or an int32 `[2]` tensor; the same seed gives the same loss.
          kl_weight: weight of the KL term in the loss (KL annealing).
          is_training: whether units are dropped.

        Raises:
          ValueError: the state is of another batch size, bound or model; the contexts are not of
            the agent's `context_size`; or the core's distributions do not fit its sizes.

        Returns:
          The loss, and the state after each row's last valid step.
        """
        batch = as_tensors(batch, self.core.observation_spec)
        agent_seed, bound_seed, dropout_seed = seeds.split(seeds.make(seed), 3)
        observed, inputs = nest.fill_time((batch.observed, batch.inputs), batch.lengths)
        batch_size = nest.leading_dim(batch.lengths)
        initial = self.initial_state(batch_size)
        nest.require_like(state, initial, "state: expected one of as many rows and samples")
        state = nest.where(batch.is_start, initial, state)
        dropout = enable_dropout(dropout_seed) if is_training else contextlib.nullcontext()
        with dropout:
            contexts, agent_state = self.agent.contexts(
                observed, state.agent, inputs, batch.lengths, seed=agent_seed)
            if contexts.shape[-1] != self.agent.context_size:
                raise ValueError(
                    f"{type(self.agent).__name__}: expected contexts of context_size="
                    f"{self.agent.context_size} numbers, got {contexts.shape[-1]}. An encoder's "
                    "output_size must be the size of its features, too.")
            contexts = apply_dropout(self, contexts, self._context_dropout)
            result = self.bound(
                self.core, contexts, observed, state.bound, batch.lengths,
                kl_weight=tf.cast(kl_weight, self.core.dtype), seed=bound_seed)
        num_steps = tf.cast(tf.reduce_sum(batch.lengths), result.increments.dtype)
        count = tf.maximum(num_steps, 1.0)
        loss, nats, log_prob, kl = (tf.reduce_sum(x) / count for x in (
            -result.objective, -result.increments, result.log_prob, result.kl))
        after = tf.nest.map_structure(tf.stop_gradient, TrainState(agent_state, result.state))
        return LossOutput(loss, nats, log_prob, kl, num_steps, result), after
