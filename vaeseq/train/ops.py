# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""One training step: from a batch to a bound to an update of the weights.

`TrainOps` takes the loss of any agent, core and bound. A step computes, with teacher forcing,

    contexts = agent.contexts(observed)
    loss     = -sum(bound(core, contexts, observed).objective) / number of steps + regularization
    weights  = optimizer(weights, clipped gradient of the loss)

in one compiled function, with the batch split into one shard for each processor core. States are
carried from batch to batch and gradients stop at batch boundaries (truncated BPTT). Random numbers
depend only on the seed and the step's number, so a resumed run equals an uninterrupted one.
"""
from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import sonnet as snt
import tensorflow as tf

from vaeseq import bounds, seeds
from vaeseq.bounds import Bound
from vaeseq.compilation import compiled
from vaeseq.data import Batch, as_tensors
from vaeseq.hparams import HParams
from vaeseq.nn import initializers, parallel
from vaeseq.nn.scan import matmul
from vaeseq.train import schedules
from vaeseq.train.distribute import SINGLE_PROCESS, Strategy
from vaeseq.train.loss import SequenceLoss, TrainState
from vaeseq.train.optimizers import Adam, Optimizer, WeightAverage
from vaeseq.train.weight_dropout import WeightDropout
from vaeseq.train.weight_posterior import GaussianWeights
from vaeseq.types import Seed, Tensor
from vaeseq.vae import GenCore

Schedule = Callable[[int], float]
Precision = Literal["float32", "float64", "bfloat16"]


class TrainMetrics(NamedTuple):
    """The metrics of one update: floats, in nats averaged over the valid steps of its batches.

    Attributes:
      loss: the minimised value: negative objective plus regularization and extra loss.
      nats_per_step: the negative bound with a KL weight of 1; of IWAE and FIVO, whose weights
        contain it, with the KL weight of this update.
      log_prob: log-density of the observations given the latents.
      kl: KL divergence of the posterior from the prior.
      gradient_norm: global norm of the gradient before clipping.
      steps_per_second: valid sequence steps per second of wall time; the first update includes
        compilation.
      num_steps: number of valid sequence steps in the batches.
    """

    loss: float
    nats_per_step: float
    log_prob: float
    kl: float
    gradient_norm: float
    steps_per_second: float
    num_steps: int


_COMPARED_ROWS = 8  # of a shard, at least, where a bound compares rows


class NumericsError(ArithmeticError):
    """A loss or a gradient is not finite; the weights were not changed."""


def training_bound(hparams: HParams) -> Bound:
    """Returns the bound that `hparams` train; a bound other than the ELBO has no free bits."""
    return bounds.make(
        hparams.train_bound, hparams.train_samples, monte_carlo=hparams.use_monte_carlo_kl,
        free_bits=hparams.free_bits if hparams.train_bound == bounds.ELBO.name else 0.0,
        free_bits_per=hparams.free_bits_per)


def shards_of(hparams: HParams, num_replicas: int = 1) -> int:
    """Returns the number of shards that `hparams` ask for, of the batch of one replica.

    "auto" is a shard for each core. `mmd` compares the rows of a shard with each other: there,
    shards keep 8 rows at least, so that the penalty does not depend on the number of cores above 2
    for the default batch size.

    Raises:
      ValueError: shards of one row, which `mmd` could compare with nothing.
    """
    number = parallel.default_shards() if hparams.num_shards == "auto" else hparams.num_shards
    if hparams.train_bound != bounds.MMD.name:
        return number
    rows = hparams.batch_size // num_replicas
    if hparams.num_shards == "auto":
        number = min(number, max(1, rows // _COMPARED_ROWS))
    if rows * hparams.train_samples < 2 * number:
        raise ValueError(
            "train_bound=mmd compares the rows of a shard; expected at least 2 of them, got "
            f"batch_size={hparams.batch_size} in {number * num_replicas} shards.")
    return number


def _schedule(value: Schedule | float) -> Schedule:
    return value if callable(value) else lambda step: value


class _ShardSums(NamedTuple):
    """Sums over the valid steps of one shard."""

    gradients: list[Tensor]
    objective: Tensor
    increments: Tensor
    log_prob: Tensor
    kl: Tensor
    num_steps: Tensor


class TrainOps(snt.Module):
    """Trains an agent and a core on a bound, one batch at a time.

        ops = TrainOps(SequenceLoss(agent, core, ELBO()), optimizer=tf.keras.optimizers.Lion(1e-4),
                       seed=0)
        ops.build(data.batch(0))
        state = ops.initial_state(batch_size)
        for step in range(1000):
            metrics, state = ops(data.batch(step), state)

    Attributes:
      loss: computes the loss of a batch.
      step: number of updates made, an int64 variable.
      kl_weight: maps a step to the weight of the KL term.
      accumulate: number of batches of one update.
      average: the average of the weights; None without `weight_average`, or before `build`.
      weight_posterior: the posterior of the weights; None without `weight_stddev`, or before
        `build`.
    """

    def __init__(
        self, loss: SequenceLoss, *, learning_rate: Schedule | float | None = None,
        kl_weight: Schedule | float = 1.0,
        optimizer: Optimizer | None = None, extra_loss: Callable[[], Tensor] | None = None,
        accumulate: int = 1, weight_average: float = 0.0, weight_dropout: float = 0.0,
        weight_stddev: float = 0.0, weight_cost: float = 1.0, num_data_steps: int = 0,
        encoder_updates: int = 0, encoder_steps: int = 0, clip_gradient_norm: float = 1.0,
        l1_regularization: float = 0.0, l2_regularization: float = 0.0,
        weight_decay: float = 0.0, adam_beta2: float = 0.999, precision: Precision = "float32",
        check_numerics: bool = True, num_shards: int = 1, jit_compile: bool = True,
        seed: int | Seed, strategy: Strategy = SINGLE_PROCESS, name: str | None = None,
    ):
        """Creates the operations; `build` creates the variables.

        Args:
          loss: computes the loss of a batch.
          learning_rate: a number, or maps a step, from 0, to its learning rate; without it a given
            optimizer uses its own.
          kl_weight: a number, or maps a step to the weight of the KL term (KL annealing).
          optimizer: a Keras optimizer, or one with Sonnet's `apply(updates, parameters)`; by
            default Adam. Its variables are part of the checkpoint.
          extra_loss: returns a scalar that is added to the loss of each update, such as a penalty
            on weights; called inside of a `tf.function`, once an update.
          accumulate: number of batches of one update. Their gradients are added up, so that the
            update is that of one batch with the rows of all of them, in the memory of one.
          weight_average: decay of an exponential moving average of the weights, such as 0.999,
            which `average` holds; 0 for none.
          weight_dropout: the probability that a recurrent weight is dropped from an update (see
            `vaeseq.train.weight_dropout`).
          weight_stddev: first standard deviation of a normal posterior of each weight, from which
            each update draws the weights (see `vaeseq.train.weight_posterior`); 0 for none.
          weight_cost: weight of the posterior's cost in the loss; 1 for the minimum description
            length.
          num_data_steps: steps of the training data, which share the cost of the weights.
          encoder_updates: number of updates that change the core's `inference_variables` alone
            before each update of all weights, so that the posterior does not lag behind (He et al.,
            arXiv:1901.05534).
          encoder_steps: number of updates, from the first, for which `encoder_updates` holds.
          clip_gradient_norm: largest global norm of a gradient; 0 disables clipping.
          l1_regularization: weight of sum |w| over weights of rank 2 and above: matrices, and
            the convolutions and log-rates of parallel cells.
          l2_regularization: weight of sum w^2 / 2 over the same weights.
          weight_decay: decoupled weight decay of the same weights as in AdamW (arXiv:1711.05101),
            multiplied by the learning rate.
          adam_beta2: decay of Adam's second-moment average (arXiv:1412.6980).
          precision: "bfloat16" computes the layers' matrix products in it (see
            `vaeseq.nn.scan.matmul`); all else has the dtype in which the core was built.
          check_numerics: raise NumericsError if a loss or gradient is not finite.
          num_shards: number of shards of the batch computed in parallel.
          jit_compile: compile with XLA.
          seed: a number or an int32 `[2]` tensor, for everything random in training.
          strategy: distributes the rows of each batch; a single process by default.

        Raises:
          ValueError: a number is out of its range, there is no learning rate, or several replicas
            are to train with an optimizer of one's own.
        """
        super().__init__(name=name)
        if learning_rate is None and (optimizer is None or weight_decay):
            raise ValueError(
                "expected a learning_rate, a number or a function of the step, for Adam and for "
                "weight_decay; got None. Give learning_rate=1e-3, or an optimizer that has both.")
        if optimizer is not None and not any(
                hasattr(optimizer, name) for name in ("apply", "apply_gradients")):
            raise ValueError(
                "expected an optimizer of Keras, or one with Sonnet's apply(updates, parameters); "
                f"got {optimizer!r}. Give tf.keras.optimizers.Adam(1e-3), for example.")
        if optimizer is not None and strategy.num_replicas > 1:
            raise ValueError(
                f"expected one replica for optimizer={type(optimizer).__name__}, got "
                f"{strategy.num_replicas}. Several replicas train with the default optimizer.")
        if accumulate < 1 or not 0 <= weight_average < 1:
            raise ValueError(
                "expected accumulate of at least 1 and weight_average in [0, 1), got "
                f"accumulate={accumulate} and weight_average={weight_average}.")
        if (weight_stddev or weight_dropout) and strategy.num_replicas > 1:
            raise ValueError(
                "expected one replica for weight_posterior=gaussian and weight_dropout, got "
                f"{strategy.num_replicas}. Train in one process.")
        self.loss = loss
        # Checkpoints name the weights by these attributes.
        self._agent = loss.agent
        self._core = loss.core
        self._bound = loss.bound
        self._learning_rate = None if learning_rate is None else _schedule(learning_rate)
        self.kl_weight = _schedule(kl_weight)
        self._extra_loss = extra_loss
        self.accumulate = accumulate
        self._weight_average = weight_average
        self.average: WeightAverage | None = None
        self._weight_dropout = (WeightDropout((loss.agent, loss.core), weight_dropout)
                                if weight_dropout else None)
        self._weight_stddev = weight_stddev
        self._weight_cost = weight_cost
        self._num_data_steps = num_data_steps
        if encoder_updates and not hasattr(type(self._core), "inference_variables"):
            raise ValueError(
                "expected encoder_updates=0 for a core without inference_variables, got "
                f"{encoder_updates} for {type(self._core).__name__}.")
        self._encoder_updates = encoder_updates
        self._encoder_steps = encoder_steps
        self.weight_posterior: GaussianWeights | None = None
        self._clip_gradient_norm = clip_gradient_norm
        self._l1_regularization = l1_regularization
        self._l2_regularization = l2_regularization
        self._weight_decay = weight_decay
        self._check_numerics = check_numerics
        self._seed = seeds.make(seed)
        self._strategy = strategy
        with strategy.scope():
            self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
            self._rate = tf.Variable(0.0, trainable=False, name="learning_rate")
            self._optimizer = optimizer or Adam(self._rate, beta2=adam_beta2)
        self._is_keras = hasattr(self._optimizer, "apply_gradients")
        if self._is_keras and learning_rate is not None and isinstance(
                self._optimizer.get_config()["learning_rate"], dict):
            raise ValueError(
                "expected one schedule of the learning rate, got learning_rate and an optimizer "
                "with a schedule of its own. Leave learning_rate out.")
        if learning_rate is not None and not self._is_keras:
            self._optimizer.learning_rate = self._rate
        self._update = compiled(self._update_weights, jit_compile=jit_compile)
        low = precision == "bfloat16"
        # XLA has no fast bfloat16 matrix products on CPUs: these run outside of its clusters.
        split = low and jit_compile and not tf.config.list_physical_devices("GPU")
        self._precision = matmul.Precision(bfloat16=low, split_steps=split)
        self._gradients = parallel.parallel(
            self._shard, num_shards, jit_compile=jit_compile and not split)
        self._compiled = strategy.function(self._step)
        self._compiled_sums = strategy.function(self._sums)

    @classmethod
    def from_hparams(
        cls, gen_core: GenCore, hparams: HParams, *, num_steps: int = 1, jit_compile: bool = True,
        make_loss: Callable[[Bound], SequenceLoss] | None = None, seed: int | Seed,
        strategy: Strategy = SINGLE_PROCESS, num_data_steps: int = 0, **overrides: Any,
    ) -> TrainOps:
        """Creates the operations from hyperparameters.

        Args:
          gen_core: the agent and the core.
          hparams: bound, schedules and optimizer.
          num_steps: number of updates of the whole run, where the "cosine" learning-rate schedule
            ends; half-lives that are "auto" are shares of it.
          jit_compile: compile with XLA.
          make_loss: creates the loss from the training bound; by default that of the bound alone.
          seed: a number or an int32 `[2]` tensor, for everything random in training.
          strategy: distributes the rows of each batch.
          num_data_steps: steps of the training data, for `weight_posterior`.
          **overrides: further arguments of the constructor, such as `optimizer` or `extra_loss`;
            they take precedence over the hyperparameters. These set the learning rate of a given
            `optimizer`, too, unless `learning_rate=None` is among the arguments.
        """
        h = hparams
        arguments: dict[str, Any] = {
            "learning_rate": lambda step: schedules.learning_rate(
                step, highest=h.learning_rate, schedule=h.learning_rate_schedule,
                num_steps=num_steps, warmup_steps=h.warmup_steps, final=h.learning_rate_final,
                half=schedules.learning_rate_half(h.learning_rate_half, num_steps)),
            "kl_weight": lambda step: h.kl_weight * schedules.kl_weight(
                step, start=h.divergence_strength_start,
                half=schedules.kl_half(h.divergence_strength_half, num_steps)),
            "clip_gradient_norm": h.clip_gradient_norm, "l1_regularization": h.l1_regularization,
            "l2_regularization": h.l2_regularization, "weight_decay": h.weight_decay,
            "adam_beta2": h.adam_beta2, "accumulate": h.accumulate,
            "weight_average": h.weight_average, "weight_dropout": h.weight_dropout,
            "weight_stddev": h.weight_stddev if h.weight_posterior == "gaussian" else 0.0,
            "weight_cost": h.weight_cost, "num_data_steps": num_data_steps,
            "encoder_updates": h.seqae_encoder_updates, "encoder_steps": h.seqae_encoder_steps,
            "check_numerics": h.check_numerics,
            "num_shards": shards_of(h, strategy.num_replicas),
            "precision": h.precision, "jit_compile": jit_compile, "seed": seed,
            "strategy": strategy}
        bound = training_bound(h)
        loss = make_loss(bound) if make_loss else SequenceLoss(
            gen_core.agent, gen_core.core, bound, context_dropout=h.context_dropout)
        return cls(loss, **{**arguments, **overrides})

    @property
    def variables_to_train(self) -> tuple[tf.Variable, ...]:
        """Returns the weights of the agent and the core, shared ones once."""
        weights = {id(v): v for v in (*self._agent.trainable_variables,
                                      *self._core.trainable_variables)}
        return tuple(weights.values())

    @property
    def _parameters(self) -> tuple[tf.Variable, ...]:
        """What the optimizer updates: the weights, and log sigma of their posterior."""
        if self.weight_posterior is None:
            return self.variables_to_train
        return (*self.variables_to_train, *self.weight_posterior.log_stddevs)

    def weight_nats_per_step(self) -> Tensor:
        """Returns the cost of the weights in nats, divided by the steps of the training data.

        Raises:
          ValueError: the weights have no posterior.
        """
        if self.weight_posterior is None:
            raise ValueError("expected a posterior of the weights (weight_stddev above 0, after "
                             "build), got none.")
        return self.weight_posterior.kl() / self._num_data_steps

    def initial_state(self, batch_size: int) -> TrainState:
        """Returns the state of rows that are at the start of a sequence."""
        return self.loss.initial_state(batch_size)

    def build(self, batch: Batch) -> None:
        """Creates all variables from one step of one row; the seed determines their values.

        Raises:
          ValueError: the weights exist, and were not made in the scope of a strategy with several
            replicas in this process.
        """
        observed, inputs = tf.nest.map_structure(
            lambda x: x[:1, :1], (batch.observed, batch.inputs))
        single = Batch(observed, np.ones([1], np.int32), np.ones([1], bool), inputs)
        with self._strategy.scope(), initializers.weights_seed(self._seed):
            self.loss(self._as_tensors(single), self.initial_state(1), seed=self._seed)
            weights = self.variables_to_train
            self._strategy.check_variables(weights)
            if self._weight_stddev:
                self.weight_posterior = GaussianWeights(weights, self._weight_stddev)
            if self._is_keras:
                self._optimizer.build(self._parameters)
            elif hasattr(self._optimizer, "_initialize"):
                self._optimizer._initialize(self._parameters)
            if self._weight_average:
                self.average = WeightAverage(self._weight_average, weights)

    def __call__(
        self, batch: Batch | Sequence[Batch], state: TrainState
    ) -> tuple[TrainMetrics, TrainState]:
        """Makes one update.

        Args:
          batch: the whole batch, including the rows of other workers; with `accumulate` a sequence
            of so many batches of one size, through which the state is carried.
          state: returned by the previous update, or `initial_state` for this worker's rows.

        Returns:
          The metrics and the state to pass with the next batch.

        Raises:
          NumericsError: a loss or gradient is not finite; nothing was changed.
          ValueError: the number of batches is not `accumulate`.
        """
        start_time = time.perf_counter()
        batches = [batch] if isinstance(batch, Batch) else list(batch)
        if len(batches) != self.accumulate:
            raise ValueError(
                f"expected accumulate={self.accumulate} batches for one update, got "
                f"{len(batches)}.")
        if self.weight_posterior is not None and self._num_data_steps < 1:
            raise ValueError(
                "weight_posterior=gaussian: expected the number of steps of the training data, "
                "which share the cost of the weights; got none. Train on sequences of known "
                "length, or take weight_posterior=none.")
        step = int(self.step.numpy())
        rate = 0.0 if self._learning_rate is None else self._learning_rate(step)
        # An eager operation takes a quarter of a millisecond here, with cold caches: so scalars
        # travel together. They are NumPy's because TensorFlow caches tensors of Python numbers.
        scheduled = tf.constant(np.array((rate, self.kl_weight(step)), np.float32))
        sums: _ShardSums | tuple = ()
        for number, part in enumerate(batches):
            rows = self._strategy.local_rows(self._as_tensors(part))
            place = tf.constant(np.array((step, number * len(part.lengths)), np.int32))
            if number + 1 < len(batches):
                sums, state = self._compiled_sums(rows, state, scheduled, place, sums)
        averages, finite, state = self._compiled(rows, state, scheduled, place, sums)
        averages, finite = self._strategy.local_value((averages, finite))
        loss, nats, log_prob, kl, norm, num_steps, all_finite = averages.numpy().tolist()
        if self._check_numerics and not all_finite:
            self._raise_numerics_error(step, loss, finite)
        rate = num_steps / (time.perf_counter() - start_time)
        return TrainMetrics(loss, nats, log_prob, kl, norm, rate, int(num_steps)), state

    def _as_tensors(self, batch: Batch) -> Batch:
        return as_tensors(batch, self._core.observation_spec)

    def _sums(
        self, batch: Batch, state: TrainState, scheduled: Tensor, place: Tensor,
        previous: _ShardSums | tuple,
    ) -> tuple[_ShardSums, TrainState]:
        """Returns the sums of a batch, added to those of the previous batches of the update."""
        step, first_row = tf.unstack(place)
        row_indices = first_row + self._strategy.row_indices(batch.lengths.shape[0])
        seed = seeds.fold_in(self._seed, step)
        with contextlib.ExitStack() as stack:
            offsets: list[Tensor] = []
            masks: dict[object, Tensor] = {}
            if self.weight_posterior is not None:
                offsets = stack.enter_context(
                    self.weight_posterior.sampled(seeds.fold_in(seed, -1)))
            if self._weight_dropout is not None:
                masks = stack.enter_context(self._weight_dropout.sampled(seeds.fold_in(seed, -2)))
            sums, state = self._gradients((batch, state, row_indices), scheduled[1], seed)
        gradients = [
            gradient * masks[weight.ref()] if weight.ref() in masks else gradient
            for gradient, weight in zip(sums.gradients, self.variables_to_train)]
        sums = sums._replace(gradients=[*gradients, *(
            gradient * offset for gradient, offset in zip(gradients, offsets))])
        return tf.nest.map_structure(tf.add, previous, sums) if previous else sums, state

    def _step(
        self, batch: Batch, state: TrainState, scheduled: Tensor, place: Tensor,
        previous: _ShardSums | tuple,
    ) -> tuple[Tensor, Tensor, TrainState]:
        sums, state = self._sums(batch, state, scheduled, place, previous)
        return *self._update(self._strategy.all_reduce_sum(sums), scheduled[0]), state

    def _shard(
        self, rows: tuple[Batch, TrainState, Tensor], kl_weight: Tensor, seed: Seed
    ) -> tuple[_ShardSums, TrainState]:
        batch, state, row_indices = rows
        with tf.GradientTape() as tape, matmul.precision_scope(self._precision):
            out, state = self.loss(batch, state, kl_weight=kl_weight,
                                   seed=seeds.fold_in(seed, row_indices[0]))
            objective = tf.reduce_sum(out.result.objective)
            loss = -objective
        # Weights that the bound does not depend on have a gradient of 0.
        gradients = tape.gradient(loss, self.variables_to_train,
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        increments, log_prob, kl = (tf.reduce_sum(x) for x in (
            out.result.increments, out.result.log_prob, out.result.kl))
        return _ShardSums(gradients, objective, increments, log_prob, kl, out.num_steps), state

    def _update_weights(self, sums: _ShardSums, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Updates the weights if everything is finite; returns the averages and finite flags."""
        if self._learning_rate is not None:
            self._rate.assign(rate)
            if self._is_keras:
                self._optimizer.learning_rate.assign(rate)
        count = tf.maximum(sums.num_steps, 1.0)
        weights = self.variables_to_train
        gradients = [gradient / tf.cast(count, gradient.dtype) for gradient in sums.gradients]
        gradients[:len(weights)] = [
            gradient + self._regularization_gradient(weight)
            for gradient, weight in zip(gradients, weights)]
        loss = self._regularization(weights) - sums.objective / count
        if self.weight_posterior is not None:
            with tf.GradientTape() as tape:
                cost = self._weight_cost * self.weight_nats_per_step()
            loss += cost
            gradients = [gradient + more for gradient, more in zip(
                gradients, tape.gradient(cost, self._parameters))]
        if self._extra_loss is not None:
            with tf.GradientTape() as tape:
                extra = tf.reduce_sum(self._extra_loss())
            loss += extra
            gradients = [gradient + more for gradient, more in zip(gradients, tape.gradient(
                extra, self._parameters, unconnected_gradients=tf.UnconnectedGradients.ZERO))]
        norm = tf.linalg.global_norm(gradients)
        # Finite gradients can have an infinite norm, which would clip them to NaN.
        finite = tf.stack([tf.reduce_all(tf.math.is_finite(x)) for x in (loss, norm, *gradients)])
        if self._clip_gradient_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self._clip_gradient_norm, use_norm=norm)
        if self._check_numerics:
            tf.cond(tf.reduce_all(finite), lambda: self._apply_gradients(gradients), lambda: None)
        else:
            self._apply_gradients(gradients)
        averages = tf.stack([loss, -sums.increments / count, sums.log_prob / count,
                             sums.kl / count, norm, sums.num_steps,
                             tf.cast(tf.reduce_all(finite), loss.dtype)])
        return averages, finite

    def _apply_gradients(self, gradients: list[Tensor]) -> None:
        fixed = self._weights_of_joint_updates()
        before = [tf.identity(weight) for weight in fixed]
        for weight in self.variables_to_train:
            if self._weight_decay and weight.shape.rank > 1:
                weight.assign_sub(
                    tf.cast(self._rate, weight.dtype) * self._weight_decay * weight)
        if self._is_keras:
            self._optimizer.apply_gradients(zip(gradients, self._parameters))
        else:
            self._optimizer.apply(gradients, self._parameters)
        if fixed:
            cycle = tf.cast(self._encoder_updates, tf.int64)
            is_joint = (self.step >= self._encoder_steps) | (self.step % (cycle + 1) == cycle)
            for weight, value in zip(fixed, before):
                weight.assign(tf.where(is_joint, weight, value))
        self.step.assign_add(1)
        if self.average is not None:
            self.average.update(self.step)

    def _weights_of_joint_updates(self) -> list[tf.Variable]:
        """Returns the weights that not every update changes."""
        if not self._encoder_updates:
            return []
        always = {id(v) for v in self._core.inference_variables}
        joint = [v for v in self.variables_to_train if id(v) not in always]
        if self.weight_posterior is not None:
            joint += [stddev for weight, stddev in zip(
                self.variables_to_train, self.weight_posterior.log_stddevs, strict=True)
                if id(weight) not in always]
        return joint

    def _regularization(self, weights: tuple[tf.Variable, ...]) -> Tensor:
        total = tf.zeros([], self._core.dtype)
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

    def _raise_numerics_error(self, step: int, loss: float, finite: Tensor) -> NoReturn:
        loss_is_finite, norm_is_finite, *gradients_are_finite = finite.numpy()
        names = [weight.name for weight, is_finite in zip(
            self._parameters, gradients_are_finite) if not is_finite]
        culprits = f"the gradient of {', '.join(names[:3])}" if names else (
            "" if norm_is_finite else "the norm of the gradient")
        if len(names) > 3:
            culprits += f" and {len(names) - 3} more"
        if not loss_is_finite:
            culprits = f"the loss ({loss})" + (f" and {culprits}" if culprits else "")
        raise NumericsError(
            f"step {step}: {culprits} is not finite. The weights were not changed. Try a "
            "smaller learning_rate or clip_gradient_norm, or a larger positive_eps. If it happens "
            "at once, look for observations outside of the support of the decoder's distribution, "
            "such as a class that it lacks.")
