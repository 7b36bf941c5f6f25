# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One training step: from a batch to a bound to an update of the weights.

Nothing here knows a model by name: `TrainOps` takes an agent, a core and a bound. A step is

    contexts = agent.contexts(observed)
    loss     = -sum(bound(core, contexts, observed).objective) / number of steps + regularization
    weights  = Adam(weights, clipped gradient of the loss)

compiled, with the batch cut into one shard for each processor core. What is random in a step
depends on the seed and the step's number alone, so that a run that goes on after a stop does what
it would have done.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import bounds, nest, seeds
from vaeseq.agent import Agent
from vaeseq.bounds import Bound, BoundState
from vaeseq.data import Batch, as_tensors
from vaeseq.hparams import HParams
from vaeseq.nn import initializers, parallel
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate, enable_dropout
from vaeseq.nn.scan import matmul
from vaeseq.train import schedules
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy
from vaeseq.train.optimizers import Adam
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import GenCore
from vaeseq.vae.base import VAECore

Schedule = Callable[[int], float]
Precision = Literal["float32", "bfloat16"]


class TrainState(NamedTuple):
    """What is carried from batch to batch where sequences go on.

    Attributes:
      agent: the agent's state.
      bound: the bound's.
    """

    agent: Nest
    bound: BoundState


class TrainMetrics(NamedTuple):
    """What a step says of itself: floats, averages over the valid steps of the batch, in nats.

    Attributes:
      loss: what was minimised: the negative objective and the regularization.
      nats_per_step: the negative bound, whatever the divergence's strength.
      log_prob: of the observations given the latents.
      kl: of the posterior from the prior.
      gradient_norm: global, before clipping.
      steps_per_second: valid sequence steps by wall time, the first time with compilation.
      num_steps: valid sequence steps in the batch.
    """

    loss: float
    nats_per_step: float
    log_prob: float
    kl: float
    gradient_norm: float
    steps_per_second: float
    num_steps: int


class NumericsError(ArithmeticError):
    """A loss or a gradient is not finite; the weights are those before the step."""


class _Sums(NamedTuple):
    """Of one shard: sums over its valid steps."""

    gradients: list[Tensor]
    objective: Tensor
    increments: Tensor
    log_prob: Tensor
    kl: Tensor
    num_steps: Tensor


class TrainOps(snt.Module):
    """Trains an agent and a core on a bound, a batch at a time.

    Attributes:
      step: how many updates there were, an int64 variable.
    """

    def __init__(
        self, agent: Agent, core: VAECore, bound: Bound, *,
        learning_rate: Schedule, kl_weight: Schedule = lambda step: 1.0,
        clip_gradient_norm: float = 1.0, l1_regularization: float = 0.0,
        l2_regularization: float = 0.0, weight_decay: float = 0.0, context_dropout: float = 0.0,
        adam_beta2: float = 0.999, precision: Precision = "float32",
        check_numerics: bool = True, num_shards: int = 1, jit_compile: bool = True, seed: Seed,
        strategy: Strategy = SINGLE_PROCESS, name: str | None = None,
    ):
        """Creates the operations; the variables come with `build`.

        Args:
          agent: where contexts come from.
          core: the model.
          bound: what is maximised.
          learning_rate: of each step, from 0.
          kl_weight: weight of the divergence at each step.
          clip_gradient_norm: the greatest global norm of a gradient; 0 for no limit.
          l1_regularization: weight of sum |w| over the weights that are matrices.
          l2_regularization: weight of sum w^2 / 2 over the same.
          weight_decay: of AdamW (arXiv:1711.05101) over the same, times the learning rate.
          context_dropout: the share of the contexts' numbers that are dropped at each step.
          adam_beta2: decay of Adam's mean of squares (arXiv:1412.6980).
          precision: of the layers' products (see `vaeseq.nn.scan.matmul`); all else is of float32.
          check_numerics: stop at a loss or gradient that is not finite.
          num_shards: parts of the batch computed side by side.
          jit_compile: compile with XLA.
          seed: int32 `[2]`, of everything random in training.
          strategy: who shares the rows of each batch; none else by default.

        Raises:
          ValueError: `context_dropout` is outside [0, 1).
        """
        super().__init__(name=name)
        check_dropout_rate(context_dropout)
        self._agent = agent
        self._core = core
        self._bound = bound
        self._learning_rate = learning_rate
        self._divergence_strength = kl_weight
        self._clip_gradient_norm = clip_gradient_norm
        self._l1_regularization = l1_regularization
        self._l2_regularization = l2_regularization
        self._weight_decay = weight_decay
        self._context_dropout = context_dropout
        self._check_numerics = check_numerics
        self._seed = seed
        self._workers = strategy
        with strategy.scope():
            self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
            self._rate = tf.Variable(0.0, trainable=False, name="learning_rate")
            self._optimizer = Adam(self._rate, beta2=adam_beta2)
        self._update = tf.function(
            self._apply, jit_compile=jit_compile, autograph=False)
        low = precision == "bfloat16"
        # XLA has no quick products of bfloat16 for a processor.
        apart = low and jit_compile and not tf.config.list_physical_devices("GPU")
        self._manner = matmul.Manner(bfloat16=low, apart=apart)
        self._gradients = parallel.parallel(
            self._shard, num_shards, jit_compile=jit_compile and not apart)
        self._compiled = strategy.function(self._step)

    @classmethod
    def from_hparams(
        cls, gen_core: GenCore, hparams: HParams, *, num_steps: int = 1, jit_compile: bool = True,
        seed: Seed, strategy: Strategy = SINGLE_PROCESS,
    ) -> TrainOps:
        """Creates the operations that train an agent and a core as hyperparameters describe.

        Args:
          gen_core: the agent and the core.
          hparams: the bound, the schedules, the optimizer.
          num_steps: updates of the whole run; the "cosine" learning-rate schedule ends there.
          jit_compile: compile with XLA.
          seed: int32 `[2]`, of everything random in training.
          strategy: who shares the rows of each batch.
        """
        h = hparams
        return cls(
            gen_core.agent, gen_core.core,
            bounds.make(h.train_bound, h.train_samples, monte_carlo=h.use_monte_carlo_kl,
                        free_bits=h.free_bits),
            learning_rate=lambda step: schedules.learning_rate(
                step, highest=h.learning_rate, schedule=h.learning_rate_schedule,
                num_steps=num_steps, warmup_steps=h.warmup_steps, final=h.learning_rate_final,
                half=h.learning_rate_half),
            kl_weight=lambda step: schedules.kl_weight(
                step, start=h.divergence_strength_start, half=h.divergence_strength_half),
            clip_gradient_norm=h.clip_gradient_norm, l1_regularization=h.l1_regularization,
            l2_regularization=h.l2_regularization, weight_decay=h.weight_decay,
            context_dropout=h.context_dropout, adam_beta2=h.adam_beta2,
            check_numerics=h.check_numerics,
            num_shards=parallel.default_shards() if h.num_shards == "auto" else h.num_shards,
            precision=h.precision, jit_compile=jit_compile, seed=seed, strategy=strategy)

    @property
    def variables_to_train(self) -> tuple[tf.Variable, ...]:
        """The weights of the agent and the core, each once."""
        found = {id(v): v for v in (*self._agent.trainable_variables,
                                    *self._core.trainable_variables)}
        return tuple(found.values())

    def initial_state(self, batch_size: int) -> TrainState:
        """The state in which every row begins a sequence."""
        return TrainState(self._agent.initial_state(batch_size),
                          self._bound.initial_state(self._core, batch_size))

    def build(self, batch: Batch) -> None:
        """Makes all variables, from the first step of one row of a batch; the seed decides them."""
        observed, inputs = tf.nest.map_structure(
            lambda x: x[:1, :1], (batch.observed, batch.inputs))
        one = Batch(observed, np.ones([1], np.int32), np.ones([1], bool), inputs)
        with self._workers.scope(), initializers.weights_seed(self._seed):
            self._evaluate_bound(self._as_tensors(one), self.initial_state(1), 1.0, self._seed)
            self._optimizer._initialize(self.variables_to_train)

    def __call__(self, batch: Batch, state: TrainState) -> tuple[TrainMetrics, TrainState]:
        """Makes one update.

        Args:
          batch: rows of sequences, of all workers together.
          state: what the step before returned, or `initial_state` of this worker's rows.

        Raises:
          NumericsError: a gradient is not finite; nothing was changed.
        """
        began = time.perf_counter()
        number = int(self.step.numpy())
        scheduled = (self._learning_rate(number), self._divergence_strength(number))
        # As few tensors and eager operations as can be: after a step's work none is in any cache,
        # and each takes a quarter of a millisecond. Python numbers would be kept by TensorFlow.
        averages, finite, state = self._compiled(
            self._workers.rows(self._as_tensors(batch)), state,
            tf.constant(np.array(scheduled, np.float32)), tf.constant(np.int32(number)))
        averages, finite = self._workers.first((averages, finite))
        loss, nats, log_prob, kl, norm, num_steps, all_finite = averages.numpy().tolist()
        if self._check_numerics and not all_finite:
            self._explain(number, loss, finite)
        rate = num_steps / (time.perf_counter() - began)
        return TrainMetrics(loss, nats, log_prob, kl, norm, rate, int(num_steps)), state

    def _as_tensors(self, batch: Batch) -> Batch:
        return as_tensors(batch, self._core.decoder.event_spec)

    def _step(
        self, batch: Batch, state: TrainState, scheduled: Tensor, number: Tensor
    ) -> tuple[Tensor, Tensor, TrainState]:
        rate, strength = tf.unstack(scheduled)
        numbers = self._workers.row_numbers(batch.lengths.shape[0])
        sums, state = self._gradients(
            (batch, state, numbers), strength, seeds.fold_in(self._seed, number))
        return *self._update(self._workers.sum(sums), rate), state

    def _shard(
        self, rows: tuple[Batch, TrainState, Tensor], strength: Tensor, seed: Seed
    ) -> tuple[_Sums, TrainState]:
        batch, state, numbers = rows
        with tf.GradientTape() as tape, matmul.computed(self._manner):
            sums, state = self._evaluate_bound(
                batch, state, strength, seeds.fold_in(seed, numbers[0]))
            loss = -sums.objective
        # A weight that this bound does not reach (a posterior's, for an RNN) has a gradient of 0.
        gradients = tape.gradient(loss, self.variables_to_train,
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        return sums._replace(gradients=gradients), tf.nest.map_structure(tf.stop_gradient, state)

    def _evaluate_bound(
        self, batch: Batch, state: TrainState, strength: Tensor | float, seed: Seed
    ) -> tuple[_Sums, TrainState]:
        agent_seed, bound_seed, dropout_seed = seeds.split(seed, 3)
        observed, inputs = nest.mask_time((batch.observed, batch.inputs), batch.lengths)
        state = nest.where(batch.is_start, self.initial_state(batch.lengths.shape[0]), state)
        with enable_dropout(dropout_seed):
            contexts, agent_state = self._agent.contexts(
                observed, state.agent, inputs, batch.lengths, seed=agent_seed)
            contexts = apply_dropout(self, contexts, self._context_dropout)
            result = self._bound(
                self._core, contexts, observed, state.bound, batch.lengths,
                kl_weight=strength, seed=bound_seed)
        sums = _Sums(
            [], tf.reduce_sum(result.objective), tf.reduce_sum(result.increments),
            tf.reduce_sum(result.log_prob), tf.reduce_sum(result.kl),
            tf.cast(tf.reduce_sum(batch.lengths), tf.float32))
        return sums, TrainState(agent_state, result.state)

    def _apply(self, sums: _Sums, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Updates the weights unless something is not finite; the averages and what was finite."""
        self._rate.assign(rate)
        count = tf.maximum(sums.num_steps, 1.0)
        weights = self.variables_to_train
        gradients = [
            gradient / tf.cast(count, gradient.dtype) + self._regularization_gradient(weight)
            for gradient, weight in zip(sums.gradients, weights)]
        norm = tf.linalg.global_norm(gradients)
        loss = self._regularization(weights) - sums.objective / count
        finite = tf.stack([tf.reduce_all(tf.math.is_finite(x)) for x in (loss, *gradients)])
        if self._clip_gradient_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self._clip_gradient_norm, use_norm=norm)
        if self._check_numerics:
            tf.cond(tf.reduce_all(finite), lambda: self._move(gradients), lambda: None)
        else:
            self._move(gradients)
        averages = tf.stack([loss, -sums.increments / count, sums.log_prob / count,
                             sums.kl / count, norm, sums.num_steps,
                             tf.cast(tf.reduce_all(finite), tf.float32)])
        return averages, finite

    def _move(self, gradients: list[Tensor]) -> None:
        for weight in self.variables_to_train:
            if self._weight_decay and weight.shape.rank > 1:
                weight.assign_sub(self._rate * self._weight_decay * weight)
        self._optimizer.apply(gradients, self.variables_to_train)
        self.step.assign_add(1)

    def _regularization(self, weights: tuple[tf.Variable, ...]) -> Tensor:
        total = tf.zeros([])
        for weight in weights:
            if weight.shape.rank > 1 and self._l1_regularization:
                total += self._l1_regularization * tf.reduce_sum(tf.abs(weight))
            if weight.shape.rank > 1 and self._l2_regularization:
                total += self._l2_regularization * tf.nn.l2_loss(weight)
        return total

    def _regularization_gradient(self, weight: tf.Variable) -> Tensor | float:
        if weight.shape.rank < 2:
            return 0.0
        return self._l1_regularization * tf.sign(weight) + self._l2_regularization * weight

    def _explain(self, number: int, loss: float, finite: Tensor) -> None:
        loss_is_finite, *gradients_are = finite.numpy()
        bad = [w.name for w, good in zip(self.variables_to_train, gradients_are) if not good]
        which = f"the gradient of {', '.join(bad[:3])}" if bad else ""
        if len(bad) > 3:
            which += f" and {len(bad) - 3} more"
        if not loss_is_finite:
            which = f"the loss ({loss})" + (f" and {which}" if which else "")
        raise NumericsError(
            f"step {number}: {which} is not finite. The weights of the step before are kept. Try a "
            "smaller learning_rate or clip_gradient_norm, or a larger positive_eps.")
